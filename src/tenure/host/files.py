"""Files: what principals send, what runs make, what comes with outside events; and their end.

Bytes are durable before the act that names them, and freed after the act that no longer does. What a crash
leaves in between is swept away at the next start, or by the other hosts within two hours.
"""

import asyncio
import base64
import binascii
import logging
import mimetypes
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from weakref import WeakSet

from tenure.core.artifact import (
    MAX_FILE_BYTES,
    OCTETS,
    Attached,
    Attachment,
    Blob,
    FileInfo,
    FileKind,
    NewFile,
    check_size,
    created,
    media_type,
    safe_name,
)
from tenure.core.content import Content, file_ids_of
from tenure.core.entry import entry
from tenure.core.event import ArtifactCreated, ArtifactFailed, SessionDeleted
from tenure.core.ids import ARTIFACT
from tenure.core.principal import Principal
from tenure.errors import Code, TenureError
from tenure.ports.clock import Clock, Ids
from tenure.ports.files import Fetch, Folders, Incoming, Outgoing
from tenure.ports.store import Answer, Block, Idempotency, Lease, Stamp, Start, Store

log = logging.getLogger("tenure.host")

ATTACHMENTS = 20
"""How many files may come with one event."""

SWEEP_AGAIN_S = 3_600.0
"""How often a host that has others beside it looks for what they left behind, in seconds."""

AT_ONCE = 4
PIECE = 1 << 18

_KNOWN = mimetypes.MimeTypes()  # not the module's functions: those know what this machine knows
_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


class Brought(NamedTuple):
    """The bytes of one attachment, on disk but in no session yet; or why there are none."""

    name: str
    media_type: str | None
    incoming: Incoming | None
    error: str | None = None


