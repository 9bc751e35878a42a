"""Cases: approvals. A run waits without a slot; each question is answered once, by whoever may."""

import pytest

from tenure.core.approval import ApprovalState, Decided, Resumption
from tenure.core.command import Answering, Remember, SendMessage
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    RunFinished,
    RunResumed,
    RunRetried,
    RunWaiting,
    ToolCallCompleted,
)
from tenure.core.grant import Capabilities, Descriptor, Terms
from tenure.core.ids import MESSAGE, RUN
from tenure.core.ledger import Step, digest_of
from tenure.core.limits import Limits
from tenure.core.moment import timestamp
from tenure.core.origin import Origin
from tenure.core.principal import Role
from tenure.core.run import RunState
from tenure.core.view import ApprovalInfo, PendingApproval
from tenure.errors import Code, TenureError
from tenure.ports.approvals import ApprovalFilter
from tenure.ports.store import Admission, Reaped
from tenure.stores.contract.calling import MAIL, Calls, approval, calls_of, decide
from tenure.stores.contract.recoveries import next_life
from tenure.stores.contract.settlements import fenced
from tenure.stores.contract.stage import (
    ADA,
    ADMIN,
    BOB,
    GREETER,
    STRANGER,
    Cases,
    Stage,
    Stages,
    person,
    refusal,
)

OPERATOR = person("olga", Role.OPERATOR)
VIEWER = person("ada", Role.VIEWER)
EVERYTHING = ApprovalFilter(None, None)


