"""Files of a session: what was sent with its messages, and the artifacts that agents made.

Their names, shapes and limits. Where the bytes lie is told by `tenure.ports.files`; whatever a name says,
they lie in the session's folder.
"""

import re
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from itertools import count

import msgspec

from tenure.core.event import ArtifactCreated
from tenure.core.limits import Limits, full
from tenure.core.view import View
from tenure.errors import Code, TenureError

MAX_FILE_BYTES = 32 * 1024 * 1024
"""The size of the largest file that is taken, in bytes."""

OCTETS = "application/octet-stream"
"""The media type of a file of which nothing is known."""

MAX_NAME_BYTES = 200
"""The length of the longest name in UTF-8. A number behind it still fits every file system."""

NAMELESS = "file"

_MAX_EXTENSION_BYTES = 24
_UNFIT = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|\Z)", re.IGNORECASE)
_NUMBERED = re.compile(r" \([0-9]+\)(?=(\.[^.]*)?\Z)")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}(; ?[a-z0-9-]+=[a-z0-9_.+-]+)?")


class FileKind(StrEnum):
    """Who brought a file into the session."""

    UPLOAD = "upload"
    """A person, or the event that a message was made of."""
    ARTIFACT = "artifact"
    """A run."""


class FileInfo(View, frozen=True, kw_only=True):
    """One file of a session. `size` counts bytes; `by` sent it, or `run_id` made it."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    kind: FileKind
    by: str | None
    run_id: str | None
    created_at: str


class Blob(msgspec.Struct, frozen=True):
    """Bytes that are safely on disk, by their hash."""

    sha256: str
    size: int


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is about to belong to a session. Its name gets a number if it is taken there."""

    id: str
    name: str
    media_type: str
    blob: Blob


def created(file: FileInfo) -> ArtifactCreated:
    """The event of a file, as the journal has it."""
    return ArtifactCreated(
        artifact_id=file.id,
        name=file.name,
        media_type=file.media_type,
        size=file.size,
        sha256=file.sha256,
        by=file.by,
    )


class Attachment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that comes with an outside event: by value, as `content` in base64, or by an https `url`.

    `path` and `source` are taken note of by nobody: a path of the sender's machine is never read.
    """

    type: str | None = None
    mime_type: str | None = None
    size: int | None = None
    name: str | None = None
    url: str | None = None
    content: str | None = None
    id: str | None = None
    path: object = None
    source: object = None


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attachment: a file of the session, or the reason why it is none."""

    name: str
    file: FileInfo | None = None
    error: str | None = None


def safe_name(given: str | None) -> str:
    """The name under which a file may lie in a folder: that of the last part of `given`, tamed.

    It has no separators, no control or invisible characters, no leading dot or dash, no device name, and
    at most MAX_NAME_BYTES bytes. Two names that look alike by their Unicode forms become one.
    """
    last = re.split(r"[/\\]", given or "")[-1]
    seen = "".join(c for c in unicodedata.normalize("NFC", last) if _is_visible(c))
    name = _UNFIT.sub("_", seen).strip().lstrip(".").rstrip(". ").lstrip()
    if not name:
        return NAMELESS
    if name[0] in "-~" or _DEVICE.match(name):
        name = f"_{name}"
    return _cut(name)


def _is_visible(character: str) -> bool:
    """Whether a character shows. By invisible ones a name could look like another."""
    category = unicodedata.category(character)
    return character == " " or not category.startswith(("C", "Z"))


def _cut(name: str) -> str:
    """At most MAX_NAME_BYTES of a name, its extension kept."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, extension = _parts(name)
    if len(extension.encode()) > _MAX_EXTENSION_BYTES:
        stem, extension = name, ""
    room = MAX_NAME_BYTES - len(extension.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + extension


def _parts(name: str) -> tuple[str, str]:
    """Stem and extension; the extension has its dot."""
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem else (name, "")


def key_of(name: str) -> str:
    """What two names have in common that a file system, or a reader, could take for the same."""
    return unicodedata.normalize("NFC", name.casefold())


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number behind it if its key is among `taken`: `report (2).csv`."""
    if key_of(name) not in taken:
        return name
    stem, extension = _parts(name)
    return next(
        numbered for number in count(2) if key_of(numbered := f"{stem} ({number}){extension}") not in taken
    )


def is_named_after(name: str, wanted: str) -> bool:
    """Whether a file that was to be called `wanted` may have got `name`."""
    return name == wanted or _NUMBERED.sub("", name) == wanted


def media_type(given: str | None) -> str | None:
    """`given` if it can be sent as a media type, else None."""
    lower = (given or "").strip().lower()
    return lower if _MEDIA_TYPE.fullmatch(lower) else None


def check_size(name: str | None, size: int) -> None:
    """Raise TenureError `too_large` for a file that is larger than any that is taken."""
    if size > MAX_FILE_BYTES:
        raise TenureError(
            Code.TOO_LARGE,
            f"The file{f' {name!r}' if name else ''} has {size} bytes or more; at most {MAX_FILE_BYTES} are "
            "taken. Send it in parts, or send a link to it.",
            limit=MAX_FILE_BYTES,
        )


def check_room(limits: Limits, files: int, size: int, more: int) -> None:
    """Raise TenureError `capacity` if a session with `files` files of `size` bytes takes no `more` bytes."""
    if files >= limits.files_per_session:
        raise full("per_session", "files", limits.files_per_session, files, "Delete some first.")
    if size + more > limits.files_bytes_per_session:
        raise full(
            "per_session", "bytes of files", limits.files_bytes_per_session, size, "Delete some files first."
        )
