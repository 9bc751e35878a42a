"""What a runner may yield. Everything a run does reaches the journal as one of these."""

from typing import TypeAlias

import msgspec

from tenure.core.content import Content
from tenure.core.run import RunState


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens and money spent. A missing cost is unknown, not zero."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


class Text(msgspec.Struct, frozen=True, gc=False):
    """A piece of what the agent says. `sequence` is the runner's own number, if it counts."""

    text: str
    sequence: object = None


class Said(msgspec.Struct, frozen=True):
    """A whole message at once."""

    content: Content
    sequence: object = None


class Reasoning(msgspec.Struct, frozen=True):
    """A piece of what the agent thinks."""

    text: str
    sequence: object = None


class ToolStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of the agent's own begins; the host records it."""

    call_id: str
    tool: str
    arguments: dict[str, object] = {}
    sequence: object = None


class ToolCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of the agent's own ended with `status` ok, error, denied or unknown."""

    call_id: str
    status: str
    result: object = None
    sequence: object = None


class Spent(msgspec.Struct, frozen=True):
    """Usage of one model call."""

    usage: Usage
    sequence: object = None


class Artifact(msgspec.Struct, frozen=True):
    """A file that the session is to keep. Without a media type it is told by the name."""

    name: str
    data: bytes
    media_type: str | None = None
    sequence: object = None


class StateUpdate(msgspec.Struct, frozen=True):
    """A value that the host is to keep in a scope of the run's state. A refusal becomes a warning."""

    scope: str
    key: str
    value: object
    sequence: object = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How the run ended, in the runner's own word. The first one counts."""

    status: RunState = RunState.COMPLETED
    reason: str = ""
    retryable: bool = False
    sequence: object = None


Output: TypeAlias = (
    Text | Said | Reasoning | ToolStarted | ToolCompleted | Spent | Artifact | StateUpdate | Verdict
)


def completed() -> Verdict:
    """The verdict of a runner that finished its work."""
    return Verdict(status=RunState.COMPLETED)


def failed(reason: str, *, retryable: bool = False) -> Verdict:
    """The verdict of a runner that could not finish."""
    return Verdict(status=RunState.FAILED, reason=reason, retryable=retryable)
