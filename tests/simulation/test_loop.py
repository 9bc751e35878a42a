"""The deterministic loop: virtual time, seeded order, nodes, and what it refuses."""

import asyncio
import gc
import itertools
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from tests.simulation.loop import NODE, SimLoop, Stuck

T = TypeVar("T")
Main = Callable[[SimLoop], Coroutine[Any, Any, T]]


def run(main: Main[T], seed: int = 0, *, shuffle: bool = True, max_steps: int = 10_000) -> T:
    loop = SimLoop(seed, shuffle=shuffle, max_steps=max_steps)
    try:
        return loop.run(main(loop))
    finally:
        loop.close()


def test_a_year_of_sleep_takes_no_time_and_moves_the_clock_exactly() -> None:
    async def main(loop: SimLoop) -> float:
        await asyncio.sleep(31_536_000)
        return loop.time()

    assert run(main) == 31_536_000


async def _racers(loop: SimLoop) -> list[int]:
    arrived: list[int] = []

    async def racer(number: int) -> None:
        await asyncio.sleep(0)
        arrived.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(racer(number))
    return arrived


def test_the_same_seed_takes_the_same_steps() -> None:
    assert [run(_racers, seed) for seed in range(20)] == [run(_racers, seed) for seed in range(20)]


def test_other_seeds_take_other_orders() -> None:
    assert len({tuple(run(_racers, seed)) for seed in range(20)}) > 15


def test_without_shuffle_steps_are_taken_first_in_first_out() -> None:
    assert run(_racers, 7, shuffle=False) == list(range(10))


def test_the_trace_tells_two_orders_apart_and_is_the_same_for_the_same_seed() -> None:
    def trace(seed: int) -> int:
        loop = SimLoop(seed)
        loop.run(_racers(loop))
        loop.close()
        return loop.trace

    assert [trace(1), trace(1) == trace(2)] == [trace(1), False]


def test_a_time_out_comes_at_its_virtual_moment() -> None:
    async def main(loop: SimLoop) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(9)
        return loop.time()

    assert run(main) == 5


def test_nothing_of_a_killed_node_runs_any_more_not_even_its_finally_blocks() -> None:
    said: list[str] = []

    async def victim() -> None:
        try:
            said.append("began")
            await asyncio.sleep(10)
            said.append("went on")
        finally:
            said.append("cleaned up")

    async def main(loop: SimLoop) -> list[str]:
        loop.spawn("a", victim())
        await asyncio.sleep(1)
        loop.kill("a")
        await asyncio.sleep(100)
        return list(said)

    assert run(main) == ["began"]


def test_a_generator_of_a_killed_node_is_not_closed() -> None:
    said: list[str] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
                await asyncio.sleep(1)
        finally:
            said.append("closed")

    async def victim() -> None:
        async with aclosing(numbers()) as source:
            async for _ in source:
                pass

    async def main(loop: SimLoop) -> list[str]:
        loop.spawn("a", victim())
        await asyncio.sleep(3)
        loop.kill("a")
        gc.collect()
        await asyncio.sleep(3)
        return list(said)

    assert run(main) == []


def test_what_a_task_starts_belongs_to_its_node() -> None:
    async def child() -> str:
        return NODE.get()

    async def parent() -> str:
        return await asyncio.create_task(child())

    async def main(loop: SimLoop) -> list[str]:
        return [await loop.spawn("a", parent()), await child()]

    assert run(main) == ["a", "world"]


def test_a_node_may_wait_for_a_killed_one_and_nobody_answers() -> None:
    async def main(loop: SimLoop) -> bool:
        answer: asyncio.Future[int] = loop.create_future()

        async def answerer() -> None:
            await asyncio.sleep(2)
            answer.set_result(1)

        loop.spawn("a", answerer())
        await asyncio.sleep(1)
        loop.kill("a")
        await asyncio.wait([answer], timeout=60)
        return answer.done()

    assert run(main) is False


def test_a_frozen_node_stands_still_while_time_goes_on_and_then_continues() -> None:
    ticks: list[float] = []

    async def ticker(loop: SimLoop) -> None:
        for _ in range(4):
            await asyncio.sleep(1)
            ticks.append(loop.time())

    async def main(loop: SimLoop) -> list[float]:
        clock = loop.spawn("a", ticker(loop))
        await asyncio.sleep(1.5)
        loop.freeze("a")
        await asyncio.sleep(10)
        loop.thaw("a")
        await clock
        return ticks

    assert run(main) == [1, 11.5, 12.5, 13.5]


def test_a_deadlock_is_named_with_who_waits() -> None:
    async def main(loop: SimLoop) -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match=r"deadlock at t=0\.000: nothing can run, and \['world'\] wait"):
        run(main)


def test_a_livelock_is_found() -> None:
    async def main(_: SimLoop) -> None:
        for _turn in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="livelock: more than 500 steps"):
        run(main, max_steps=500)


def test_a_cancelled_timer_does_not_hold_the_clock() -> None:
    async def main(loop: SimLoop) -> float:
        loop.call_later(50, print).cancel()
        await asyncio.sleep(1)
        return loop.time()

    assert run(main) == 1


def test_what_a_callback_raises_is_kept_as_a_fault() -> None:
    def bad() -> None:
        raise ValueError("planted")

    async def main(loop: SimLoop) -> list[str]:
        loop.call_soon(bad)
        await asyncio.sleep(1)
        return [str(fault["exception"]) for fault in loop.faults]

    assert run(main) == ["planted"]


async def _thread(_: SimLoop) -> None:
    await asyncio.to_thread(print)


async def _connection(_: SimLoop) -> None:
    await asyncio.open_connection("127.0.0.1", 9)


async def _process(_: SimLoop) -> None:
    await asyncio.create_subprocess_exec(sys.executable)


async def _socket(loop: SimLoop) -> None:
    with socket.socket() as plug:
        await loop.sock_recv(plug, 1)


async def _name(loop: SimLoop) -> None:
    await loop.getaddrinfo("localhost", 80)


@pytest.mark.parametrize("touch", [_thread, _connection, _process, _socket, _name])
def test_the_outside_world_is_refused(touch: Main[None]) -> None:
    with pytest.raises(NotImplementedError):
        run(touch)


def test_a_closed_loop_leaves_nothing_behind_that_complains() -> None:
    async def forever() -> None:
        try:
            await asyncio.sleep(1_000_000)
        finally:
            await asyncio.sleep(1)

    async def main(loop: SimLoop) -> None:
        loop.spawn("a", forever())
        loop.spawn("b", forever())
        await asyncio.sleep(1)
        loop.kill("a")
        loop.spawn("a", forever())

    run(main)
    gc.collect()