class ApprovalCases(Cases):
    """What people decide."""

    @pytest.mark.sources("P7")
    async def test_a_question_stands_in_the_journal_and_its_run_waits(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        head = (await stage.info(calls.start.session_id)).head_seq
        approval_id = await calls.ask()
        info = await approval(stage, approval_id)
        session = await stage.info(calls.start.session_id)

        assert info == ApprovalInfo(
            id=approval_id,
            session_id=calls.start.session_id,
            run_id=calls.start.run_id,
            call_id=info.call_id,
            tool="mail",
            arguments=MAIL,
            digest=digest_of(MAIL),
            status="pending",
            requested_at=info.requested_at,
            expires_at=info.expires_at,
        )
        assert (await stage.events(calls.start.session_id, head))[1:] == [
            ApprovalRequested(
                approval_id=approval_id,
                call_id=info.call_id,
                tool="mail",
                arguments=MAIL,
                digest=digest_of(MAIL),
                expires_at=info.expires_at,
            ),
            RunWaiting(approval_ids=(approval_id,)),
        ]
        assert (session.status, (await stage.run(calls.start.run_id)).status) == ("waiting", "waiting")
        assert session.pending_approvals == (
            PendingApproval(
                id=approval_id,
                tool="mail",
                call_id=info.call_id,
                arguments=MAIL,
                expires_at=info.expires_at,
            ),
        )
        assert (await stage.store.figures()).live_runs == 0

    async def test_a_granted_call_is_dispatched_once_and_its_run_goes_on_held(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        call_id = (await approval(stage, approval_id)).call_id
        info, wake = await decide(stage, approval_id, note="fine")

        assert (info.status, info.decision, info.by, info.note) == ("granted", "granted", "ada", "fine")
        assert (await stage.events(calls.start.session_id))[-2:] == [
            ApprovalResolved(approval_id=approval_id, decision="granted", by="ada", note="fine"),
            RunResumed(attempt=1, mode="held"),
        ]
        assert (wake.starts, wake.backlog) == ((), 0)
        assert (await stage.store.figures()).live_runs == 1
        told = await calls.dispatch(call_id)
        assert (told.step, told.arguments) == (Step.EXECUTE, MAIL)
        await calls.answer(call_id)
        await stage.settle(calls.start.run_id)

    @pytest.mark.sources("P7")
    async def test_edited_arguments_are_what_is_dispatched(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        info, _ = await decide(stage, approval_id, arguments={"to": "eve"})
        told = await calls.dispatch(info.call_id)

        assert (info.arguments, info.digest) == ({"to": "eve"}, digest_of({"to": "eve"}))
        assert (told.arguments, told.digest) == ({"to": "eve"}, digest_of({"to": "eve"}))

    async def test_a_denied_call_has_ended_and_is_never_dispatched(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        info, _ = await decide(stage, approval_id, Answering.DENY, note="no", arguments={"to": "eve"})
        why = {"decision": "denied", "by": "ada", "note": "no"}

        assert (await stage.events(calls.start.session_id))[-3:] == [
            ApprovalResolved(approval_id=approval_id, decision="denied", by="ada", note="no"),
            ToolCallCompleted(call_id=info.call_id, status="denied", result=why),
            RunResumed(attempt=1, mode="held"),
        ]
        told = await calls.dispatch(info.call_id)
        assert (told.step, told.status, told.result) == (Step.REPLAY, "denied", why)

    @pytest.mark.sources("P7", "A17")
    async def test_an_approval_is_decided_once(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        first, _ = await decide(stage, approval_id)
        head = (await stage.info(calls.start.session_id)).head_seq
        with pytest.raises(TenureError) as caught:
            await decide(stage, approval_id, Answering.DENY, by=OPERATOR)

        assert refusal(caught) == (
            Code.ALREADY_RESOLVED,
            {
                "approval_id": approval_id,
                "decision": "granted",
                "by": "ada",
                "resolved_at": first.resolved_at,
            },
        )
        assert (await stage.info(calls.start.session_id)).head_seq == head

    async def test_a_decision_under_one_idempotency_key_is_answered_again(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        first, _ = await decide(stage, approval_id, key="k")
        again, wake = await decide(stage, approval_id, key="k")

        assert (again, wake.backlog) == (first, 0)
        with pytest.raises(TenureError) as caught:
            await decide(stage, approval_id, Answering.DENY)
        assert caught.value.code is Code.ALREADY_RESOLVED

    async def test_a_run_goes_on_when_its_last_question_is_answered(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        asked = [await calls.ask("mail", {"n": n}) for n in range(3)]
        waits = [e for e in await stage.events(calls.start.session_id) if isinstance(e, RunWaiting)]
        assert [event.approval_ids for event in waits] == [
            (asked[0],),
            (asked[0], asked[1]),
            (asked[0], asked[1], asked[2]),
        ]
        await decide(stage, asked[1])
        await decide(stage, asked[0], Answering.DENY)
        assert (await stage.run(calls.start.run_id)).status == "waiting"
        await decide(stage, asked[2])

        assert (await stage.run(calls.start.run_id)).status == "running"
        assert (await stage.types(calls.start.session_id))[-2:] == ["approval.resolved", "run.resumed"]

    async def test_what_was_remembered_holds_for_one_session_author_and_tool(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        first = await calls.ask()
        await decide(stage, first, remember=Remember.SESSION)

        assert (await approval(stage, first)).remember == "session"
        assert (await calls.intend("mail", {"x": 1}, asks=True)).step is Step.EXECUTE
        assert (await calls.intend("pay", {"x": 1}, asks=True)).step is Step.ASK
        other = await calls_of(stage)
        assert (await other.intend(asks=True)).step is Step.ASK
        await stage.store.approvals.revoke(stage.stamp(), first)
        await stage.store.approvals.revoke(stage.stamp(), first)
        assert (await approval(stage, first)).remember is None
        third = await calls_of(stage)
        assert (await third.intend(asks=True)).step is Step.ASK

    async def test_a_withdrawn_question_lets_the_run_go_on(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        await calls.forsake(approval_id)
        await calls.forsake(approval_id)

        info = await approval(stage, approval_id)
        assert (info.status, info.by) == ("withdrawn", "runner")
        assert (await stage.run(calls.start.run_id)).status == "running"

    @pytest.mark.sources("D-M15", "A16")
    async def test_an_interrupt_withdraws_every_question(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        call_id = (await approval(stage, approval_id)).call_id
        answer, _ = await stage.interrupt(calls.start.session_id)

        assert answer.value.status == "cancelled"
        assert (await stage.events(calls.start.session_id))[-3:] == [
            ApprovalResolved(approval_id=approval_id, decision="withdrawn", by="ada"),
            ToolCallCompleted(
                call_id=call_id, status="denied", result={"decision": "withdrawn", "by": "ada"}
            ),
            RunFinished(status="cancelled", reason="interrupted"),
        ]
        with pytest.raises(TenureError) as caught:
            await decide(stage, approval_id)
        assert caught.value.facts["decision"] == "withdrawn"
        assert await fenced(calls.intend())

    async def test_a_run_may_end_while_it_waits(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        await stage.settle(calls.start.run_id, RunState.FAILED, "crash")

        assert (await approval(stage, approval_id)).status == "withdrawn"
        assert (await stage.store.figures()).live_runs == 0
        assert (await stage.run(calls.start.run_id)).status == "failed"


class EntitledCases(Cases):
    """Who may decide."""

    @pytest.mark.sources("P7")
    async def test_owner_operator_and_admin_decide_others_do_not(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        for who in (VIEWER, BOB, STRANGER):
            with pytest.raises(TenureError) as caught:
                await decide(stage, approval_id, by=who)
            assert refusal(caught) == (Code.FORBIDDEN, {"approval_id": approval_id})
        info, _ = await decide(stage, approval_id, by=OPERATOR)

        assert info.by == "olga"

    @pytest.mark.sources("P7")
    async def test_the_service_that_posted_an_event_decides_nothing(self, stage: Stage) -> None:
        session_id = await stage.open(OPERATOR)
        await stage.key(OPERATOR)
        admission = Admission(
            stage.stamp(OPERATOR),
            session_id,
            SendMessage(content="hi"),
            stage.ids.new(MESSAGE),
            stage.ids.new(RUN),
            stage.lease,
            Origin(binding_id="telegram", source="telegram"),
        )
        _, wake = await stage.store.admit(admission)
        approval_id = await Calls(stage, wake.starts[0]).ask()
        for who in (OPERATOR, person("olga", Role.ADMIN), ADA):
            with pytest.raises(TenureError) as caught:
                await decide(stage, approval_id, by=who)
            assert caught.value.code is Code.FORBIDDEN
        info, _ = await decide(stage, approval_id, by=ADMIN)

        assert info.by == "root"

    async def test_an_approval_that_is_not_there_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(TenureError) as caught:
            await decide(stage, "apr_0")

        assert caught.value.code is Code.NOT_FOUND
        assert await stage.store.approvals.get("apr_0") is None


class WaitingCases(Cases):
    """Slots, hosts and the clock."""

    @pytest.mark.sources("D-M19")
    async def test_a_waiting_run_frees_its_slot_and_waits_for_one_when_answered(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        other = await calls_of(stage)
        info, wake = await decide(stage, approval_id)

        assert (wake.starts, wake.backlog) == ((), 1)
        assert (await stage.run(calls.start.run_id)).status == "queued"
        assert (await calls.dispatch(info.call_id)).step is Step.LATER
        assert (await calls.intend("pay")).step is Step.LATER
        await stage.say(calls.start.run_id, "said while it waits")
        await stage.settle(other.start.run_id)
        (start,) = (await stage.claim()).starts
        assert (start.run_id, start.attempt, start.resumed) == (calls.start.run_id, 1, Resumption.HELD)
        assert (await stage.events(calls.start.session_id))[-1] == RunResumed(attempt=1, mode="held")
        assert (await calls.dispatch(info.call_id)).step is Step.EXECUTE

    async def test_an_answered_run_may_end_before_it_has_a_slot(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        await stage.begin()
        await decide(stage, approval_id)
        await stage.settle(calls.start.run_id)

        figures = await stage.store.figures()
        assert ((await stage.run(calls.start.run_id)).status, figures.queued_runs) == ("completed", 0)

    async def test_a_runner_that_was_let_go_starts_over_after_the_answer(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        assert await calls.let_go()
        assert await fenced(calls.intend())
        info, wake = await decide(stage, approval_id)
        (start,) = (await stage.claim()).starts

        assert wake.backlog == 1
        assert (start.attempt, start.resumed) == (2, Resumption.RERUN)
        assert (await stage.events(calls.start.session_id))[-2:] == [
            RunRetried(attempt=2, reason="approval"),
            RunResumed(attempt=2, mode="rerun"),
        ]
        again = await Calls(stage, start).intend(asks=True)
        assert (again.step, again.call_id) == (Step.EXECUTE, info.call_id)

    async def test_a_run_that_goes_on_is_not_let_go(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        await decide(stage, await calls.ask())

        assert not await calls.let_go()
        assert (await stage.run(calls.start.run_id)).status == "running"

    async def test_a_held_run_that_waits_for_a_slot_can_be_let_go(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        other = await calls_of(stage)
        await decide(stage, approval_id)
        assert await calls.let_go()
        await stage.settle(other.start.run_id)
        (start,) = (await stage.claim()).starts

        assert (start.attempt, start.resumed) == (2, Resumption.RERUN)

    @pytest.mark.sources("D-M16", "P7")
    async def test_a_waiting_run_outlives_its_host(self, stages: Stages, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        await next_life(stages, stage)
        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(requeued=0, ended=0, backlog=0)
        assert (await stage.run(calls.start.run_id)).status == "waiting"
        await decide(stage, approval_id, Answering.DENY)
        (start,) = (await stage.claim()).starts
        told = await Calls(stage, start).intend(asks=True)

        assert (start.resumed, told.step, told.status) == (Resumption.RERUN, Step.REPLAY, "denied")

    async def test_waiting_for_an_answer_counts_as_no_lost_attempt(
        self, stages: Stages, stage: Stage
    ) -> None:
        calls = await calls_of(stage)
        for n in range(5):
            approval_id = await calls.ask("mail", {"n": n})
            await next_life(stages, stage)
            await stage.store.reap(stage.lease, stage.at())
            await decide(stage, approval_id)
            (start,) = (await stage.claim()).starts
            calls = Calls(stage, start)
            for before in range(n + 1):
                await calls.intend("mail", {"n": before}, asks=True)

        assert ((await stage.run(calls.start.run_id)).status, calls.start.attempt) == ("running", 6)

    async def test_a_host_that_leaves_lets_its_waiting_runs_wait(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        await stage.store.release(stage.lease, calls.start.run_id, stage.at(), "drain")

        assert (await stage.run(calls.start.run_id)).status == "waiting"
        await decide(stage, approval_id)
        assert [start.attempt for start in (await stage.claim()).starts] == [2]

    async def test_a_runner_that_resumes_is_given_what_was_decided(self, stages: Stages) -> None:
        resuming = Terms(
            agent="greeter",
            descriptor=Descriptor(runner="acp", capabilities=Capabilities(resume=True)),
            policy=GREETER.policy,
        )
        stage = await stages.open(agents=[resuming])
        calls = await calls_of(stage)
        await stage.store.checkpoints.save(stage.lease, calls.caller(), b"here", ())
        approval_id = await calls.ask()
        await calls.let_go()
        info, _ = await decide(stage, approval_id, Answering.DENY, note="no")
        (start,) = (await stage.claim()).starts

        assert (await stage.events(calls.start.session_id))[-1] == RunResumed(attempt=2, mode="resume")
        assert start.decisions == (
            Decided(
                approval_id=approval_id,
                call_id=info.call_id,
                tool="mail",
                arguments=MAIL,
                decision=ApprovalState.DENIED,
                note="no",
            ),
        )

    @pytest.mark.sources("P7")
    async def test_what_nobody_answers_expires_in_time(self, stages: Stages) -> None:
        stage = await stages.open(Limits(approval_ttl_s=100))
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        stage.pass_time(50)
        later = await (await calls_of(stage)).ask()
        due = await stage.store.approvals.next_at()
        assert due is not None
        assert timestamp(due) == (await approval(stage, approval_id)).expires_at
        early = await stage.store.approvals.expire(stage.at())
        assert (early.resolved, early.next_at) == (0, due)
        stage.pass_time(50)
        expired = await stage.store.approvals.expire(stage.at())

        info = await approval(stage, approval_id)
        assert (info.status, info.by) == ("expired", "clock")
        assert (expired.resolved, (await approval(stage, later)).status) == (1, "pending")
        assert expired.next_at == await stage.store.approvals.next_at() != due
        assert (await stage.run(calls.start.run_id)).status == "running"

    async def test_lists_show_what_is_pending_first_and_only_to_whom_it_concerns(self, stage: Stage) -> None:
        asked: list[str] = []
        for who in (ADA, ADA, BOB):
            asked.append(await Calls(stage, await stage.begin(by=who)).ask())
        await decide(stage, asked[1])
        store = stage.store.approvals

        async def ids(which: ApprovalFilter) -> list[str]:
            found: list[str] = []
            cursor: str | None = None
            while True:
                page = await store.page(which, cursor, 1)
                found += [info.id for info in page.data]
                cursor = page.next_cursor
                if cursor is None:
                    return found

        session_id = (await approval(stage, asked[0])).session_id
        assert await ids(EVERYTHING) == [asked[2], asked[0], asked[1]]
        assert await ids(ApprovalFilter("acme", "ada")) == [asked[0], asked[1]]
        assert await ids(ApprovalFilter("acme", None, ApprovalState.PENDING)) == [asked[2], asked[0]]
        assert await ids(ApprovalFilter("acme", "ada", ApprovalState.GRANTED)) == [asked[1]]
        assert await ids(ApprovalFilter("acme", "ada", None, session_id)) == [asked[0]]
        assert await ids(ApprovalFilter("globex", None)) == []
