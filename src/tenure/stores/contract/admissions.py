"""Cases: one atomic decision about one message, and what it leaves behind."""

import asyncio

import msgspec
import pytest

from tenure.core.command import SendMessage
from tenure.core.content import Content, TextPart
from tenure.core.event import Actor, MessageAdmitted, RunStarted, Trigger
from tenure.core.grant import Grant, StatePolicy, grant_digest
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.moment import Micros, timestamp
from tenure.core.principal import Author, Role
from tenure.core.run import RunState
from tenure.core.view import MessageInfo, MessageReceipt, RunInfo
from tenure.errors import Code, TenureError
from tenure.ports.store import Start, Wake
from tenure.stores.contract.stage import ADA, BOB, GREETER, Cases, Stage, Stages, refusal

MINE = "msg_" + "a" * 32
NASTY = 'line\nbreak \u2028 \u202e 👩‍👩‍👧 e\u0301 \\n "quoted" {\n{ \x01 \x7f'


def grant_of(user: str, deadline_s: float = 600.0) -> Grant:
    """The grant of a run of the greeter: what its policy and its manifest have in common."""
    return Grant(
        agent="greeter",
        runner="python",
        author=Author(tenant="acme", user=user, role=Role.MEMBER),
        apis=("history",),
        deadline_s=deadline_s,
        idle_s=None,
        max_output_bytes=16 * 1024 * 1024,
        max_attempts=3,
        state=StatePolicy(),
    )


