"""The bug zoo's second house: bugs of steering, approvals, the ledger, undo, forks, state and events."""

import asyncio
from functools import partial
from typing import Any

import msgspec

from tenure.core import ledger
from tenure.core.approval import ApprovalState
from tenure.core.effect import CallStatus
from tenure.core.event import Event, Unknown
from tenure.core.ledger import Step, digest_of
from tenure.core.run import RunState
from tenure.core.scope import Expected
from tenure.core.tool import Replay
from tenure.core.transcript import Change, Edited, Promoted, Transcript
from tenure.host.approvals import Approvals
from tenure.host.tools import ToolRoom
from tenure.ports.acts import Wake
from tenure.ports.effects import Intended
from tenure.stores.relational import tx
from tenure.stores.relational.acts import (
    approvals,
    effects,
    ends,
    events,
    forks,
    messages,
    runs,
    states,
    steering,
    undos,
    waits,
)
from tenure.stores.sqlite import queries
from tenure.stores.sqlite.batch import SqliteLook
from tests.simulation.zoo import Bug, Patch, answers, returns, sql, swap

BUGS: list[Bug] = []


def bug(plant: Bug) -> Bug:
    BUGS.append(plant)
    return plant


# --- steering and the queue


@bug
def forgets_steering_that_a_run_did_not_take(patch: Patch) -> None:
    patch.setattr(ends, "put_back", returns(None))


@bug
def hands_steering_out_without_telling_the_journal(patch: Patch) -> None:
    def silent(tx: Any, *about: Any) -> Any:
        lease, run_id, attempt, most, _ = about
        _, run = runs.held(tx, lease, run_id)
        rows = tx.all("message_offered", no=run.session_no, run_id=run_id, attempt=attempt, limit=most)
        return tuple(offered(*row) for row in rows)

    acts: Any = steering
    offered = acts._offered
    patch.setattr(steering, "take", silent)


@bug
def hands_the_same_steering_out_twice(patch: Patch) -> None:
    sql(patch, "message_offered", "taken_attempt < :attempt", "taken_attempt <= :attempt")


@bug
def forgets_what_an_earlier_attempt_had_taken(patch: Patch) -> None:
    sql(patch, "message_offered", "taken_attempt < :attempt", "taken_attempt < -:attempt")


@bug
def puts_what_steered_behind_what_waits(patch: Patch) -> None:
    def behind(tx: Any, session: Any, at: Any) -> None:
        with patch.context() as inner:
            inner.setattr(tx, "do", returns(None), raising=False)
            original(tx, session, at)

    original = ends.put_back
    patch.setattr(ends, "put_back", behind)


@bug
def joins_messages_the_wrong_way_round(patch: Patch) -> None:
    def turned(join: Any) -> Any:
        def wrong(first: Any, second: Any) -> Any:
            return join(second, first)

        return wrong

    swap(patch, messages, "joined", turned)


@bug
def replaces_what_others_have_waiting(patch: Patch) -> None:
    patch.setattr(messages, "_is_of", returns(True))


@bug
def forgets_an_edit(patch: Patch) -> None:
    _misproject(patch, Edited)


@bug
def forgets_a_promotion(patch: Patch) -> None:
    _misproject(patch, Promoted)


def _misproject(patch: Patch, forgotten: type[Change]) -> None:
    original = tx.changes

    def changes(event: Event | Unknown, run_id: str | None, *, opens: bool = False) -> list[Change]:
        return [c for c in original(event, run_id, opens=opens) if not isinstance(c, forgotten)]

    patch.setattr(tx, "changes", changes)


@bug
def forgets_to_roll_a_run_back(patch: Patch) -> None:
    patch.setattr(ends, "undo_run", returns(None))


# --- approvals and waiting


@bug
def takes_a_second_answer(patch: Patch) -> None:
    def find(original: Any) -> Any:
        def found(*about: Any) -> Any:
            row, session = original(*about)
            return row._replace(state=ApprovalState.PENDING), session

        return found

    swap(patch, approvals, "_find", find)
    statement = queries.SQL["approval_resolve"]
    patch.setitem(queries.SQL, "approval_resolve", statement.rpartition("WHERE")[0] + "WHERE id = :id")


