"""The bytes of files in the database: the port `Folders` for hosts that share no disk. The wiring makes it.

The folders in which runs work lie on each host's own disk; before a run begins, what was sent is laid there.
"""

import asyncio
import hashlib
import os
from asyncio import to_thread
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from asyncpg.exceptions import ForeignKeyViolationError

from tenure.core.artifact import Blob
from tenure.errors import Code, ConfigError, TenureError
from tenure.ports.files import Folders
from tenure.stores.folders import DiskFolders
from tenure.stores.postgres.connect import Db, pool
from tenure.stores.postgres.faults import FAULTS, away, gone, refused
from tenure.stores.postgres.tx import arguments

if TYPE_CHECKING:
    from asyncpg import Pool, Record

PART = 1 << 20
"""The size of all parts of a body but its last, in bytes."""

CONNECTIONS = 2
"""How many parts travel at once. They have connections of their own: no event waits behind a file."""
FREED_AT_ONCE = 50
"""So many bodies, of 32 parts at most each, go with one statement."""

CLOSING_S = 1.0
"""How long connections may take to close, in seconds."""

SMALL = 1 << 16
"""Up to how many bytes are hashed at once, without a thread."""

OWNER = "database"
"""The file in a shared directory that tells whose it is."""


class Bodies:
    """This host's way to the bytes in the database."""

    def __init__(self, connections: "Pool[Record]") -> None:
        self._connections = connections

    async def aclose(self) -> None:
        """Let the connections go, soon: a database that is away says no goodbye."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await self._connections.close()
        self._connections.terminate()

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[Db]:
        """A connection. Raises TenureError `store_unavailable`, or `store_full` when its disk is."""
        try:
            async with self._connections.acquire() as db:
                try:
                    yield db
                except FAULTS as fault:
                    # The first to notice a lost connection may be whatever tidies up behind it.
                    if db.is_closed():
                        raise away(fault) from fault
                    raise
        except FAULTS as fault:
            raise (away(fault) if gone(fault) else refused(fault)) from fault

    async def all(self, name: str, **values: object) -> list[Any]:
        """The rows of a statement, in a transaction of its own."""
        sql, given = arguments(name, values)
        async with self.lent() as db:
            return await db.fetch(sql, *given)

    async def one(self, name: str, **values: object) -> Any:
        """The only row of a statement, or None."""
        rows = await self.all(name, **values)
        return rows[0] if rows else None


class OpenFolders(NamedTuple):
    """Where this host's files are, and what closes it."""

    folders: Folders
    aclose: Callable[[], Awaitable[None]]


async def open_folders(
    url: str, lease_s: float, local: DiskFolders, shared: Path | None, history: str
) -> OpenFolders:
    """The bytes in the database at `url` and folders of this host, or all of it in a shared directory.

    Raises ConfigError for a directory that isn't there, or that holds the files of another database.
    """
    if shared is not None:
        await to_thread(_claim_directory, shared, history)
        return OpenFolders(DiskFolders(shared, mark=f"{uuid4().hex}-"), _nothing)
    folders = PostgresFolders(Bodies(await pool(url, CONNECTIONS, lease_s)), local)
    return OpenFolders(folders, folders.aclose)


async def _nothing() -> None:
    """Files in a directory hold nothing open."""


def _claim_directory(shared: Path, history: str) -> None:
    """Mark a directory as that of one database: what another one doesn't name would be swept away."""
    marker = shared / OWNER
    try:
        found = _marked(marker, history)
    except OSError as error:
        raise ConfigError(
            f"files_dir: {shared} can't be used ({error}). Mount or make it, writable, on all hosts."
        ) from error
    if found != history:
        raise ConfigError(
            f"files_dir: {shared} holds the files of another database ({found!r}, this is {history!r}). "
            f"Give a directory of its own. If this database was restored from a backup, remove {marker}."
        )


def _marked(marker: Path, history: str) -> str:
    """What the marker says, which is put there whole if there is none."""
    fresh = marker.with_name(f"{OWNER}-{uuid4().hex}")
    fresh.write_text(history, "utf-8")
    try:
        os.link(fresh, marker)
    except FileExistsError:
        return marker.read_text("utf-8")
    finally:
        fresh.unlink()
    return history


