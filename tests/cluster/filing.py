"""Two hosts over one database, and what tests of files do with them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from tenure.core.artifact import FileInfo
from tenure.core.command import CreateKey, OpenSession
from tenure.core.event import MessageDelta
from tenure.core.grant import Descriptor, Policy
from tenure.core.limits import Limits
from tenure.core.output import Artifact, Output, Text, completed
from tenure.core.principal import DEFAULT_TENANT, Principal, Role
from tenure.core.rules import Rules
from tenure.errors import ConfigError
from tenure.host.admission import secret_hash
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.clock import RandomIds, SystemClock
from tenure.host.host import Host, Parts
from tenure.ports.files import Incoming
from tenure.ports.hosts import HostCard
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.runner import RunContext
from tenure.stores.folders import DiskFolders
from tenure.stores.postgres.files import open_folders
from tenure.stores.postgres.lane import PostgresLane
from tenure.stores.postgres.store import PostgresStore
from tenure.testing import HostedSession

ROOT = Principal(tenant=DEFAULT_TENANT, user="root", role=Role.ADMIN, key_id="", root=True)
SECRET = "tnr_" + "0" * 43
LIMITS = Limits()


class Clerk:
    """Says what lies in its folder, and makes a file of what it was told."""

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(runner="clerk", permissions=())

    async def run(self, context: RunContext) -> AsyncIterator[Output]:
        folder = context.files.folder
        yield Text(", ".join(f"{each.name} {each.stat().st_size}" for each in sorted(folder.iterdir())))
        if context.message.content:
            yield Artifact("made.txt", str(context.message.content).encode())
        yield completed()


class Pair(NamedTuple):
    """Two hosts, and the user who talks to both."""

    a: Host
    b: Host
    ada: Principal
    url: str

    async def open(self) -> str:
        """Open a session."""
        opened = await self.a.commands.open_session(self.ada, OpenSession(agent="clerk"), None)
        return opened.value.id

    async def on(self, host: Host, session_id: str, said: str = "") -> str:
        """Have a run of the session on a host. Returns what it said."""
        events = await HostedSession(host, self.ada, session_id).say(said)
        return "".join(e.event.text for e in events if isinstance(e.event, MessageDelta))

    async def send(self, host: Host, session_id: str, name: str, data: bytes) -> FileInfo:
        """Upload a file to a host."""
        incoming = host.files.folders.receive(session_id)
        await fill(incoming, data)
        return (await host.files.upload(self.ada, session_id, incoming, name=name)).value

    async def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a statement finds or does in the database."""
        db = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await db.fetch(sql, *values)]
        finally:
            await db.close()

    async def empty(self) -> None:
        """Forget the bytes of all that was before."""
        await self.rows("DELETE FROM file")
        await self.rows("DELETE FROM blob")
        await self.rows("DELETE FROM body")

    async def bytes_kept(self) -> tuple[int, int]:
        """How many blobs and bodies are in the database."""
        return (await self.rows("SELECT (SELECT count(*) FROM blob), (SELECT count(*) FROM body)"))[0]

    async def an_hour_passes(self) -> None:
        """Let all holds end."""
        await self.rows("UPDATE blob SET held_until = now() - interval '1 second'")
        await self.rows("UPDATE body SET held_until = now() - interval '1 second'")


async def fill(incoming: Incoming, data: bytes) -> None:
    """Write in pieces, as they come by the network."""
    for start in range(0, len(data), 300_000):
        await incoming.write(data[start : start + 300_000])


async def fetched(host: Host, session_id: str, file_id: str, skipped: int = 0) -> bytes:
    """Download a file from a host."""
    _, outgoing = await host.files.open(session_id, file_id)
    outgoing.skip(skipped)
    parts: list[bytes] = []
    while part := await outgoing.read(1 << 18):
        parts.append(part)
    outgoing.close()
    return b"".join(parts)


@asynccontextmanager
async def pair(
    url: str, root: Path, shared: Path | None = None, agents: tuple[str, str] = ("", "")
) -> AsyncGenerator[Pair]:
    """Two hosts with a home each. `agents` are the names of agents that only the one or the other has."""
    async with AsyncExitStack() as stack:
        a, b = [
            await stack.enter_async_context(_host(url, root / name, shared, own))
            for name, own in zip("ab", agents, strict=True)
        ]
        await a.commands.create_key(ROOT, CreateKey(user="ada", role=Role.MEMBER), None, SECRET)
        ada = await b.store.principal(secret_hash(SECRET), b.clock.now())
        assert ada is not None
        yield Pair(a, b, ada, url)


@asynccontextmanager
async def _host(url: str, home: Path, shared: Path | None, own: str) -> AsyncGenerator[Host]:
    hosted = [Agent(name=each, runner=Clerk(), policy=Policy()) for each in ("clerk", own) if each]
    catalogue = Catalogue(hosted)
    lane = await PostgresLane.opened(url, 10)
    store = await PostgresStore.opened(lane, Rules(limits=LIMITS, terms=catalogue.terms()), RandomIds())
    try:
        folders = await open_folders(url, 10, DiskFolders(home), shared, store.history)
    except ConfigError:
        await store.aclose()
        raise
    host = Host(
        Parts(
            store=store,
            clock=SystemClock(),
            ids=RandomIds(),
            catalogue=catalogue,
            limits=LIMITS,
            landmarks=NoLandmarks(),
            folders=folders.folders,
            card=HostCard(home.name, "testing", 100, 10),
            version="testing",
        )
    )
    await host.start()
    try:
        yield host
    finally:
        await host.stop()
        await folders.aclose()
        await store.aclose()