@bug
def leaves_approvals_pending_when_a_run_ends(patch: Patch) -> None:
    patch.setattr(ends, "close_calls", returns(None))
    patch.setattr(runs, "close_calls", returns(None))


@bug
def lets_nothing_expire(patch: Patch) -> None:
    patch.setattr(Approvals, "_ring", returns(None))


@bug
def forgets_after_a_crash_what_expires(patch: Patch) -> None:
    patch.setattr(Approvals, "open", answers(None))


@bug
def keeps_the_slot_of_a_run_that_waits(patch: Patch) -> None:
    patch.setattr(waits, "SLOT_STATES", frozenset[RunState]())


@bug
def wakes_nobody_for_the_slot_of_a_run_that_waits(patch: Patch) -> None:
    async def entered(self: Any, intent: Any) -> Intended:
        return await self._box.effects.intend(self._lease, intent._replace(caller=self._caller()))

    patch.setattr(ToolRoom, "_entered", entered)


@bug
def goes_on_before_the_last_answer(patch: Patch) -> None:
    def go_on(original: Any) -> Any:
        def hasty(*about: Any) -> Any:
            with patch.context() as inner:
                inner.setattr(waits, "pending", returns([]))
                return original(*about)

        return hasty

    swap(patch, waits, "go_on", go_on)


@bug
def wakes_nobody_for_a_run_that_was_answered(patch: Patch) -> None:
    def quiet(go_on: Any) -> Any:
        def silent(*about: Any) -> Wake:
            go_on(*about)
            return Wake()

        return silent

    swap(patch, waits, "go_on", quiet)


# --- the agent's own calls


@bug
def takes_what_was_allowed_to_the_agent_as_allowed_to_the_host(patch: Patch) -> None:
    def remembered_as(tool: str, *, own: bool) -> str:
        return tool

    patch.setattr(effects, "remembered_as", remembered_as)
    patch.setattr(approvals, "remembered_as", remembered_as)


@bug
def lets_the_agent_do_again_what_it_did(patch: Patch) -> None:
    async def permission(self: Any, tool: str, arguments: Any) -> Intended:
        call = (tool, True, digest_of(arguments))
        with self._under_way(call) as nth:
            told = await self._put_in(
                self._intent(tool, arguments, nth, replay=Replay.NEVER, asks=True, own=True)
            )
            if told.step is Step.ASK:
                told = await self._resolved_by_people(told)
            return msgspec.structs.replace(told, step=Step.EXECUTE) if told.status != "denied" else told

    patch.setattr(ToolRoom, "_permission", permission)


@bug
def permits_what_was_denied(patch: Patch) -> None:
    def permission(original: Any) -> Any:
        async def lenient(*about: Any) -> Intended:
            return msgspec.structs.replace(await original(*about), step=Step.EXECUTE)

        return lenient

    swap(patch, ToolRoom, "_permission", permission)


# --- the ledger


@bug
def calls_before_the_ledger_says_so(patch: Patch) -> None:
    async def dispatched(self: Any, told: Intended) -> Intended:
        await asyncio.sleep(0)
        arguments, digest = await self._box.effects._lane.peek(partial(_approved, call_id=told.call_id))
        return msgspec.structs.replace(told, step=Step.EXECUTE, arguments=arguments, digest=digest)

    patch.setattr(ToolRoom, "_dispatched", dispatched)


def _approved(look: SqliteLook, *, call_id: str) -> tuple[object, str]:
    query = "SELECT arguments, digest FROM approval WHERE call_id = ?"
    arguments, digest = look.db.execute(query, (call_id,)).fetchone()
    return msgspec.json.decode(arguments), digest


@bug
def makes_a_call_that_was_denied(patch: Patch) -> None:
    def dispatch(original: Any) -> Any:
        def willing(*about: Any) -> Intended:
            told = original(*about)
            return (
                msgspec.structs.replace(told, step=Step.EXECUTE) if told.status is CallStatus.DENIED else told
            )

        return willing

    swap(patch, effects, "dispatch", dispatch)


