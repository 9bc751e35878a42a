"""The programs of an agent: shared, reaped, replaced, limited, and what is told when they can't be had."""

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tenure.errors import Code, TenureError
from tenure.runners.acp.link import Link, Person
from tenure.runners.acp.pool import MOST_CRASHES, Pool
from tests.runners.acp.processes import Watcher, a_launch, a_mark, marked, turn, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed by /proc"),
]

ANN, BEN, CYD = Person("t", "ann"), Person("t", "ben"), Person("t", "cyd")


@pytest.fixture
def mark() -> str:
    return a_mark()


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(tmp_path / "folder")


Pooling = Callable[..., Pool]


@pytest.fixture
async def pooling(tmp_path: Path, mark: str) -> AsyncGenerator[Pooling]:
    """Pools of the scripted agent; no process of theirs is left afterwards."""
    async with AsyncExitStack() as stack:

        def made(*flags: str, **more: Any) -> Pool:
            pool = Pool(a_launch(tmp_path, *flags, mark=mark, **more))
            stack.push_async_callback(pool.close)
            return pool

        yield made
    assert marked(mark) == []


def programs(mark: str) -> int:
    """How many agents run, by process listing."""
    return sum("agent.py" in line and "leash.py" not in line for line in marked(mark))


async def pid_of(link: Link, watcher: Watcher) -> int:
    """The process that answers."""
    told = await turn(link, Watcher(watcher.folder), "SESSION")
    return int(json.loads(told.said)["pid"])


async def refusal_of(pool: Pool, person: Person = ANN) -> str:
    """Why there is no program to be had."""
    with pytest.raises(TenureError) as refusal:
        async with pool.use(person):
            pass
    assert refusal.value.code is Code.RUNNER_UNAVAILABLE
    return refusal.value.detail


@asynccontextmanager
async def killed(pool: Pool, watcher: Watcher) -> AsyncGenerator[None]:
    """A program that was killed by someone else."""
    async with pool.use(ANN) as link:
        os.kill(await pid_of(link, watcher), signal.SIGKILL)
        await link.ended.wait()
    yield


# who shares what


async def test_all_who_want_a_program_at_once_get_one_that_is_started_once(
    pooling: Pooling, mark: str
) -> None:
    pool = pooling()

    async def used() -> Link:
        async with pool.use(ANN) as link:
            return link

    links = await asyncio.gather(*(used() for _ in range(10)))
    assert len(set(map(id, links))) == 1
    assert programs(mark) == 1


async def test_two_sessions_are_served_at_the_same_time(pooling: Pooling, watcher: Watcher) -> None:
    async with pooling().use(ANN) as link:
        one, two = Watcher(watcher.folder), Watcher(watcher.folder)
        one.leave.clear()
        waiting = asyncio.create_task(turn(link, one, 'TOOL {"ask": ["allow_once"]}'))
        await one.asked.wait()
        await turn(link, two, "SAY two")
        assert (two.said, one.said, waiting.done()) == ("two", "", False)
        one.leave.set()
        await waiting
        assert one.said == "[allow_once-0]"


@pytest.mark.sources("P12")
async def test_people_never_share_a_program_or_a_home(pooling: Pooling, watcher: Watcher, mark: str) -> None:
    pool, homes = pooling(), list[str]()
    for person in (ANN, BEN, Person("other", "ann")):
        async with pool.use(person) as link:
            homes.append((await turn(link, Watcher(watcher.folder), "ENV HOME")).said)
    assert programs(mark) == 3
    assert len(set(homes)) == 3
    assert [Path(home).stat().st_mode & 0o777 for home in homes] == [0o700] * 3


# how long it is kept


async def test_an_idle_program_is_ended_and_one_in_use_is_not(
    pooling: Pooling, watcher: Watcher, mark: str
) -> None:
    pool = pooling(keep_s=0.05)
    async with pool.use(ANN) as link:
        await turn(link, watcher, "SLOW 10 20")  # for longer than it would be kept
        assert programs(mark) == 1
    await link.ended.wait()
    await until(lambda: pool.programs == 0 and programs(mark) == 0)


async def test_a_program_that_is_used_again_in_time_stays(pooling: Pooling, watcher: Watcher) -> None:
    pool = pooling(keep_s=30)
    async with pool.use(ANN) as first:
        pass
    async with pool.use(ANN) as second:
        assert second is first


async def test_a_program_that_was_killed_is_replaced_at_the_next_use(
    pooling: Pooling, watcher: Watcher
) -> None:
    pool = pooling()
    async with killed(pool, watcher), pool.use(ANN) as link:
        assert (await turn(link, watcher, "SAY again")).said == "again"


