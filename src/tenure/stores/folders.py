"""The bytes of files on a disk: the port `Folders`. The wiring makes it, on the home.

`ROOT/SESSION/files` is where runs work; `ROOT/SESSION/blobs` holds bytes by their hash, which nothing but
this module touches. Nothing is made before it is used. Whatever lies in a session's folder, symbolic links
in it lead nowhere: runs may have put them there. Several hosts may share the root.
"""

import errno
import hashlib
import os
import re
import shutil
import stat
import time
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

from tenure.core.artifact import Blob
from tenure.core.ids import SESSION, well_formed
from tenure.errors import Code, TenureError

T = TypeVar("T")

FILES, BLOBS = "files", "blobs"
UNFINISHED = "unfinished-"
HEAP = 1 << 20
"""How many bytes are gathered in memory before they are written, in one go."""

GRACE_S = 3_600.0
"""How long nobody frees what another host may have put there for an act that is on its way, in seconds."""

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HASH = re.compile(r"[0-9a-f]{64}\Z")


class Aside(Protocol):
    """Does work that blocks. In production that is a thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class DiskFolders:
    """Folders under `root`, which may not be there yet.

    Where other hosts have theirs under it too, `mark` is what no other life of a host has in its names.
    """

    def __init__(self, root: Path, aside: Aside = to_thread, *, mark: str = "") -> None:
        self._root = root
        self._aside = aside
        self._mark = mark
        self._receiving: set[str] = set()
        self._numbers = count(1)

    def folder(self, session_id: str) -> Path:
        """The folder in which runs of the session work."""
        path = self._of(session_id) / FILES
        with _room():
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    async def taken(self, session_id: str) -> list[str]:
        """The names of what lies in the folder."""
        path = self._of(session_id) / FILES
        return await self._aside(lambda: _names(path))

    def receive(self, session_id: str) -> "DiskIncoming":
        """Begin to take bytes. Nothing is made yet."""
        name = self._passing()
        return DiskIncoming(self._of(session_id) / BLOBS, name, self._aside, self._receiving)

    async def read(self, session_id: str, sha256: str) -> "DiskOutgoing | None":
        """The bytes with this hash, open."""
        path = self._blob(session_id, sha256)
        try:
            descriptor = await self._aside(lambda: os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        except FileNotFoundError:
            return None
        return DiskOutgoing(descriptor, self._aside)

    async def place(self, session_id: str, sha256: str, name: str) -> None:
        """Copy bytes into the folder. A copy, since runs may write to it."""
        source, folder = self._blob(session_id, sha256), self.folder(session_id)
        passing = f".{self._passing()}"
        await self._aside(lambda: _place(source, folder, name, passing))

    def unplace(self, session_id: str, name: str) -> None:
        """Take a plain file out of the folder."""
        with suppress(FileNotFoundError, NotADirectoryError), _inside(self._of(session_id) / FILES) as folder:
            if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=folder)

    async def discard(self, session_id: str, sha256: str) -> None:
        """Free bytes, at once. Whoever has them open reads on."""
        blob = self._blob(session_id, sha256)
        if self._mark:
            await self._aside(lambda: _free_shared(blob, f"{self._passing()}"))
        else:
            blob.unlink(missing_ok=True)

    async def lay(self, session_id: str, incoming: "DiskIncoming", name: str) -> None:
        """Copy finished bytes that have no name here into the folder under `name`."""
        source, folder = incoming.path, self.folder(session_id)
        passing = f".{self._passing()}"
        await self._aside(lambda: _place(source, folder, name, passing))

    async def remove(self, session_id: str) -> None:
        """Remove everything of a session."""
        path = self._of(session_id)
        if path.exists():
            await self._aside(lambda: _remove(path))

    async def sessions(self) -> list[str]:
        """The sessions that have something here. Whatever else lies here is none of our business."""
        names = await self._aside(lambda: _names(self._root))
        found = sorted(name for name in names if well_formed(SESSION, name))
        return await self._aside(lambda: [name for name in found if self._is_settled(self._root / name)])

    async def blobs(self, session_id: str) -> list[str]:
        """The hashes of what is kept for a session; what an earlier life didn't finish is freed."""
        path = self._of(session_id) / BLOBS
        names = await self._aside(lambda: _names(path))
        for name in names:
            if name.startswith(UNFINISHED) and name not in self._receiving and self._is_settled(path / name):
                (path / name).unlink(missing_ok=True)
        return sorted(name for name in names if _HASH.match(name))

    async def share(self, session_id: str, heir_id: str, hashes: Sequence[str]) -> None:
        """Link bytes into another session's folder, durably. Blobs never change, so one copy is enough."""
        if hashes:
            source, heir = self._of(session_id) / BLOBS, self._of(heir_id) / BLOBS
            await self._aside(lambda: _share(source, heir, hashes))

    def _is_settled(self, path: Path) -> bool:
        """Whether no other host can be about to use what lies here, since nothing changed in it for long."""
        if not self._mark:
            return True
        return all(_age_s(each) > GRACE_S for each in (path, path / BLOBS))

    def _passing(self) -> str:
        """A name that nothing else has in this life. An earlier one may have left something under it."""
        return f"{UNFINISHED}{self._mark}{next(self._numbers)}"

    def _of(self, session_id: str) -> Path:
        """The session's own folder. An id that could lead elsewhere is a bug, and stopped here."""
        if not well_formed(SESSION, session_id):
            raise ValueError(f"{session_id!r} is no id of a session.")
        return self._root / session_id

    def _blob(self, session_id: str, sha256: str) -> Path:
        if not _HASH.match(sha256):
            raise ValueError(f"{sha256!r} is no hash.")
        return self._of(session_id) / BLOBS / sha256


