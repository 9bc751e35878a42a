"""Cases: an agent's own calls, which people are asked about, and the checkpoints that its runner keeps."""

import pytest

from tenure.core.approval import Resumption
from tenure.core.command import Answering, Remember
from tenure.core.event import (
    ApprovalRequested,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.grant import Capabilities, Descriptor, Terms
from tenure.core.ledger import CHANGED, Step, digest_of
from tenure.ports.checkpoints import Asked, Checkpoint
from tenure.stores.contract.calling import MAIL, Calls, approval, calls_of, decide, of_calls
from tenure.stores.contract.effects import next_attempt
from tenure.stores.contract.forks import forked
from tenure.stores.contract.recoveries import next_life
from tenure.stores.contract.settlements import fenced
from tenure.stores.contract.stage import GREETER, Cases, Stage, Stages

RESUMING = Terms(
    agent="greeter",
    descriptor=Descriptor(runner="asker", capabilities=Capabilities(resume=True)),
    policy=GREETER.policy,
)
KNOWN = (Asked("mail", False, digest_of(MAIL), 1), Asked("mail", True, digest_of(MAIL), 2))


class OwnCallCases(Cases):
    """A call that the agent makes by itself: the ledger lets it, and never takes it for one of the host's."""

    @pytest.mark.sources("P7")
    async def test_a_person_is_told_that_the_agent_makes_the_call(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask(own=True)
        info = await approval(stage, approval_id)

        assert (info.own, info.tool, info.arguments) == (True, "mail", MAIL)
        assert (await of_calls(stage, calls.start.session_id)) == [
            ToolCallStarted(call_id=info.call_id, tool="mail", arguments=MAIL),
            ApprovalRequested(
                approval_id=approval_id,
                call_id=info.call_id,
                tool="mail",
                arguments=MAIL,
                digest=digest_of(MAIL),
                expires_at=info.expires_at,
                own=True,
            ),
        ]
        await decide(stage, approval_id)
        assert (await calls.dispatch(info.call_id)).step is Step.EXECUTE
        await calls.answer(info.call_id, "sent")
        assert (await of_calls(stage, calls.start.session_id))[-1] == ToolCallCompleted(
            call_id=info.call_id, status="ok", result="sent"
        )

    @pytest.mark.sources("P7")
    async def test_an_allowance_for_an_own_tool_is_none_for_the_hosts_tool_of_that_name(
        self, stage: Stage
    ) -> None:
        calls = await calls_of(stage)
        await decide(stage, await calls.ask(own=True), remember=Remember.SESSION)
        own, hosts = await calls.intend(asks=True, own=True), await calls.intend(asks=True)

        assert (own.step, hosts.step) == (Step.EXECUTE, Step.ASK)

    async def test_own_and_host_calls_of_one_name_and_arguments_are_two_calls(
        self, stages: Stages, stage: Stage
    ) -> None:
        first = await calls_of(stage)
        hosts = await first.intend()
        await first.answer(hosts.call_id, "by the host")
        again = await next_attempt(stages, stage, first)
        own = await again.intend(asks=True, own=True)

        assert (own.step, own.call_id == hosts.call_id) == (Step.ASK, False)

    async def test_what_was_answered_before_the_call_was_made_holds_for_the_next_attempt(
        self, stages: Stages, stage: Stage
    ) -> None:
        first = await calls_of(stage)
        yes, no = await first.ask(own=True), await first.ask("pay", own=True)
        await next_life(stages, stage)
        await stage.store.reap(stage.lease, stage.at())
        await decide(stage, yes)
        await decide(stage, no, Answering.DENY)
        (start,) = (await stage.claim()).starts
        again = Calls(stage, start)
        told = [await again.intend(asks=True, own=True), await again.intend("pay", asks=True, own=True)]

        assert [(one.step, one.call_id, one.status) for one in told] == [
            (Step.EXECUTE, (await approval(stage, yes)).call_id, None),
            (Step.REPLAY, (await approval(stage, no)).call_id, "denied"),
        ]

    @pytest.mark.sources("P4", "P7")
    async def test_a_call_that_was_made_before_is_asked_about_anew_with_what_was_done(
        self, stages: Stages, stage: Stage
    ) -> None:
        first = await calls_of(stage)
        asked = await approval(stage, await first.ask(own=True))
        await decide(stage, asked.id)
        await first.dispatch(asked.call_id)
        await first.answer(asked.call_id, "sent")
        again = await next_attempt(stages, stage, first)
        before = await of_calls(stage, first.start.session_id)
        made = await again.intend(asks=True, own=True)
        assert (made.step, made.result) == (Step.REPLAY, "sent")
        assert await of_calls(stage, first.start.session_id) == before
        anew = await again.intend(asks=True, own=True)

        assert anew.approval_id is not None
        info = await approval(stage, anew.approval_id)
        assert (anew.step, info.reason, info.done) == (Step.ASK, CHANGED, (asked.call_id,))


class CheckpointCases(Cases):
    """What a runner keeps of its runs."""

    async def test_a_run_finds_what_it_left_last(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        session_id, run_id = calls.start.session_id, calls.start.run_id
        checkpoints = stage.store.checkpoints
        assert (await checkpoints.of_run(session_id, run_id), await checkpoints.asked(run_id)) == (None, ())
        await checkpoints.save(stage.lease, calls.caller(), b"one", ())
        await checkpoints.save(stage.lease, calls.caller(), b"two", KNOWN)

        assert await checkpoints.of_run(session_id, run_id) == b"two"
        assert await checkpoints.asked(run_id) == KNOWN
        assert await checkpoints.latest(session_id) == Checkpoint(run_id, b"two")

    @pytest.mark.sources("P5")
    async def test_only_the_attempt_that_holds_the_run_keeps_anything(
        self, stages: Stages, stage: Stage
    ) -> None:
        first = await calls_of(stage)
        again = await next_attempt(stages, stage, first)
        checkpoints = stage.store.checkpoints

        assert await fenced(checkpoints.save(stage.lease, first.caller(), b"late", ()))
        await checkpoints.save(stage.lease, again.caller(), b"mine", ())
        assert await checkpoints.of_run(first.start.session_id, first.start.run_id) == b"mine"

    @pytest.mark.sources("P12")
    async def test_no_session_finds_what_another_left(self, stage: Stage) -> None:
        calls, other = await calls_of(stage), await calls_of(stage)
        checkpoints = stage.store.checkpoints
        await checkpoints.save(stage.lease, calls.caller(), b"mine", ())

        assert await checkpoints.of_run(other.start.session_id, calls.start.run_id) is None
        assert await checkpoints.latest(other.start.session_id) is None

    async def test_a_fork_finds_what_the_runs_before_it_left_but_has_no_latest(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        checkpoints = stage.store.checkpoints
        await checkpoints.save(stage.lease, calls.caller(), b"before", ())
        await stage.settle(calls.start.run_id)
        child = await forked(stage, calls.start.session_id)

        assert await checkpoints.of_run(child, calls.start.run_id) == b"before"
        assert await checkpoints.latest(child) is None

    async def test_the_latest_is_that_of_the_newest_run(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        session_id = calls.start.session_id
        await stage.store.checkpoints.save(stage.lease, calls.caller(), b"first", ())
        await stage.settle(calls.start.run_id)
        later = Calls(stage, (await stage.send(session_id, "again")).start)
        await stage.store.checkpoints.save(stage.lease, later.caller(), b"second", ())

        assert await stage.store.checkpoints.latest(session_id) == Checkpoint(later.start.run_id, b"second")

    async def test_deleting_the_session_frees_its_checkpoints(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        await stage.store.checkpoints.save(stage.lease, calls.caller(), b"gone", ())
        await stage.store.delete_session(stage.stamp(), calls.start.session_id)
        while await stage.store.purge(stage.at()):
            pass

        assert await stage.store.checkpoints.of_run(calls.start.session_id, calls.start.run_id) is None
        assert await stage.store.checkpoints.asked(calls.start.run_id) == ()

    async def test_a_run_that_resumes_owes_nobody_the_calls_that_it_knows(self, stages: Stages) -> None:
        stage = await stages.open(agents=[RESUMING])
        first = await calls_of(stage)
        known = await first.intend()
        await first.answer(known.call_id, "sent")
        await stage.store.checkpoints.save(stage.lease, first.caller(), b"sent", KNOWN[:1])
        approval_id = await first.ask("pay", own=True)
        await first.let_go()
        await decide(stage, approval_id)
        (start,) = (await stage.claim()).starts
        again = Calls(stage, start)
        told = await again.intend("pay", asks=True, own=True)
        other = await again.intend("call", {"to": "eve"})

        assert (told.step, told.call_id) == (Step.EXECUTE, (await approval(stage, approval_id)).call_id)
        assert other.step is Step.EXECUTE

    @pytest.mark.parametrize("decision", list(Answering))
    async def test_a_run_that_resumes_journals_a_question_that_was_answered_only_once(
        self, stages: Stages, decision: Answering
    ) -> None:
        stage = await stages.open(agents=[RESUMING])
        first = await calls_of(stage)
        await stage.store.checkpoints.save(stage.lease, first.caller(), b"here", ())
        approval_id = await first.ask(own=True)
        await first.let_go()
        await decide(stage, approval_id, decision)
        (start,) = (await stage.claim()).starts
        before = await of_calls(stage, start.session_id)
        told = await Calls(stage, start).intend(asks=True, own=True)

        assert told.step is (Step.EXECUTE if decision is Answering.APPROVE else Step.REPLAY)
        assert await of_calls(stage, start.session_id) == before

    async def test_a_runner_that_left_nothing_in_the_attempt_that_waited_starts_over(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(agents=[RESUMING])
        first = await calls_of(stage)
        await stage.store.checkpoints.save(stage.lease, first.caller(), b"of the first attempt", ())
        again = await next_attempt(stages, stage, first)
        approval_id = await again.ask()
        await again.let_go()
        await decide(stage, approval_id)
        (start,) = (await stage.claim()).starts

        assert (start.attempt, start.resumed) == (3, Resumption.RERUN)