class Files:
    """The files of all sessions of one host."""

    def __init__(
        self,
        *,
        store: Store,
        folders: Folders,
        fetch: Fetch,
        clock: Clock,
        ids: Ids,
        wake: Callable[[], None],
    ) -> None:
        self.folders = folders
        self._store = store
        self._fetch = fetch
        self._clock = clock
        self._ids = ids
        self._wake = wake
        self._held: Counter[tuple[str, str]] = Counter()
        self._doubted: dict[tuple[str, str], object] = {}
        self._of_runs: WeakSet[RunFiles] = WeakSet()
        self._swept_at = clock.monotonic()
        self._doomed: list[str] = []
        self._doomed_before: list[str] = []

    # --- what principals send

    async def upload(
        self,
        by: Principal,
        session_id: str,
        incoming: Incoming,
        *,
        name: str,
        kind: str | None = None,
        idem: Callable[[Blob], Idempotency | None] = lambda _: None,
    ) -> Answer[FileInfo]:
        """Make what has come a file of the session. `idem` makes the request's key from the bytes.

        Raises TenureError `too_large`, `capacity`, `session_closed` or `idempotency_conflict`.
        """
        try:
            check_size(name, incoming.size)
            file = self._new(name, kind, await incoming.finish())
            async with self._holding(session_id, file.blob.sha256, incoming):
                await incoming.keep()
                stamp = Stamp(self._clock.now(), by, idem(file.blob))
                taken = await self.folders.taken(session_id)
                answer = await self._store.files.upload(stamp, session_id, file, taken)
                await self._place(session_id, answer.value)
                return answer
        finally:
            await incoming.drop()

    async def delete(self, by: Principal, session_id: str, file_id: str) -> None:
        """Delete a file, and its copy in the folder. Raises TenureError `not_found`."""
        stamp = Stamp(self._clock.now(), by)
        gone = await self._store.files.delete(stamp, session_id, file_id)
        if gone.kind is FileKind.UPLOAD:
            self.folders.unplace(session_id, gone.name)
        await self._free(session_id, gone.sha256)

    async def open(self, session_id: str, file_id: str) -> tuple[FileInfo, Outgoing]:
        """A file and its bytes. Raises TenureError `not_found`."""
        info = await self._store.files.get(session_id, file_id)
        outgoing = None if info is None else await self.folders.read(session_id, info.sha256)
        if info is None or outgoing is None:
            raise _no_file(file_id)
        return info, outgoing

    async def check(self, session_id: str, content: Content) -> None:
        """Raise TenureError `invalid` if a message refers to a file that the session doesn't have."""
        for file_id in file_ids_of(content):
            if await self._store.files.get(session_id, file_id) is None:
                raise TenureError(
                    Code.INVALID,
                    f"The message refers to the file {file_id!r}, which this session doesn't have. "
                    "Upload it first, and use the id that is answered.",
                    field="content",
                    file_id=file_id,
                )

    def _new(self, name: str, kind: str | None, blob: Blob) -> NewFile:
        tame = safe_name(name)
        return NewFile(
            id=self._ids.new(ARTIFACT), name=tame, media_type=media_type(kind) or guess(tame), blob=blob
        )

    async def _place(self, session_id: str, info: FileInfo) -> None:
        """Lay a file into the folder. What can't be laid there now is tried again before the next run."""
        try:
            await self.folders.place(session_id, info.sha256, info.name)
        except (OSError, TenureError) as error:
            log.warning("The file %s could not be put into the folder of %s: %s", info.id, session_id, error)

    # --- what runs make

    async def save(
        self, lease: Lease, start: Start, name: str, data: bytes, kind: str | None
    ) -> ArtifactCreated:
        """Keep what a run made. Raises TenureError `invalid`, `too_large`, `capacity` or `fenced`."""
        given: object = data
        if type(given) is not bytes:  # whatever an agent gave
            raise TenureError(
                Code.INVALID,
                f"The artifact {name!r} is a {type(given).__name__}. Give its bytes; encode text first.",
            )
        check_size(name, len(data))
        incoming = self.folders.receive(start.session_id)
        try:
            await incoming.write(data)
            file = self._new(name, kind, await incoming.finish())
            async with self._holding(start.session_id, file.blob.sha256, incoming):
                await incoming.keep()
                info = await self._store.files.save(lease, start.run_id, self._clock.now(), file)
                return created(info)
        finally:
            await incoming.drop()

    async def prepare(self, session_id: str) -> None:
        """Lay everything that was sent into the session's folder, before a run begins."""
        sent = [info for info in await self._store.files.all(session_id) if info.kind is FileKind.UPLOAD]
        if not sent:
            return
        try:
            there = set(await self.folders.taken(session_id))
        except OSError as error:  # a run may have put anything in its place
            log.warning("The folder of %s can't be read: %s", session_id, error)
            return
        for info in sent:
            if info.name not in there:
                await self._place(session_id, info)

    # --- what comes with outside events

    async def attach(
        self, session_id: str, by: Principal, attachments: Sequence[Attachment], key: str | None = None
    ) -> list[Attached]:
        """Make each attachment a file of the session. Each succeeds or fails alone, and nothing is raised.

        Under the same `key` the same attachments become the same files. What fails stands in the journal.
        """
        gate = asyncio.Semaphore(AT_ONCE)
        brought = await asyncio.gather(
            *(self._bring(session_id, one, gate) for one in attachments[:ATTACHMENTS])
        )
        attached = [
            await self._attached(session_id, by, one, None if key is None else f"{key}/{place}")
            for place, one in enumerate(brought)
        ]
        attached += [
            Attached(name=safe_name(one.name), error=f"At most {ATTACHMENTS} files come with one event.")
            for one in attachments[ATTACHMENTS:]
        ]
        await self._note(session_id, attached)
        return attached

    async def _bring(self, session_id: str, one: Attachment, gate: asyncio.Semaphore) -> Brought:
        """Get the bytes of an attachment onto the disk."""
        name = safe_name(one.name)
        incoming = self.folders.receive(session_id)
        try:
            async with gate:
                kind = await self._take(one, name, incoming)
            return Brought(name, media_type(one.mime_type) or kind, incoming)
        except (OSError, TenureError) as error:
            await incoming.drop()
            return Brought(name, None, None, _reason(error))

    async def _take(self, one: Attachment, name: str, incoming: Incoming) -> str | None:
        """Write the bytes of an attachment. Returns the media type that their source tells."""
        if one.content is not None:
            await _decode(one.content, name, incoming)
            return None
        if one.url is not None:
            fetched = await self._fetch.fetch(one.url, MAX_FILE_BYTES)
            await incoming.write(fetched.data)
            return fetched.media_type
        raise TenureError(
            Code.INVALID, "It has neither content nor url. Send it by value or by an https address."
        )

    async def _attached(self, session_id: str, by: Principal, one: Brought, key: str | None) -> Attached:
        if one.incoming is None:
            return Attached(name=one.name, error=one.error)

        def idem(blob: Blob) -> Idempotency | None:
            # The key says all: bytes that changed at their address since are no reason to refuse the rest.
            return None if key is None else Idempotency(key, key)

        try:
            answer = await self.upload(
                by, session_id, one.incoming, name=one.name, kind=one.media_type, idem=idem
            )
        except (OSError, TenureError) as error:
            return Attached(name=one.name, error=_reason(error))
        return Attached(name=answer.value.name, file=answer.value)

    async def _note(self, session_id: str, attached: Sequence[Attached]) -> None:
        """Let the journal tell what didn't come."""
        at = self._clock.now()
        entries = [
            entry(at, ArtifactFailed(name=one.name, reason=one.error))
            for one in attached
            if one.error is not None
        ]
        for failed in entries:
            log.warning("An attachment of %s could not be taken: %s", session_id, failed.event)
        if entries:
            try:
                await self._store.note(session_id, entries)
            except TenureError as error:
                log.warning("There was no space to note failed attachments of %s: %s", session_id, error)

    # --- the end of files

    @asynccontextmanager
    async def _holding(self, session_id: str, sha256: str, incoming: Incoming) -> AsyncGenerator[None]:
        """Keep bytes from being freed while an act is about to name them.

        If the act is cut off, nobody knows whether it names them: they stay, and a later look decides.
        """
        self._held[session_id, sha256] += 1
        self._doubted.pop((session_id, sha256), None)
        try:
            yield
        except TenureError as error:
            await self._release(session_id, sha256, incoming, known=error.code is not Code.STORE_UNAVAILABLE)
            raise
        await self._release(session_id, sha256, incoming)

    async def _release(self, session_id: str, sha256: str, incoming: Incoming, *, known: bool = True) -> None:
        if known:
            await incoming.let_go()
        self._held[session_id, sha256] -= 1
        if not self._held[session_id, sha256]:
            del self._held[session_id, sha256]
        await self._free(session_id, sha256)

    async def _free(self, session_id: str, sha256: str) -> None:
        """Free bytes that nothing names, nor is about to name.

        What the store says of bytes that somebody took hold of meanwhile is old. Whoever held them looks
        again, and so does whoever doubted them later.
        """
        what, look = (session_id, sha256), object()
        if what in self._held:
            return
        self._doubted[what] = look
        try:
            refers = await self._store.files.refers(session_id, sha256)
            if not refers and self._doubted.get(what) is look:
                await self.folders.discard(session_id, sha256)
        except TenureError as error:
            if error.code is not Code.STORE_UNAVAILABLE:
                raise
            log.warning("Whether anything names bytes %s of %s isn't known. They stay.", sha256, session_id)
        finally:
            if self._doubted.get(what) is look:
                del self._doubted[what]

    @asynccontextmanager
    async def handing_on(self, session_id: str, heir_id: str) -> AsyncGenerator[None]:
        """Around the act that forks a session: the fork has the bytes before it has the files.

        What is uploaded while the act is on its way may be in the fork too, so it is looked after again.
        """
        await self._hand_on(session_id, heir_id)
        try:
            yield
        except TenureError:
            await self._remove(heir_id)
            raise
        if await self._store.ground(heir_id) is None:  # the answer was that of an earlier fork
            await self._remove(heir_id)
        else:
            await self._hand_on(session_id, heir_id)

    async def _hand_on(self, session_id: str, heir_id: str) -> None:
        hashes = dict.fromkeys(info.sha256 for info in await self._store.files.all(session_id))
        if hashes:
            await self.folders.share(session_id, heir_id, tuple(hashes))

    def deliver(self, block: Block) -> None:
        """Look for the end of a session in a committed block."""
        if block.entries and type(block.entries[-1].event) is SessionDeleted:
            self.forget(block.session_id)

    def forget(self, session_id: str) -> None:
        """The session was deleted: its folder goes, and no run of it gets at it any more."""
        for each in self._of_runs:
            if each.session_id == session_id:
                each.gone = True
        self._doomed.append(session_id)
        self._wake()

    def lend(self, run: "RunFiles") -> None:
        """Tell these files of a run when their session is deleted."""
        self._of_runs.add(run)

    async def clear(self) -> None:
        """Remove the folders of deleted sessions; once more a while later, for a run that lingered there."""
        doomed, self._doomed = self._doomed, []
        again, self._doomed_before = self._doomed_before, doomed
        for session_id in dict.fromkeys((*again, *doomed)):
            await self._remove(session_id)
        # Beside other hosts, one that died leaves something behind while this one lives.
        if not self._store.alone and self._clock.monotonic() - self._swept_at > SWEEP_AGAIN_S:
            await self.sweep()

    async def sweep(self) -> None:
        """Look once for everything that an earlier life left behind: folders and bytes that nothing names."""
        self._swept_at = self._clock.monotonic()
        try:
            for session_id in await self.folders.sessions():
                await self._sweep(session_id)
        except (OSError, TenureError) as error:
            if isinstance(error, TenureError) and error.code is not Code.STORE_UNAVAILABLE:
                raise
            log.warning("The folders of the sessions could not be looked through: %s", error)

    async def _sweep(self, session_id: str) -> None:
        if await self._store.ground(session_id) is None:
            await self._remove(session_id)
            return
        for sha256 in await self.folders.blobs(session_id):
            await self._free(session_id, sha256)

    async def _remove(self, session_id: str) -> None:
        try:
            await self.folders.remove(session_id)
        except (OSError, TenureError) as error:
            if isinstance(error, TenureError) and error.code is not Code.STORE_UNAVAILABLE:
                raise
            self._doomed.append(session_id)
            log.warning("The folder of %s could not be removed yet: %s", session_id, error)


