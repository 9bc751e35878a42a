"""Cases: what becomes of a message that meets a busy session, by each of the seven policies."""

from collections.abc import Sequence

import msgspec
import pytest

from tenure.core.command import InterruptRun, SendMessage, Waiting
from tenure.core.event import (
    GrantReduced,
    MessageAdmitted,
    MessagePromoted,
    MessageUpdated,
    MessageWithdrawn,
    QueueReleased,
    RunFinished,
    RunInterrupting,
    RunStarted,
)
from tenure.core.grant import Capabilities, Descriptor, Policy, Terms, grant_digest
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.principal import Role
from tenure.core.run import RunState
from tenure.core.tool import ToolTerms
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.store import Start
from tenure.stores.contract.stage import ADA, ADMIN, BOB, Cases, Stage, Stages, person, refusal

STEERED = Terms(
    agent="greeter",
    descriptor=Descriptor(runner="python", capabilities=Capabilities(steering=True)),
    policy=Policy(max_attempts=3),
)
OPERATOR = person("olga", Role.OPERATOR)


def said(content: str, policy: BusyPolicy, **more: object) -> SendMessage:
    """A message with a busy policy."""
    return msgspec.structs.replace(SendMessage(content=content, when_busy=policy), **more)


async def waiting_texts(stage: Stage, session_id: str) -> list[str]:
    """What waits, in order."""
    page = await stage.store.transcript(session_id, None, 10)
    return [str(item.content) for item in page.waiting]


async def busy(stage: Stage, *texts: str) -> Start:
    """A session with a live run, and messages of Ada behind it."""
    start = await stage.begin()
    for text in texts:
        await stage.send(start.session_id, text)
    return start


async def ended(stage: Stage, start: Start, verdict: RunState = RunState.COMPLETED) -> str | None:
    """End a run; the text of the message that runs next, None if none does."""
    settled = await stage.settle(start.run_id, verdict)
    return str(settled.wake.starts[0].content) if settled.wake.starts else None


