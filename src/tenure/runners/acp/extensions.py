"""What agents tell beside the protocol, in `_meta`: seen with the versions that `known` names. Pure.

Whatever doesn't have the shape that was seen says nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from tenure.core.output import Usage

Meta: TypeAlias = Mapping[str, object] | None


class Printed(NamedTuple):
    """What a terminal of the agent's own put out. `more` is whether it comes after what was told before."""

    terminal_id: str
    text: str
    more: bool


def printed(meta: Meta) -> Printed | None:
    """Output of a terminal that the agent runs by itself, with an update of the call that shows it."""
    match dict(meta or {}):
        case {"terminal_output_delta": {"terminal_id": str(terminal_id), "data": str(data)}}:
            return Printed(terminal_id, data, more=True)
        case {"terminal_output": {"terminal_id": str(terminal_id), "data": str(data)}}:
            return Printed(terminal_id, data, more=False)
        case _:
            return None


def used_by_a_call(meta: Meta, model: str) -> Usage | None:
    """What one call of the model took, with the piece of a message that came last of it (Qwen Code)."""
    match dict(meta or {}):
        case {"usage": {"inputTokens": int(taken), "outputTokens": int(given)}}:
            return _usage(model, taken, given)
        case _:
            return None


def used_by_a_turn(meta: Meta) -> list[Usage]:
    """What a turn took of each model, with its answer (Gemini CLI)."""
    try:
        told = msgspec.convert(dict(meta or {}), _Turn)
    except msgspec.ValidationError:
        return []
    each = (
        _usage(one.model, one.token_count.input_tokens, one.token_count.output_tokens)
        for one in told.quota.model_usage
    )
    return [usage for usage in each if usage is not None]


def _usage(model: str, taken: int, given: int) -> Usage | None:
    return Usage(model=model, input_tokens=taken, output_tokens=given) if min(taken, given) >= 0 else None


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int
    output_tokens: int


class _OfModel(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    token_count: _Tokens


class _Quota(msgspec.Struct, frozen=True, kw_only=True):
    model_usage: tuple[_OfModel, ...]


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    quota: _Quota