@bug
def makes_the_call_that_was_asked_for_not_the_edited_one(patch: Patch) -> None:
    for name in ("effect_row", "effect_same", "effect_keyed"):
        sql(patch, name, "coalesce(a.arguments, e.arguments)", "e.arguments")
        sql(patch, name, "coalesce(a.digest, e.digest)", "e.digest")


@bug
def repeats_what_must_not_be_repeated(patch: Patch) -> None:
    rules: Any = ledger
    patch.setitem(rules._OPEN, Replay.NEVER, Step.EXECUTE)


@bug
def takes_another_call_for_the_same(patch: Patch) -> None:
    sql(patch, "effect_same", "AND e.digest = :digest", "AND :digest <> ''")
    _heed_no_digest(patch)


@bug
def lets_one_key_stand_for_other_arguments(patch: Patch) -> None:
    _heed_no_digest(patch)


def _heed_no_digest(patch: Patch) -> None:
    def heedless(again: Any) -> Any:
        def any_digest(wish: Any, known: Any) -> Any:
            return again(wish._replace(digest=known.digest), known)

        return any_digest

    swap(patch, ledger, "_again", heedless)


@bug
def forgets_that_a_call_was_made(patch: Patch) -> None:
    patch.setattr(effects, "_known", returns(None))
    sql(patch, "effect_insert", ":nth", ":nth + (SELECT count(*) FROM effect WHERE run_id = :run_id)")


@bug
def records_no_outcome(patch: Patch) -> None:
    patch.setattr(effects, "answer", returns(None))


@bug
def spends_more_calls_than_the_budget(patch: Patch) -> None:
    patch.setattr(effects, "reserve_tool_call", returns(None))


# --- history


@bug
def undoes_a_live_run(patch: Patch) -> None:
    patch.setattr(undos, "live_run", returns(None))


@bug
def redoes_after_something_ran(patch: Patch) -> None:
    swap(patch, undos, "redo", _heedless_redo)


def _heedless_redo(redo: Any) -> Any:
    def redone(tx: Any, *about: Any) -> Any:
        one = tx.one

        def blind(name: str, **wanted: Any) -> Any:
            row = one(name, **wanted)
            return (*row[:2], 0) if name == "undo_last" and row is not None else row

        tx.one = blind
        try:
            return redo(tx, *about)
        finally:
            del tx.one

    return redone


@bug
def leaves_a_message_of_an_undone_turn(patch: Patch) -> None:
    def half(plan: Any) -> Any:
        def planned(*about: Any) -> Any:
            taken = plan(*about)
            return taken._replace(message_ids=taken.message_ids[1:])

        return planned

    swap(patch, undos, "plan", half)


@bug
def forks_one_entry_too_late(patch: Patch) -> None:
    def later(share: Any) -> Any:
        def shared(tx: Any, parent: Any, no: int, at_seq: int) -> None:
            share(tx, parent, no, at_seq + 1)

        return shared

    swap(patch, forks, "_share", later)


@bug
def gives_a_fork_what_waits(patch: Patch) -> None:
    def whole(prefix: Any) -> Any:
        def unbranched(*about: Any) -> Any:
            with patch.context() as inner:
                inner.setattr(Transcript, "branch", returns(None))
                return prefix(*about)

        return unbranched

    swap(patch, forks, "prefix", whole)


# --- state and events


@bug
def gives_a_version_again_after_a_deletion(patch: Patch) -> None:
    def fresh(kept: Any, old: Any) -> int:
        return 1 if old is None else old.version + 1

    patch.setattr(states, "_next_version", fresh)


@bug
def writes_state_over_another_version(patch: Patch) -> None:
    patch.setattr(Expected, "check", returns(None))


@bug
def takes_an_event_as_often_as_it_comes(patch: Patch) -> None:
    patch.setattr(events, "known", returns(None))
    statement = queries.SQL["received_put"]
    patch.setitem(queries.SQL, "received_put", statement.replace("INSERT INTO", "INSERT OR REPLACE INTO"))