class PolicyCases(Cases):
    """Decided once, under the session's lock; the receipt says what was decided."""

    async def test_every_policy_starts_at_once_in_an_idle_session(self, stage: Stage) -> None:
        for policy in BusyPolicy:
            session_id = await stage.open()
            sent = await stage.send(session_id, said("Hello", policy))
            assert (sent.receipt.disposition, sent.receipt.queue_position) == ("started", 0)
            assert sent.start.content == "Hello"

    async def test_reject_refuses_and_leaves_the_queue_as_it_was(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        with pytest.raises(TenureError) as caught:
            await stage.send(start.session_id, said("two", BusyPolicy.REJECT))
        assert refusal(caught) == (Code.BUSY, {"session_id": start.session_id})
        assert await waiting_texts(stage, start.session_id) == ["one"]

    # --- interrupt

    async def test_interrupt_stops_the_run_and_stands_at_the_front(self, stage: Stage) -> None:
        start = await busy(stage, "one", "two")
        after = (await stage.info(start.session_id)).head_seq
        sent = await stage.send(start.session_id, said("now", BusyPolicy.INTERRUPT))

        assert sent.receipt == MessageReceipt(
            message_id=sent.receipt.message_id,
            run_id=None,
            disposition="queued",
            queue_position=1,
            seq=after + 1,
            interrupts=start.run_id,
        )
        admitted, interrupting = await stage.events(start.session_id, after)
        assert isinstance(admitted, MessageAdmitted)
        assert (admitted.interrupts, admitted.disposition) == (start.run_id, "queued")
        assert interrupting == RunInterrupting(by="ada", reason="interrupted", force=False)
        assert await waiting_texts(stage, start.session_id) == ["now", "one", "two"]
        assert await ended(stage, start, RunState.CANCELLED) == "now"

    async def test_interrupt_ends_a_run_that_waits_for_a_slot_and_starts(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        blocker = await stage.begin("blocks")
        queued = await stage.send(await stage.open(BOB), "waits", by=BOB)
        session_id = stage.sessions[-1]
        sent = await stage.send(session_id, said("now", BusyPolicy.INTERRUPT), by=BOB)

        assert sent.receipt.interrupts == queued.receipt.run_id
        assert await stage.types(session_id, 2) == [
            "message.admitted",
            "message.withdrawn",
            "run.finished",
        ]
        await stage.settle(blocker.run_id)
        assert [start.content for start in (await stage.claim()).starts] == ["now"]

    async def test_interrupt_of_a_run_that_is_stopping_only_goes_to_the_front(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        await stage.interrupt(start.session_id, InterruptRun(waiting=Waiting.RUN))
        sent = await stage.send(start.session_id, said("now", BusyPolicy.INTERRUPT))

        assert (sent.receipt.disposition, sent.receipt.interrupts) == ("queued", start.run_id)
        assert (await stage.types(start.session_id)).count("run.interrupting") == 1
        assert await waiting_texts(stage, start.session_id) == ["now", "one"]

    async def test_interrupt_needs_the_right_to_stop_that_run(self, stage: Stage) -> None:
        start = await stage.begin(by=BOB)
        for policy in (BusyPolicy.INTERRUPT, BusyPolicy.ROLLBACK):
            with pytest.raises(TenureError) as caught:
                await stage.send(start.session_id, said("now", policy), by=ADA)
            assert refusal(caught) == (Code.FORBIDDEN, {"run_id": start.run_id})
        assert (await stage.run(start.run_id)).status == "running"

    async def test_an_operator_may_interrupt_anybodys_run(self, stage: Stage) -> None:
        await stage.key(OPERATOR)
        start = await stage.begin(by=BOB)
        sent = await stage.send(start.session_id, said("now", BusyPolicy.INTERRUPT), by=OPERATOR)
        assert sent.receipt.interrupts == start.run_id

    # --- rollback

    async def test_rollback_takes_the_turn_back_before_its_own_message_starts(self, stage: Stage) -> None:
        start = await busy(stage)
        await stage.say(start.run_id, "wrong")
        sent = await stage.send(start.session_id, said("instead", BusyPolicy.ROLLBACK))
        assert (sent.receipt.interrupts, sent.receipt.rolls_back) == (start.run_id, start.run_id)

        assert await ended(stage, start, RunState.CANCELLED) == "instead"
        types = await stage.types(start.session_id)
        assert types[-3:] == ["run.finished", "transcript.undone", "run.started"]
        page = await stage.store.transcript(start.session_id, None, 10)
        assert [item.content for item in page.data] == ["instead"]

    # --- latest

    async def test_latest_withdraws_what_the_same_author_had_waiting(self, stage: Stage) -> None:
        start = await busy(stage, "one", "two")
        await stage.send(start.session_id, "of Bob", by=BOB)
        after = (await stage.info(start.session_id)).head_seq
        sent = await stage.send(start.session_id, said("last word", BusyPolicy.LATEST))

        gone = (await stage.events(start.session_id, after))[:-1]
        assert [
            (event.reason, event.replaced_by) for event in gone if isinstance(event, MessageWithdrawn)
        ] == [("replaced", sent.receipt.message_id)] * 2
        assert (sent.receipt.disposition, sent.receipt.queue_position) == ("queued", 2)
        assert await waiting_texts(stage, start.session_id) == ["of Bob", "last word"]

    async def test_latest_finds_room_in_a_full_queue_of_its_own(self, stages: Stages) -> None:
        stage = await stages.open(Limits(queued_messages_per_session=1))
        start = await busy(stage, "one")
        await stage.send(start.session_id, said("two", BusyPolicy.LATEST))
        assert await waiting_texts(stage, start.session_id) == ["two"]
        with pytest.raises(TenureError) as caught:
            await stage.send(start.session_id, said("three", BusyPolicy.LATEST), by=BOB)
        assert caught.value.code is Code.CAPACITY

    # --- merge

    async def test_merge_joins_the_authors_last_waiting_message(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        first = (await stage.store.transcript(start.session_id, None, 10)).waiting[0].message_id
        after = (await stage.info(start.session_id)).head_seq
        sent = await stage.send(start.session_id, said("two", BusyPolicy.MERGE))

        assert (sent.receipt.disposition, sent.receipt.into, sent.receipt.run_id) == ("merged", first, None)
        admitted, updated = await stage.events(start.session_id, after)
        assert isinstance(admitted, MessageAdmitted)
        assert (admitted.disposition, admitted.into) == ("merged", first)
        assert updated == MessageUpdated(message_id=first, content="one\ntwo", by="ada")
        assert await ended(stage, start) == "one\ntwo"

    async def test_a_joined_message_settles_with_the_one_it_joined(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        sent = await stage.send(start.session_id, said("two", BusyPolicy.MERGE))
        settled = await stage.settle(start.run_id)
        (following,) = settled.wake.starts
        await stage.settle(following.run_id, RunState.FAILED, "why")

        info = await stage.store.message(start.session_id, sent.receipt.message_id)
        assert info is not None
        assert (info.state, info.run_id, info.outcome) == ("settled", following.run_id, "failed")

    async def test_merge_never_jumps_over_a_message_of_somebody_else(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        await stage.send(start.session_id, "of Bob", by=BOB)
        sent = await stage.send(start.session_id, said("two", BusyPolicy.MERGE))
        assert (sent.receipt.disposition, sent.receipt.queue_position) == ("queued", 3)
        assert await waiting_texts(stage, start.session_id) == ["one", "of Bob", "two"]

    async def test_a_joined_message_is_withdrawn_with_the_one_it_joined(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        sent = await stage.send(start.session_id, said("two", BusyPolicy.MERGE))
        await stage.interrupt(start.session_id, InterruptRun(waiting=Waiting.WITHDRAW))
        info = await stage.store.message(start.session_id, sent.receipt.message_id)
        assert info is not None
        assert info.state == "withdrawn"

    async def test_a_merge_repeated_under_its_message_id_joins_once(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        ask = said("two", BusyPolicy.MERGE, message_id="msg_" + "b" * 32)
        first, second = await stage.send(start.session_id, ask), await stage.send(start.session_id, ask)
        assert (second.receipt, second.replayed) == (first.receipt, True)
        assert await waiting_texts(stage, start.session_id) == ["one\ntwo"]

    # --- a held queue

    async def test_the_next_message_releases_a_held_queue_first_in_first_out(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        await stage.hold(start.session_id)
        after = (await stage.info(start.session_id)).head_seq
        sent = await stage.send(start.session_id, said("two", BusyPolicy.QUEUE))
        events = await stage.events(start.session_id, after)
        assert events[0] == QueueReleased(by="ada")
        assert sent.start.content == "one"

    async def test_interrupt_goes_before_a_held_queue(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        await stage.hold(start.session_id)
        sent = await stage.send(start.session_id, said("now", BusyPolicy.INTERRUPT))
        assert (sent.receipt.disposition, sent.start.content) == ("started", "now")
        assert await waiting_texts(stage, start.session_id) == ["one"]


class ReductionCases(Cases):
    """What a live run may touch shrinks with its author's keys, and never grows."""

    @pytest.mark.sources("P8")
    async def test_revoking_a_key_takes_from_the_live_runs_of_its_user(self, stages: Stages) -> None:
        pay = ToolTerms(name="pay", source="python:shop:pay", role=Role.OPERATOR)
        look = ToolTerms(name="look", source="python:shop:look")
        stage = await stages.open(agents=[msgspec.structs.replace(STEERED, tools=(pay, look))])
        strong = await stage.key(OPERATOR)
        await stage.key(person("olga", Role.MEMBER))
        start = await stage.begin(by=OPERATOR)
        assert start.grant.tool("pay") == pay

        await stage.store.revoke_key(stage.stamp(ADMIN), strong)

        reduced = (await stage.events(start.session_id))[-1]
        left = await stage.run(start.run_id)
        assert reduced == GrantReduced(
            run_id=start.run_id, removed=("tool:pay",), digest=grant_digest(left.grant)
        )
        assert (left.grant.tool("pay"), left.grant.tool("look")) == (None, look)
        assert left.grant_digest == start_digest(await stage.events(start.session_id))

    async def test_a_user_without_any_key_has_runs_that_may_touch_nothing(self, stage: Stage) -> None:
        fay = person("fay")
        key = await stage.key(fay)
        start = await stage.begin(by=fay)
        await stage.store.revoke_key(stage.stamp(ADMIN), key)
        assert (await stage.run(start.run_id)).grant.names() == frozenset()

    async def test_a_run_that_waits_for_a_slot_begins_with_what_is_left(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        await stage.begin("blocks")
        fay = person("fay")
        key = await stage.key(fay)
        sent = await stage.send(await stage.open(fay), "waits", by=fay)
        await stage.store.revoke_key(stage.stamp(ADMIN), key)
        info = await stage.run(sent.receipt.run_id or "")
        assert (info.grant.names(), info.grant_digest) == (frozenset(), grant_digest(info.grant))

    async def test_another_users_key_and_a_second_revocation_change_nothing(self, stage: Stage) -> None:
        fay = person("fay")
        await stage.key(fay)
        other = await stage.key(person("gus"))
        start = await stage.begin(by=fay)
        after = (await stage.info(start.session_id)).head_seq
        for _ in range(2):
            await stage.store.revoke_key(stage.stamp(ADMIN), other)
        assert await stage.events(start.session_id, after) == []


def start_digest(events: Sequence[object]) -> str:
    """The digest of the grant that a run began with."""
    return next(event.grant_digest for event in events if isinstance(event, RunStarted))


class SteeringCases(Cases):
    """Kept for the live run, taken once, or back among those that wait (P6)."""

    @pytest.fixture
    async def steerable(self, stages: Stages) -> Stage:
        """A steerable whose agent takes steering."""
        return await stages.open(agents=[STEERED])

    async def take(self, steerable: Stage, start: Start, most: int = 100) -> list[str]:
        """What the run takes now, as texts."""
        taken = await steerable.store.take_steering(
            steerable.lease, start.run_id, start.attempt, most, steerable.at()
        )
        return [message.text for message in taken]

    @pytest.mark.sources("P6", "R12", "R13", "R14", "O28", "D-O14")
    async def test_steering_is_kept_for_the_run_and_taken_once_in_order(self, steerable: Stage) -> None:
        start = await steerable.begin()
        first = await steerable.send(start.session_id, said("one", BusyPolicy.STEER))
        await steerable.send(start.session_id, said("two", BusyPolicy.STEER))

        assert (first.receipt.disposition, first.receipt.run_id, first.receipt.queue_position) == (
            "steered",
            start.run_id,
            0,
        )
        assert await self.take(steerable, start) == ["one", "two"]
        assert await self.take(steerable, start) == []
        assert (await steerable.types(start.session_id, 5)) == ["steering.consumed"] * 2

    @pytest.mark.sources("R15", "D-R8")
    async def test_no_more_is_taken_than_was_asked_for(self, steerable: Stage) -> None:
        start = await steerable.begin()
        for text in ("one", "two", "three"):
            await steerable.send(start.session_id, said(text, BusyPolicy.STEER))
        assert await self.take(steerable, start, 1) == ["one"]
        assert await self.take(steerable, start, 2) == ["two", "three"]

    @pytest.mark.sources("P6", "A9", "O23", "O31", "D-O6")
    async def test_what_the_run_did_not_take_runs_next_before_the_queue(self, steerable: Stage) -> None:
        start = await busy(steerable, "queued")
        for text in ("one", "two"):
            await steerable.send(start.session_id, said(text, BusyPolicy.STEER))
        after = (await steerable.info(start.session_id)).head_seq
        assert await ended(steerable, start) == "one"

        events = await steerable.events(start.session_id, after)
        assert [type(event) for event in events] == [
            RunFinished,
            MessagePromoted,
            MessagePromoted,
            RunStarted,
        ]
        assert [event.to for event in events if isinstance(event, MessagePromoted)] == ["run", "run"]
        assert await waiting_texts(steerable, start.session_id) == ["two", "queued"]

    async def test_taken_steering_stands_in_the_transcript_where_it_was(self, steerable: Stage) -> None:
        start = await steerable.begin("Hello")
        await steerable.send(start.session_id, said("shorter", BusyPolicy.STEER))
        before = await steerable.store.transcript(start.session_id, None, 10)
        await self.take(steerable, start)
        page = await steerable.store.transcript(start.session_id, None, 10)

        assert [item.content for item in before.data] == ["Hello"]
        assert [(item.content, item.run_id) for item in page.data] == [
            ("Hello", start.run_id),
            ("shorter", start.run_id),
        ]
        assert (await steerable.info(start.session_id)).message_count == 2

    async def test_taken_steering_settles_with_its_run(self, steerable: Stage) -> None:
        start = await steerable.begin()
        sent = await steerable.send(start.session_id, said("shorter", BusyPolicy.STEER))
        await self.take(steerable, start)
        await steerable.settle(start.run_id)
        info = await steerable.store.message(start.session_id, sent.receipt.message_id)
        assert info is not None
        assert (info.state, info.run_id, info.outcome) == ("settled", start.run_id, "completed")

    @pytest.mark.sources("P6", "A9", "D-R9")
    async def test_a_new_attempt_is_offered_again_what_the_last_one_took(self, stages: Stages) -> None:
        steerable = await stages.open(agents=[STEERED])
        start = await steerable.begin()
        await steerable.send(start.session_id, said("one", BusyPolicy.STEER))
        await self.take(steerable, start)
        await steerable.send(start.session_id, said("two", BusyPolicy.STEER))
        again = await stages.restart(steerable)
        await again.store.reap(again.lease, again.at())
        (second,) = (await again.claim()).starts

        taken = await again.store.take_steering(again.lease, start.run_id, second.attempt, 100, again.at())
        assert [(message.text, message.redelivered) for message in taken] == [("one", True), ("two", False)]
        assert await self.take(again, second) == []

    async def test_a_run_that_is_stopping_takes_nothing(self, steerable: Stage) -> None:
        start = await steerable.begin()
        await steerable.send(start.session_id, said("one", BusyPolicy.STEER))
        await steerable.interrupt(start.session_id, InterruptRun(waiting=Waiting.RUN))
        assert await self.take(steerable, start) == []
        assert await ended(steerable, start, RunState.CANCELLED) == "one"

    async def test_a_stop_holds_what_was_to_steer_the_stopped_run(self, steerable: Stage) -> None:
        start = await steerable.begin()
        await steerable.send(start.session_id, said("one", BusyPolicy.STEER))
        await steerable.interrupt(start.session_id, InterruptRun())
        assert await ended(steerable, start, RunState.CANCELLED) is None
        assert (await steerable.info(start.session_id)).queue_held
        assert await waiting_texts(steerable, start.session_id) == ["one"]

    async def test_closing_withdraws_what_was_to_steer(self, steerable: Stage) -> None:
        from_ada = await steerable.begin()
        sent = await steerable.send(from_ada.session_id, said("one", BusyPolicy.STEER))
        await steerable.interrupt(from_ada.session_id, InterruptRun(waiting=Waiting.WITHDRAW))
        info = await steerable.store.message(from_ada.session_id, sent.receipt.message_id)
        assert info is not None
        assert info.state == "withdrawn"

    # --- when it can't steer, it waits, visibly

    async def test_a_runner_without_steering_lets_the_message_wait(self, stages: Stages) -> None:
        steerable = await stages.open()
        start = await steerable.begin()
        sent = await steerable.send(start.session_id, said("one", BusyPolicy.STEER))
        assert (sent.receipt.disposition, sent.receipt.fallback) == ("queued", "runner_takes_no_steering")

    @pytest.mark.sources("P11", "R13", "D-O15")
    async def test_the_hundred_and_first_steering_message_waits_in_the_queue(self, steerable: Stage) -> None:
        start = await steerable.begin()
        for n in range(100):
            await steerable.send(start.session_id, said(f"{n}", BusyPolicy.STEER))
        sent = await steerable.send(start.session_id, said("one too many", BusyPolicy.STEER))
        assert (sent.receipt.disposition, sent.receipt.fallback) == ("queued", "too_much_steering_pending")

    async def test_a_run_that_is_stopping_is_steered_no_more(self, steerable: Stage) -> None:
        start = await steerable.begin()
        await steerable.interrupt(start.session_id)
        sent = await steerable.send(start.session_id, said("one", BusyPolicy.STEER))
        assert (sent.receipt.disposition, sent.receipt.fallback) == ("queued", "run_interrupting")

    @pytest.mark.sources("D-O16", "D-R1", "P8")
    async def test_who_may_less_than_the_run_can_not_steer_it(self, stages: Stages) -> None:
        strong = ToolTerms(name="pay", source="python:shop:pay", role=Role.OPERATOR)
        steerable = await stages.open(agents=[msgspec.structs.replace(STEERED, tools=(strong,))])
        await steerable.key(OPERATOR)
        start = await steerable.begin(by=OPERATOR)
        sent = await steerable.send(start.session_id, said("pay me", BusyPolicy.STEER), by=ADA)
        assert (sent.receipt.disposition, sent.receipt.fallback) == (
            "queued",
            "authority_does_not_cover_the_run",
        )

    @pytest.mark.sources("D-R1", "P12")
    async def test_steering_never_reaches_the_run_of_another_session(self, steerable: Stage) -> None:
        one, other = await steerable.begin(), await steerable.begin()
        await steerable.send(one.session_id, said("for the first", BusyPolicy.STEER))
        assert await self.take(steerable, other) == []
        assert await self.take(steerable, one) == ["for the first"]
