"""Cases: what undo takes off and redo puts back, and what a compaction stands for."""

from typing import NamedTuple

import pytest

from tenure.core.command import (
    ChangeMessage,
    CloseSession,
    InterruptRun,
    Promotion,
    RetryRun,
    SendMessage,
    Waiting,
)
from tenure.core.event import (
    MessageCompleted,
    RunFinished,
    StateUpdated,
    ToolCallCompleted,
    ToolCallStarted,
    TranscriptCompacted,
    TranscriptRedone,
    TranscriptUndone,
)
from tenure.core.grant import Capabilities, Descriptor, Terms
from tenure.core.history import CompactSession, RedoReceipt, RedoTurns, UndoReceipt, UndoTurns
from tenure.core.ids import MESSAGE, RUN
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.principal import Principal
from tenure.core.run import RunState
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Start, Wake
from tenure.stores.contract.stage import ADA, BOB, GREETER, Cases, Stage, Stages


class Said(NamedTuple):
    """One turn of a case: the message, its run, and what the agent answered."""

    start: Start
    reply: str

    @property
    def message_ids(self) -> tuple[str, str]:
        """Both messages, in order."""
        return self.start.message_id, self.reply


async def turn(stage: Stage, session_id: str, text: str = "Hello", answer: str = "Hi") -> Said:
    """One whole turn."""
    start = (await stage.send(session_id, text)).start
    reply = stage.ids.new(MESSAGE)
    await stage.settle(
        start.run_id, final=[MessageCompleted(message_id=reply, role="assistant", content=answer)]
    )
    return Said(start, reply)


async def turns(stage: Stage, count: int) -> tuple[str, list[Said]]:
    """A session with some turns: message n says `n`, its answer `n!`."""
    session_id = await stage.open()
    return session_id, [await turn(stage, session_id, f"{n}", f"{n}!") for n in range(1, count + 1)]


async def shown(stage: Stage, session_id: str) -> list[object]:
    """What the transcript says, oldest first."""
    page = await stage.store.transcript(session_id, None, 1_000)
    return [item.content for item in page.data]


async def undo(
    stage: Stage,
    session_id: str,
    ask: UndoTurns | None = None,
    *,
    by: Principal = ADA,
    key: str | None = None,
) -> tuple[Answer[UndoReceipt], Wake]:
    """Take turns off."""
    return await stage.store.histories.undo(stage.stamp(by, key), session_id, ask or UndoTurns())


async def redo(stage: Stage, session_id: str, key: str | None = None) -> Answer[RedoReceipt]:
    """Put them back."""
    return await stage.store.histories.redo(stage.stamp(key=key), session_id, RedoTurns())


async def compact(
    stage: Stage, session_id: str, instructions: str = "", key: str | None = None
) -> tuple[Answer[MessageReceipt], Wake]:
    """Admit a compaction."""
    ask = CompactSession(instructions=instructions)
    fresh = stage.ids.new(MESSAGE), stage.ids.new(RUN)
    return await stage.store.histories.compact(stage.stamp(key=key), session_id, ask, *fresh, stage.lease)


async def compacted(stage: Stage, session_id: str, through: int, summary: str = "Summary.") -> Start:
    """A whole compaction. Its run."""
    _, wake = await compact(stage, session_id)
    (start,) = wake.starts
    await stage.settle(start.run_id, final=[TranscriptCompacted(covers_through=through, summary=summary)])
    return start


async def refused(act: object) -> Code:
    """The code with which an act is refused."""
    with pytest.raises(TenureError) as refusal:
        await act  # pyright: ignore[reportGeneralTypeIssues]
    return refusal.value.code


