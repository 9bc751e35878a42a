"""The session so far, as a model is given it: made of the transcript, so undo, fork and compaction hold.

What an earlier run of the transcript left in its checkpoint stands in place of its bare text, with its tool
calls and their results. The drive asks for it when an attempt begins.
"""

from collections.abc import AsyncGenerator, Sequence
from itertools import groupby

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserPromptPart,
    repair_messages,
)

from tenure.core.history import SUMMARY
from tenure.core.message import Role
from tenure.core.view import TranscriptItem
from tenure.ports.runner import FileAccess, RunContext
from tenure.runners.pydantic_ai.keeping import unpacked
from tenure.runners.pydantic_ai.prompts import in_words

MOST_BYTES = 8 * 1024 * 1024
"""How many bytes of checkpoints are read for one history; what is older counts by its text."""
MOST_RUNS = 500
_PAGE = 1_000


async def past(context: RunContext) -> list[ModelMessage]:
    """Everything before this run, oldest first. Raises TenureError `forbidden` without the right to it."""
    turns = [(run_id, [*items]) async for run_id, items in _turns(context) if run_id != context.run_id]
    room, newest_first = MOST_BYTES, list[list[ModelMessage]]()
    for number, (run_id, items) in enumerate(reversed(turns)):
        data = None
        if room > 0 and number < MOST_RUNS and run_id is not None and items[0].role != SUMMARY:
            data = await context.checkpoints.load(run_id)
        room -= len(data or b"")
        kept = unpacked(data) if room >= 0 else None
        known = kept and kept.messages
        newest_first.append([*known] if known else await plain(items, context.files))
    return repair_messages([message for turn in reversed(newest_first) for message in turn])


async def _turns(context: RunContext) -> AsyncGenerator[tuple[str | None, Sequence[TranscriptItem]], None]:
    said: list[TranscriptItem] = []
    cursor: str | None = None
    while True:
        page = await context.transcript(cursor, _PAGE)
        said += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    for run_id, items in groupby(said, key=lambda item: item.run_id):
        yield run_id, [*items]


async def plain(items: Sequence[TranscriptItem], files: FileAccess) -> list[ModelMessage]:
    """Lines of the transcript as messages that hold their text and nothing else."""
    refer = any(not isinstance(item.content, str) for item in items)
    known = {info.id: info for info in await files.infos()} if refer else {}
    return [message for item in items if (message := _plain(item, in_words(item.content, known)))]


def _plain(item: TranscriptItem, text: str) -> ModelMessage | None:
    if not text:
        return None
    if item.role == SUMMARY:
        return ModelRequest(parts=[UserPromptPart(f"Summary of the conversation so far:\n{text}")])
    if item.role == Role.USER:
        return ModelRequest(parts=[UserPromptPart(text)])
    return ModelResponse(parts=[TextPart(text)])