class PostgresFolders:
    """Bytes in the database, and folders on the disk of this host: `local` keeps no bytes for long."""

    def __init__(self, bodies: Bodies, local: DiskFolders) -> None:
        self._bodies = bodies
        self._local = local

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._bodies.aclose()

    def folder(self, session_id: str) -> Path:
        """The folder in which runs of the session work on this host."""
        return self._local.folder(session_id)

    async def taken(self, session_id: str) -> list[str]:
        """The names of what lies in the folder on this host."""
        return await self._local.taken(session_id)

    def unplace(self, session_id: str, name: str) -> None:
        """Take a plain file out of the folder on this host."""
        self._local.unplace(session_id, name)

    def receive(self, session_id: str) -> "PostgresIncoming":
        """Begin to take bytes. Nothing is written yet."""
        return PostgresIncoming(self._bodies, session_id)

    async def read(self, session_id: str, sha256: str) -> "PostgresOutgoing | None":
        """The bytes with this hash. Those of a large file are held while somebody reads them."""
        return await self._open(session_id, sha256, holds=True)

    async def place(self, session_id: str, sha256: str, name: str) -> None:
        """Fetch bytes into the folder. They are gathered beside it, so that no half of a file is seen."""
        outgoing = await self._open(session_id, sha256, holds=False)
        if outgoing is None:
            raise FileNotFoundError(f"The bytes {sha256} of {session_id} are gone.")
        incoming = self._local.receive(session_id)
        try:
            while part := await outgoing.read(PART):
                await incoming.write(part)
            await incoming.finish()
            await self._local.lay(session_id, incoming, name)
        finally:
            await incoming.drop()

    async def discard(self, session_id: str, sha256: str) -> None:
        """Free bytes that no file names and no host is about to name. Others are left for the next look.

        The lock comes first: what the second statement sees of files is newer than any hold that is over.
        """
        what: dict[str, object] = {"session_id": session_id, "sha256": sha256}
        async with self._bodies.lent() as db, db.transaction():
            locked = await db.fetch(*_given("blob_lock", what))
            if locked and await db.execute(*_given("blob_free", what)) != "DELETE 0":
                await _free(db, [locked[0][0]])

    async def remove(self, session_id: str) -> None:
        """Remove everything of a session, here and in the database."""
        await self._local.remove(session_id)
        async with self._bodies.lent() as db, db.transaction():
            rows = await db.fetch(*_given("blob_remove", {"session_id": session_id}))
            if rows:
                await _free(db, [row[0] for row in rows])

    async def sessions(self) -> list[str]:
        """The sessions that have a folder here, or bytes in the database that nothing names.

        Bytes that never got a name are freed first.
        """
        async with self._bodies.lent() as db:
            await _swept(db)
        doubtful = await self._bodies.all("blob_doubtful")
        return sorted({*await self._local.sessions(), *(row[0] for row in doubtful)})

    async def blobs(self, session_id: str) -> list[str]:
        """The hashes of those bytes of a session that nothing names: all others are in use."""
        await self._local.blobs(session_id)  # which frees what was being fetched in an earlier life
        return [row[0] for row in await self._bodies.all("blob_doubtful_of", session_id=session_id)]

    async def share(self, session_id: str, heir_id: str, hashes: Sequence[str]) -> None:
        """Nothing is to be done: the act that forks a session gives the fork its bytes."""

    async def _open(self, session_id: str, sha256: str, *, holds: bool) -> "PostgresOutgoing | None":
        row = await self._bodies.one("blob_get", session_id=session_id, sha256=sha256, holds=holds)
        return None if row is None else PostgresOutgoing(self._bodies, row, holds=holds)


