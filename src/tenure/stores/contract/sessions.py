"""Cases: sessions are opened within limits, renamed, closed, reopened and deleted."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tenure.core.command import CloseSession, Conversation, InterruptRun, OpenSession, UpdateSession
from tenure.core.entry import lines_of, record
from tenure.core.event import (
    MessageCompleted,
    RunFinished,
    RunInterrupting,
    SessionClosed,
    SessionCreated,
    SessionDeleted,
    SessionReopened,
    SessionUpdated,
)
from tenure.core.limits import Limits
from tenure.core.moment import timestamp
from tenure.core.run import RunState
from tenure.core.view import SessionInfo, SessionUsage
from tenure.errors import Code, TenureError
from tenure.ports.store import Ground, SessionFilter
from tenure.stores.contract.stage import (
    ADA,
    BOB,
    EVE,
    STRANGER,
    Cases,
    Stage,
    Stages,
    refusal,
    type_of,
)

GONE = "ses_" + "f" * 32

TOUCHES: dict[str, Callable[[Stage, str], Awaitable[object]]] = {
    "update": lambda s, i: s.store.update_session(s.stamp(), i, UpdateSession(title="x")),
    "close": lambda s, i: s.store.close_session(s.stamp(), i, CloseSession()),
    "reopen": lambda s, i: s.store.reopen_session(s.stamp(), i),
    "delete": lambda s, i: s.store.delete_session(s.stamp(), i),
    "send": lambda s, i: s.send(i),
    "interrupt": lambda s, i: s.interrupt(i),
}
"""Everything that a principal can do to a session."""


class SessionCases(Cases):
    """A session from its first event to its last."""

    async def test_opening_answers_the_session_as_it_will_be_read(self, stage: Stage) -> None:
        ask = OpenSession(
            agent="greeter",
            title="Trip",
            labels={"team": "blue"},
            conversation=Conversation(bot_id="tg", thread_id="7"),
        )
        answer = await stage.opened(ADA, ask)
        made = timestamp(stage.delivered(answer.value.id)[0].entries[0].at)

        assert not answer.replayed
        assert answer.value == SessionInfo(
            id=stage.sessions[0],
            agent="greeter",
            tenant="acme",
            owner="ada",
            title="Trip",
            labels={"team": "blue"},
            conversation={"bot_id": "tg", "thread_id": "7"},
            status="idle",
            run_id=None,
            head_seq=1,
            message_count=0,
            queue_held=False,
            pending_approvals=(),
            usage=SessionUsage(input_tokens=0, output_tokens=0, cost=None),
            created_at=made,
            updated_at=made,
            as_of_seq=1,
        )
        assert await stage.info(answer.value.id) == answer.value

    async def test_a_journal_begins_with_how_its_session_was_made(self, stage: Stage) -> None:
        ask = OpenSession(agent="greeter", title="Trip", labels={"a": "b"})
        session_id = await stage.open(BOB, ask)

        assert await stage.events(session_id) == [
            SessionCreated(agent="greeter", owner="bob", title="Trip", labels={"a": "b"})
        ]

    async def test_the_ground_says_whose_session_it_is(self, stage: Stage) -> None:
        session_id = await stage.open(BOB)

        assert await stage.store.ground(session_id) == Ground(session_id, "acme", "bob", "greeter")
        assert await stage.store.ground(GONE) is None
        assert await stage.store.session(GONE) is None
        assert await stage.store.head(GONE) == 0

    async def test_renaming_leaves_the_labels_and_relabelling_leaves_the_title(self, stage: Stage) -> None:
        session_id = await stage.open(ADA, OpenSession(agent="greeter", title="A", labels={"x": "1"}))
        renamed = await stage.store.update_session(stage.stamp(BOB), session_id, UpdateSession(title="B"))
        relabelled = await stage.store.update_session(stage.stamp(BOB), session_id, UpdateSession(labels={}))

        assert (renamed.title, renamed.labels, renamed.head_seq) == ("B", {"x": "1"}, 2)
        assert (relabelled.title, relabelled.labels, relabelled.head_seq) == ("B", {}, 3)
        assert await stage.info(session_id) == relabelled
        assert await stage.events(session_id, 1) == [
            SessionUpdated(by="bob", title="B"),
            SessionUpdated(by="bob", labels={}),
        ]

    async def test_a_title_can_be_taken_away_and_the_journal_says_so(self, stage: Stage) -> None:
        session_id = await stage.open(ADA, OpenSession(agent="greeter", title="A"))
        info = await stage.store.update_session(stage.stamp(), session_id, UpdateSession(title=None))

        assert info.title is None
        assert await stage.events(session_id, 1) == [SessionUpdated(by="ada", title=None)]

    @pytest.mark.sources("M10")
    async def test_closing_an_idle_session_changes_its_status_and_nothing_else(self, stage: Stage) -> None:
        session_id = await stage.open()
        answer = await stage.store.close_session(stage.stamp(BOB), session_id, CloseSession(reason="done"))

        assert (answer.value.status, answer.value.head_seq) == ("closed", 2)
        assert await stage.info(session_id) == answer.value
        assert await stage.events(session_id, 1) == [SessionClosed(by="bob", reason="done")]

    async def test_closing_a_closed_session_changes_nothing(self, stage: Stage) -> None:
        session_id = await stage.open()
        first = await stage.store.close_session(stage.stamp(), session_id, CloseSession())
        again = await stage.store.close_session(stage.stamp(), session_id, CloseSession())

        assert again == first
        assert await stage.types(session_id) == ["session.created", "session.closed"]

    async def test_closing_stops_the_run_and_withdraws_what_waits(self, stage: Stage) -> None:
        start = await stage.begin()
        waiting = [(await stage.send(start.session_id)).receipt.message_id for _ in range(2)]
        head = await stage.store.head(start.session_id)
        await stage.store.close_session(stage.stamp(), start.session_id, CloseSession())
        done = await stage.settle(start.run_id, RunState.CANCELLED)

        assert done.status is RunState.CANCELLED
        assert done.wake.starts == ()
        assert sorted(await stage.types(start.session_id, head)) == [
            "message.withdrawn",
            "message.withdrawn",
            "run.finished",
            "run.interrupting",
            "session.closed",
        ]
        for message_id in waiting:
            message = await stage.store.message(start.session_id, message_id)
            assert message is not None
            assert message.status == "withdrawn"

    async def test_closing_ends_a_run_that_still_waits_for_a_slot(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=0))
        session_id = await stage.open()
        sent = await stage.send(session_id)
        await stage.store.close_session(stage.stamp(), session_id, CloseSession())

        assert sent.receipt.run_id is not None
        assert (await stage.run(sent.receipt.run_id)).status == "cancelled"
        assert await stage.types(session_id, 2) == [
            "message.withdrawn",
            "run.finished",
            "session.closed",
        ]

    @pytest.mark.sources("M10", "M12")
    async def test_a_reopened_session_takes_messages_again(self, stage: Stage) -> None:
        session_id = await stage.open()
        await stage.store.close_session(stage.stamp(), session_id, CloseSession())
        with pytest.raises(TenureError) as refused:
            await stage.send(session_id)
        answer = await stage.store.reopen_session(stage.stamp(BOB), session_id)

        assert refusal(refused) == (Code.SESSION_CLOSED, {"session_id": session_id})
        assert answer.value.status == "idle"
        assert await stage.events(session_id, 2) == [SessionReopened(by="bob")]
        assert (await stage.send(session_id)).receipt.disposition == "started"

    async def test_reopening_an_open_session_changes_nothing(self, stage: Stage) -> None:
        session_id = await stage.open()
        before = await stage.info(session_id)

        assert (await stage.store.reopen_session(stage.stamp(), session_id)).value == before
        assert await stage.types(session_id) == ["session.created"]

    @pytest.mark.sources("M12")
    @pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
    async def test_what_never_was_is_not_found(
        self, stage: Stage, touch: Callable[[Stage, str], Awaitable[object]]
    ) -> None:
        with pytest.raises(TenureError) as refused:
            await touch(stage, GONE)

        assert refusal(refused) == (Code.NOT_FOUND, {"id": GONE})

    @pytest.mark.sources("D-M10")
    @pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
    async def test_what_was_deleted_is_not_found(
        self, stage: Stage, touch: Callable[[Stage, str], Awaitable[object]]
    ) -> None:
        session_id = await stage.open()
        await stage.store.delete_session(stage.stamp(), session_id)
        with pytest.raises(TenureError) as refused:
            await touch(stage, session_id)

        assert refusal(refused) == (Code.NOT_FOUND, {"id": session_id})

    async def test_a_deleted_session_is_gone_for_every_reader(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.store.delete_session(stage.stamp(), start.session_id)

        assert await stage.store.ground(start.session_id) is None
        assert await stage.store.ground_of_run(start.run_id) is None
        assert await stage.store.session(start.session_id) is None
        assert await stage.store.run(start.run_id) is None
        assert await stage.store.message(start.session_id, start.message_id) is None
        assert (await stage.store.sessions(SessionFilter(None, None), None, 10)).data == []

    @pytest.mark.sources("M16")
    async def test_deleting_ends_the_run_closes_what_it_said_and_says_deleted_last(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        await stage.send(start.session_id)
        said = await stage.say(start.run_id, "Good ", "mor")
        head = await stage.store.head(start.session_id)
        await stage.store.delete_session(stage.stamp(BOB), start.session_id)
        (block,) = [b for b in stage.delivered(start.session_id) if b.first > head]
        events = [record(1, b"{" + line).event for line in lines_of(block.body)]

        assert type_of(events[0]) == "message.withdrawn"
        assert events[1:] == [
            MessageCompleted(message_id=said, role="assistant", content="Good mor", partial=True),
            RunFinished(status="cancelled", reason="session_deleted"),
            SessionDeleted(by="bob"),
        ]

    async def test_the_owner_of_a_deleted_run_is_fenced(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.store.delete_session(stage.stamp(), start.session_id)
        for act in (stage.say(start.run_id, "more"), stage.settle(start.run_id)):
            with pytest.raises(TenureError) as refused:
                await act
            assert refused.value.code is Code.FENCED

    @pytest.mark.sources("M16", "D-M10")
    async def test_purging_frees_deleted_sessions_bit_by_bit_and_leaves_the_others(
        self, stage: Stage
    ) -> None:
        kept, gone = await stage.begin("keep me"), await stage.begin("forget me")
        for _ in range(30):
            await stage.say(gone.run_id, *("x" * 10 for _ in range(100)))
        await stage.store.delete_session(stage.stamp(), gone.session_id)
        freed = [await stage.store.purge(stage.at())]
        while freed[-1]:
            freed.append(await stage.store.purge(stage.at()))

        assert len(freed) > 1
        assert (await stage.store.figures()).sessions == 1
        assert await stage.store.audit(gone.session_id) is None
        assert await stage.types(kept.session_id) == [
            "session.created",
            "message.admitted",
            "run.started",
        ]

    # --- capacity

    @pytest.mark.sources("M04", "D-M1", "A1", "P11")
    async def test_of_two_hundred_at_once_exactly_as_many_open_as_there_is_room_for(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(Limits(open_sessions=50))
        tried = await asyncio.gather(
            *(stage.opened([ADA, BOB, EVE][n % 3]) for n in range(200)), return_exceptions=True
        )
        refused = [outcome for outcome in tried if isinstance(outcome, TenureError)]

        assert len(refused) == 150
        assert {(e.code, *e.facts.values()) for e in refused} == {(Code.CAPACITY, "global", 50, 50)}
        assert (await stage.store.figures()).open_sessions == 50
        assert len(await stage.store.session_ids("", 500)) == 50

    @pytest.mark.sources("M04", "D-M1", "A1")
    async def test_of_many_at_once_each_user_opens_exactly_as_many_as_a_user_may(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(Limits(open_sessions_per_user=10))
        tried = await asyncio.gather(
            *(stage.opened([ADA, BOB][n % 2]) for n in range(100)), return_exceptions=True
        )
        refused = [outcome for outcome in tried if isinstance(outcome, TenureError)]

        assert {(e.code, *e.facts.values()) for e in refused} == {(Code.CAPACITY, "per_user", 10, 10)}
        owners = [o.value.owner for o in tried if not isinstance(o, BaseException)]
        assert (owners.count("ada"), owners.count("bob")) == (10, 10)

    async def test_the_same_name_in_another_tenant_is_another_user(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions_per_user=1))
        await stage.open(ADA)

        assert (await stage.opened(STRANGER)).value.tenant == "globex"

    @pytest.mark.sources("D-M2", "A2")
    @pytest.mark.parametrize("way", ["close", "delete"])
    async def test_a_session_that_is_closed_or_deleted_makes_room(self, stages: Stages, way: str) -> None:
        stage = await stages.open(Limits(open_sessions=1))
        session_id = await stage.open()
        with pytest.raises(TenureError, match="limit of 1 open sessions"):
            await stage.open()
        await TOUCHES[way](stage, session_id)

        assert (await stage.opened()).value.status == "idle"

    async def test_deleting_a_closed_session_makes_no_room_twice(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions=2))
        session_id = await stage.open()
        await TOUCHES["close"](stage, session_id)
        await TOUCHES["delete"](stage, session_id)
        await stage.open()
        await stage.open()
        with pytest.raises(TenureError) as refused:
            await stage.open()

        assert refused.value.code is Code.CAPACITY

    async def test_reopening_needs_room_like_opening(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions_per_user=1))
        session_id = await stage.open()
        await TOUCHES["close"](stage, session_id)
        await stage.open()
        with pytest.raises(TenureError) as refused:
            await stage.store.reopen_session(stage.stamp(), session_id)

        assert refusal(refused) == (
            Code.CAPACITY,
            {"scope": "per_user", "limit": 1, "current": 1},
        )
        assert (await stage.info(session_id)).status == "closed"

    async def test_a_limit_of_zero_allows_none(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions=0, open_sessions_per_user=0))
        with pytest.raises(TenureError) as refused:
            await stage.open()

        assert refusal(refused) == (Code.CAPACITY, {"scope": "global", "limit": 0, "current": 0})
        assert (await stage.store.figures()).sessions == 0

    async def test_an_interrupt_of_a_closing_session_finds_its_run(self, stage: Stage) -> None:
        start = await stage.begin()
        await TOUCHES["close"](stage, start.session_id)
        answer, _ = await stage.interrupt(start.session_id, InterruptRun(run_id=start.run_id))

        assert (answer.value.run_id, answer.value.status) == (start.run_id, "interrupting")
        interrupts = [e for e in await stage.events(start.session_id) if isinstance(e, RunInterrupting)]
        assert interrupts == [RunInterrupting(by="ada", reason="session_closed")]
