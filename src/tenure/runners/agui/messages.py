"""What an endpoint is told of the session: its transcript as AG-UI messages, its files, the host's tools."""

import base64
import json
import re
from collections.abc import AsyncGenerator, Iterable, Iterator

from ag_ui.core import (
    AssistantMessage,
    AudioPart,
    ContentPart,
    DataSource,
    DocumentPart,
    ImagePart,
    Message,
    TextPart,
    Tool,
    UserMessage,
    VideoPart,
)

from tenure.core.artifact import FileInfo
from tenure.core.content import Content, FilePart, text_of
from tenure.core.grant import HISTORY
from tenure.core.history import SUMMARY
from tenure.core.tool import ToolInfo
from tenure.core.view import TranscriptItem
from tenure.errors import Code, TenureError
from tenure.ports.runner import FileAccess, RunContext

MOST_INLINE = 16 * 1024 * 1024
"""How many bytes of files go with one request. They are sent by value: nobody else could read them."""
MOST_NAME = 64
PAGE = 1_000

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
_MEDIA = {"image": ImagePart, "audio": AudioPart, "video": VideoPart}


async def conversation(context: RunContext) -> list[Message]:
    """What was said in the session before this run, and the message that started it, last.

    Without the right to the transcript it is that message alone.
    """
    said = [item async for item in _said(context)] if context.grant.allows(HISTORY) else []
    files = _Files(context.files, await context.files.infos())
    last = await files.message(context.message.id, context.message.content)
    earlier = [await _message(item, files) for item in reversed(said)]
    return [*reversed(earlier), last]


async def _said(context: RunContext) -> AsyncGenerator[TranscriptItem, None]:
    cursor: str | None = None
    while True:
        page = await context.transcript(cursor, PAGE)
        for item in page.data:
            # What an earlier attempt of this run said doesn't count, and its message comes last.
            if item.run_id != context.run_id and item.message_id != context.message.id:
                yield item
        cursor = page.next_cursor
        if cursor is None:
            return


async def _message(item: TranscriptItem, files: "_Files") -> Message:
    match item.role:
        case "assistant":
            return AssistantMessage(id=item.message_id, content=text_of(item.content))
        case role if role == SUMMARY:
            told = f"(What was said before, in short:)\n{text_of(item.content)}"
            return UserMessage(id=item.message_id, content=told)
        case _:
            return await files.message(item.message_id, item.content)


class _Files:
    """The files of messages, by value, as long as there is room for them."""

    def __init__(self, files: FileAccess, infos: Iterable[FileInfo]) -> None:
        self._files = files
        self._infos = {info.id: info for info in infos}
        self._room = MOST_INLINE

    async def message(self, message_id: str, content: Content) -> UserMessage:
        """A person's message."""
        if isinstance(content, str):
            return UserMessage(id=message_id, content=content)
        parts = [
            await self._part(part.file_id) if isinstance(part, FilePart) else TextPart(text=part.text)
            for part in content
        ]
        return UserMessage(id=message_id, content=parts)

    async def _part(self, file_id: str) -> ContentPart:
        info = self._infos.get(file_id)
        if info is None:
            return TextPart(text=f"(The file {file_id} isn't there any more.)")
        if info.size > self._room:
            return TextPart(
                text=f"(The file {info.name} of {info.size} bytes is too large to be sent along.)"
            )
        self._room -= info.size
        try:
            data = await self._files.read(file_id)
        except TenureError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return TextPart(text=f"(The file {info.name} isn't there any more.)")
        return _sent(info, data)


def _sent(info: FileInfo, data: bytes) -> ContentPart:
    """A file as AG-UI has it. Text goes as text: hardly a model takes documents of that kind."""
    kind = info.media_type.partition("/")[0]
    if kind == "text":
        return TextPart(text=f"{info.name}:\n{data.decode('utf-8', 'replace')}")
    source = DataSource(value=base64.b64encode(data).decode(), mime_type=info.media_type)
    return _MEDIA.get(kind, DocumentPart)(source=source, metadata={"name": info.name})


class Offer:
    """The tools of the host under the names that they have at the endpoint.

    Models take letters, digits, `_` and `-` only, so `mcp:github/search` is `mcp_github_search` there.
    """

    def __init__(self, infos: Iterable[ToolInfo]) -> None:
        self._names: dict[str, str] = {}
        self.tools = [self._tool(info) for info in infos]

    def _tool(self, info: ToolInfo) -> Tool:
        plain = _UNFIT.sub("_", info.name)[:MOST_NAME]
        name = next(name for name in _numbered(plain) if name not in self._names)
        self._names[name] = info.name
        return Tool(name=name, description=info.description, parameters=info.parameters)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def real(self, name: str) -> str:
        """What the host calls a tool. One that wasn't offered keeps the name by which it is asked for."""
        return self._names.get(name, name)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name[: MOST_NAME - 6]}_{number}"
        number += 1


def plain_text(result: object) -> str:
    """The result of a tool as its message says it: a text as it is, all else as JSON."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
