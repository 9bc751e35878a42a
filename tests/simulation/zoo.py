"""The bug zoo: bugs that a host must not have, as patches of the real code. The simulation must see each.

Every patch takes a guard away or does a step at the wrong moment; some are bugs that the simulation
found in this code before it was released.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tenure.core.entry import Entry
from tenure.core.event import Event, RunStarted, Trigger, Unknown
from tenure.core.run import RunState
from tenure.core.transcript import Change, Closed, Moved
from tenure.host.execution import Conclusion, Execution, Phase
from tenure.host.executions import Executions
from tenure.host.fanout import Fanout, Follower, Hub
from tenure.host.journal import RunJournal
from tenure.host.recovery import Recovery
from tenure.host.settlement import Settlements
from tenure.host.stopping import Stopping
from tenure.ports.store import Admission, Block, Lease, Reaped, Settlement, Wake
from tenure.stores.relational import statements, tx
from tenure.stores.relational.acts import ends, messages, recovery, runs, sessions, slots, starts
from tenure.stores.relational.tx import Fence, Tx
from tenure.stores.sqlite import queries
from tenure.stores.sqlite.batch import Heads, SqliteTx
from tenure.stores.sqlite.store import SqliteStore

Patch = pytest.MonkeyPatch
Bug = Callable[[Patch], None]
BUGS: list[Bug] = []


def bug(plant: Bug) -> Bug:
    BUGS.append(plant)
    return plant


def sql(patch: Patch, name: str, old: str, new: str) -> None:
    """Change one named statement. The old text must be there, else the bug would be planted in vain."""
    statement = queries.SQL[name]
    assert old in statement, f"{name} doesn't say {old!r} any more"
    patch.setitem(queries.SQL, name, statement.replace(old, new))


def swap(patch: Patch, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace `owner.name` by what `make` makes of it."""
    patch.setattr(owner, name, make(getattr(owner, name)))


def returns(value: Any) -> Callable[..., Any]:
    """A function that does nothing and returns `value`, whatever it is given."""

    def function(*_: Any, **__: Any) -> Any:
        return value

    return function


def answers(value: Any) -> Callable[..., Any]:
    """The same of what is awaited."""

    async def function(*_: Any, **__: Any) -> Any:
        return value

    return function


# --- durability


@bug
def shows_output_before_it_is_durable(patch: Patch) -> None:
    def early(send: Any) -> Any:
        async def sent(self: Any, entries: list[Entry]) -> None:
            ground = await self._store.ground_of_run(self._run_id)
            if ground is not None:
                first = await self._store.head(ground.session_id) + 1
                body = b"\n".join(entry.line for entry in entries)
                last = first + len(entries) - 1
                self._store._lane._listener(
                    Block(
                        session_id=ground.session_id,
                        first=first,
                        last=last,
                        body=body,
                        entries=tuple(entries),
                    )
                )
            send(self, entries)

        return sent

    swap(patch, RunJournal, "_send", early)


@bug
def acknowledges_before_the_commit(patch: Patch) -> None:
    def admit(original: Any) -> Any:
        async def admitted(self: Any, admission: Admission) -> Any:
            db = self._lane._disk.db
            db.execute("BEGIN")
            try:
                answer = messages.admit(SqliteTx(db, Heads()), admission, self._rules)
            finally:
                db.execute("ROLLBACK")

            def later(tx: Tx) -> object:
                return messages.admit(tx, admission, self._rules)

            self._lane.write(later)
            return answer

        return admitted

    swap(patch, SqliteStore, "admit", admit)


@bug
def keeps_numbers_of_a_commit_that_failed(patch: Patch) -> None:
    patch.setattr(Heads, "forget", returns(None))


@bug
def forgets_what_a_request_was_answered(patch: Patch) -> None:
    patch.setattr(messages, "remember", returns(None))


@bug
def loses_output_that_found_no_space(patch: Patch) -> None:
    def go_on(self: Any, _: list[Entry]) -> None:
        self._flush()

    patch.setattr(RunJournal, "_again", go_on)


# --- one outcome


@bug
def loses_the_finaliser_of_a_cancelled_runner(patch: Patch) -> None:
    async def pump(self: Any) -> None:
        await self._read(self._runner.run(self._context))
        self.conclude(None)

    patch.setattr(Execution, "pump", pump)


@bug
def settles_whatever_the_run_has_become(patch: Patch) -> None:
    def ending(state: RunState, verdict: RunState, *, by_deadline: bool) -> RunState:
        return verdict

    def held(tx: Tx, lease: Lease, run_id: str) -> Any:
        run = runs.run_row(tx, run_id)
        assert run is not None
        return runs.session_of(tx, run.session_no), run

    patch.setattr(runs, "ending", ending)
    patch.setattr(runs, "held", held)
    sql(patch, "run_end", statements.SNIPPETS["run.live"], "1 = 1")


