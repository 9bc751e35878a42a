"""Cases: messages that wait are edited, sent now, moved to the front, withdrawn; failed runs tried again."""

import msgspec
import pytest

from tenure.core.command import ChangeMessage, Promotion, RetryRun, SendMessage
from tenure.core.event import MessagePromoted, MessageUpdated, MessageWithdrawn, RunFinished, RunStarted
from tenure.core.grant import grant_digest
from tenure.core.ids import RUN
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.principal import Author, Role
from tenure.core.run import RunState
from tenure.core.tool import ToolTerms
from tenure.core.view import MessageInfo, MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Start, Wake
from tenure.stores.contract.policies import OPERATOR, STEERED, busy, ended, said, waiting_texts
from tenure.stores.contract.stage import BOB, Cases, Stage, Stages, refusal

PAY = ToolTerms(name="pay", source="python:shop:pay", role=Role.OPERATOR)
LOOK = ToolTerms(name="look", source="python:shop:look")
MISSING = "msg_" + "0" * 32


async def change(stage: Stage, session_id: str, message_id: str, ask: ChangeMessage) -> MessageInfo:
    """Change a waiting message, as Ada."""
    stamp, run_id = stage.stamp(), stage.ids.new(RUN)
    info, _ = await stage.store.change_message(stamp, session_id, message_id, ask, stage.lease, run_id)
    return info


async def withdraw(stage: Stage, session_id: str, message_id: str, version: int | None = None) -> Wake:
    """Withdraw a waiting message, as Ada."""
    stamp, run_id = stage.stamp(), stage.ids.new(RUN)
    return await stage.store.withdraw_message(stamp, session_id, message_id, version, stage.lease, run_id)


async def retry(stage: Stage, run_id: str, key: str | None = None) -> tuple[Answer[MessageReceipt], Wake]:
    """Try a run again, as Ada."""
    stamp = stage.stamp(key=key)
    return await stage.store.retry_run(stamp, run_id, RetryRun(), stage.lease, stage.ids.new(RUN))


async def waiter(stage: Stage, session_id: str, place: int = 0) -> str:
    """The id of a waiting message."""
    page = await stage.store.transcript(session_id, None, 10)
    return page.waiting[place].message_id


