"""One chaos from beginning to end, and everything that is wrong afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tenure.core.evidence import Observed
from tests.cluster.chaos.berths import Fleet, fleet
from tests.cluster.chaos.monkey import Deed, Monkey
from tests.cluster.chaos.people import People
from tests.cluster.talk import calls_made, findings
from tests.postgres.fixtures import Database
from tests.postgres.server import Postgres

RECOUNT = """
SELECT coalesce(sum(live), 0), coalesce(sum(queued), 0),
    (SELECT count(*) FROM run WHERE state IN ('queued', 'running', 'interrupting', 'waiting')) FROM slot
"""


class Judgement(NamedTuple):
    """What was wrong, which should be nothing, and what there was to see."""

    faults: list[str]
    deeds: list[Deed]
    takeovers: list[float]
    answers: Counter[int]
    events: int
    accepted: int
    calls: int


async def chaos(
    seed: int,
    root: Path,
    database: Database,
    server: Postgres,
    play: Callable[[Monkey], Awaitable[None]],
    *,
    lease_s: float,
    count: int = 3,
    sessions: int = 6,
    pranks: Sequence[str] = (),
) -> Judgement:
    """Let people work on several hosts while a monkey plays; then let all come to rest, and judge."""
    async with fleet(root, database, server, count, lease_s=lease_s) as hosts:
        people = People(seed, hosts.urls, sessions)
        await people.open()
        monkey = Monkey(seed, hosts, lease_s, pranks)
        working = asyncio.create_task(people.live())
        try:
            await play(monkey)
            people.calm()
            await working
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        faults = [*monkey.faults, *people.faults, *await _wrong(hosts, people, root)]
    return Judgement(
        faults=faults,
        deeds=monkey.deeds,
        takeovers=monkey.takeovers,
        answers=people.answers,
        events=sum(len(frames) for one in people.sessions for reader in one.readers for _, frames in reader),
        accepted=sum(len(one.acknowledged) for one in people.sessions),
        calls=len(calls_made(root)),
    )


async def _wrong(hosts: Fleet, people: People, root: Path) -> list[str]:
    seen: dict[str, Observed] = people.observed()
    found = [str(violation) for violation in await findings(hosts.database.url, seen)]
    twice = [call for call, times in Counter(calls_made(root)).items() if times > 1]
    found += [f"The call {call} was made more than once." for call in twice]
    counted = hosts.server.ask(RECOUNT.replace("\n", " "), hosts.database.name)
    if counted != "0|0|0":
        found.append(f"Slots that are live and queued, and runs that aren't over, at the end: {counted}.")
    return found