@bug
def settles_twice_without_looking(patch: Patch) -> None:
    settles_whatever_the_run_has_become(patch)

    def twice(once: Any) -> Any:
        async def settled(self: Any, lease: Lease, settlement: Settlement) -> Any:
            await once(self, lease, settlement)
            again = settlement._replace(next_run_id=self._ids.new("run_"))
            return await once(self, lease, again)

        return settled

    swap(patch, Settlements, "_until_written", twice)


@bug
def drops_the_last_words(patch: Patch) -> None:
    patch.setattr(Conclusion, "final", returns(()))


@bug
def leaves_open_what_a_lost_run_had_begun(patch: Patch) -> None:
    patch.setattr(ends, "_open_ends", returns([]))


@bug
def says_more_after_the_verdict(patch: Patch) -> None:
    def hear(original: Any) -> Any:
        def heard(self: Any, output: Any) -> None:
            self._phase = Phase.SPEAKING
            original(self, output)

        return heard

    swap(patch, Execution, "_hear", hear)
    patch.setattr(RunJournal, "close", returns([]))


# --- recovery


@bug
def takes_nothing_up_after_a_crash(patch: Patch) -> None:
    patch.setattr(recovery, "reap", returns(Reaped(0, 0, 0)))


@bug
def takes_up_only_runs_that_were_started_once(patch: Patch) -> None:
    sql(patch, "run_orphans", "owner IS NOT NULL", "owner IS NOT NULL AND attempt = 1")


@bug
def starts_a_retried_run_as_if_it_were_new(patch: Patch) -> None:
    def beginning(run: Any, *_: Any) -> RunStarted:
        trigger = Trigger(kind="message", id=run.message_id)
        return RunStarted(runner="x", attempt=1, trigger=trigger, grant_digest=run.grant_digest)

    patch.setattr(starts, "_beginning", beginning)


@bug
def keeps_what_a_superseded_attempt_said(patch: Patch) -> None:
    sql(patch, "reply_supersede", "superseded = 0", "superseded = 2")


@bug
def retries_a_run_that_was_asked_to_stop(patch: Patch) -> None:
    class Forgetful:
        def advance(self, state: RunState, signal: object) -> RunState:
            return RunState.QUEUED

    patch.setattr(runs, "RUN", Forgetful())
    sql(patch, "run_lapse", "state = 'running'", "state IN ('running', 'interrupting')")


@bug
def takes_no_waiting_run_after_a_crash(patch: Patch) -> None:
    async def sweep(self: Any, lease: Lease) -> None:
        await self._store.reap(lease, self._clock.now())

    patch.setattr(Recovery, "sweep", sweep)


# --- one writer


def heedless(self: Any, run_id: str, incarnation: int) -> Fence | None:
    """A fence that believes whatever the statement finds."""
    row = self._db.execute(queries.SQL["run_fence"], (run_id, incarnation)).fetchone()
    return None if row is None else Fence(incarnation, *row)


@bug
def takes_output_of_a_host_that_was_replaced(patch: Patch) -> None:
    sql(patch, "run_fence", "r.owner = ?", "r.owner >= 0 * ?")
    patch.setattr(SqliteTx, "fence", heedless)


@bug
def takes_output_of_a_run_that_is_over(patch: Patch) -> None:
    sql(patch, "run_fence", "r.owner = ?2 AND r.state IN ('running', 'waiting', 'interrupting')", "0 <= ?2")
    patch.setattr(SqliteTx, "fence", heedless)


# --- queue and slots


@bug
def forgets_the_queue_when_a_run_ends(patch: Patch) -> None:
    patch.setattr(runs, "_next", returns(None))


@bug
def forgets_the_queue_when_a_stopped_run_is_released(patch: Patch) -> None:
    def release(tx: Tx, lease: Lease, run_id: str, at: Any, reason: str, *_: Any) -> None:
        session, run = runs.held(tx, lease, run_id)
        runs.lapse(tx, session, run, at, reason, lapses=0)

    patch.setattr(runs, "release", release)


@bug
def takes_the_newest_message_first(patch: Patch) -> None:
    sql(patch, "message_waiting", "ORDER BY place", "ORDER BY place DESC")


@bug
def runs_a_held_queue(patch: Patch) -> None:
    def always(original: Any) -> Any:
        def begun(tx: Tx, session: Any, settlement: Settlement, rules: Any, lease: Lease) -> Any:
            return original(tx, session._replace(held=False), settlement, rules, lease)

        return begun

    swap(patch, runs, "_next", always)


