"""The rules of the effect ledger: which call a call is, and what may be done about it. Pure.

The store asks `judge` inside the transaction that records the call; the host makes digests with the same
functions. A call is known by its tool, the digest of its arguments, and how often exactly that was asked
for; or by the key that the agent gave it.
"""

import hashlib
import math
from enum import StrEnum
from typing import NamedTuple, cast

import msgspec

from tenure.core.approval import ApprovalState
from tenure.core.content import storable
from tenure.core.effect import EffectState
from tenure.core.tool import Arguments, Replay
from tenure.errors import Code, TenureError

MOST_ARGUMENTS = 256 * 1024
"""How many bytes the canonical arguments of a call may have."""

EXACT = 2**53
"""Up to here a float holds every integer, so that 5.0 and 5 are the same number."""

CHANGED = "changed_after_retry"
"""Why a person is asked about a call that follows calls which this attempt left out."""


class Step(StrEnum):
    """What is to be done about a call."""

    EXECUTE = "execute"
    ASK = "ask"
    REPLAY = "replay"
    VERIFY = "verify"
    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    BUSY = "busy"
    LATER = "later"
    """The run was answered and waits for a slot: ask again when it runs."""


class Wish(NamedTuple):
    """A call as an attempt asks for it. `asks` says whether its rule wants a person."""

    attempt: int
    digest: str
    replay: Replay
    asks: bool


class Known(NamedTuple):
    """What the ledger holds of the same call."""

    attempt: int
    digest: str
    replay: Replay
    state: EffectState
    approval: ApprovalState | None


class Ruling(NamedTuple):
    """What is to be done. `reason` and `done` are for the person who is asked; `by_rule` needs none."""

    step: Step
    reason: str | None = None
    done: tuple[str, ...] = ()
    by_rule: bool = False


def judge(wish: Wish, known: Known | None, *, remembered: bool, unasked: tuple[str, ...]) -> Ruling:
    """What is to be done about a call.

    `remembered` says that a person allowed the tool for the session; `unasked` are the calls that earlier
    attempts made, which can't be taken back, and which this attempt hasn't asked for.
    """
    if known is not None:
        return Ruling(_again(wish, known))
    if unasked and wish.replay is Replay.NEVER:
        return Ruling(Step.ASK, CHANGED, unasked)
    if wish.asks and not remembered:
        return Ruling(Step.ASK)
    return Ruling(Step.EXECUTE, by_rule=wish.asks)


def _again(wish: Wish, known: Known) -> Step:
    if known.digest != wish.digest:
        return Step.CONFLICT
    match known.state:
        case EffectState.SETTLED:
            return Step.REPLAY
        case EffectState.INTENDED:
            return Step.EXECUTE if known.approval is ApprovalState.GRANTED else Step.ASK
        case EffectState.DISPATCHED if known.attempt == wish.attempt:
            return Step.BUSY
        case EffectState.DISPATCHED | EffectState.UNKNOWN:
            return _OPEN[known.replay]


_OPEN = {Replay.SAFE: Step.EXECUTE, Replay.VERIFY: Step.VERIFY, Replay.NEVER: Step.UNKNOWN}


def plain_arguments(tool: str, arguments: Arguments, most: int = MOST_ARGUMENTS) -> Arguments:
    """The arguments as plain JSON, with 5 in place of 5.0.

    Raises TenureError `invalid` for what JSON can't hold, `too_large` beyond `most` bytes.
    """
    try:
        plain = cast("Arguments", _plain(msgspec.to_builtins(arguments, str_keys=True), tool))
        size = len(msgspec.json.encode(plain))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise TenureError(
            Code.INVALID,
            f"The arguments of {tool} are no JSON: {error}. Give text, numbers, lists and tables.",
            tool=tool,
        ) from error
    if size > most:
        raise TenureError(
            Code.TOO_LARGE,
            f"The arguments of {tool} have {size} bytes; at most {most} are taken. "
            "Put the bulk into a file and give its name.",
            limit=most,
        )
    return plain


def _plain(value: object, where: str) -> object:
    match value:
        case dict():
            members = cast("dict[str, object]", value)
            return {storable(name, where): _plain(one, name) for name, one in members.items()}
        case list() | tuple():
            return [_plain(one, where) for one in cast("list[object]", value)]
        case str():
            return storable(value, where)
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} is no number of JSON")
        case float() if value.is_integer() and abs(value) <= EXACT:
            return int(value)
        case _:
            return value


def digest_of(arguments: Arguments) -> str:
    """SHA-256 over the canonical JSON of plain arguments, in hex: members sorted by name, no spaces."""
    return hashlib.sha256(msgspec.json.encode(arguments, order="sorted")).hexdigest()
