"""Recalls by a clock that a test moves, and in time zones whose rules change between two looks."""

import asyncio
from typing import Any

import pytest

import tenure
from tenure.core.event import RunFinished
from tenure.core.moment import SECOND, Micros, micros
from tenure.core.recall import Missed
from tenure.core.scheduling import Recall
from tenure.host import cron
from tenure.testing import HostedSession, ManualClock, hosting
from tests.host.diary import plan
from tests.host.rooms import Rooms, agent, in_virtual_time
from tests.host.test_recalls import echo

HOUR = 3_600 * SECOND


@tenure.agent("parrot")
async def parrot(run: tenure.Run) -> str:
    """Says it again."""
    return run.message.text


async def ended(session: HostedSession, runs: int) -> None:
    """Wait until so many runs of the session have ended."""
    async for event in session.events():
        runs -= isinstance(event.event, RunFinished)
        if runs == 0:
            return


@pytest.mark.anyio
async def test_by_a_clock_that_a_test_moves_every_instant_comes_when_time_passes() -> None:
    async with hosting(parrot, clock=ManualClock()) as small:
        session = await small.open("parrot")
        tick = Recall(message="tick", cron="0 9 * * *", missed=Missed.SKIP, max_runs=30)
        made = await session.schedule(tick)
        await small.advance(29 * 86_400)
        await ended(session, 29)
        page = await small.host.store.schedules.occurrences(made.id, None, 100)
        info = await small.host.store.schedules.get(made.id)

        assert [o.state for o in page.data] == ["due", *["admitted"] * 29]
        assert {o.reason for o in page.data} == {None}
        assert [o.due_at for o in page.data][::29] == [
            "2026-11-30T09:00:00.000000Z",
            "2026-11-01T09:00:00.000000Z",
        ]
        assert info is not None
        assert (info.runs, info.status) == (29, "active")


@pytest.mark.anyio
async def test_a_clock_that_jumps_has_missed_what_lies_between() -> None:
    clock = ManualClock()
    async with hosting(parrot, clock=clock) as small:
        session = await small.open("parrot")
        made = await session.schedule(Recall(message="tick", every_s=3_600, missed=Missed.SKIP))
        clock.jump(86_400 + 10)
        await small.advance(0)
        page = await small.host.store.schedules.occurrences(made.id, None, 100)

        assert [o.state for o in page.data] == ["due", *["missed"] * 24]


@pytest.mark.anyio
async def test_where_the_clocks_skip_an_hour_jitter_makes_none_late_that_comes_soon_after() -> None:
    # On 2027-03-28 the clocks go from 02:00 to 03:00, half an hour after 01:30.
    night = Recall(
        message="tick", cron="30 1,2 28 3 *", timezone="Europe/Berlin", jitter_s=3_600, missed=Missed.SKIP
    )
    async with hosting(parrot, clock=ManualClock()) as small:
        session = await small.open("parrot")
        made = [await session.schedule(night) for _ in range(30)]
        await small.advance(200 * 86_400)
        pages = [await small.host.store.schedules.occurrences(each.id, None, 10) for each in made]

        seen = [(o.due_at[:16], o.state, o.reason) for page in pages for o in page.data if o.state != "due"]
        assert set(seen) == {
            ("2027-03-28T00:30", "admitted", None),
            ("2027-03-28T01:00", "admitted", None),
        }


@in_virtual_time
async def test_less_jitter_has_what_was_put_off_come_at_once_and_on_time(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = [await plan(talk, every_s=3_600, jitter_s=3_600, missed="skip") for _ in range(6)]
    await asyncio.sleep(3_600 + 600)
    for each in made:
        await each.update(jitter_s=0)
    await asyncio.sleep(10)

    seen = [(o.state, o.reason) for each in made for o in await each.occurrences()]
    assert seen == [("admitted", None)] * 6


@pytest.mark.anyio
async def test_a_host_by_the_clock_of_the_machine_says_that_it_cannot_be_advanced() -> None:
    async with hosting(parrot) as small:
        with pytest.raises(ValueError, match="Give `hosting` a ManualClock"):
            await small.advance(1)


@pytest.mark.parametrize(("moved", "due"), [(-HOUR, [0, 5, 11]), (HOUR, [1, 7, 13])])
@in_virtual_time
async def test_new_rules_of_a_time_zone_lose_nothing_and_double_nothing(
    rooms: Rooms, moved: int, due: list[int]
) -> None:
    after = cron.after

    def new(timing: Any, instant: Micros) -> Micros | None:
        found = after(timing, Micros(instant - moved))
        return None if found is None else Micros(found + moved)

    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, cron="0 */6 * * *", timezone="Asia/Tokyo", max_runs=3)
    first = micros((await made.info()).next_at or "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cron, "after", new)
        await asyncio.sleep(86_400)
    seen = [(micros(o.due_at) - first) // HOUR for o in await made.occurrences()]

    # What was promised is kept, what is put off comes later, and from then on the new rules hold.
    assert seen == due
    assert [o.reason for o in await made.occurrences()] == [None] * 3
