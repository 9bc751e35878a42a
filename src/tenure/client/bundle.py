"""Bundles: one file that holds a whole session, journal and files, each part with its hash.

`tenure export` writes them. A bundle is a ZIP archive with `manifest.json`, `events.jsonl` (one envelope a
line, as every client gets it) and `files/ID` for each file of the session.
"""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import msgspec

from tenure.client.clients import Client
from tenure.core.artifact import FileInfo
from tenure.core.entry import VERSIONS
from tenure.core.event import EVENTS
from tenure.core.view import SessionInfo
from tenure.errors import Code, TenureError

FORMAT = "tenure.session"
VERSION = 1
MANIFEST, EVENTS_PART, FILES_FOLDER = "manifest.json", "events.jsonl", "files/"

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
"""What reading a file raises that is no whole archive."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file in a bundle. `file` tells what it was in the session, for uploads and artifacts."""

    path: str
    size: int
    sha256: str
    file: FileInfo | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds. `history` is the id of the store's history, `schema` the event versions.

    The journal in it goes from `first_seq` to `head_seq`; what was retired before isn't in it.
    """

    format: str
    version: int
    history: str
    session: SessionInfo
    first_seq: int
    head_seq: int
    schema: dict[str, int]
    parts: tuple[Part, ...]


def export_session(client: Client, session_id: str, path: Path) -> Manifest:
    """Write a session as it is now to `path`, which appears whole or not at all.

    What happens while it is written isn't in it. Raises TenureError `not_found`.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        manifest = _write(client, session_id, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _write(client: Client, session_id: str, draft: Path) -> Manifest:
    history, session = client.whoami().history, client.session(session_id)
    with ZipFile(draft, "x", ZIP_DEFLATED) as archive:
        first, journal = _journal(client, archive, session)
        parts = [journal, *_files(client, archive, session_id)]
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            history=history,
            session=session,
            first_seq=first,
            head_seq=session.head_seq,
            schema={name: VERSIONS.get(name, 1) for name in EVENTS},
            parts=tuple(parts),
        )
        archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def _journal(client: Client, archive: ZipFile, session: SessionInfo) -> tuple[int, Part]:
    """Write the journal up to the head that the session had. Its first number, and its part."""
    first = 1
    digest, size = hashlib.sha256(), 0
    with archive.open(EVENTS_PART, "w") as lines:
        after = 0
        while after < session.head_seq:
            page = client.events(session.id, after=after, limit=1_000)
            if page.gap is not None:
                first = page.gap.min_available
            for event in page.data:
                if event.seq > session.head_seq:
                    break
                line = event.raw.encode() + b"\n"
                lines.write(line)
                digest.update(line)
                size += len(line)
            after = page.data[-1].seq if page.data else session.head_seq
    return first, Part(path=EVENTS_PART, size=size, sha256=digest.hexdigest())


def _files(client: Client, archive: ZipFile, session_id: str) -> Iterator[Part]:
    for file in client.files(session_id):
        data = client.download_file(session_id, file.id)
        name = f"{FILES_FOLDER}{file.id}"
        archive.writestr(name, data)
        yield Part(path=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), file=file)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle, after every part was checked against its hash.

    Raises TenureError `invalid` for what is no bundle, is of a newer version, or has a part that isn't
    what the manifest says.
    """
    try:
        with ZipFile(path) as archive:
            manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
            _check_version(path, manifest)
            if sorted([MANIFEST, *(part.path for part in manifest.parts)]) != sorted(archive.namelist()):
                raise _broken(path, "its parts aren't those of its manifest")
            _check_parts(path, archive, manifest.parts)
    except _UNREADABLE as error:
        raise _broken(path, f"it can't be read: {error}") from None
    return manifest


def _check_version(path: Path, manifest: Manifest) -> None:
    if manifest.format != FORMAT or manifest.version > VERSION:
        raise _broken(
            path, f"it is {manifest.format} {manifest.version}; this version reads {FORMAT} {VERSION}"
        )


def _check_parts(path: Path, archive: ZipFile, parts: Iterable[Part]) -> None:
    for part in parts:
        digest, size = hashlib.sha256(), 0
        with archive.open(part.path) as data:
            while size <= part.size and (piece := data.read(1 << 20)):
                digest.update(piece)
                size += len(piece)
        if (size, digest.hexdigest()) != (part.size, part.sha256):
            raise _broken(path, f"its part {part.path} isn't what the manifest says")


def _broken(path: Path, why: str) -> TenureError:
    return TenureError(Code.INVALID, f"{path} is no whole bundle: {why}. Export the session again.")