class AdmissionCases(Cases):
    """Started, queued or refused: decided once, under the session's lock."""

    async def test_a_message_to_an_idle_session_is_answered_started_and_runs_here(self, stage: Stage) -> None:
        session_id = await stage.open(BOB)
        sent = await stage.send(session_id, "Good morning", by=ADA)
        start = sent.start

        assert sent.receipt == MessageReceipt(
            message_id=start.message_id,
            run_id=start.run_id,
            disposition="started",
            queue_position=0,
            seq=2,
        )
        assert sent.wake == Wake((start,), 0)
        assert start == Start(
            session_id=session_id,
            run_id=start.run_id,
            agent="greeter",
            attempt=1,
            message_id=start.message_id,
            content="Good morning",
            author=Author(tenant="acme", user="ada", role=Role.MEMBER),
            grant=grant_of("ada"),
            seq=3,
            incarnation=stage.lease.incarnation,
        )

    @pytest.mark.sources("O02", "O03")
    async def test_admission_and_start_are_in_the_journal_together(self, stage: Stage) -> None:
        start = await stage.begin("Good morning")
        admitted, started = (await stage.journal(start.session_id))[1:]
        (_, block) = stage.delivered(start.session_id)

        assert (admitted.event, admitted.run_id) == (
            MessageAdmitted(
                message_id=start.message_id,
                actor=Actor(user="ada", role="member"),
                content="Good morning",
                when_busy="queue",
                disposition="started",
                run_id=start.run_id,
            ),
            None,
        )
        assert (started.event, started.run_id) == (
            RunStarted(
                runner="python",
                attempt=1,
                trigger=Trigger(kind="message", id=start.message_id),
                grant_digest=grant_digest(grant_of("ada")),
                deadline_at=timestamp(Micros(started.at + 600_000_000)),
            ),
            start.run_id,
        )
        assert (block.first, block.last) == (2, 3)

    @pytest.mark.sources("R01", "R03", "O05", "P8")
    async def test_a_run_is_stored_with_its_grant(self, stage: Stage) -> None:
        start = await stage.begin()
        at = timestamp((await stage.journal(start.session_id))[2].at)

        assert await stage.run(start.run_id) == RunInfo(
            id=start.run_id,
            session_id=start.session_id,
            agent="greeter",
            status="running",
            reason="",
            retryable=False,
            attempt=1,
            message_id=start.message_id,
            grant=grant_of("ada"),
            grant_digest=grant_digest(grant_of("ada")),
            usage=(),
            queued_at=at,
            started_at=at,
            finished_at=None,
        )
        info = await stage.info(start.session_id)
        assert (info.status, info.run_id, info.message_count) == ("running", start.run_id, 1)

    @pytest.mark.sources("D-N15")
    async def test_a_message_to_a_busy_session_waits_without_a_run(self, stage: Stage) -> None:
        start = await stage.begin()
        sent = [await stage.send(start.session_id, text) for text in ("one", "two")]

        assert [s.receipt for s in sent] == [
            MessageReceipt(
                message_id=s.receipt.message_id,
                run_id=None,
                disposition="queued",
                queue_position=place,
                seq=3 + place,
            )
            for place, s in enumerate(sent, 1)
        ]
        assert [s.wake for s in sent] == [Wake((), 0), Wake((), 0)]
        assert await stage.types(start.session_id, 3) == ["message.admitted", "message.admitted"]

    @pytest.mark.sources("R19", "D-O15")
    async def test_of_many_at_once_one_starts_and_the_others_queue_in_the_order_of_the_journal(
        self, stage: Stage
    ) -> None:
        session_id = await stage.open()
        sent = await asyncio.gather(*(stage.send(session_id, f"{n}") for n in range(20)))
        receipts = sorted((s.receipt for s in sent), key=lambda receipt: receipt.seq)

        assert [r.queue_position for r in receipts] == list(range(20))
        assert [r.disposition for r in receipts] == ["started", *["queued"] * 19]
        assert sum(len(s.wake.starts) for s in sent) == 1
        page = await stage.store.transcript(session_id, None, 100)
        assert [item.message_id for item in (*page.data, *page.waiting)] == [r.message_id for r in receipts]

    async def test_reject_is_refused_while_a_run_is_live_and_leaves_no_trace(self, stage: Stage) -> None:
        start = await stage.begin()
        before = await stage.info(start.session_id)
        ask = SendMessage(content="hi", when_busy=BusyPolicy.REJECT)
        with pytest.raises(TenureError) as refused:
            await stage.send(start.session_id, ask)

        assert refusal(refused) == (Code.BUSY, {"session_id": start.session_id})
        assert await stage.info(start.session_id) == before
        await stage.settle(start.run_id)
        assert (await stage.send(start.session_id, ask)).receipt.disposition == "started"

    @pytest.mark.sources("O02")
    @pytest.mark.parametrize("ahead", [-1, 1])
    async def test_another_head_than_expected_is_refused_and_leaves_no_trace(
        self, stage: Stage, ahead: int
    ) -> None:
        session_id = await stage.open()
        with pytest.raises(TenureError) as refused:
            await stage.send(session_id, SendMessage(content="hi", if_head_seq=1 + ahead))

        assert refusal(refused) == (Code.PRECONDITION_FAILED, {"head_seq": 1})
        assert await stage.store.head(session_id) == 1

    @pytest.mark.sources("N05", "D-N2")
    async def test_of_many_who_saw_the_same_head_exactly_one_gets_in(self, stage: Stage) -> None:
        session_id = await stage.open()
        ask = SendMessage(content="hi", if_head_seq=1)
        tried = await asyncio.gather(
            *(stage.send(session_id, ask) for _ in range(10)), return_exceptions=True
        )

        refused = [outcome for outcome in tried if isinstance(outcome, TenureError)]
        assert [e.code for e in refused] == [Code.PRECONDITION_FAILED] * 9

    async def test_if_idle_is_refused_while_a_run_is_live(self, stage: Stage) -> None:
        start = await stage.begin()
        ask = SendMessage(content="hi", if_idle=True)
        with pytest.raises(TenureError) as refused:
            await stage.send(start.session_id, ask)

        assert refusal(refused) == (Code.PRECONDITION_FAILED, {"head_seq": 3})
        await stage.settle(start.run_id)
        assert (await stage.send(start.session_id, ask)).receipt.disposition == "started"

    @pytest.mark.sources("D-M8")
    async def test_a_full_queue_refuses_what_would_lengthen_it(self, stages: Stages) -> None:
        stage = await stages.open(Limits(queued_messages_per_session=2))
        start = await stage.begin()
        await stage.send(start.session_id)
        await stage.send(start.session_id)
        with pytest.raises(TenureError) as refused:
            await stage.send(start.session_id)

        assert refusal(refused) == (
            Code.CAPACITY,
            {"scope": "per_session", "limit": 2, "current": 2},
        )
        await stage.settle(start.run_id)
        assert (await stage.send(start.session_id)).receipt.queue_position == 2

    async def test_a_repeated_message_id_gets_the_same_receipt_and_does_nothing(self, stage: Stage) -> None:
        session_id = await stage.open()
        ask = SendMessage(content="hi", message_id=MINE)
        first = await stage.send(session_id, ask)
        await stage.settle(first.start.run_id)
        again = await stage.send(session_id, ask)

        assert (again.receipt, again.replayed, again.wake) == (first.receipt, True, Wake())
        assert await stage.types(session_id) == [
            "session.created",
            "message.admitted",
            "run.started",
            "run.finished",
        ]

    async def test_a_repeated_message_id_that_says_something_else_is_refused(self, stage: Stage) -> None:
        session_id = await stage.open()
        await stage.send(session_id, SendMessage(content="hi", message_id=MINE))
        with pytest.raises(TenureError) as refused:
            await stage.send(session_id, SendMessage(content="ho", message_id=MINE))

        assert refusal(refused) == (Code.MESSAGE_CONFLICT, {"message_id": MINE})

    async def test_a_message_id_is_unique_in_its_session_only(self, stage: Stage) -> None:
        ask = SendMessage(content="hi", message_id=MINE)
        sent = [await stage.send(await stage.open(), ask) for _ in range(2)]

        assert [s.receipt.message_id for s in sent] == [MINE, MINE]
        assert [s.replayed for s in sent] == [False, False]

    @pytest.mark.sources("R08", "D-R4")
    async def test_the_same_message_sent_many_times_at_once_is_admitted_once(self, stage: Stage) -> None:
        session_id = await stage.open()
        ask = SendMessage(content="hi", message_id=MINE)
        sent = await asyncio.gather(*(stage.send(session_id, ask) for _ in range(20)))

        assert len({msgspec.json.encode(s.receipt) for s in sent}) == 1
        assert [s.replayed for s in sent].count(False) == 1
        assert sum(len(s.wake.starts) for s in sent) == 1
        assert await stage.store.head(session_id) == 3

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param("", id="empty"),
            pytest.param(NASTY, id="nasty"),
            pytest.param("x" * 900_000, id="long"),
            pytest.param((TextPart("one"), TextPart(NASTY)), id="parts"),
            pytest.param((), id="no parts"),
        ],
    )
    async def test_what_was_said_is_kept_to_the_letter(self, stage: Stage, content: Content) -> None:
        session_id = await stage.open()
        sent = await stage.send(session_id, SendMessage(content=content))
        admitted = (await stage.events(session_id))[1]
        page = await stage.store.transcript(session_id, None, 10)

        assert sent.start.content == content
        assert isinstance(admitted, MessageAdmitted)
        assert admitted.content == content
        assert [item.content for item in page.data] == [content]

    async def test_a_message_can_shorten_the_deadline_of_its_run(self, stage: Stage) -> None:
        session_id = await stage.open()
        sent = await stage.send(session_id, SendMessage(content="hi", deadline_s=2.5))
        started = (await stage.journal(session_id))[2]

        assert sent.start.grant == grant_of("ada", 2.5)
        assert isinstance(started.event, RunStarted)
        assert started.event.deadline_at == timestamp(Micros(started.at + 2_500_000))

    async def test_a_waiting_message_keeps_the_deadline_it_asked_for(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, SendMessage(content="hi", deadline_s=2.5))
        (after,) = (await stage.settle(start.run_id)).wake.starts

        assert after.grant == grant_of("ada", 2.5)

    async def test_from_a_host_that_takes_no_runs_a_message_waits_for_another_host(
        self, stage: Stage
    ) -> None:
        session_id = await stage.open()
        sent = await stage.send(session_id, here=False)

        assert sent.receipt == MessageReceipt(
            message_id=sent.receipt.message_id,
            run_id=sent.receipt.run_id,
            disposition="queued",
            queue_position=1,
            seq=2,
        )
        assert sent.wake == Wake((), 1)
        assert sent.receipt.run_id is not None
        assert (await stage.run(sent.receipt.run_id)).status == "queued"
        assert [s.run_id for s in (await stage.claim()).starts] == [sent.receipt.run_id]

    async def test_an_agent_that_is_no_longer_hosted_takes_no_messages(self, stages: Stages) -> None:
        stage = await stages.open()
        session_id = await stage.open()
        stage = await stages.restart(stage, agents=[msgspec.structs.replace(GREETER, agent="somebody_else")])
        with pytest.raises(TenureError) as refused:
            await stage.send(session_id)

        assert refusal(refused) == (Code.UNKNOWN_AGENT, {"agent": "greeter"})

    async def test_a_message_tells_its_way_from_queue_to_outcome(self, stage: Stage) -> None:
        start = await stage.begin()
        second = (await stage.send(start.session_id, "two", by=BOB)).receipt.message_id

        async def told() -> MessageInfo | None:
            return await stage.store.message(start.session_id, second)

        waiting = MessageInfo(
            message_id=second,
            role="user",
            content="two",
            state="queued",
            status="queued",
            run_id=None,
            position=1,
            queue_position=1,
            outcome=None,
            version=1,
            as_of_seq=4,
        )
        assert await told() == waiting
        (after,) = (await stage.settle(start.run_id)).wake.starts
        started = msgspec.structs.replace(
            waiting,
            state="started",
            status="started",
            run_id=after.run_id,
            position=None,
            queue_position=None,
            outcome=None,
            as_of_seq=6,
        )
        assert await told() == started
        await stage.settle(after.run_id, RunState.FAILED, "no")
        assert await told() == msgspec.structs.replace(
            started, state="settled", status="settled", outcome="failed", as_of_seq=7
        )
        assert await stage.store.message(start.session_id, MINE) is None
