"""Cases: slots for live runs, shared fairly between users, oldest first, never one too many."""

import asyncio
from collections import Counter

import pytest

from tenure.core.event import RunRetried
from tenure.core.limits import Limits
from tenure.core.principal import Principal
from tenure.core.run import RunState
from tenure.ports.store import Start, Wake
from tenure.stores.contract.stage import ADA, BOB, EVE, Cases, Stage, Stages


async def backlog(stage: Stage, *owners: Principal) -> list[str]:
    """Fresh sessions of these owners, each with one message that waits for a slot. Their run ids."""
    runs: list[str] = []
    for owner in owners:
        sent = await stage.send(await stage.open(owner), by=owner, here=False)
        assert sent.receipt.run_id is not None
        runs.append(sent.receipt.run_id)
    return runs


def owners(starts: tuple[Start, ...]) -> list[str]:
    """Whose runs started."""
    return [start.author.user for start in starts]


class ClaimCases(Cases):
    """Too many live runs: the message waits in a fair queue between users."""

    async def test_a_message_that_finds_no_slot_waits_with_its_run(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=2))
        await stage.begin()
        await stage.begin()
        sent = await stage.send(await stage.open())

        assert sent.wake == Wake((), 1)
        assert (sent.receipt.disposition, sent.receipt.queue_position) == ("queued", 1)
        assert sent.receipt.run_id is not None
        assert (await stage.run(sent.receipt.run_id)).status == "queued"
        assert (await stage.claim()).starts == ()

    async def test_a_slot_that_comes_free_is_claimed_by_who_waits(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        first = await stage.begin()
        sent = await stage.send(await stage.open(BOB), "my turn", by=BOB)
        done = await stage.settle(first.run_id)
        (start,) = (await stage.claim()).starts

        assert done.wake == Wake((), 1)
        assert (start.run_id, start.content, start.attempt) == (sent.receipt.run_id, "my turn", 1)
        assert start.author.user == "bob"
        assert await stage.store.head(start.session_id) == start.seq

    async def test_a_user_at_the_limit_waits_while_others_start(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs_per_user=1))
        await stage.begin(by=ADA)
        waiting = await stage.send(await stage.open(ADA), by=ADA)
        starting = await stage.send(await stage.open(BOB), by=BOB)

        assert (waiting.receipt.disposition, waiting.wake) == ("queued", Wake((), 1))
        assert owners(starting.wake.starts or (await stage.claim()).starts) == ["bob"]
        assert (await stage.claim()).starts == ()

    @pytest.mark.sources("P11")
    async def test_users_with_the_fewest_live_runs_go_first(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=6))
        for _ in range(3):
            await stage.begin(by=ADA)
        await stage.begin(by=BOB)
        await backlog(stage, ADA, ADA, ADA, BOB, BOB, EVE)
        wake = await stage.claim()

        assert owners(wake.starts) == ["eve", "bob"]
        assert wake.backlog == 4

    async def test_a_user_who_queues_a_lot_does_not_crowd_out_the_others(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=9))
        await backlog(stage, *[ADA] * 30, *[BOB] * 3, *[EVE] * 3)
        wake = await stage.claim()

        assert Counter(owners(wake.starts)) == {"ada": 3, "bob": 3, "eve": 3}

    async def test_the_runs_of_one_user_start_oldest_first(self, stage: Stage) -> None:
        runs = await backlog(stage, *[ADA] * 5)

        assert [start.run_id for start in (await stage.claim()).starts] == runs

    @pytest.mark.parametrize("room", [0, 1, 3])
    async def test_a_host_claims_no_more_than_it_has_room_for(self, stage: Stage, room: int) -> None:
        await backlog(stage, *[ADA] * 5)
        wake = await stage.claim(room)

        assert (len(wake.starts), wake.backlog) == (room, 5 - room)

    @pytest.mark.sources("D-O20", "A21")
    async def test_claims_at_once_never_take_one_run_twice_or_one_slot_too_many(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=10))
        await backlog(stage, *[ADA, BOB, EVE] * 8)
        wakes = await asyncio.gather(*(stage.claim(3) for _ in range(12)))
        runs = [start.run_id for wake in wakes for start in wake.starts]

        assert (len(runs), len(set(runs))) == (10, 10)
        figures = await stage.store.figures()
        assert (figures.live_runs, figures.queued_runs) == (10, 14)

    async def test_a_new_message_does_not_overtake_one_that_waits_for_a_slot(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        first = await stage.begin()
        (waiting,) = await backlog(stage, BOB)
        await stage.settle(first.run_id)
        late = await stage.send(await stage.open(EVE), by=EVE)

        assert late.receipt.disposition == "queued"
        assert [start.run_id for start in (await stage.claim()).starts] == [waiting]

    async def test_the_next_message_of_a_session_does_not_keep_its_slot_from_others(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(Limits(live_runs=1))
        first = await stage.begin(by=ADA)
        await stage.send(first.session_id, "more of ada")
        await backlog(stage, BOB)
        done = await stage.settle(first.run_id)

        assert done.wake == Wake((), 2)
        assert len((await stage.claim()).starts) == 1

    async def test_nobody_waits_for_ever_behind_a_busy_session(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        run = await stage.begin(by=ADA)
        for _ in range(10):
            await stage.send(run.session_id, by=ADA)
        await backlog(stage, BOB)
        turns: list[str] = []
        while "bob" not in turns:
            done = await stage.settle(run.run_id)
            (run,) = done.wake.starts or (await stage.claim()).starts
            turns.append(run.author.user)

        assert len(turns) <= 2

    async def test_a_run_that_is_being_stopped_still_holds_its_slot(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        start = await stage.begin()
        await backlog(stage, BOB)
        await stage.interrupt(start.session_id)

        assert (await stage.claim()).starts == ()
        await stage.settle(start.run_id, RunState.CANCELLED)
        assert owners((await stage.claim()).starts) == ["bob"]

    async def test_with_no_slots_at_all_nothing_starts_and_everything_waits(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=0))
        await backlog(stage, ADA, BOB)
        sent = await stage.send(await stage.open())

        assert sent.receipt.disposition == "queued"
        assert (await stage.claim()).starts == ()
        assert (await stage.store.figures()).queued_runs == 3

    # --- release

    async def test_a_released_run_is_taken_up_again_as_the_next_attempt(self, stage: Stage) -> None:
        start = await stage.begin("please")
        await stage.say(start.run_id, "half a sen")
        await stage.store.release(stage.lease, start.run_id, stage.at(), "drain")
        assert (await stage.run(start.run_id)).status == "queued"
        (again,) = (await stage.claim()).starts

        assert (again.run_id, again.attempt, again.content) == (start.run_id, 2, "please")
        assert (again.grant, again.message_id) == (start.grant, start.message_id)
        assert (await stage.events(start.session_id))[-1] == RunRetried(attempt=2, reason="drain")
        page = await stage.store.transcript(start.session_id, None, 10)
        assert [item.content for item in page.data] == ["please"]

    async def test_being_released_is_never_the_end_of_a_run(self, stage: Stage) -> None:
        start = await stage.begin()
        for attempt in range(2, 12):
            await stage.store.release(stage.lease, start.run_id, stage.at(), "drain")
            (again,) = (await stage.claim()).starts
            assert again.attempt == attempt

    async def test_a_run_that_is_being_stopped_ends_when_it_is_released(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id)
        await stage.store.release(stage.lease, start.run_id, stage.at(), "drain")

        assert (await stage.run(start.run_id)).status == "cancelled"
        assert (await stage.info(start.session_id)).status == "idle"