class PostgresIncoming:
    """Bytes on their way into the database, part by part. A small file is one statement."""

    def __init__(self, bodies: Bodies, session_id: str) -> None:
        self.size = 0
        self._bodies = bodies
        self._session_id = session_id
        self._hash = hashlib.sha256()
        self._sha256 = ""
        self._heap = bytearray()
        self._parts = 0
        self._body_id: int | None = None
        self._kept = False

    async def write(self, data: bytes) -> None:
        """Take some more."""
        self.size += len(data)
        if len(data) < SMALL:
            self._hash.update(data)
        else:
            await to_thread(self._hash.update, data)
        self._heap += data
        while len(self._heap) >= PART:
            part = bytes(self._heap[:PART])
            del self._heap[:PART]
            await self._send(part)

    async def finish(self) -> Blob:
        """Send the rest. An empty file has one part, too."""
        if self._heap or self._body_id is None:
            await self._send(bytes(self._heap))
        self._heap.clear()
        self._sha256 = self._hash.hexdigest()
        return Blob(self._sha256, self.size)

    async def keep(self) -> None:
        """Give the bytes their name, and hold them for the act that is to name them.

        Raises TenureError `not_found` if the session was deleted meanwhile.
        """
        row = await self._bodies.one(
            "blob_keep", session_id=self._session_id, sha256=self._sha256, body_id=self._body_id
        )
        if row is None:
            raise TenureError(
                Code.NOT_FOUND,
                f"The session {self._session_id} was deleted while a file came for it. Open another one.",
                id=self._session_id,
            )
        self._kept = True
        if row[0] != self._body_id:  # the session has these bytes already
            await self._tell("body_drop", id=self._body_id)

    async def let_go(self) -> None:
        """The act that was to name the bytes is over. A hold that can't be let go ends by itself."""
        if self._kept:
            await self._tell("blob_let_go", session_id=self._session_id, sha256=self._sha256)

    async def drop(self) -> None:
        """Forget the bytes. What can't be removed now is swept away later."""
        body_id, self._body_id = self._body_id, None
        if body_id is not None and not self._kept:
            await self._tell("body_drop", id=body_id)

    async def _tell(self, name: str, **values: object) -> None:
        """Change something that changes by itself in an hour. A database that is away costs only that."""
        try:
            await self._bodies.all(name, **values)
        except TenureError as error:
            if error.code is not Code.STORE_UNAVAILABLE:
                raise

    async def _send(self, part: bytes) -> None:
        if self._body_id is None:
            self._body_id = (await self._bodies.one("body_begin", part=part))[0]
        else:
            async with self._bodies.lent() as db:
                done = await db.execute(
                    *_given("body_take", {"id": self._body_id, "no": self._parts, "part": part})
                )
            if done != "INSERT 0 1":
                detail = "Nothing of the file came for so long that it was given up. Send it again."
                raise TenureError(Code.STORE_UNAVAILABLE, detail)
        self._parts += 1


class PostgresOutgoing:
    """Bytes on their way out, part by part."""

    def __init__(self, bodies: Bodies, row: tuple[int, int, bytes], *, holds: bool) -> None:
        self._body_id, self.size, first = row
        self._bodies = bodies
        self._holds = holds
        self._part = (0, first)
        self._at = 0

    async def read(self, most: int) -> bytes:
        """The next bytes: never more than the rest of a part."""
        if self._at >= self.size:
            return b""
        no, start = divmod(self._at, PART)
        if self._part[0] != no:
            row = await self._bodies.one("body_part_get", id=self._body_id, no=no, holds=self._holds)
            if row is None:
                detail = "The file was deleted while it was read, long ago. Nothing more of it is there."
                raise TenureError(Code.NOT_FOUND, detail)
            self._part = (no, row[0])
        data = self._part[1][start : start + most]
        self._at += len(data)
        return data

    def skip(self, count: int) -> None:
        """Leave out so many bytes."""
        self._at += count

    def close(self) -> None:
        """Keep nothing in memory."""
        self._part = (-1, b"")


def _given(name: str, values: dict[str, object]) -> tuple[Any, ...]:
    sql, given = arguments(name, values)
    return (sql, *given)


async def _free(db: Db, ids: Sequence[int]) -> None:
    """Free bodies, unless a fork took one of them this very moment."""
    try:
        async with db.transaction():
            for first in range(0, len(ids), FREED_AT_ONCE):
                await db.execute(*_given("body_free", {"ids": ids[first : first + FREED_AT_ONCE]}))
    except ForeignKeyViolationError:
        return


async def _swept(db: Db) -> None:
    """Free bodies that nobody has, some at a time: no statement may take long."""
    gone = ""
    while gone in ("", f"DELETE {FREED_AT_ONCE}"):
        try:
            async with db.transaction():
                gone = await db.execute(*_given("body_sweep", {"limit": FREED_AT_ONCE}))
        except ForeignKeyViolationError:
            return