class DiskIncoming:
    """Bytes on their way in. Small ones touch the disk once, when they are complete."""

    def __init__(self, folder: Path, name: str, aside: Aside, receiving: set[str]) -> None:
        self.size = 0
        self._folder = folder
        self._name = name
        self._aside = aside
        self._receiving = receiving
        self._hash = hashlib.sha256()
        self._heap: list[bytes] = []
        self._heaped = 0
        self._descriptor: int | None = None
        self._sha256 = ""
        receiving.add(name)

    @property
    def path(self) -> Path:
        """Where the bytes lie as long as they have no name."""
        return self._folder / self._name

    async def write(self, data: bytes) -> None:
        """Take some more."""
        self.size += len(data)
        self._heap.append(data)
        self._heaped += len(data)
        if self._heaped >= HEAP:
            await self._aside(self._pour)

    async def finish(self) -> Blob:
        """Write the rest, and have the disk confirm all of it."""
        await self._aside(self._seal)
        return Blob(self._sha256, self.size)

    async def keep(self) -> None:
        """Give the bytes their name."""
        await self._aside(self._name_it)
        self._receiving.discard(self._name)

    async def let_go(self) -> None:
        """Nothing is to be done: the host knows what its own acts are about to name."""

    async def drop(self) -> None:
        """Forget the bytes."""
        if self._name in self._receiving:
            await self._aside(self._forget)
            self._receiving.discard(self._name)

    def _pour(self) -> None:
        with _room(), _still_there(self._folder):
            if self._descriptor is None:
                _make_durable(self._folder)
                (self._folder / self._name).unlink(missing_ok=True)
                self._descriptor = os.open(self._folder / self._name, _NEW, 0o600)
            for part in self._heap:
                self._hash.update(part)
                _write(self._descriptor, part)
        self._heap, self._heaped = [], 0

    def _seal(self) -> None:
        self._pour()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                with _room():
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._sha256 = self._hash.hexdigest()

    def _name_it(self) -> None:
        with _room(), _still_there(self._folder):
            os.replace(self._folder / self._name, self._folder / self._sha256)
            _sync_folder(self._folder)

    def _forget(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
        (self._folder / self._name).unlink(missing_ok=True)


class DiskOutgoing:
    """An open file."""

    def __init__(self, descriptor: int, aside: Aside) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._aside = aside
        self._open = True

    async def read(self, most: int) -> bytes:
        """The next bytes."""
        return await self._aside(lambda: os.read(self._descriptor, most))

    def skip(self, count: int) -> None:
        """Leave out so many bytes."""
        os.lseek(self._descriptor, count, os.SEEK_CUR)

    def close(self) -> None:
        """Let the file go. Safe to call twice."""
        if self._open:
            self._open = False
            os.close(self._descriptor)


@contextmanager
def _still_there(blobs: Path) -> Generator[None]:
    """A session may be deleted, with its folder, while bytes are on their way to it."""
    try:
        yield
    except FileNotFoundError:
        session_id = blobs.parent.name
        raise TenureError(
            Code.NOT_FOUND,
            f"The session {session_id} was deleted while a file was on its way to it. Open another one.",
            id=session_id,
        ) from None


@contextmanager
def _room() -> Generator[None]:
    """Tell a full disk as what it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise TenureError(
            Code.STORE_FULL,
            "The disk that holds the home is full. The file was not kept. Free some space, then try again.",
        ) from error


@contextmanager
def _inside(folder: Path) -> Generator[int]:
    """An open folder, which is no symbolic link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _make_durable(folder: Path) -> None:
    """Make a folder and the ones above it, each durable in the one that holds it."""
    if folder.is_dir():
        return
    _make_durable(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    with _inside(folder) as descriptor:
        os.fsync(descriptor)


def _place(source: Path, folder: Path, name: str, passing: str) -> None:
    """Copy under another name first, so that no half of a file is ever seen, or left for a whole one."""
    if os.path.lexists(folder / name):
        return
    with _room(), _inside(folder) as inside, source.open("rb") as blob:
        with suppress(FileNotFoundError):
            os.unlink(passing, dir_fd=inside)
        copied = os.open(passing, _NEW, 0o600, dir_fd=inside)
        try:
            with open(copied, "wb") as copy:
                shutil.copyfileobj(blob, copy, HEAP)
            # A link doesn't replace what is there, as a renaming would.
            with suppress(FileExistsError):
                os.link(passing, name, src_dir_fd=inside, dst_dir_fd=inside, follow_symlinks=False)
        finally:
            os.unlink(passing, dir_fd=inside)


def _age_s(path: Path) -> float:
    """For how long nothing changed there, in seconds; for ever, if it isn't there."""
    try:
        return time.time() - path.stat(follow_symlinks=False).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return float("inf")


def _free_shared(blob: Path, passing: str) -> None:
    """Free bytes, unless a host wrote them anew while it was found out that nothing names them.

    They are looked at under another name, where nobody replaces them, and put back if they are young.
    """
    aside = blob.with_name(passing)
    try:
        os.rename(blob, aside)
    except FileNotFoundError:
        return
    if _age_s(aside) < GRACE_S:
        with suppress(FileExistsError):
            os.link(aside, blob, follow_symlinks=False)
    aside.unlink()


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _share(source: Path, heir: Path, hashes: Sequence[str]) -> None:
    with _room():
        _make_durable(heir)
        for sha256 in hashes:
            with suppress(FileExistsError, FileNotFoundError):  # there already, or deleted meanwhile
                os.link(source / sha256, heir / sha256, follow_symlinks=False)
        _sync_folder(heir)


def _remove(path: Path) -> None:
    """Remove a tree. Links in it are removed, not followed; what is closed to us is opened first."""
    for folder, _, _ in os.walk(path):
        with suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(path)
