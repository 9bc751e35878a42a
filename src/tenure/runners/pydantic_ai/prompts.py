"""What people say, as a model is given it: texts, and the files that a message refers to."""

from collections.abc import Sequence
from typing import TypeAlias

from pydantic_ai.messages import BinaryContent, UserContent

from tenure.core.artifact import FileInfo
from tenure.core.content import Content, FilePart, TextPart
from tenure.ports.runner import FileAccess

MOST_FILE = 20 * 1024 * 1024
"""The largest file that is sent to a model, in bytes."""

_SEEN = ("image/", "audio/", "video/", "text/")
_DOCUMENTS = ("application/pdf", "application/json")

Prompt: TypeAlias = str | Sequence[UserContent]


async def prompt(content: Content, files: FileAccess) -> Prompt:
    """A message with its files. One that a model can't take, or that is too large, is only named."""
    if isinstance(content, str):
        return content
    known = {info.id: info for info in await files.infos()}
    return [await _one(part, known, files) for part in content]


async def _one(part: TextPart | FilePart, known: dict[str, FileInfo], files: FileAccess) -> UserContent:
    if isinstance(part, TextPart):
        return part.text
    info = known.get(part.file_id)
    if info is None:
        return f"[the file {part.file_id} isn't there any more]"
    if info.size > MOST_FILE or not info.media_type.startswith((*_SEEN, *_DOCUMENTS)):
        return named(info)
    media_type = info.media_type.partition(";")[0]
    return BinaryContent(data=await files.read(info.id), media_type=media_type)


def named(info: FileInfo) -> str:
    """A file in words."""
    return f"[file {info.name}: {info.media_type}, {info.size} bytes]"


def in_words(content: Content, known: dict[str, FileInfo]) -> str:
    """A message of the past: its files, of those of the session, are only named."""
    if isinstance(content, str):
        return content
    return "\n".join(_in_words(part, known) for part in content)


def _in_words(part: TextPart | FilePart, known: dict[str, FileInfo]) -> str:
    if isinstance(part, TextPart):
        return part.text
    info = known.get(part.file_id)
    return f"[file {part.file_id}]" if info is None else named(info)
