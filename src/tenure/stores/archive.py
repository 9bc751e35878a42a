"""A backup: one file that holds everything of a store, each part with its hash. A side of a move.

It is a ZIP archive with `manifest.json`, `tables/NAME.rows` and `files/SHA256`. Rows are lists in
MessagePack, some in a piece, each piece behind its length in four bytes. It appears whole or not at all.
"""

import hashlib
import os
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import msgspec

from tenure.errors import ConfigError
from tenure.ports.tables import MOVED, Named, Outline, Row, Table

FORMAT, VERSION = "tenure.backup", 1
MANIFEST, TABLES, FILES = "manifest.json", "tables/", "files/"
FAST = 1
"""How hard to compress: harder costs far more time than it saves room."""
MOST_OF_MANIFEST = 1 << 28
PIECE = 1 << 20
_BEGINNING = (1980, 1, 1, 0, 0, 0)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file in the archive."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `tenure` is the version that wrote it, `files` are (session, hash)."""

    format: str
    version: int
    tenure: str
    made_at: str
    outline: Outline
    rows: dict[str, int]
    files: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


_UNREADABLE = (
    BadZipFile,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    msgspec.MsgspecError,
    zlib.error,
)
"""What reading an archive raises that isn't whole."""

_rows = msgspec.msgpack.Decoder(list[tuple[Any, ...]])


class ArchiveDraft:
    """A backup that is being written."""

    def __init__(self, path: Path, tenure: str, made_at: str) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._tenure, self._made_at = tenure, made_at
        try:
            descriptor = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ConfigError(f"{path} can't be written: {error.strerror}. Give another name.") from None
        self._file = os.fdopen(descriptor, "w+b")
        self._zip = ZipFile(self._file, "w", ZIP_DEFLATED, compresslevel=FAST)
        self._parts: dict[str, Part] = {}
        self._counts = {table.name: 0 for table in MOVED}
        self._open: _Writing | None = None
        self._manifest = b""

    async def columns(self) -> None:
        """It takes whatever comes."""

    async def keep(self, named: Named, pieces: AsyncIterator[bytes]) -> None:
        """Take the bytes of a file; what several sessions name is kept once."""
        path = f"{FILES}{named.sha256}"
        if path in self._parts:
            return
        first = await anext(pieces, b"")  # what is gone leaves no part behind
        part = _Writing(self._zip, path)
        part.write(first)
        async for piece in pieces:
            part.write(piece)
        self._parts[path] = part.closed()
        if self._parts[path].sha256 != named.sha256:
            raise ConfigError(
                f"A file of {named.session_id} isn't what its hash {named.sha256} says: somebody changed its "
                "bytes. Delete the file from its session, then try again."
            )

    async def put(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Write some rows. Those of one table come together."""
        path = f"{TABLES}{table.name}.rows"
        if self._open is None or self._open.path != path:
            self._end_table()
            self._open = _Writing(self._zip, path)
        piece = msgspec.msgpack.encode(rows)
        self._open.write(len(piece).to_bytes(4, "big") + piece)
        self._counts[table.name] += len(rows)

    def _end_table(self) -> None:
        if self._open is not None:
            self._parts[self._open.path] = self._open.closed()
            self._open = None

    async def finish(self, outline: Outline, files: Sequence[Named]) -> None:
        """Write down what is in it."""
        self._end_table()
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            tenure=self._tenure,
            made_at=self._made_at,
            outline=outline,
            rows=self._counts,
            files=tuple(files),
            parts=tuple(self._parts.values()),
        )
        self._zip.writestr(_info(MANIFEST), msgspec.json.format(msgspec.json.encode(manifest)))

    async def commit(self) -> None:
        """Give it its name, durably."""
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def close(self) -> None:
        """Let it go. Without `commit` nothing is left."""
        if self._open is not None:
            self._end_table()
        if not self._file.closed:
            self._zip.close()
            self._file.close()
        with suppress(FileNotFoundError):
            self._draft.unlink()


def _info(path: str) -> ZipInfo:
    info = ZipInfo(path, _BEGINNING)
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


class _Writing:
    """A part on its way into the archive."""

    def __init__(self, archive: ZipFile, path: str) -> None:
        self.path = path
        self._out: IO[bytes] = archive.open(_info(path), "w", force_zip64=True)
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._out.write(data)
        self._hash.update(data)
        self._size += len(data)

    def closed(self) -> Part:
        self._out.close()
        return Part(path=self.path, size=self._size, sha256=self._hash.hexdigest())


class Archive:
    """A backup as the source of a move, and as its only moment. Raises ConfigError unless it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = ZipFile(path)
            self.manifest = self._checked()
        except FileNotFoundError:
            raise ConfigError(f"There is no file {path}. Give one that `tenure backup` wrote.") from None
        except _UNREADABLE as error:
            raise self._broken(f"it can't be read: {error}") from None

    def _checked(self) -> Manifest:
        if self._zip.getinfo(MANIFEST).file_size > MOST_OF_MANIFEST:
            raise self._broken("its manifest is too long")
        manifest = msgspec.json.decode(self._zip.read(MANIFEST), type=Manifest)
        if manifest.format != FORMAT or manifest.version != VERSION:
            raise self._broken(
                f"it is {manifest.format} {manifest.version}; this version reads {FORMAT} {VERSION}"
            )
        listed = {part.path: part for part in manifest.parts}
        if sorted([*listed, MANIFEST]) != sorted(self._zip.namelist()):
            raise self._broken("its parts aren't those of its manifest")
        for part in manifest.parts:
            self._check(part)
        for session_id, sha256 in manifest.files:
            if listed[f"{FILES}{sha256}"].sha256 != sha256:
                raise self._broken(f"the file {sha256} of {session_id} isn't in it")
        return manifest

    def _check(self, part: Part) -> None:
        digest, size = hashlib.sha256(), 0
        with self._zip.open(part.path) as data:
            while piece := data.read(PIECE):
                digest.update(piece)
                size += len(piece)
                if size > part.size:
                    break
        if (size, digest.hexdigest()) != (part.size, part.sha256):
            raise self._broken(f"its part {part.path} isn't what the manifest says")

    def _broken(self, why: str) -> ConfigError:
        return ConfigError(f"{self._path} is no whole backup: {why}. Nothing was restored. Use another one.")

    @asynccontextmanager
    async def cut(self) -> AsyncGenerator["Archive"]:
        """All of it: it is one moment."""
        yield self

    async def outline(self) -> Outline:
        """What isn't in rows."""
        return self.manifest.outline

    async def named(self) -> Sequence[Named]:
        """The files that sessions name."""
        return [Named(*named) for named in self.manifest.files]

    async def rows(self, table: Table, columns: Sequence[str]) -> AsyncIterator[Sequence[Row]]:
        """All rows of a table."""
        path = f"{TABLES}{table.name}.rows"
        if path not in self._zip.NameToInfo:
            return
        with self._zip.open(path) as data:
            while length := data.read(4):
                try:
                    yield _rows.decode(data.read(int.from_bytes(length, "big")))
                except msgspec.MsgspecError as error:
                    raise self._broken(f"{path} can't be read: {error}") from None

    async def bytes_of(self, named: Named) -> AsyncIterator[bytes]:
        """The bytes of a file."""
        with self._zip.open(f"{FILES}{named.sha256}") as data:
            while piece := data.read(PIECE):
                yield piece

    def close(self) -> None:
        """Let the file go."""
        self._zip.close()