@bug
def leaks_the_slot_of_a_stopped_run(patch: Patch) -> None:
    def leaky(original: Any) -> Any:
        def move(tx: Any, tenant: str, author: str, *, live: int = 0, queued: int = 0) -> None:
            row = tx._db.execute("SELECT count(*) FROM run WHERE by_deadline = 1").fetchone()
            if not (live < 0 and row[0]):
                original(tx, tenant, author, live=live, queued=queued)

        return move

    swap(patch, slots, "move_run", leaky)


@bug
def leaks_an_open_session_at_deletion(patch: Patch) -> None:
    def keep(original: Any) -> Any:
        def deleted(tx: Tx, *rest: Any) -> None:
            with patch.context() as inner:
                inner.setattr(slots, "close_session", returns(None))
                original(tx, *rest)

        return deleted

    swap(patch, sessions, "delete_session", keep)


@bug
def claims_nothing_when_a_slot_becomes_free(patch: Patch) -> None:
    def blind(original: Any) -> Any:
        async def settled(self: Any, lease: Lease, execution: Any, verdict: Any) -> None:
            follow = self._follow

            def shortsighted(wake: Wake) -> None:
                follow(wake._replace(backlog=0))

            self._follow = shortsighted
            try:
                await original(self, lease, execution, verdict)
            finally:
                self._follow = follow

        return settled

    swap(patch, Executions, "_settle", blind)


# --- stopping


@bug
def loses_a_stop_that_comes_before_the_runner(patch: Patch) -> None:
    patch.setattr(Executions, "_catch_up", answers(None))


@bug
def cancels_nothing_that_ignores_a_stop(patch: Patch) -> None:
    patch.setattr(Stopping, "cancel", returns(None))


@bug
def waits_for_a_runner_that_ignores_its_cancellation(patch: Patch) -> None:
    patch.setattr(Stopping, "_give_up", returns(None))


# --- fan-out


def _shift_cursor(patch: Patch, by: int) -> None:
    def shifted(follow: Any) -> Any:
        def followed(self: Any, session_id: str, after: int) -> Any:
            return follow(self, session_id, after + by if after else 0)

        return followed

    swap(patch, Fanout, "follow", shifted)


@bug
def resumes_one_entry_too_far(patch: Patch) -> None:
    _shift_cursor(patch, 1)


@bug
def repeats_the_last_entry(patch: Patch) -> None:
    _shift_cursor(patch, -1)


@bug
def wakes_only_the_first_reader(patch: Patch) -> None:
    def wake(self: Hub) -> None:
        for follower in list(self.followers)[:1]:
            follower.rouse()

    patch.setattr(Hub, "wake", wake)


@bug
def skips_what_came_while_it_read_a_page(patch: Patch) -> None:
    def page(original: Any) -> Any:
        async def replay(self: Any) -> Any:
            step = await original(self)
            self._after = self._hub.delivered
            return step

        return replay

    swap(patch, Follower, "_replay", page)


@bug
def keeps_the_stream_of_a_deleted_session_open(patch: Patch) -> None:
    def deliver(self: Any, block: Block) -> None:
        hub = self._hubs.get(block.session_id)
        if hub is not None:
            hub.deliver(block)

    patch.setattr(Fanout, "deliver", deliver)


# --- rows


def _misproject(patch: Patch, twist: Callable[[Change], Change | None]) -> None:
    """Let the rows follow other changes than those that core derives from an event."""
    original = tx.changes

    def changes(event: Event | Unknown, run_id: str | None, *, opens: bool = False) -> list[Change]:
        twisted = [twist(change) for change in original(event, run_id, opens=opens)]
        return [change for change in twisted if change is not None]

    patch.setattr(tx, "changes", changes)


@bug
def forgets_to_close_a_message_in_its_row(patch: Patch) -> None:
    def empty(change: Change) -> Change:
        return msgspec.structs.replace(change, content="") if isinstance(change, Closed) else change

    _misproject(patch, empty)


@bug
def projects_no_interrupt(patch: Patch) -> None:
    def quiet(change: Change) -> Change | None:
        stopped = isinstance(change, Moved) and change.state is RunState.INTERRUPTING
        return None if stopped else change

    _misproject(patch, quiet)


@bug
def makes_the_grant_anew_when_the_run_begins(patch: Patch) -> None:
    def fresh(original: Any) -> Any:
        def beginning(run: Any, *rest: Any) -> Any:
            event = original(run, *rest)
            if isinstance(event, RunStarted):
                return msgspec.structs.replace(event, grant_digest="made anew")
            return event

        return beginning

    swap(patch, starts, "_beginning", fresh)
