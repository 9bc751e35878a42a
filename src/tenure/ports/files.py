"""The port to the bytes of files: a folder for each session, and the way to what a URL names.

The host keeps bytes here before it commits the act that names them, and frees them when nothing names
them any more. Nothing outside of a session's folder is ever read or written.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tenure.core.artifact import Blob, FileInfo, NewFile
from tenure.core.moment import Micros
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Lease, Page, Stamp


class Incoming(Protocol):
    """Bytes on their way in. What is neither kept nor dropped is swept away at the next start."""

    @property
    def size(self) -> int:
        """How many bytes came so far."""
        ...

    async def write(self, data: bytes) -> None:
        """Take some more."""
        ...

    async def finish(self) -> Blob:
        """All has come: make it durable under no name yet. Nothing can be written after this."""
        ...

    async def keep(self) -> None:
        """Give the bytes their name, durably. They are there once, however often they come.

        Raises TenureError `not_found` if the session was deleted meanwhile.
        """
        ...

    async def let_go(self) -> None:
        """The act that was to name the bytes is over, whatever it came to: other hosts may free them too."""
        ...

    async def drop(self) -> None:
        """Forget the bytes. Does nothing after `keep`."""
        ...


class Outgoing(Protocol):
    """An open file. It stays readable while somebody deletes it."""

    @property
    def size(self) -> int: ...

    async def read(self, most: int) -> bytes:
        """The next bytes, at most `most`; empty at the end."""
        ...

    def skip(self, count: int) -> None:
        """Leave out so many bytes."""
        ...

    def close(self) -> None: ...


class Folders(Protocol):
    """The folders of all sessions of one host. Raises TenureError `store_full` when the disk is."""

    def folder(self, session_id: str) -> Path:
        """The folder in which runs of the session work; made if it isn't there."""
        ...

    async def taken(self, session_id: str) -> list[str]:
        """The names of what lies in the folder."""
        ...

    def receive(self, session_id: str) -> Incoming:
        """Begin to take bytes."""
        ...

    async def read(self, session_id: str, sha256: str) -> Outgoing | None:
        """The bytes with this hash, or None if they aren't here."""
        ...

    async def place(self, session_id: str, sha256: str, name: str) -> None:
        """Copy bytes into the folder under `name`. What lies there under that name already stays."""
        ...

    def unplace(self, session_id: str, name: str) -> None:
        """Take a plain file out of the folder, if it is there."""
        ...

    async def discard(self, session_id: str, sha256: str) -> None:
        """Free bytes that nothing names any more. Bytes that another host may be about to name stay."""
        ...

    async def remove(self, session_id: str) -> None:
        """Remove everything of a session, if there is anything."""
        ...

    async def sessions(self) -> list[str]:
        """The sessions that have something here."""
        ...

    async def blobs(self, session_id: str) -> list[str]:
        """The hashes of all bytes kept for a session. Frees what no life of this host is receiving."""
        ...

    async def share(self, session_id: str, heir_id: str, hashes: Sequence[str]) -> None:
        """Let another session have the same bytes, without copying them."""
        ...


class Fetched(NamedTuple):
    """What a URL named."""

    data: bytes
    media_type: str | None


class Fetch(Protocol):
    """The way to files on other machines. It reaches public addresses only."""

    async def fetch(self, url: str, most: int) -> Fetched:
        """At most `most` bytes. Raises TenureError `invalid`, `forbidden`, `too_large` or `unsupported`."""
        ...


class NoFetch:
    """The way to nowhere: for hosts that take files by value only."""

    async def fetch(self, url: str, most: int) -> Fetched:
        """Refuse."""
        raise TenureError(Code.UNSUPPORTED, "This host fetches no files. Send the file by value.")


class FileActs(Protocol):
    """What the store keeps of files. Names and limits are decided under the session's lock."""

    async def upload(
        self, stamp: Stamp, session_id: str, file: NewFile, taken: Sequence[str]
    ) -> Answer[FileInfo]:
        """A file that a principal sends. Raises TenureError `not_found`, `session_closed` or `capacity`.

        `taken` are names that the file can't have in the folder.
        """
        ...

    async def save(self, lease: Lease, run_id: str, at: Micros, file: NewFile) -> FileInfo:
        """A file that a live run makes; the same one again if an earlier attempt made it.

        Raises TenureError `fenced` or `capacity`.
        """
        ...

    async def delete(self, stamp: Stamp, session_id: str, file_id: str) -> FileInfo:
        """A file goes. Raises TenureError `not_found`."""
        ...

    async def get(self, session_id: str, file_id: str) -> FileInfo | None:
        """One file of a session."""
        ...

    async def all(self, session_id: str) -> tuple[FileInfo, ...]:
        """Every file of a session, oldest first."""
        ...

    async def refers(self, session_id: str, sha256: str) -> bool:
        """Whether any file of the session has these bytes."""
        ...

    async def page(self, session_id: str, cursor: str | None, limit: int) -> Page[FileInfo]:
        """A page of the files of a session, oldest first."""
        ...
