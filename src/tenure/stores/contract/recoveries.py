"""Cases: a host dies. Its runs go on as the next attempt or end with a reason; nothing is lost."""

import pytest

from tenure.core.event import MessageCompleted, RunFinished, RunRetried
from tenure.core.limits import Limits
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.ports.store import Reaped, Start
from tenure.stores.contract.settlements import fenced
from tenure.stores.contract.stage import (
    BOB,
    Ability,
    Backend,
    Cases,
    Stage,
    Stages,
    hashed_secret,
    person,
)


async def next_life(stages: Stages, stage: Stage) -> None:
    """The host dies, another takes over on the same store."""
    stage.lease = await stages.lapse(stage)


async def die_and_retry(stages: Stages, stage: Stage, start: Start) -> Start:
    """The host dies; its run is requeued and claimed again."""
    await next_life(stages, stage)
    reaped = await stage.store.reap(stage.lease, stage.at())
    assert reaped == Reaped(requeued=1, ended=0, backlog=1)
    (again,) = (await stage.claim()).starts
    assert again.run_id == start.run_id
    return again


class RecoveryCases(Cases):
    """Nothing is ever running for ever."""

    RUNS = 200
    """How many runs a host leaves behind when it dies. A store whose commits are far away may say less."""

    async def test_every_life_of_a_host_has_a_higher_number(self, stages: Stages, stage: Stage) -> None:
        leases = [stage.lease]
        for _ in range(3):
            await next_life(stages, stage)
            leases.append(stage.lease)

        assert leases == sorted(set(leases))

    @pytest.mark.sources("D-O21")
    async def test_a_run_whose_host_died_goes_on_as_the_next_attempt(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin("please")
        await stage.say(start.run_id, "half a sen")
        again = await die_and_retry(stages, stage, start)

        assert (again.attempt, again.content, again.grant) == (2, "please", start.grant)
        assert (await stage.events(start.session_id))[-1] == RunRetried(attempt=2, reason="host_lost")
        run = await stage.run(start.run_id)
        assert (run.status, run.attempt) == ("running", 2)

    async def test_what_an_earlier_attempt_said_no_longer_stands_in_the_transcript(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin("please")
        whole = await stage.say(start.run_id, "A whole sentence.")
        await stage.append(
            start.run_id,
            MessageCompleted(message_id=whole, role="assistant", content="A whole sentence."),
        )
        await stage.say(start.run_id, "half a sen")
        assert (await stage.info(start.session_id)).message_count == 3
        await die_and_retry(stages, stage, start)
        said = await stage.say(start.run_id, "Again")
        page = await stage.store.transcript(start.session_id, None, 10)

        assert [(item.message_id, item.content) for item in page.data] == [
            (start.message_id, "please"),
            (said, "Again"),
        ]
        assert (await stage.info(start.session_id)).message_count == 2

    async def test_a_run_that_loses_its_host_too_often_is_lost_and_keeps_what_it_said(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin()
        for _ in range(2):
            start = await die_and_retry(stages, stage, start)
        said = await stage.say(start.run_id, "third ti")
        await next_life(stages, stage)
        reaped = await stage.store.reap(stage.lease, stage.at())
        closed, finished = (await stage.events(start.session_id))[-2:]

        assert reaped == Reaped(requeued=0, ended=1, backlog=0)
        assert closed == MessageCompleted(message_id=said, role="assistant", content="third ti", partial=True)
        assert isinstance(finished, RunFinished)
        assert (finished.status, finished.reason) == ("lost", (await stage.run(start.run_id)).reason)
        assert finished.reason
        assert (await stage.info(start.session_id)).status == "idle"

    async def test_behind_a_lost_run_the_next_message_waits_for_a_slot(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin("poison")
        await stage.send(start.session_id, "harmless")
        for _ in range(2):
            start = await die_and_retry(stages, stage, start)
        await next_life(stages, stage)

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 1, 1)
        assert [s.content for s in (await stage.claim()).starts] == ["harmless"]

    async def test_a_stop_that_was_acknowledged_before_the_host_died_is_kept(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin()
        await stage.say(start.run_id, "half a sen")
        await stage.interrupt(start.session_id)
        await next_life(stages, stage)

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 1, 0)
        assert (await stage.events(start.session_id))[-1] == RunFinished(
            status="cancelled", reason="interrupted"
        )

    async def test_a_deadline_that_had_passed_before_the_host_died_is_kept(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin()
        await stage.store.expire(stage.lease, start.run_id, stage.at(), "deadline_exceeded")
        await next_life(stages, stage)
        await stage.store.reap(stage.lease, stage.at())

        assert (await stage.run(start.run_id)).status in ("cancelled", "timed_out")
        assert (await stage.run(start.run_id)).reason == "deadline_exceeded"

    async def test_a_held_queue_stays_held(self, stages: Stages, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "later")
        await stage.interrupt(start.session_id)
        await next_life(stages, stage)

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 1, 0)
        assert (await stage.info(start.session_id)).queue_held

    async def test_runs_that_wait_for_a_slot_are_left_as_they_are(self, stages: Stages, stage: Stage) -> None:
        sent = await stage.send(await stage.open(), here=False)
        await next_life(stages, stage)

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 0, 1)
        (start,) = (await stage.claim()).starts
        assert (start.run_id, start.attempt) == (sent.receipt.run_id, 1)

    async def test_a_host_never_reaps_its_own_runs(self, stage: Stage) -> None:
        start = await stage.begin()

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 0, 0)
        assert (await stage.run(start.run_id)).status == "running"

    async def test_reaping_again_finds_nothing(self, stages: Stages, stage: Stage) -> None:
        for _ in range(5):
            await stage.begin()
        await next_life(stages, stage)

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(5, 0, 5)
        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 0, 5)

    @pytest.mark.sources("P5")
    async def test_the_dead_host_is_fenced_before_and_after_its_run_is_taken_over(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin()
        dead = stage.lease
        await next_life(stages, stage)
        alive = stage.lease
        await stage.store.reap(alive, stage.at())
        stage.lease = dead
        assert await fenced(stage.say(start.run_id, "zombie"))
        assert await fenced(stage.settle(start.run_id))
        stage.lease = alive
        await stage.claim()
        stage.lease = dead

        assert await fenced(stage.say(start.run_id, "zombie"))
        assert await fenced(stage.settle(start.run_id))
        assert await fenced(stage.store.expire(dead, start.run_id, stage.at(), "deadline"))
        assert await fenced(stage.store.release(dead, start.run_id, stage.at(), "drain"))
        stage.lease = alive
        assert (await stage.settle(start.run_id)).status is RunState.COMPLETED

    async def test_a_dead_host_claims_no_runs(self, stages: Stages, stage: Stage) -> None:
        sent = await stage.send(await stage.open(), here=False)
        dead = stage.lease
        await next_life(stages, stage)
        alive, stage.lease = stage.lease, dead

        assert await fenced(stage.claim())
        stage.lease = alive
        assert [s.run_id for s in (await stage.claim()).starts] == [sent.receipt.run_id]

    async def test_a_dead_host_starts_no_message(self, stages: Stages, stage: Stage) -> None:
        dead, session_id = stage.lease, await stage.open()
        await next_life(stages, stage)
        alive, stage.lease = stage.lease, dead

        assert await fenced(stage.send(session_id))
        assert await stage.store.head(session_id) == 1
        stage.lease = alive
        assert (await stage.send(session_id)).receipt.disposition == "started"

    async def test_a_host_that_left_in_good_order_leaves_nothing_to_reap(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin()
        await stage.store.release(stage.lease, start.run_id, stage.at(), "drain")
        await stage.store.leave(stage.lease, stage.at())
        await next_life(stages, stage)

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 0, 1)

    async def test_two_hosts_hold_runs_side_by_side(self, stage: Stage, backend: Backend) -> None:
        if Ability.MANY_HOSTS not in backend.abilities:
            pytest.skip("This store declares that one host at a time holds runs.")
        mine, start = stage.lease, await stage.begin()
        stage.lease = await stage.store.join(stage.at())
        other = await stage.begin()

        assert await stage.store.reap(stage.lease, stage.at()) == Reaped(0, 0, 0)
        assert await fenced(stage.settle(start.run_id))
        await stage.settle(other.run_id)
        stage.lease = mine
        await stage.settle(start.run_id)

    # --- restart

    @pytest.mark.sources("D-M16", "D-N16")
    async def test_everything_acknowledged_is_there_after_a_restart(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=2))
        running = await stage.begin("one")
        await stage.send(running.session_id, "two", by=BOB)
        said = await stage.say(running.run_id, "half a sen")
        idle = await stage.begin("three")
        await stage.settle(idle.run_id, RunState.FAILED, "no")
        key_id = await stage.key(person("zoe"), "zoe's secret")
        before = {i: (await stage.info(i), await stage.journal(i)) for i in stage.sessions}
        page = await stage.store.transcript(running.session_id, None, 10)
        figures = await stage.store.figures()
        again = await stages.restart(stage)

        assert {i: (await again.info(i), await again.journal(i)) for i in stage.sessions} == before
        assert await again.store.transcript(running.session_id, None, 10) == page
        assert (page.data[-1].message_id, page.data[-1].content) == (said, "half a sen")
        assert [item.content for item in page.waiting] == ["two"]
        assert await again.store.figures() == figures
        zoe = await again.store.principal(hashed_secret("zoe's secret"), again.at())
        assert zoe is not None
        assert (zoe.user, zoe.key_id) == ("zoe", key_id)

    async def test_after_a_restart_runs_go_on_and_their_queues_with_them(self, stages: Stages) -> None:
        stage = await stages.open()
        first = await stage.begin("one")
        await stage.send(first.session_id, "two")
        again = await stages.restart(stage)
        assert await again.store.reap(again.lease, again.at()) == Reaped(1, 0, 1)
        (retried,) = (await again.claim()).starts
        (second,) = (await again.settle(retried.run_id)).wake.starts

        assert [(s.content, s.attempt) for s in (retried, second)] == [("one", 2), ("two", 1)]

    async def test_hundreds_of_runs_are_taken_up_again_at_once(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1_000, live_runs_per_user=1_000))
        runs = {(await stage.begin()).run_id for _ in range(self.RUNS)}
        again = await stages.restart(stage)
        reaped = await again.store.reap(again.lease, again.at())
        wake = await again.claim()

        assert reaped == Reaped(self.RUNS, 0, self.RUNS)
        assert {start.run_id for start in wake.starts} == runs
        assert {start.attempt for start in wake.starts} == {2}

    async def test_a_session_deleted_before_the_restart_stays_deleted(self, stages: Stages) -> None:
        stage = await stages.open()
        start = await stage.begin()
        await stage.store.delete_session(stage.stamp(), start.session_id)
        again = await stages.restart(stage)

        assert await again.store.reap(again.lease, again.at()) == Reaped(0, 0, 0)
        assert await again.store.ground(start.session_id) is None
        with pytest.raises(TenureError) as refused:
            await again.send(start.session_id)
        assert refused.value.code is Code.NOT_FOUND