class QueueCases(Cases):
    """What waits can be changed until a run takes it; what was taken can't."""

    async def test_a_waiting_message_can_be_edited(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        message_id = await waiter(stage, start.session_id)
        info = await change(stage, start.session_id, message_id, ChangeMessage(content="uno"))

        assert (info.content, info.state, info.position, info.version) == ("uno", "queued", 1, 2)
        assert (await stage.events(start.session_id))[-1] == MessageUpdated(
            message_id=message_id, content="uno", by="ada"
        )
        assert await ended(stage, start) == "uno"

    @pytest.mark.sources("P8")
    async def test_words_that_a_weaker_person_changed_get_no_more_than_that_person_may(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(agents=[msgspec.structs.replace(STEERED, tools=(PAY, LOOK))])
        await stage.key(OPERATOR)
        start = await stage.begin()
        sent = await stage.send(start.session_id, "pay", by=OPERATOR)
        await change(stage, start.session_id, sent.receipt.message_id, ChangeMessage(content="pay me"))
        settled = await stage.settle(start.run_id)
        (following,) = settled.wake.starts
        assert (following.content, following.grant.author) == (
            "pay me",
            Author(tenant="acme", user="olga", role=Role.MEMBER),
        )
        assert (following.grant.tool("pay"), following.grant.tool("look")) == (None, LOOK)

    @pytest.mark.sources("P8")
    async def test_a_run_that_waits_for_a_slot_loses_what_whoever_changes_its_message_may_not(
        self, stages: Stages
    ) -> None:
        agents = [msgspec.structs.replace(STEERED, tools=(PAY, LOOK))]
        stage = await stages.open(Limits(live_runs=1), agents=agents)
        await stage.key(OPERATOR)
        await stage.begin("blocks")
        session_id = await stage.open()
        sent = await stage.send(session_id, "pay", by=OPERATOR)
        await change(stage, session_id, sent.receipt.message_id, ChangeMessage(content="pay me"))
        info = await stage.run(sent.receipt.run_id or "")
        assert (info.grant.tool("pay"), info.grant.author.role) == (None, Role.MEMBER)
        assert info.grant_digest == grant_digest(info.grant)

    @pytest.mark.sources("P8")
    async def test_steering_of_a_stronger_person_keeps_its_words(self, stages: Stages) -> None:
        stage = await stages.open(agents=[msgspec.structs.replace(STEERED, tools=(PAY, LOOK))])
        await stage.key(OPERATOR)
        start = await stage.begin(by=OPERATOR)
        sent = await stage.send(start.session_id, said("pay", BusyPolicy.STEER), by=OPERATOR)
        assert sent.receipt.disposition == "steered"
        with pytest.raises(TenureError) as caught:
            await change(stage, start.session_id, sent.receipt.message_id, ChangeMessage(content="pay me"))
        assert caught.value.code is Code.FORBIDDEN

    async def test_an_edit_of_another_version_is_refused(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        message_id = await waiter(stage, start.session_id)
        await change(stage, start.session_id, message_id, ChangeMessage(content="uno"))
        with pytest.raises(TenureError) as caught:
            await change(stage, start.session_id, message_id, ChangeMessage(content="eins", if_version=1))
        assert refusal(caught) == (Code.STALE, {"version": 2})
        assert await waiting_texts(stage, start.session_id) == ["uno"]

    async def test_a_promoted_message_is_the_next_one(self, stage: Stage) -> None:
        start = await busy(stage, "one", "two", "three")
        message_id = await waiter(stage, start.session_id, 2)
        info = await change(stage, start.session_id, message_id, ChangeMessage(promote=Promotion.NEXT))

        assert info.position == 1
        assert (await stage.events(start.session_id))[-1] == MessagePromoted(message_id=message_id, to="next")
        assert await waiting_texts(stage, start.session_id) == ["three", "one", "two"]
        assert await ended(stage, start) == "three"

    async def test_promoting_releases_a_held_queue_and_starts(self, stage: Stage) -> None:
        start = await busy(stage, "one", "two")
        await stage.hold(start.session_id)
        message_id = await waiter(stage, start.session_id, 1)
        info = await change(stage, start.session_id, message_id, ChangeMessage(promote=True))

        assert info.state == "started"
        assert not (await stage.info(start.session_id)).queue_held
        assert await waiting_texts(stage, start.session_id) == ["one"]

    async def test_a_waiting_message_can_be_sent_to_the_live_run(self, stages: Stages) -> None:
        stage = await stages.open(agents=[STEERED])
        start = await busy(stage, "one")
        message_id = await waiter(stage, start.session_id)
        info = await change(stage, start.session_id, message_id, ChangeMessage(promote=Promotion.STEER))

        assert (info.state, info.run_id) == ("steered", start.run_id)
        assert (await stage.events(start.session_id))[-1] == MessagePromoted(
            message_id=message_id, run_id=start.run_id, to="steering"
        )
        taken = await stage.store.take_steering(stage.lease, start.run_id, 1, 100, stage.at())
        assert [message.text for message in taken] == ["one"]

    async def test_what_can_not_steer_stays_where_it_waits(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        message_id = await waiter(stage, start.session_id)
        with pytest.raises(TenureError) as caught:
            await change(stage, start.session_id, message_id, ChangeMessage(promote=Promotion.STEER))
        assert refusal(caught) == (Code.UNSUPPORTED, {"reason": "runner_takes_no_steering"})
        assert await waiting_texts(stage, start.session_id) == ["one"]

    async def test_what_joined_a_message_has_the_outcome_of_the_run_that_it_steers(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(agents=[STEERED])
        start = await busy(stage, "one")
        joiner = await stage.send(start.session_id, SendMessage(content="two", when_busy=BusyPolicy.MERGE))
        message_id = joiner.receipt.into
        assert message_id is not None
        await change(stage, start.session_id, message_id, ChangeMessage(promote=Promotion.STEER))
        taken = await stage.store.take_steering(stage.lease, start.run_id, start.attempt, 10, stage.at())
        assert [message.text for message in taken] == ["one\ntwo"]
        await stage.settle(start.run_id, RunState.FAILED, "why")

        for found in (message_id, joiner.receipt.message_id):
            info = await stage.store.message(start.session_id, found)
            assert info is not None
            assert (info.state, info.run_id, info.outcome) == ("settled", start.run_id, "failed")

    @pytest.mark.sources("P6")
    async def test_steering_can_be_withdrawn_before_it_is_taken(self, stages: Stages) -> None:
        stage = await stages.open(agents=[STEERED])
        start = await stage.begin()
        sent = await stage.send(start.session_id, SendMessage(content="one", when_busy=BusyPolicy.STEER))
        await withdraw(stage, start.session_id, sent.receipt.message_id)
        assert await stage.store.take_steering(stage.lease, start.run_id, 1, 100, stage.at()) == ()
        assert await ended(stage, start) is None

    async def test_a_withdrawn_message_never_runs(self, stage: Stage) -> None:
        start = await busy(stage, "one", "two")
        message_id = await waiter(stage, start.session_id)
        await withdraw(stage, start.session_id, message_id)

        assert (await stage.events(start.session_id))[-1] == MessageWithdrawn(message_id=message_id, by="ada")
        assert await ended(stage, start) == "two"

    async def test_withdrawing_what_waits_for_a_slot_lets_the_next_one_wait(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        await stage.begin("blocks")
        queued = await stage.send(await stage.open(), "one")
        session_id = stage.sessions[-1]
        await stage.send(session_id, "two")
        await withdraw(stage, session_id, queued.receipt.message_id)

        assert [type(event) for event in (await stage.events(session_id))[-2:]] == [
            MessageWithdrawn,
            RunFinished,
        ]
        assert await waiting_texts(stage, session_id) == ["two"]

    async def test_what_was_taken_can_not_be_changed(self, stage: Stage) -> None:
        start = await stage.begin()
        for attempt in (
            change(stage, start.session_id, start.message_id, ChangeMessage(content="x")),
            withdraw(stage, start.session_id, start.message_id),
        ):
            with pytest.raises(TenureError) as caught:
                await attempt
            assert refusal(caught) == (
                Code.NOT_WAITING,
                {"message_id": start.message_id, "state": "started"},
            )

    async def test_a_message_that_is_not_there_is_not_found(self, stage: Stage) -> None:
        start = await stage.begin()
        with pytest.raises(TenureError) as caught:
            await withdraw(stage, start.session_id, MISSING)
        assert caught.value.code is Code.NOT_FOUND


class RetryCases(Cases):
    """A failed last turn can be tried again: a new run of the same message."""

    async def failed(self, stage: Stage, verdict: RunState = RunState.FAILED) -> Start:
        """A session whose only run failed."""
        start = await stage.begin("Hello")
        await stage.settle(start.run_id, verdict, "why")
        return start

    async def test_a_failed_run_is_tried_again_with_the_same_message(self, stage: Stage) -> None:
        start = await self.failed(stage)
        answer, wake = await retry(stage, start.run_id)
        (again,) = wake.starts

        assert answer.value == MessageReceipt(
            message_id=start.message_id,
            run_id=again.run_id,
            disposition="started",
            queue_position=0,
            seq=again.seq,
        )
        assert (again.message_id, again.content, again.attempt) == (start.message_id, "Hello", 1)
        assert isinstance((await stage.events(start.session_id))[-1], RunStarted)
        await stage.settle(again.run_id)
        info = await stage.store.message(start.session_id, start.message_id)
        assert info is not None
        assert (info.state, info.run_id, info.outcome) == ("settled", again.run_id, "completed")
        assert (await stage.info(start.session_id)).message_count == 1

    async def test_a_retry_that_waits_for_a_slot_can_be_stopped(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        start = await self.failed(stage)
        await stage.begin("blocks", by=BOB)
        answer, _ = await retry(stage, start.run_id)
        assert answer.value.disposition == "queued"
        await stage.interrupt(start.session_id)
        info = await stage.store.message(start.session_id, start.message_id)
        assert info is not None
        assert info.state == "settled"

    async def test_only_what_failed_is_tried_again(self, stage: Stage) -> None:
        for verdict in (RunState.COMPLETED, RunState.CANCELLED):
            start = await self.failed(stage, verdict)
            with pytest.raises(TenureError) as caught:
                await retry(stage, start.run_id)
            assert refusal(caught) == (Code.CONFLICT, {"run_id": start.run_id})

    async def test_only_the_last_turn_is_tried_again(self, stage: Stage) -> None:
        start = await self.failed(stage)
        later = await stage.send(start.session_id, "Then this")
        await stage.settle(later.start.run_id)
        with pytest.raises(TenureError) as caught:
            await retry(stage, start.run_id)
        assert caught.value.code is Code.CONFLICT

    async def test_a_busy_session_tries_nothing_again(self, stage: Stage) -> None:
        start = await self.failed(stage)
        await stage.send(start.session_id, "Then this")
        with pytest.raises(TenureError) as caught:
            await retry(stage, start.run_id)
        assert caught.value.code is Code.BUSY

    async def test_a_retry_repeated_under_its_key_runs_once(self, stage: Stage) -> None:
        start = await self.failed(stage)
        (first, _), (second, wake) = (
            await retry(stage, start.run_id, "k"),
            await retry(stage, start.run_id, "k"),
        )
        assert (second.value, second.replayed, wake.starts) == (first.value, True, ())

    async def test_what_joined_a_message_that_is_tried_again_has_its_last_outcome(self, stage: Stage) -> None:
        start = await busy(stage, "one")
        joiner = await stage.send(start.session_id, SendMessage(content="two", when_busy=BusyPolicy.MERGE))
        (following,) = (await stage.settle(start.run_id)).wake.starts
        await stage.settle(following.run_id, RunState.FAILED, "why")

        _, wake = await retry(stage, following.run_id)
        await stage.settle(wake.starts[0].run_id)

        info = await stage.store.message(start.session_id, joiner.receipt.message_id)
        assert info is not None
        assert (info.state, info.run_id, info.outcome) == ("settled", wake.starts[0].run_id, "completed")