async def test_a_prompt_under_way_fails_when_its_program_dies_and_the_end_is_told(
    pooling: Pooling, watcher: Watcher
) -> None:
    async with pooling().use(ANN) as link:
        with pytest.raises(ConnectionError):
            await turn(link, watcher, "SAY so far\nDIE 4")
        assert watcher.said == "so far"
        assert link.last_words == 'It ended with exit status 4. It last said: "the agent fell over".'


async def test_a_dropped_program_is_gone_with_all_it_started(
    pooling: Pooling, watcher: Watcher, mark: str
) -> None:
    pool = pooling()
    async with pool.use(ANN) as link:
        await turn(link, watcher, "DETACH")
        hanging = asyncio.create_task(turn(link, watcher, "HANG"))
        await until(lambda: "hanging" in watcher.said)
        await pool.drop(link)
        assert marked(mark) == []
        with pytest.raises(ConnectionError):
            await hanging
    async with pool.use(ANN) as other:
        assert other is not link


async def test_closing_ends_everything_in_bounded_time_and_starts_no_more(
    pooling: Pooling, watcher: Watcher, mark: str
) -> None:
    pool = pooling()
    async with pool.use(ANN) as link, pool.use(BEN), asyncio.timeout(10):
        await turn(link, watcher, "DETACH")
        starting = asyncio.create_task(refusal_of(pool, CYD))
        await asyncio.sleep(0)
        await pool.close()
        assert marked(mark) == []
        refusals = [await starting, await refusal_of(pool)]
    assert refusals == ["The agent scripted can't be used. The host is stopping; try again in a moment."] * 2


# sessions that are left


async def test_a_program_ends_with_the_last_session_it_served(
    pooling: Pooling, watcher: Watcher, mark: str
) -> None:
    pool = pooling()
    async with pool.use(ANN) as link:
        for session_id in ("s1", "s2"):
            session = await link.agent.new_session(cwd=str(watcher.folder))
            link.sessions[session_id] = session.session_id
    await pool.forget("other")
    await pool.forget("s1")
    assert (link.sessions.keys(), programs(mark)) == ({"s2"}, 1)
    await pool.forget("s2")
    assert programs(mark) == 0


async def test_a_program_whose_session_is_left_in_the_middle_of_a_run_ends_after_it(
    pooling: Pooling, watcher: Watcher, mark: str
) -> None:
    pool = pooling()
    async with pool.use(ANN) as link:
        session = await link.agent.new_session(cwd=str(watcher.folder))
        link.sessions["s1"] = session.session_id
        await pool.forget("s1")
        assert programs(mark) == 1
    await link.ended.wait()


# how many


async def test_the_program_that_was_idle_for_longest_makes_room(pooling: Pooling, mark: str) -> None:
    pool = pooling(max_programs=2)
    async with pool.use(ANN) as ann:
        pass
    async with pool.use(BEN) as ben:
        pass
    async with pool.use(CYD):
        await ann.ended.wait()
        assert not ben.ended.is_set()


@pytest.mark.sources("P11")
async def test_one_program_too_many_is_refused_when_all_are_in_use(pooling: Pooling) -> None:
    pool = pooling(max_programs=1)
    async with pool.use(ANN):
        with pytest.raises(TenureError) as refusal:
            async with pool.use(BEN):
                pass
    assert refusal.value.code is Code.CAPACITY
    assert refusal.value.facts == {"scope": "programs", "limit": 1, "current": 1}
    assert "raise agents.scripted.max_programs" in refusal.value.detail
    async with pool.use(BEN):
        pass


async def test_what_crashes_again_and_again_is_not_started_for_a_while(pooling: Pooling, mark: str) -> None:
    pool = pooling("--exit")
    for _ in range(MOST_CRASHES):
        assert "no licence found" in await refusal_of(pool)
    assert (await refusal_of(pool)).startswith(
        "The agent scripted can't be used. It ended unasked 6 times within 60 s, so it isn't started again "
        "for now. It did not shake hands."
    )


# what is told when there is no program to be had


async def test_a_fault_is_shown_until_a_start_works(tmp_path: Path, pooling: Pooling) -> None:
    program = tmp_path / "agent"
    pool = pooling(command=(str(program),))
    assert pool.fault is None
    assert await refusal_of(pool) == pool.fault
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -S {Path(__file__).with_name('agent.py')}\n")
    program.chmod(0o755)
    async with pool.use(ANN):
        assert pool.fault is None


def says(line: str) -> dict[str, object]:
    """A command that answers the first request with a line."""
    return {"command": ("/bin/sh", "-c", f"read a; echo {shlex.quote(line)}; read a")}


