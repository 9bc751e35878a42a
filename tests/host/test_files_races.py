"""Uploads, deletions, forks, crashes in any order: what is listed can be read, and nothing else is left."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from tenure.core.command import SendMessage
from tenure.core.history import ForkSession
from tenure.core.output import Artifact, Output, completed
from tenure.errors import Code, TenureError
from tenure.host.files import PIECE
from tenure.ports.runner import RunContext
from tenure.stores.folders import DiskFolders
from tests.host.rooms import ADA, Rooms, Talk, agent, play

T = TypeVar("T")

STEPS = 40
WORDS = (b"", b"one", b"two", b"three")
"""Few, so that many files have the same bytes."""

GONE = (Code.NOT_FOUND, Code.CAPACITY, Code.SESSION_CLOSED)


async def maker(run: RunContext) -> AsyncIterator[Output]:
    """Makes two files of the same bytes."""
    yield Artifact("made.txt", b"one")
    await asyncio.sleep(0.05)
    yield Artifact("made too.txt", b"one")
    yield completed()


class Story:
    """One random course of things over one disk."""

    def __init__(self, rooms: Rooms, seed: int) -> None:
        self.rooms = rooms
        self.draw = random.Random(seed)
        self.talks: list[Talk] = []
        self.acknowledged: dict[str, tuple[Talk, bytes]] = {}
        self.deleting: set[str] = set()
        self.deleted_sessions: set[str] = set()

    async def slowly(self, work: Callable[[], T]) -> T:
        """Do what blocks, as a thread would: a while later."""
        await asyncio.sleep(self.draw.choice((0.0, 0.001, 0.02)))
        return work()

    async def up(self) -> None:
        """Start a host that knows nothing of the one before it."""
        self.rooms.disk.folders = DiskFolders(self.rooms.disk.root, self.slowly)
        await self.rooms.up(agent(maker))
        self.rooms.lane.delay = self.draw.choice((0.0, 0.005, 0.05))

    async def tell(self) -> None:
        """Do STEPS things, mostly at once, and kill the host now and then."""
        await self.up()
        self.talks = [await self.rooms.open() for _ in range(2)]
        for _ in range(STEPS):
            acts = [self.upload, self.upload, self.upload, self.delete, self.delete, self.run, self.fork]
            acts += [self.bury] if self.draw.random() < 0.1 else []
            act = self.draw.choice(acts)
            self.rooms.loop.spawn(self.rooms.life.node, self.quietly(act))
            await asyncio.sleep(self.draw.choice((0.0, 0.0, 0.01, 0.1)))
            if self.draw.random() < 0.08:
                self.rooms.crash()
                await self.up()
        await asyncio.sleep(self.draw.choice((0.0, 0.01, 1.0)))
        self.rooms.crash()
        await self.up()
        await asyncio.sleep(10.0)

    async def quietly(self, act: Callable[[Talk], Awaitable[None]]) -> None:
        """Do something in some session; that session may be gone."""
        try:
            await act(self.draw.choice(self.talks))
        except TenureError as refused:
            if refused.code not in GONE:
                raise

    async def upload(self, talk: Talk) -> None:
        """Send a file."""
        files, data = self.rooms.host.files, self.draw.choice(WORDS)
        incoming = files.folders.receive(talk.session_id)
        await incoming.write(data)
        answer = await files.upload(ADA, talk.session_id, incoming, name="a.txt")
        self.acknowledged[answer.value.id] = talk, data

    async def delete(self, talk: Talk) -> None:
        """Delete a file."""
        infos = await self.rooms.host.store.files.all(talk.session_id)
        if infos:
            info = self.draw.choice(infos)
            if not isinstance(info.run_id, str):
                self.deleting.add(f"{talk.session_id} {info.id}")
            await self.rooms.host.files.delete(ADA, talk.session_id, info.id)

    async def run(self, talk: Talk) -> None:
        """Let the agent make something."""
        await talk.rooms.host.commands.send(ADA, talk.session_id, SendMessage(content="go"), None)

    async def fork(self, talk: Talk) -> None:
        """Fork a session."""
        made = await self.rooms.host.histories.fork(ADA, talk.session_id, ForkSession(), None)
        self.talks.append(Talk(self.rooms, ADA, made.value.id))

    async def bury(self, talk: Talk) -> None:
        """Delete a session."""
        self.deleted_sessions.add(talk.session_id)
        await self.rooms.host.commands.delete_session(ADA, talk.session_id)

    async def check(self) -> None:
        """Everything that is listed is there, and nothing else."""
        store, folders = self.rooms.host.store, self.rooms.disk.folders
        there = set(await folders.sessions())
        for session_id in sorted(there):
            assert await store.ground(session_id) is not None, f"{session_id} was deleted, its folder wasn't"
        for talk in self.talks:
            infos = await store.files.all(talk.session_id)
            for info in infos:
                assert await self.read(talk, info.id) == info.sha256
            listed = sorted({info.sha256 for info in infos})
            assert await folders.blobs(talk.session_id) == listed
        for file_id, (talk, data) in self.acknowledged.items():
            gone = f"{talk.session_id} {file_id}" in self.deleting or talk.session_id in self.deleted_sessions
            if not gone:
                assert await self.read(talk, file_id) == hashlib.sha256(data).hexdigest()

    async def read(self, talk: Talk, file_id: str) -> str:
        """The hash of what can be read of a file."""
        _, outgoing = await self.rooms.host.files.open(talk.session_id, file_id)
        data = await outgoing.read(PIECE)
        outgoing.close()
        return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("seed", range(25))
def test_what_is_listed_can_be_read_and_nothing_else_is_left(seed: int) -> None:
    async def told(rooms: Rooms) -> None:
        story = Story(rooms, seed)
        await story.tell()
        await story.check()

    play(told, seed)