class UndoCases(Cases):
    """Undo is an event; nothing is lost, and nothing that was not said is touched."""

    async def test_undo_takes_the_last_turn_off_and_says_so(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 2)
        answer, _ = await undo(stage, session_id)

        off = said[1].message_ids
        head = await stage.store.head(session_id)
        expected = TranscriptUndone(
            run_ids=(said[1].start.run_id,), message_ids=off, to_seq=said[1].start.seq - 1
        )
        assert (await stage.events(session_id))[-1] == expected
        assert answer.value == UndoReceipt(
            run_ids=expected.run_ids, message_ids=off, to_seq=expected.to_seq, kept=(), seq=head
        )
        assert await shown(stage, session_id) == ["1", "1!"]
        assert (await stage.info(session_id)).message_count == 2

    async def test_undo_takes_as_many_turns_as_asked_and_no_more_than_there_are(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 3)
        await undo(stage, session_id, UndoTurns(turns=2))
        assert await shown(stage, session_id) == ["1", "1!"]

        await undo(stage, session_id, UndoTurns(turns=9))
        assert await shown(stage, session_id) == []
        assert await refused(undo(stage, session_id)) is Code.CONFLICT
        assert (await stage.info(session_id)).message_count == 0
        assert len(said) == 3

    @pytest.mark.parametrize("which", [0, 1], ids=["its message", "its answer"])
    async def test_undo_to_a_message_takes_the_turn_of_that_message_too(
        self, stage: Stage, which: int
    ) -> None:
        session_id, said = await turns(stage, 3)
        await undo(stage, session_id, UndoTurns(to_message_id=said[1].message_ids[which]))

        assert await shown(stage, session_id) == ["1", "1!"]

    async def test_undo_to_a_message_that_isnt_there_changes_nothing(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 2)
        await undo(stage, session_id)
        head = await stage.store.head(session_id)

        for gone in (said[1].start.message_id, stage.ids.new(MESSAGE)):
            assert await refused(undo(stage, session_id, UndoTurns(to_message_id=gone))) is Code.NOT_FOUND
        both = UndoTurns(turns=1, to_message_id=said[0].start.message_id)
        assert await refused(undo(stage, session_id, both)) is Code.INVALID
        assert await stage.store.head(session_id) == head

    @pytest.mark.sources("D-M14", "M21")
    async def test_steering_is_part_of_its_turn_and_no_turn_by_itself(self, stages: Stages) -> None:
        stage = await stages.open(agents=[STEERED])
        session_id = await stage.open()
        await turn(stage, session_id, "1", "1!")
        start = (await stage.send(session_id, "2")).start
        await stage.send(session_id, SendMessage(content="also", when_busy=BusyPolicy.STEER))
        await stage.store.take_steering(stage.lease, start.run_id, 1, 10, stage.at())
        await stage.settle(start.run_id)
        assert await shown(stage, session_id) == ["1", "1!", "2", "also"]

        await undo(stage, session_id)
        assert await shown(stage, session_id) == ["1", "1!"]

    async def test_undo_lists_what_it_cant_take_back(self, stage: Stage) -> None:
        start = await stage.begin()
        call = ToolCallStarted(call_id="call_1", tool="send_mail", arguments={})
        refusal = ToolCallStarted(call_id="call_2", tool="pay", arguments={})
        await stage.append(
            start.run_id,
            StateUpdated(scope="actor", key="mail", version=1, value="a@b"),
            call,
            ToolCallCompleted(call_id="call_1", status="ok"),
            refusal,
            ToolCallCompleted(call_id="call_2", status="denied"),
            StateUpdated(scope="actor", key="mail", version=2, value="c@d"),
        )
        await stage.settle(start.run_id)
        preview, _ = await undo(stage, start.session_id, UndoTurns(dry_run=True))
        answer, _ = await undo(stage, start.session_id)

        assert answer.value.kept == ("state actor/mail", "tool call send_mail")
        assert preview.value.kept == answer.value.kept

    async def test_a_preview_tells_what_would_go_and_changes_nothing(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 2)
        head = await stage.store.head(session_id)
        answer, wake = await undo(stage, session_id, UndoTurns(turns=2, dry_run=True))

        assert answer.value == UndoReceipt(
            run_ids=tuple(one.start.run_id for one in said),
            message_ids=(*said[0].message_ids, *said[1].message_ids),
            to_seq=said[0].start.seq - 1,
            kept=(),
            dry_run=True,
            seq=head,
        )
        assert (await stage.store.head(session_id), wake) == (head, Wake())
        assert await shown(stage, session_id) == ["1", "1!", "2", "2!"]

    async def test_the_same_undo_sent_twice_takes_one_turn(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 3)
        first, _ = await undo(stage, session_id, key="k")
        second, _ = await undo(stage, session_id, key="k")

        assert second == Answer(first.value, replayed=True)
        assert await shown(stage, session_id) == ["1", "1!", "2", "2!"]

    async def test_waiting_messages_stay(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        start = (await stage.send(session_id, "2")).start
        waiting = await stage.send(session_id, "3")
        await stage.interrupt(session_id, InterruptRun(waiting=Waiting.HOLD))
        await stage.settle(start.run_id, RunState.CANCELLED)
        await undo(stage, session_id)

        page = await stage.store.transcript(session_id, None, 10)
        assert [item.content for item in page.data] == ["1", "1!"]
        assert [item.message_id for item in page.waiting] == [waiting.receipt.message_id]

    async def test_what_a_retried_run_had_said_stays_off_after_undo_and_redo(self, stages: Stages) -> None:
        stage = await stages.open()
        start = await stage.begin()
        await stage.say(start.run_id, "first try")
        await stage.store.release(stage.lease, start.run_id, stage.at(), "drain")
        await stage.claim()
        await stage.say(start.run_id, "second try")
        await stage.settle(start.run_id)
        await undo(stage, start.session_id)
        await redo(stage, start.session_id)

        assert await shown(stage, start.session_id) == ["Hello", "second try"]

    async def test_an_undone_turn_that_had_failed_isnt_tried_again(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.settle(start.run_id, RunState.FAILED, "model_error")
        await undo(stage, start.session_id)
        retry = stage.store.retry_run(
            stage.stamp(), start.run_id, RetryRun(), stage.lease, stage.ids.new(RUN)
        )

        assert await refused(retry) is Code.CONFLICT
        assert await shown(stage, start.session_id) == []

    async def test_a_turn_that_was_tried_again_goes_whole(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        start = (await stage.send(session_id, "2")).start
        first = stage.ids.new(MESSAGE)
        said = MessageCompleted(message_id=first, role="assistant", content="oops", partial=True)
        await stage.settle(start.run_id, RunState.FAILED, "model_error", final=[said])
        again = stage.ids.new(RUN)
        await stage.store.retry_run(stage.stamp(), start.run_id, RetryRun(), stage.lease, again)
        second = stage.ids.new(MESSAGE)
        done = MessageCompleted(message_id=second, role="assistant", content="2!")
        await stage.settle(again, final=[done])
        assert await shown(stage, session_id) == ["1", "1!", "2", "oops", "2!"]

        answer, _ = await undo(stage, session_id)
        assert answer.value.run_ids == (again, start.run_id)
        assert answer.value.message_ids == (start.message_id, first, second)
        assert await shown(stage, session_id) == ["1", "1!"]

    async def test_what_is_closed_isnt_changed(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        await stage.store.close_session(stage.stamp(), session_id, CloseSession())

        assert await refused(undo(stage, session_id)) is Code.SESSION_CLOSED
        assert await refused(redo(stage, session_id)) is Code.SESSION_CLOSED
        assert await refused(compact(stage, session_id)) is Code.SESSION_CLOSED

    async def test_a_runner_that_holds_the_conversation_itself_allows_neither(self, stages: Stages) -> None:
        keeps = Descriptor(runner="acp", capabilities=Capabilities(undo=False))
        terms = Terms(agent="greeter", descriptor=keeps, policy=GREETER.policy)
        stage = await stages.open(agents=[terms])
        session_id, _ = await turns(stage, 2)

        assert await refused(undo(stage, session_id)) is Code.UNSUPPORTED
        assert await refused(redo(stage, session_id)) is Code.UNSUPPORTED
        assert await refused(compact(stage, session_id)) is Code.UNSUPPORTED


class BusyUndoCases(Cases):
    """A busy session is undone when its run has ended, by whoever ends it."""

    async def test_a_busy_session_isnt_undone(self, stage: Stage) -> None:
        start = await stage.begin()
        head = await stage.store.head(start.session_id)

        assert await refused(undo(stage, start.session_id)) is Code.BUSY
        assert await refused(redo(stage, start.session_id)) is Code.BUSY
        assert await stage.store.head(start.session_id) == head

    async def test_with_interrupt_the_live_turn_goes_when_its_run_has_ended(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        start = (await stage.send(session_id, "2")).start
        waiting = await stage.send(session_id, "3")
        answer, _ = await undo(stage, session_id, UndoTurns(interrupt=True))
        assert (answer.value.pending, answer.value.run_ids) == (True, (start.run_id,))
        assert await shown(stage, session_id) == ["1", "1!", "2"]

        said = await stage.say(start.run_id, "cut")
        settled = await stage.settle(
            start.run_id,
            RunState.CANCELLED,
            final=[MessageCompleted(message_id=said, role="assistant", content="cut", partial=True)],
        )
        assert settled.wake.starts == ()
        assert await shown(stage, session_id) == ["1", "1!"]
        info = await stage.info(session_id)
        assert (info.queue_held, info.status, info.message_count) == (True, "idle", 2)
        finished, undone = (await stage.events(session_id))[-2:]
        assert isinstance(finished, RunFinished) and isinstance(undone, TranscriptUndone)
        assert undone.message_ids == (start.message_id, said)
        page = await stage.store.transcript(session_id, None, 10)
        assert [item.message_id for item in page.waiting] == [waiting.receipt.message_id]

    async def test_what_is_owed_is_done_by_recovery_if_the_host_dies(self, stages: Stages) -> None:
        stage = await stages.open()
        session_id, _ = await turns(stage, 2)
        await stage.send(session_id, "3")
        await undo(stage, session_id, UndoTurns(turns=2, interrupt=True))
        again = await stages.restart(stage)
        await again.store.reap(again.lease, again.at())

        assert await shown(again, session_id) == ["1", "1!"]
        assert (await again.info(session_id)).status == "idle"

    async def test_a_run_that_waits_for_a_slot_goes_at_once_with_its_message(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        session_id, _ = await turns(stage, 2)
        await stage.begin(by=BOB)
        sent = await stage.send(session_id, "3")
        answer, _ = await undo(stage, session_id, UndoTurns(turns=2, interrupt=True))

        assert answer.value.pending is False
        assert answer.value.message_ids[-1] == sent.receipt.message_id
        assert await shown(stage, session_id) == ["1", "1!"]
        assert (await stage.info(session_id)).status == "idle"

    async def test_undone_twice_while_it_stops_two_turns_go(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        start = (await stage.send(session_id, "3")).start
        for _ in range(2):
            await undo(stage, session_id, UndoTurns(interrupt=True))
        await stage.settle(start.run_id, RunState.CANCELLED)

        assert await shown(stage, session_id) == ["1", "1!"]

    async def test_only_who_may_stop_a_run_may_undo_it(self, stage: Stage) -> None:
        start = await stage.begin()

        by_bob = undo(stage, start.session_id, UndoTurns(interrupt=True), by=BOB)
        assert await refused(by_bob) is Code.FORBIDDEN
        assert (await stage.run(start.run_id)).status == "running"


class RedoCases(Cases):
    """Redo puts back exactly what undo took off, as long as nothing was said since."""

    async def test_redo_puts_the_last_undone_back(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 3)
        await undo(stage, session_id)
        await undo(stage, session_id)
        answer = await redo(stage, session_id)

        assert await shown(stage, session_id) == ["1", "1!", "2", "2!"]
        back = TranscriptRedone(run_ids=(said[1].start.run_id,), message_ids=said[1].message_ids)
        assert (await stage.events(session_id))[-1] == back
        assert answer.value == RedoReceipt(
            run_ids=back.run_ids, message_ids=back.message_ids, seq=await stage.store.head(session_id)
        )
        await redo(stage, session_id)
        assert await shown(stage, session_id) == ["1", "1!", "2", "2!", "3", "3!"]
        assert (await stage.info(session_id)).message_count == 6
        assert await refused(redo(stage, session_id)) is Code.CONFLICT

    async def test_redo_ends_when_a_run_starts(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        await undo(stage, session_id)
        await turn(stage, session_id, "other", "other!")

        assert await refused(redo(stage, session_id)) is Code.CONFLICT
        await undo(stage, session_id)
        await redo(stage, session_id)
        assert await shown(stage, session_id) == ["1", "1!", "other", "other!"]
        assert await refused(redo(stage, session_id)) is Code.CONFLICT

    async def test_the_same_redo_sent_twice_puts_back_once(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        await undo(stage, session_id)
        await undo(stage, session_id)
        first = await redo(stage, session_id, key="k")

        assert await redo(stage, session_id, key="k") == Answer(first.value, replayed=True)
        assert await shown(stage, session_id) == ["1", "1!"]


class CompactionCases(Cases):
    """A summary stands for what it covers; the originals stay."""

    async def test_a_compaction_is_a_run_that_says_nothing_itself(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        answer, wake = await compact(stage, session_id, "short")
        (start,) = wake.starts
        await stage.settle(start.run_id)

        assert answer.value.disposition == "started"
        assert (start.origin.trigger, start.content) == ("command", "short")
        assert await shown(stage, session_id) == ["1", "1!", "2", "2!"]
        assert (await stage.info(session_id)).message_count == 4
        info = await stage.store.message(session_id, start.message_id)
        assert info is not None and info.outcome == "completed"

    async def test_the_summary_stands_for_what_it_covers_and_the_rest_stays(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 3)
        start = await compacted(stage, session_id, said[2].start.seq - 1)
        page = await stage.store.transcript(session_id, None, 10)

        assert [(item.role, item.content) for item in page.data] == [
            ("summary", "Summary."),
            ("user", "3"),
            ("assistant", "3!"),
        ]
        assert (page.data[0].message_id, page.data[0].run_id) == (start.message_id, start.run_id)
        assert page.data[0].seq == said[2].start.seq - 1

    async def test_a_transcript_with_a_summary_is_paged_like_any_other(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 4)
        await compacted(stage, session_id, said[1].start.seq - 1)
        whole = (await stage.store.transcript(session_id, None, 100)).data
        for limit in (1, 2, 3):
            found: list[object] = []
            cursor: str | None = None
            while True:
                page = await stage.store.transcript(session_id, cursor, limit)
                found += page.data
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == [*whole]

    async def test_a_later_compaction_takes_the_place_of_an_earlier_one(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 3)
        await compacted(stage, session_id, said[1].start.seq - 1, "One.")
        await compacted(stage, session_id, said[2].start.seq - 1, "Two.")

        assert await shown(stage, session_id) == ["Two.", "3", "3!"]

    async def test_undo_reaching_over_a_compaction_takes_it_off_and_redo_puts_it_back(
        self, stage: Stage
    ) -> None:
        session_id, said = await turns(stage, 3)
        made = await compacted(stage, session_id, said[2].start.seq - 1)
        await turn(stage, session_id, "4", "4!")
        await undo(stage, session_id)
        assert await shown(stage, session_id) == ["Summary.", "3", "3!"]

        answer, _ = await undo(stage, session_id, UndoTurns(turns=2))
        assert answer.value.run_ids == (said[1].start.run_id, said[2].start.run_id, made.run_id)
        assert await shown(stage, session_id) == ["1", "1!"]
        await redo(stage, session_id)
        assert await shown(stage, session_id) == ["Summary.", "3", "3!"]

    async def test_a_compaction_waits_its_turn_in_the_queue(self, stage: Stage) -> None:
        start = await stage.begin()
        answer, wake = await compact(stage, start.session_id, key="k")
        again, _ = await compact(stage, start.session_id, key="k")
        settled = await stage.settle(start.run_id)

        assert (answer.value.disposition, wake.starts) == ("queued", ())
        assert again == Answer(answer.value, replayed=True)
        (next_run,) = settled.wake.starts
        assert next_run.message_id == answer.value.message_id
        await stage.settle(next_run.run_id)

    async def test_a_waiting_compaction_is_no_message_to_others(self, stages: Stages) -> None:
        stage = await stages.open(agents=[STEERED])
        session_id, _ = await turns(stage, 1)
        start = (await stage.send(session_id, "2")).start
        waits = (await compact(stage, session_id))[0].value
        merged = await stage.send(session_id, SendMessage(content="3", when_busy=BusyPolicy.MERGE))
        latest = await stage.send(session_id, SendMessage(content="4", when_busy=BusyPolicy.LATEST))
        steer = stage.store.change_message(
            stage.stamp(), session_id, waits.message_id, STEER, stage.lease, stage.ids.new(RUN)
        )
        assert await refused(steer) is Code.UNSUPPORTED

        page = await stage.store.transcript(session_id, None, 10)
        assert [(item.role, item.message_id) for item in page.waiting] == [
            ("command", waits.message_id),
            ("user", latest.receipt.message_id),
        ]
        assert merged.receipt.disposition == "queued"
        (compaction,) = (await stage.settle(start.run_id)).wake.starts
        steered = await stage.send(session_id, SendMessage(content="5", when_busy=BusyPolicy.STEER))
        assert (steered.receipt.disposition, steered.receipt.fallback is None) == ("queued", False)
        await stage.settle(compaction.run_id, takes_next=False)

    async def test_an_empty_transcript_isnt_compacted(self, stage: Stage) -> None:
        session_id = await stage.open()

        assert await refused(compact(stage, session_id)) is Code.CONFLICT

    async def test_a_compaction_that_fails_changes_nothing(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        _, wake = await compact(stage, session_id)
        await stage.settle(wake.starts[0].run_id, RunState.FAILED, "model_error")

        assert await shown(stage, session_id) == ["1", "1!", "2", "2!"]


STEER = ChangeMessage(promote=Promotion.STEER)

STEERED = Terms(
    agent="greeter",
    descriptor=Descriptor(runner="python", capabilities=Capabilities(steering=True)),
    policy=GREETER.policy,
)
