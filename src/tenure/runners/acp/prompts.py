"""What an ACP agent is prompted with: the message, its files, and what it should know from before."""

import base64
from collections import deque
from pathlib import Path

from acp.schema import (
    AudioContentBlock,
    EmbeddedResourceContentBlock,
    ImageContentBlock,
    PromptCapabilities,
    ResourceContentBlock,
    TextContentBlock,
    TextResourceContents,
)

from tenure.core.artifact import FileInfo
from tenure.core.content import Content, FilePart, TextPart, text_of
from tenure.core.view import TranscriptItem
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tenure.runners.acp.updates import Chunk

MOST_RETOLD = 100_000
"""How many characters of the transcript an agent is told again at most: the newest ones."""
MOST_EMBEDDED = 256 * 1024
"""How many bytes a text file may have to be sent along; a larger one the agent reads from its folder."""
MOST_MEDIA = 8 * 1024 * 1024
"""The same for an image or a recording."""

CUT_OFF = (
    "(Your earlier answer to the following message was cut off before it was finished, and nobody saw it. "
    "What it had done by then is done. Answer the message anew.)"
)
_RETOLD = (
    "(This conversation began before this session of yours. What was said in it so far, oldest first, stands "
    "between the lines; don't answer it. The message to answer follows.)\n---\n{said}\n---"
)
_LEFT_OUT = "(What was said earlier is left out.)"

Blocks = list[Chunk]


async def blocks_of(context: RunContext, content: Content, takes: PromptCapabilities | None) -> Blocks:
    """A message as the agent takes it: files as themselves if it can see them, else as links."""
    if isinstance(content, str):
        return [said(content)]
    blocks: Blocks = []
    for part in content:
        match part:
            case TextPart(text=text):
                blocks.append(said(text))
            case FilePart(file_id=file_id):
                blocks.append(await _attached(context, file_id, takes or PromptCapabilities()))
    return blocks or [said("")]


def said(text: str) -> TextContentBlock:
    """A piece of text."""
    return TextContentBlock(type="text", text=text)


async def _attached(context: RunContext, file_id: str, takes: PromptCapabilities) -> Chunk:
    info = next((info for info in await context.files.infos() if info.id == file_id), None)
    if info is None:
        return said(f"(The file {file_id} was sent along, but isn't there any more.)")
    path = context.files.folder / info.name
    try:
        return await _shown(context, info, path, takes) or _link(info, path)
    except TenureError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return said(f"(The file {info.name} was sent along, but isn't there any more.)")


async def _shown(context: RunContext, info: FileInfo, path: Path, takes: PromptCapabilities) -> Chunk | None:
    """The file itself, if the agent can take it in."""
    kind, uri = info.media_type, path.as_uri()
    if info.size <= MOST_MEDIA and takes.image and kind.startswith("image/"):
        data = await _encoded(context, info)
        return ImageContentBlock(type="image", data=data, mime_type=kind, uri=uri)
    if info.size <= MOST_MEDIA and takes.audio and kind.startswith("audio/"):
        return AudioContentBlock(type="audio", data=await _encoded(context, info), mime_type=kind)
    if info.size <= MOST_EMBEDDED and takes.embedded_context:
        try:
            text = (await context.files.read(info.id)).decode()
        except UnicodeDecodeError:
            return None
        resource = TextResourceContents(uri=uri, mime_type=kind, text=text)
        return EmbeddedResourceContentBlock(type="resource", resource=resource)
    return None


def _link(info: FileInfo, path: Path) -> Chunk:
    return ResourceContentBlock(
        type="resource_link", name=info.name, uri=path.as_uri(), mime_type=info.media_type, size=info.size
    )


async def _encoded(context: RunContext, info: FileInfo) -> str:
    return base64.b64encode(await context.files.read(info.id)).decode()


# --- what was said before


async def retold(context: RunContext) -> str | None:
    """What was said before this run, for an agent that doesn't know it. None if nothing was."""
    lines: deque[str] = deque()
    size, left_out = 0, False
    cursor: str | None = None
    while True:
        page = await context.transcript(cursor, 1_000)
        for line in (_line(item) for item in page.data if _is_earlier(item, context)):
            lines.append(line[-MOST_RETOLD:])
            size += len(lines[-1])
            while size > MOST_RETOLD:
                size -= len(lines.popleft())
                left_out = True
        cursor = page.next_cursor
        if cursor is None:
            break
    if not lines:
        return None
    return _RETOLD.format(said="\n".join([_LEFT_OUT, *lines] if left_out else lines))


def _is_earlier(item: TranscriptItem, context: RunContext) -> bool:
    return item.message_id != context.message.id and item.run_id != context.run_id


def _line(item: TranscriptItem) -> str:
    who = item.role if item.actor is None else f"{item.role} {item.actor}"
    return f"{who}: {text_of(item.content)}"