BY_HAND = "To see why, run it by hand with the same environment: "
NO_LICENCE = 'It did not shake hands. It ended with exit status 3. It last said: "no licence found". '
OTHER_VERSION = (
    "It speaks version 2 of the Agent Client Protocol, and Tenure speaks 1. Install a version of the agent "
    "that speaks 1 as well."
)
OTHER_METHOD = (
    "It doesn't know auth_method login. It offers: scripted-key. Set agents.scripted.auth_method to one of "
    "these, or leave it out."
)
USAGE = (
    "It did not shake hands. It ended with exit status 0. It wrote what is no message of the protocol: "
    "'Usage: agent [--acp]'. Perhaps its command lacks a word that has it speak ACP, such as acp or --acp. "
)
NO_VERSION = (
    "It shook hands in a way that isn't the protocol's: protocolVersion: Field required. Is it a recent ACP "
    "agent?"
)
LOG_IN = (
    "It wants to be authenticated before anything else: Log in. Put the key that it needs into "
    "agents.scripted.env."
)
LOGGED_OUT = '{"id": 0, "error": {"code": -32000, "message": "Log in"}}'
LEAKY = '{"id": 0, "error": "no quota for sesame"}'


@pytest.mark.parametrize(
    ("flags", "more", "told"),
    [
        (["--exit"], {}, NO_LICENCE + BY_HAND),
        (["--hang"], {"handshake_s": 0.2}, "It did not shake hands within 0.2 s. " + BY_HAND),
        (["--version", "2"], {}, OTHER_VERSION),
        (["--auth"], {"auth_method": "login"}, OTHER_METHOD),
        ([], {"command": ("/bin/sh", "-c", "echo 'Usage: agent [--acp]'")}, USAGE + BY_HAND),
        ([], says('{"id": 0, "result": {}}'), NO_VERSION),
        ([], says(LOGGED_OUT), LOG_IN),
        (
            [],
            says(LEAKY) | {"env": {"KEY": "sesame"}},
            "It refused to shake hands: no quota for […]. " + BY_HAND,
        ),
    ],
)
async def test_a_hand_shake_that_fails_says_what_happened_and_what_to_do(
    pooling: Pooling, flags: list[str], more: dict[str, Any], told: str, mark: str
) -> None:
    refusal = await refusal_of(pooling(*flags, **more))
    assert refusal.startswith(f"The agent scripted can't be used. {told}")
    assert marked(mark) == []


async def test_an_agent_is_authenticated_as_the_operator_says(pooling: Pooling) -> None:
    async with pooling("--auth", auth_method="scripted-key").use(ANN) as link:
        assert [method.id for method in link.hello.auth_methods or ()] == ["scripted-key"]


async def test_noise_before_the_hand_shake_is_no_matter(pooling: Pooling, watcher: Watcher) -> None:
    async with pooling("--garbage").use(ANN) as link:
        assert (await turn(link, watcher, "SAY hi")).said == "hi"


async def test_a_start_that_nobody_waits_for_any_more_goes_on_for_the_next(
    pooling: Pooling, mark: str
) -> None:
    pool = pooling()

    async def used() -> None:
        async with pool.use(ANN):
            pass

    first = asyncio.create_task(used())
    await asyncio.sleep(0)
    first.cancel()
    await used()
    assert programs(mark) == 1


# what comes through


async def test_an_update_of_twenty_megabytes_comes_through(pooling: Pooling, watcher: Watcher) -> None:
    async with pooling().use(ANN) as link:
        assert len((await turn(link, watcher, "HUGE 20000000")).said) == 20_000_000


async def test_others_get_their_turn_while_an_agent_floods(pooling: Pooling, watcher: Watcher) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with pooling().use(ANN) as link:
        counting = asyncio.create_task(count())
        await turn(link, watcher, "FLOOD 5000")
        counting.cancel()
    assert len(watcher.heard) == 5000
    assert turns > 5000 / 32


async def test_an_agent_that_reads_nothing_is_ended_all_the_same(
    pooling: Pooling, watcher: Watcher, mark: str
) -> None:
    hello = '{"id": 0, "result": {"protocolVersion": 1}}'
    deaf = ("/bin/sh", "-c", f"read a; echo '{hello}'; exec sleep 300")
    pool = pooling(command=deaf)
    async with pool.use(ANN) as link:
        talking = asyncio.create_task(link.agent.ext_method("x", {"text": "x" * 10_000_000}))
        await asyncio.sleep(0)
        await pool.drop(link)
        with pytest.raises(ConnectionError):
            await talking
    assert marked(mark) == []
