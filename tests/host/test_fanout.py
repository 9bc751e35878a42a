"""Fan-out: from any cursor every follower gets each entry once, in order, whatever reaches the hub when."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from tenure.core.command import UpdateSession
from tenure.core.event import RunFinished
from tenure.core.limits import Limits
from tenure.core.output import Output, Said, Text, completed
from tenure.core.rules import Rules
from tenure.errors import Code, TenureError
from tenure.host.fanout import (
    CROWD,
    JOIN_EVENTS,
    JOIN_S,
    RING_BYTES,
    RING_EVENTS,
    Delivery,
    Ended,
    Fanout,
    Follower,
    Gap,
    Step,
    UpToDate,
)
from tenure.ports.runner import RunContext
from tenure.ports.store import Block, JournalPage
from tenure.stores.sqlite.store import SqliteStore
from tests.host.rooms import ADA, Rooms, Talk, agent, in_virtual_time, talk_with
from tests.simulation.world import SimIds


async def burst(run: RunContext) -> AsyncIterator[Output]:
    """Says as many numbered words as the message says, twenty at a time."""
    for number in range(int(run.message.text)):
        if number % 20 == 0:
            await asyncio.sleep(0.001)
        yield Text(f"w{number} ")
    yield completed()


async def spoken(rooms: Rooms, words: int = 300) -> Talk:
    """A session with a journal in many rows."""
    talk = await talk_with(rooms, burst)
    await talk.say(str(words))
    return talk


async def whole(talk: Talk) -> list[bytes]:
    """Every envelope of the session, as a client gets it."""
    with await talk.rooms.host.fanout.follow(talk.session_id, 0) as follower:
        return (await caught_up(follower))[0]


async def caught_up(follower: Follower) -> tuple[list[bytes], list[Step | None]]:
    """Envelopes and steps up to the first sign that the replay has reached the head."""
    envelopes: list[bytes] = []
    steps: list[Step | None] = []
    while not steps or not isinstance(steps[-1], UpToDate):
        step = await follower.next()
        steps.append(step)
        if isinstance(step, Delivery):
            assert step.last - step.first + 1 == len(step.envelopes())
            envelopes += step.envelopes()
    return envelopes, steps


async def rename(talk: Talk, title: str) -> None:
    """One more entry."""
    update = talk.rooms.host.commands.update_session(ADA, talk.session_id, UpdateSession(title=title))
    await talk.rooms.there(update)


async def blocks_of(rooms: Rooms, count: int) -> tuple[Talk, list[Block]]:
    """A session and its committed blocks, one entry each."""
    await rooms.up(agent(burst))
    talk = await rooms.open()
    for number in range(count - 1):
        await rename(talk, f"title {number}")
    return talk, [block for block in rooms.lane.blocks if block.session_id == talk.session_id]


def numbers(step: Step | None) -> tuple[int, int]:
    """First and last number of a delivery."""
    assert isinstance(step, Delivery), step
    return step.first, step.last


def holders(block: Block) -> int:
    """How many refer to a block: the more, the longer it stays in memory."""
    return sys.getrefcount(block)


class Retiring(SqliteStore):
    """A store whose sessions have lost their first eight entries to retention."""

    async def page(self, session_id: str, after: int, limit: int) -> JournalPage:
        """What is left after a cursor."""
        return (await super().page(session_id, max(after, 8), limit))._replace(min_available=9)


# --- replay, then live


@pytest.mark.sources("N01")
@in_virtual_time
async def test_replay_goes_over_into_live_with_exactly_one_up_to_date(rooms: Rooms) -> None:
    talk = await spoken(rooms)
    head = len(await talk.journal())
    steps: list[Step | None] = []
    with await rooms.host.fanout.follow(talk.session_id, 0) as follower:
        _, replay = await caught_up(follower)
        steps += replay
        for number in range(3):
            await rename(talk, f"live {number}")
            steps.append(await follower.next())

    assert [step for step in steps if isinstance(step, UpToDate)] == [UpToDate(head)]
    assert steps.index(UpToDate(head)) == len(replay) - 1
    assert [numbers(step) for step in steps[-3:]] == [(head + n, head + n) for n in (1, 2, 3)]


@in_virtual_time
async def test_follower_from_the_head_is_told_first_that_it_is_up_to_date(rooms: Rooms) -> None:
    talk = await spoken(rooms, 3)
    head = len(await talk.journal())
    with await rooms.host.fanout.follow(talk.session_id, head) as follower:
        assert await follower.next() == UpToDate(head)
        await rename(talk, "live")
        assert numbers(await follower.next()) == (head + 1, head + 1)


@pytest.mark.sources("M02", "N02")
@in_virtual_time
async def test_follower_during_a_run_gets_every_entry_once_while_it_is_written(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    rooms.lane.delay = 0.002
    seen: list[bytes] = []
    await talk.send("1000")
    with await rooms.host.fanout.follow(talk.session_id, 0) as follower:
        while not seen or b'"run.finished"' not in seen[-1]:
            step = await follower.next()
            if isinstance(step, Delivery):
                assert step.first == len(seen) + 1
                seen += step.envelopes()

    assert seen == await whole(talk)


@pytest.mark.sources("P3", "A14", "D-N9")
@pytest.mark.parametrize("watched", [True, False], ids=["from memory", "from the journal"])
@in_virtual_time
async def test_resume_at_every_cursor_gives_exactly_the_rest(rooms: Rooms, watched: bool) -> None:
    talk = await talk_with(rooms, burst)
    fanout = rooms.host.fanout
    with ExitStack() as watchers:
        if watched:
            watchers.enter_context(await fanout.follow(talk.session_id, 0))
        await talk.say("150")
        entries = await whole(talk)
        assert len(entries) > 150
        for cursor in range(len(entries) + 1):
            with await fanout.follow(talk.session_id, cursor) as follower:
                assert (await caught_up(follower))[0] == entries[cursor:]
                assert follower.after == len(entries)


@in_virtual_time
async def test_cursor_beyond_the_head_is_refused_with_the_head(rooms: Rooms) -> None:
    talk = await spoken(rooms, 3)
    head = len(await talk.journal())
    for _ in range(2):
        with pytest.raises(TenureError) as refusal:
            await rooms.host.fanout.follow(talk.session_id, head + 1)
        assert (refusal.value.code, refusal.value.facts) == (Code.CURSOR_AHEAD, {"head_seq": head})
        assert rooms.host.fanout.streams == 0


# --- what reaches the hub late, early or twice


@in_virtual_time
async def test_block_that_begins_later_than_the_next_number_sends_followers_to_the_journal(
    rooms: Rooms,
) -> None:
    talk, blocks = await blocks_of(rooms, 6)
    fanout = Fanout(rooms.host.store)
    with await fanout.follow(talk.session_id, 6) as follower:
        assert await follower.next() == UpToDate(6)
        for number in range(4):
            await rename(talk, f"later {number}")
        *missed, last = rooms.lane.blocks[-4:]
        fanout.deliver(last)
        envelopes, steps = await caught_up(follower)
        for block in missed:
            fanout.deliver(block)
        follower.wake()
        assert await follower.next() is None

    assert [numbers(step) for step in steps[:-1]] == [(7, 10)]
    assert steps[-1] == UpToDate(10)
    assert envelopes == (await whole(talk))[6:]
    assert len(blocks) == 6


@in_virtual_time
async def test_block_that_was_delivered_before_is_dropped(rooms: Rooms) -> None:
    talk, blocks = await blocks_of(rooms, 6)
    fanout = Fanout(rooms.host.store)
    with await fanout.follow(talk.session_id, 3) as follower:
        for block in blocks:
            fanout.deliver(block)
        envelopes, _ = await caught_up(follower)
        fanout.deliver(blocks[-1])
        fanout.deliver(blocks[0])
        follower.wake()
        assert await follower.next() is None

    assert envelopes == (await whole(talk))[3:]


@pytest.mark.sources("N06")
@in_virtual_time
async def test_blocks_of_other_sessions_and_of_unwatched_ones_disturb_nobody(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    other = await rooms.open()
    with await rooms.host.fanout.follow(talk.session_id, 3) as follower:
        assert await follower.next() == UpToDate(3)
        await rename(other, "elsewhere")
        follower.wake()
        assert await follower.next() is None


@pytest.mark.sources("D-M17")
@in_virtual_time
async def test_commit_during_a_replay_is_neither_missed_nor_repeated(rooms: Rooms) -> None:
    talk = await spoken(rooms)
    rooms.lane.delay = 0.01
    seen: list[bytes] = []
    fanout = Fanout(rooms.host.store)
    with await fanout.follow(talk.session_id, 0) as follower:
        hub_listens = rooms.lane.blocks
        for number in range(10):
            step = asyncio.ensure_future(follower.next())
            before = len(hub_listens)
            await rename(talk, f"meanwhile {number}")
            for block in hub_listens[before:]:
                fanout.deliver(block)
            got = await step
            if isinstance(got, Delivery):
                seen += got.envelopes()
        follower.wake()
        while (got := await follower.next()) is not None:
            if isinstance(got, Delivery):
                seen += got.envelopes()

    assert seen == await whole(talk)


# --- followers that fall behind


@pytest.mark.sources("D-M8")
@in_virtual_time
async def test_follower_that_falls_behind_the_kept_blocks_pages_the_journal_and_misses_nothing(
    rooms: Rooms,
) -> None:
    talk = await talk_with(rooms, burst)
    with await rooms.host.fanout.follow(talk.session_id, 0) as slow:
        first, _ = await caught_up(slow)
        await talk.say(str(3 * RING_EVENTS))
        rest, steps = await caught_up(slow)
        again = slow.after

        assert first + rest == await whole(talk)
        assert len([step for step in steps if isinstance(step, UpToDate)]) == 1
        await rename(talk, "live again")
        assert numbers(await slow.next()) == (again + 1, again + 1)


@pytest.mark.sources("D-M8", "A15")
@in_virtual_time
async def test_big_blocks_are_kept_within_bounds_and_nobody_misses_one(rooms: Rooms) -> None:
    async def heavy(run: RunContext) -> AsyncIterator[Output]:
        for number in range(60):
            yield Said(f"{number}".ljust(RING_BYTES // 10, "."))
            await asyncio.sleep(0.001)
        yield completed()

    talk = await talk_with(rooms, heavy)
    with await rooms.host.fanout.follow(talk.session_id, 0) as slow:
        await talk.say("go")
        envelopes, _ = await caught_up(slow)
        assert envelopes == await whole(talk)
        await rename(await rooms.open(), "unwatched")
        unwatched = rooms.lane.blocks[-1]
        kept = [block for block in rooms.lane.blocks if holders(block) > holders(unwatched)]
        assert 5 <= len(kept) <= 10


@pytest.mark.sources("D-N8", "A15")
@in_virtual_time
async def test_slow_follower_stalls_neither_the_run_nor_the_others(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    with await rooms.host.fanout.follow(talk.session_id, 0) as slow:
        began = rooms.loop.time()
        events = await talk.say("5000")
        assert events[-1].event == RunFinished(status="completed", reason="")
        assert rooms.loop.time() - began < 1
        assert (await caught_up(slow))[0] == await whole(talk)


@pytest.mark.sources("A14")
@in_virtual_time
async def test_retired_beginning_is_one_explicit_gap(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 20)
    rules = Rules(limits=Limits(), terms={})
    store = Retiring(rooms.lane, rules, SimIds(random.Random(1)), rooms.host.store.history)
    entries = await whole(talk)
    with await Fanout(store).follow(talk.session_id, 2) as follower:
        gap = await follower.next()
        envelopes, _ = await caught_up(follower)

    assert gap == Gap(after=2, min_available=9)
    assert envelopes == entries[8:]


# --- wake, end, leave


@in_virtual_time
async def test_wake_lets_next_return_nothing_once(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    with await rooms.host.fanout.follow(talk.session_id, 3) as follower:
        assert await follower.next() == UpToDate(3)
        waiting = asyncio.ensure_future(follower.next())
        await asyncio.sleep(1)
        assert not waiting.done()
        follower.wake()
        assert await waiting is None
        waiting = asyncio.ensure_future(follower.next())
        await asyncio.sleep(100)
        assert not waiting.done()
        await rename(talk, "new")
        assert numbers(await waiting) == (4, 4)


@in_virtual_time
async def test_wake_before_next_is_not_forgotten_and_loses_nothing(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    with await rooms.host.fanout.follow(talk.session_id, 3) as follower:
        follower.wake()
        follower.wake()
        await rename(talk, "new")
        steps = [await follower.next() for _ in range(3)]

    assert numbers(steps[0]) == (4, 4)
    assert steps[1:] == [UpToDate(4), None]


@in_virtual_time
async def test_follower_that_is_cancelled_while_it_waits_can_go_on(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    with await rooms.host.fanout.follow(talk.session_id, 3) as follower:
        await follower.next()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(15):
                await follower.next()
        await rename(talk, "new")
        assert numbers(await follower.next()) == (4, 4)


@in_virtual_time
async def test_follower_ends_at_once_with_the_reason_it_is_given(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    fanout = rooms.host.fanout
    with await fanout.follow(talk.session_id, 0) as behind, await fanout.follow(talk.session_id, 3) as other:
        behind.end("slow")
        assert await behind.next() == Ended("slow")
        assert await other.next() == UpToDate(3)


@pytest.mark.sources("D-M5")
@in_virtual_time
async def test_end_of_a_session_comes_after_what_its_followers_still_have_to_get(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 5)
    fanout = rooms.host.fanout
    with (
        await fanout.follow(talk.session_id, 0) as behind,
        await fanout.follow(talk.session_id, 5) as waiting,
    ):
        await waiting.next()
        next_ = asyncio.ensure_future(waiting.next())
        await asyncio.sleep(0)
        fanout.end(talk.session_id, "revoked")

        assert await next_ == Ended("revoked")
        assert numbers(await behind.next()) == (1, 5)
        assert await behind.next() == Ended("revoked")
        assert await behind.next() == Ended("revoked")


@pytest.mark.sources("N06")
@in_virtual_time
async def test_end_of_all_reaches_every_follower_of_every_session(rooms: Rooms) -> None:
    await rooms.up(agent(burst))
    talks = [await rooms.open() for _ in range(5)]
    fanout = rooms.host.fanout
    with ExitStack() as streams:
        followers = [
            streams.enter_context(await fanout.follow(talk.session_id, after))
            for talk in talks
            for after in (0, 1)
        ]
        waiting = [asyncio.ensure_future(follower.next()) for follower in followers[1::2]]
        assert {await step for step in waiting} == {UpToDate(1)}
        fanout.end_all("draining")
        assert [await follower.next() for follower in followers] == [Ended("draining")] * 10


@pytest.mark.sources("D-M5")
@in_virtual_time
async def test_deleted_session_ends_its_streams_after_its_last_entry(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    steps: list[Step | None] = []
    with await rooms.host.fanout.follow(talk.session_id, 3) as follower:
        await follower.next()
        await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
        steps = [await follower.next(), await follower.next()]

    assert isinstance(steps[0], Delivery)
    assert b'"session.deleted"' in steps[0].body
    assert steps[1] == Ended("deleted")


@in_virtual_time
async def test_follower_far_behind_a_deleted_session_ends_too(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    await talk.say(str(RING_EVENTS * 2))
    with await rooms.host.fanout.follow(talk.session_id, 0) as behind:
        await behind.next()
        await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
        await asyncio.sleep(1)
        async with asyncio.timeout(10):
            while not isinstance(step := await behind.next(), Ended):
                assert isinstance(step, Delivery)
        assert step == Ended("deleted")


@pytest.mark.sources("N04")
@in_virtual_time
async def test_unwatched_session_keeps_no_blocks_in_memory(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 2)
    fanout = rooms.host.fanout

    async def fresh() -> Block:
        """The block of one more commit."""
        await rename(talk, "one more")
        return rooms.lane.blocks[-1]

    nobody = holders(await fresh())
    with await fanout.follow(talk.session_id, 0), await fanout.follow(talk.session_id, 0):
        watched = await fresh()
        assert (fanout.streams, holders(watched)) == (2, nobody + 2)  # the hub, and the name `watched`
    assert (fanout.streams, holders(watched)) == (0, nobody + 1)


@pytest.mark.sources("N03")
@in_virtual_time
async def test_leaving_twice_counts_once(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 2)
    fanout = rooms.host.fanout
    with await fanout.follow(talk.session_id, 0):
        follower = await fanout.follow(talk.session_id, 0)
        with follower:
            assert fanout.streams == 2
        with follower:
            pass
        assert fanout.streams == 1


# --- bytes


@in_virtual_time
async def test_frames_of_a_commit_are_made_once_for_all_followers(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    fanout = rooms.host.fanout
    with ExitStack() as streams:
        followers = [streams.enter_context(await fanout.follow(talk.session_id, 3)) for _ in range(50)]
        for follower in followers:
            await follower.next()
        await rename(talk, "seen by all")
        deliveries = [await follower.next() for follower in followers]

    frames = [step.sse() for step in deliveries if isinstance(step, Delivery)]
    assert len(frames) == 50
    assert len({id(frame) for frame in frames}) == 1


@in_virtual_time
async def test_frames_carry_the_envelope_under_its_number_however_they_are_cut(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    with await rooms.host.fanout.follow(talk.session_id, 0):
        await talk.say("100")
        entries = await whole(talk)
        for cursor in (0, 1, 2, 57, len(entries) - 1):
            with await rooms.host.fanout.follow(talk.session_id, cursor) as follower:
                step = await follower.next()
                assert isinstance(step, Delivery)
                upto = zip(range(cursor + 1, step.last + 1), entries[cursor : step.last], strict=True)
                assert step.sse() == b"".join(
                    b"id: %d\ndata: %b\n\n" % (seq, envelope) for seq, envelope in upto
                )


# --- crowds


async def waiting_at_head(
    rooms: Rooms, streams: ExitStack, talk: Talk, count: int
) -> list[asyncio.Task[Step | None]]:
    """So many followers, all caught up and waiting for the next entry."""
    head = await rooms.host.store.head(talk.session_id)
    follow = rooms.host.fanout.follow
    followers = [streams.enter_context(await follow(talk.session_id, head)) for _ in range(count)]
    for follower in followers:
        assert await follower.next() == UpToDate(head)
    waiting = [asyncio.ensure_future(follower.next()) for follower in followers]
    await asyncio.sleep(1)
    return waiting


@in_virtual_time
async def test_crowd_gets_the_commits_of_a_moment_in_one_delivery_with_shared_frames(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    with ExitStack() as streams:
        waiting = await waiting_at_head(rooms, streams, talk, CROWD)
        began = rooms.loop.time()
        rooms.lane.delay = 0.0
        await rename(talk, "one")
        await rename(talk, "two")
        steps = await asyncio.gather(*waiting)

    assert {numbers(step) for step in steps} == {(4, 5)}
    assert len({id(step.sse()) for step in steps if isinstance(step, Delivery)}) == 1
    assert rooms.loop.time() - began <= 2 * JOIN_S


@in_virtual_time
async def test_few_followers_are_told_of_each_commit_at_once(rooms: Rooms) -> None:
    talk, _ = await blocks_of(rooms, 3)
    with ExitStack() as streams:
        waiting = await waiting_at_head(rooms, streams, talk, CROWD - 1)
        rooms.lane.delay = 0.0
        began = rooms.loop.time()
        await rename(talk, "one")
        steps = await asyncio.gather(*waiting)

    assert {numbers(step) for step in steps} == {(4, 4)}
    assert rooms.loop.time() - began < JOIN_S


@in_virtual_time
async def test_crowd_does_not_wait_when_much_has_come_together(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    with ExitStack() as streams:
        waiting = await waiting_at_head(rooms, streams, talk, CROWD)
        await talk.say(str(2 * JOIN_EVENTS))
        steps = await asyncio.gather(*waiting)
        head = await rooms.host.store.head(talk.session_id)

    assert {step.first for step in steps if isinstance(step, Delivery)} == {2}
    assert all(numbers(step)[1] < head for step in steps)
