"""The suite that every adapter of the Signals port must pass. Run it over one of your own.

Derive a test class from `SignalsContract` and give it an `air` fixture. Needs pytest and anyio, which the
base install doesn't bring.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from tenure.ports.signals import Hint, Signals

PATIENCE_S = 20.0


class Air(Protocol):
    """What carries hints between the hosts of one test."""

    def signals(self) -> Signals:
        """Another host's way to the others, not opened yet."""
        ...

    async def garble(self) -> None:
        """Let all hear something that is no hint, if anything could be sent past the adapter."""
        ...


class Ear:
    """Keeps what one host hears, and in which task it heard it."""

    def __init__(self) -> None:
        self.heads: dict[str, int] = {}
        self.hints: list[Hint] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self._news = asyncio.Event()

    def hear(self, hint: Hint) -> None:
        """The listener."""
        self.loops.add(asyncio.get_running_loop())
        self.hints.append(hint)
        for session_id, head in hint.heads.items():
            self.heads[session_id] = max(head, self.heads.get(session_id, 0))
        self._news.set()

    async def until(self, fact: Callable[["Ear"], bool]) -> None:
        """Wait for a fact about what was heard."""
        async with asyncio.timeout(PATIENCE_S):
            while not fact(self):
                self._news.clear()
                await self._news.wait()


class Party:
    """Hosts that are open, each with its ear."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._open: list[Signals] = []

    async def __aenter__(self) -> "Party":
        return self

    async def __aexit__(self, *_: object) -> None:
        for signals in self._open:
            await signals.close()

    async def join(self) -> tuple[Signals, Ear]:
        """One more host."""
        signals, ear = self._air.signals(), Ear()
        signals.listen(ear.hear)
        await signals.open()
        self._open.append(signals)
        return signals, ear


def heads(first: int, count: int) -> dict[str, int]:
    """As many sessions with a head each."""
    return {f"ses_{number:032x}": number + 1 for number in range(first, first + count)}


class SignalsContract:
    """All cases."""

    async def test_a_hint_reaches_every_other_host_in_the_loop_and_never_its_sender(self, air: Air) -> None:
        async with Party(air) as party:
            one, own = await party.join()
            _, second = await party.join()
            other, third = await party.join()
            one.hint(Hint(heads={"ses_a": 7}, work=True, timers=True, hosts=True))
            for ear in (second, third):
                await ear.until(lambda ear: ear.heads == {"ses_a": 7})
                assert ear.hints == [Hint(heads={"ses_a": 7}, work=True, timers=True, hosts=True)]
                assert ear.loops == {asyncio.get_running_loop()}
            other.hint(Hint(heads={"ses_b": 1}))
            await own.until(lambda ear: ear.heads == {"ses_b": 1})
            assert own.hints == [Hint(heads={"ses_b": 1})]

    async def test_hints_given_together_travel_together_with_the_highest_head_of_each(self, air: Air) -> None:
        async with Party(air) as party:
            one, _ = await party.join()
            _, ear = await party.join()
            for number in range(1, 501):
                one.hint(Hint(heads={"ses_a": number}))
            one.hint(Hint(heads={"ses_a": 3, "ses_b": 2}, work=True))
            await ear.until(lambda ear: ear.heads == {"ses_a": 500, "ses_b": 2})
            assert len(ear.hints) < 10
            assert sum(hint.work for hint in ear.hints) == 1

    async def test_a_hint_of_any_size_arrives(self, air: Air) -> None:
        async with Party(air) as party:
            one, _ = await party.join()
            _, ear = await party.join()
            many = heads(0, 3_000)
            one.hint(Hint(heads=many, hosts=True))
            await ear.until(lambda ear: len(ear.heads) == len(many))
            assert ear.heads == many
            assert any(hint.hosts for hint in ear.hints)

    async def test_a_flag_alone_is_a_hint(self, air: Air) -> None:
        async with Party(air) as party:
            one, _ = await party.join()
            _, ear = await party.join()
            one.hint(Hint(work=True))
            await ear.until(lambda ear: bool(ear.hints))
            assert ear.hints == [Hint(work=True)]

    async def test_what_is_no_hint_is_passed_over(self, air: Air) -> None:
        async with Party(air) as party:
            one, _ = await party.join()
            _, ear = await party.join()
            await air.garble()
            one.hint(Hint(heads={"ses_a": 1}))
            await ear.until(lambda ear: bool(ear.hints))
            assert ear.hints == [Hint(heads={"ses_a": 1})]

    async def test_a_host_that_is_not_open_neither_tells_nor_hears(self, air: Air) -> None:
        async with Party(air) as party:
            quiet, deaf = air.signals(), Ear()
            quiet.listen(deaf.hear)
            one, first = await party.join()
            _, second = await party.join()
            quiet.hint(Hint(heads={"ses_lost": 1}))
            await quiet.open()
            await quiet.close()
            quiet.hint(Hint(heads={"ses_lost": 1}))
            one.hint(Hint(heads={"ses_a": 1}))
            await second.until(lambda ear: bool(ear.hints))
            assert (deaf.hints, first.hints, second.heads) == ([], [], {"ses_a": 1})

    async def test_closing_leaves_no_task_behind_and_may_be_repeated(self, air: Air) -> None:
        before = asyncio.all_tasks()
        signals = air.signals()
        await signals.open()
        signals.hint(Hint(work=True))
        await signals.close()
        await signals.close()
        assert asyncio.all_tasks() == before
