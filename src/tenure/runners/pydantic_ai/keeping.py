"""What the runner keeps of a run in its checkpoint: the messages of the model, and which calls wait.

Each checkpoint holds what its own run added and nothing of earlier ones. The format has a version; one that
can't be read is as good as none.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
from pydantic import ValidationError
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    UserContent,
    UserPromptPart,
)

from tenure.ports.checkpoints import MOST_CHECKPOINT

FORMAT = "pydantic-ai/1"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits for a person. `external`: nobody here carries it out once it is permitted."""

    id: str
    tool: str
    arguments: dict[str, object]
    external: bool = False


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run.

    `held` are calls that people are asked about once all others of their answer have ended. `taken` are the
    steering messages that the model has been given, `open` the own calls that were under way, with their
    names in the journal.
    """

    messages: tuple[ModelMessage, ...]
    waiting: tuple[Waiting, ...] = ()
    held: tuple[Waiting, ...] = ()
    taken: tuple[str, ...] = ()
    open: dict[str, str] = {}


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    messages: msgspec.Raw
    waiting: tuple[Waiting, ...] = ()
    held: tuple[Waiting, ...] = ()
    taken: tuple[str, ...] = ()
    open: dict[str, str] = {}


def packed(kept: Kept) -> bytes | None:
    """The bytes of a checkpoint. Files are left out if it gets too large; None if that doesn't help."""
    data = _packed(kept)
    if len(data) > MOST_CHECKPOINT:
        data = _packed(msgspec.structs.replace(kept, messages=tuple(_without_files(kept.messages))))
    return None if len(data) > MOST_CHECKPOINT else data


def _packed(kept: Kept) -> bytes:
    messages = ModelMessagesTypeAdapter.dump_json(list(kept.messages))
    stored = _Stored(
        format=FORMAT,
        messages=msgspec.Raw(messages),
        waiting=kept.waiting,
        held=kept.held,
        taken=kept.taken,
        open=kept.open,
    )
    return msgspec.json.encode(stored)


def unpacked(data: bytes | None) -> Kept | None:
    """What a checkpoint says. None if there is none, or one that this version can't read."""
    try:
        stored = msgspec.json.decode(data or b"", type=_Stored)
        if stored.format != FORMAT:
            return None
        messages = ModelMessagesTypeAdapter.validate_json(bytes(stored.messages))
    except (msgspec.MsgspecError, ValidationError):
        return None
    return Kept(
        messages=tuple(messages),
        waiting=stored.waiting,
        held=stored.held,
        taken=stored.taken,
        open=stored.open,
    )


def _without_files(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    return [_request_without(m) if isinstance(m, ModelRequest) else m for m in messages]


def _request_without(request: ModelRequest) -> ModelRequest:
    parts = [
        replace(part, content=[_named(one) for one in part.content])
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str)
        else part
        for part in request.parts
    ]
    return replace(request, parts=parts)


def _named(content: UserContent) -> UserContent:
    if not isinstance(content, BinaryContent):
        return content
    return f"[a file of type {content.media_type} was here]"