class RunFiles:
    """What one run may do with files: `FileAccess` of the runner port. `sent` lets its output go first."""

    def __init__(
        self, files: Files, store: Store, lease: Lease, start: Start, sent: Callable[[], Awaitable[None]]
    ) -> None:
        self._files = files
        self._store = store
        self._lease = lease
        self._start = start
        self._sent = sent
        self.session_id = start.session_id
        self.gone = False
        """Whether the session was deleted, and its folder with it."""
        files.lend(self)

    @property
    def folder(self) -> Path:
        if self.gone:
            detail = f"The session {self.session_id} was deleted, and its folder with it. Stop."
            raise TenureError(Code.NOT_FOUND, detail)
        return self._files.folders.folder(self.session_id)

    async def infos(self) -> tuple[FileInfo, ...]:
        return await self._store.files.all(self.session_id)

    async def read(self, file_id: str) -> bytes:
        _, outgoing = await self._files.open(self.session_id, file_id)
        try:
            parts: list[bytes] = []
            while part := await outgoing.read(PIECE):
                parts.append(part)
            return b"".join(parts)
        finally:
            outgoing.close()

    async def prepare(self) -> None:
        """Lay what was sent into the folder, before the runner looks there."""
        await self._files.prepare(self.session_id)

    async def save(self, name: str, data: bytes, media_type: str | None = None) -> ArtifactCreated:
        await self._sent()
        return await self._files.save(self._lease, self._start, name, data, media_type)


def guess(name: str) -> str:
    """The media type that a name tells, or that of any bytes."""
    kind, packing = _KNOWN.guess_type(name)
    if packing is not None:
        return _PACKED.get(packing, OCTETS)
    return kind or OCTETS


async def _decode(content: str, name: str, incoming: Incoming) -> None:
    """Decode base64, with line breaks or without. Its length tells the size before anything is decoded."""
    plain = "".join(content.split())
    check_size(name, len(plain) * 3 // 4 - 2)
    try:
        if "=" in plain[:-2]:
            raise ValueError("padding stands in the middle")
        for start in range(0, len(plain), PIECE):
            await incoming.write(base64.b64decode(plain[start : start + PIECE], validate=True))
    except (binascii.Error, ValueError):
        raise TenureError(Code.INVALID, "Its content isn't base64. Encode it by RFC 4648.") from None


def _reason(error: Exception) -> str:
    return error.detail if isinstance(error, TenureError) else f"{type(error).__name__}: {error}"


def _no_file(file_id: str) -> TenureError:
    return TenureError(
        Code.NOT_FOUND, f"There is no file {file_id[:100]!r} in this session. Check the id.", id=file_id[:100]
    )
