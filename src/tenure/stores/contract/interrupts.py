"""Cases: stopping what runs, and holding, running or withdrawing what waits."""

import asyncio

import pytest

from tenure.core.command import InterruptRun, SendMessage, Waiting
from tenure.core.event import MessageWithdrawn, QueueHeld, QueueReleased, RunFinished, RunInterrupting
from tenure.core.limits import Limits
from tenure.core.run import RunState
from tenure.core.view import InterruptReceipt
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Settled, Wake
from tenure.stores.contract.stage import BOB, Cases, Stage, Stages, refusal

HOLD = InterruptRun(waiting=Waiting.HOLD)
RUN = InterruptRun(waiting=Waiting.RUN)
WITHDRAW = InterruptRun(waiting=Waiting.WITHDRAW)
STALE = "run_" + "0" * 32


class InterruptCases(Cases):
    """Stop works, and says what becomes of the queue."""

    async def test_a_running_run_is_asked_to_stop_and_ends_cancelled(self, stage: Stage) -> None:
        start = await stage.begin()
        answer = await stage.interrupt(start.session_id, by=BOB)

        assert answer == (
            Answer(InterruptReceipt(run_id=start.run_id, status="interrupting", seq=4)),
            Wake(),
        )
        assert (await stage.info(start.session_id)).status == "running"
        done = await stage.settle(start.run_id, RunState.FAILED, "whatever")
        assert done == Settled(RunState.CANCELLED, Wake())
        assert (await stage.events(start.session_id))[3:] == [
            RunInterrupting(by="bob", reason="interrupted"),
            RunFinished(status="cancelled", reason="interrupted"),
        ]

    async def test_what_was_finished_when_it_was_stopped_is_completed(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id)

        assert (await stage.settle(start.run_id)).status is RunState.COMPLETED

    async def test_a_run_that_is_stopped_may_still_speak(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id)
        await stage.say(start.run_id, "stopped at 7")

        assert await stage.store.head(start.session_id) == 5

    async def test_stopping_again_answers_the_same_run_and_says_nothing_twice(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id)
        again, _ = await stage.interrupt(start.session_id)

        assert again.value == InterruptReceipt(run_id=start.run_id, status="interrupting", seq=4)
        assert await stage.store.head(start.session_id) == 4

    async def test_stopping_many_times_at_once_stops_once(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id)
        answers = await asyncio.gather(*(stage.interrupt(start.session_id) for _ in range(10)))
        types = await stage.types(start.session_id, 4)

        assert {answer.value.run_id for answer, _ in answers} == {start.run_id}
        assert types == ["run.interrupting", "queue.held"]

    async def test_force_is_told_to_the_runner_even_if_it_was_asked_before(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id)
        await stage.interrupt(start.session_id, InterruptRun(force=True))

        assert (await stage.events(start.session_id))[3:] == [
            RunInterrupting(by="ada", reason="interrupted"),
            RunInterrupting(by="ada", reason="interrupted", force=True),
        ]

    async def test_a_run_that_waits_for_a_slot_is_cancelled_at_once(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=0))
        session_id = await stage.open()
        sent = await stage.send(session_id)
        answer, wake = await stage.interrupt(session_id)

        assert answer.value == InterruptReceipt(run_id=sent.receipt.run_id, status="cancelled", seq=4)
        assert wake == Wake()
        assert (await stage.events(session_id))[2:] == [
            MessageWithdrawn(message_id=sent.receipt.message_id, by="ada", reason="interrupted"),
            RunFinished(status="cancelled", reason="interrupted"),
        ]
        assert (await stage.info(session_id)).status == "idle"

    @pytest.mark.sources("D-O21", "M14")
    async def test_an_idle_session_has_nothing_to_stop(self, stage: Stage) -> None:
        session_id = await stage.open()
        for ask in (HOLD, RUN, WITHDRAW, InterruptRun(run_id=STALE)):
            with pytest.raises(TenureError) as refused:
                await stage.interrupt(session_id, ask)
            assert refusal(refused) == (Code.NOT_RUNNING, {"session_id": session_id})
        assert await stage.store.head(session_id) == 1

    async def test_a_run_that_isnt_the_live_one_is_not_stopped_and_neither_is_the_live_one(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        with pytest.raises(TenureError) as refused:
            await stage.interrupt(start.session_id, InterruptRun(run_id=STALE))

        assert refusal(refused) == (
            Code.NOT_RUNNING,
            {"session_id": start.session_id, "run_id": start.run_id},
        )
        assert (await stage.run(start.run_id)).status == "running"
        assert await stage.store.head(start.session_id) == 3

    async def test_the_run_that_is_meant_is_stopped(self, stage: Stage) -> None:
        start = await stage.begin()
        answer, _ = await stage.interrupt(start.session_id, InterruptRun(run_id=start.run_id))

        assert answer.value.status == "interrupting"

    # --- hold

    async def test_a_held_queue_waits_after_the_run_has_ended(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "one")
        await stage.interrupt(start.session_id, HOLD)
        done = await stage.settle(start.run_id, RunState.CANCELLED, "interrupted")
        info = await stage.info(start.session_id)
        page = await stage.store.transcript(start.session_id, None, 10)

        assert done.wake == Wake()
        assert (info.status, info.queue_held) == ("idle", True)
        assert (page.queue_held, [item.content for item in page.waiting]) == (True, ["one"])
        assert (await stage.events(start.session_id))[4:] == [
            RunInterrupting(by="ada", reason="interrupted"),
            QueueHeld(by="ada"),
            RunFinished(status="cancelled", reason="interrupted"),
        ]

    async def test_holding_an_empty_queue_holds_nothing(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id, HOLD)
        await stage.send(start.session_id, "sent after the stop")

        assert not (await stage.info(start.session_id)).queue_held
        (after,) = (await stage.settle(start.run_id, RunState.CANCELLED)).wake.starts
        assert after.content == "sent after the stop"

    async def test_the_next_message_lets_a_held_queue_go_on_first_in_first_out(self, stage: Stage) -> None:
        start = await stage.begin()
        for text in ("one", "two"):
            await stage.send(start.session_id, text)
        await stage.hold(start.session_id)
        head = await stage.store.head(start.session_id)
        sent = await stage.send(start.session_id, SendMessage(content="three", if_idle=True))

        assert (sent.receipt.disposition, sent.receipt.queue_position) == ("queued", 2)
        assert sent.start.content == "one"
        assert await stage.types(start.session_id, head) == [
            "queue.released",
            "message.admitted",
            "run.started",
        ]
        assert not (await stage.info(start.session_id)).queue_held
        (second,) = (await stage.settle(sent.start.run_id)).wake.starts
        (third,) = (await stage.settle(second.run_id)).wake.starts
        assert [second.content, third.content] == ["two", "three"]

    async def test_a_message_behind_a_held_queue_while_the_run_still_stops_lets_it_go_on(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "one")
        await stage.interrupt(start.session_id, HOLD)
        sent = await stage.send(start.session_id, "two")

        assert sent.receipt.queue_position == 2
        assert not (await stage.info(start.session_id)).queue_held
        (after,) = (await stage.settle(start.run_id, RunState.CANCELLED)).wake.starts
        assert after.content == "one"

    async def test_holding_what_is_held_is_told_that_nothing_runs(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "one")
        await stage.hold(start.session_id)
        with pytest.raises(TenureError) as refused:
            await stage.interrupt(start.session_id, HOLD)

        assert refused.value.code is Code.NOT_RUNNING
        assert (await stage.info(start.session_id)).queue_held

    async def test_a_failed_run_holds_nothing(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "one")
        done = await stage.settle(start.run_id, RunState.FAILED)

        assert len(done.wake.starts) == 1
        assert not (await stage.info(start.session_id)).queue_held

    # --- run and withdraw

    async def test_run_lets_the_next_message_run_once_the_run_has_ended(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "one")
        _, wake = await stage.interrupt(start.session_id, RUN)
        done = await stage.settle(start.run_id, RunState.CANCELLED)

        assert wake.starts == ()
        assert [s.content for s in done.wake.starts] == ["one"]

    async def test_run_releases_a_queue_that_is_held_and_starts_its_first_message(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "one")
        await stage.hold(start.session_id)
        answer, wake = await stage.interrupt(start.session_id, RUN, by=BOB)

        assert [s.content for s in wake.starts] == ["one"]
        assert (answer.value.run_id, answer.value.status) == (None, "idle")
        assert QueueReleased(by="bob") in await stage.events(start.session_id)
        assert not (await stage.info(start.session_id)).queue_held

    async def test_withdraw_takes_back_everything_that_waits(self, stage: Stage) -> None:
        start = await stage.begin()
        sent = [await stage.send(start.session_id, text, by=BOB) for text in ("one", "two")]
        await stage.interrupt(start.session_id, WITHDRAW)

        assert (await stage.events(start.session_id))[6:] == [
            MessageWithdrawn(message_id=s.receipt.message_id, by="ada", reason="interrupted") for s in sent
        ]
        assert (await stage.settle(start.run_id, RunState.CANCELLED)).wake == Wake()
        assert (await stage.store.transcript(start.session_id, None, 10)).waiting == ()

    async def test_withdraw_empties_a_queue_that_is_held(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "one")
        await stage.hold(start.session_id)
        _, wake = await stage.interrupt(start.session_id, WITHDRAW)

        assert wake == Wake()
        assert not (await stage.info(start.session_id)).queue_held
        assert (await stage.store.transcript(start.session_id, None, 10)).waiting == ()

    @pytest.mark.parametrize(
        ("ask", "runs_next", "held", "waiting"),
        [(HOLD, [], True, 1), (RUN, ["behind"], False, 0), (WITHDRAW, [], False, 0)],
        ids=["hold", "run", "withdraw"],
    )
    async def test_stopping_a_run_that_waits_for_a_slot_disposes_of_the_queue_at_once(
        self, stages: Stages, ask: InterruptRun, runs_next: list[str], *, held: bool, waiting: int
    ) -> None:
        stage = await stages.open(Limits(live_runs=1))
        other = await stage.begin()
        session_id = await stage.open()
        await stage.send(session_id, "first")
        await stage.send(session_id, "behind")
        await stage.settle(other.run_id)
        _, wake = await stage.interrupt(session_id, ask)
        page = await stage.store.transcript(session_id, None, 10)

        assert [s.content for s in wake.starts] == runs_next
        assert (page.queue_held, len(page.waiting)) == (held, waiting)

    async def test_a_stop_that_comes_with_the_end_is_in_exactly_one_of_the_two(self, stage: Stage) -> None:
        for _ in range(20):
            start = await stage.begin()
            await stage.send(start.session_id, "next")
            stopped, settled = await asyncio.gather(
                stage.interrupt(start.session_id, InterruptRun(run_id=start.run_id)),
                stage.settle(start.run_id, RunState.CANCELLED),
                return_exceptions=True,
            )
            assert isinstance(settled, Settled)
            if isinstance(stopped, TenureError):
                assert stopped.code is Code.NOT_RUNNING
                assert len(settled.wake.starts) == 1
            else:
                assert settled.wake.starts == ()
                assert (await stage.info(start.session_id)).queue_held
