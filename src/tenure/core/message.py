"""A message: what somebody says to the agent, with a life of its own; a reply: what it says back."""

from enum import StrEnum

from tenure.core.machine import Machine


class MessageState(StrEnum):
    """Where a message is between admission and its run's outcome."""

    QUEUED = "queued"
    STEERED = "steered"
    STARTED = "started"
    CONSUMED = "consumed"
    MERGED = "merged"
    WITHDRAWN = "withdrawn"
    SETTLED = "settled"


class MessageSignal(StrEnum):
    """What can happen to a message."""

    START = "start"
    STEER = "steer"
    TAKE = "take"
    PROMOTE = "promote"
    MERGE = "merge"
    WITHDRAW = "withdraw"
    SETTLE = "settle"
    RETRY = "retry"


_S, _G = MessageState, MessageSignal

MESSAGE: Machine[MessageState, MessageSignal] = Machine(
    "message",
    _S.QUEUED,
    {
        _S.QUEUED: {
            _G.START: _S.STARTED,
            _G.STEER: _S.STEERED,
            _G.MERGE: _S.MERGED,
            _G.WITHDRAW: _S.WITHDRAWN,
        },
        _S.STEERED: {
            _G.TAKE: _S.CONSUMED,
            _G.PROMOTE: _S.QUEUED,
            _G.WITHDRAW: _S.WITHDRAWN,
        },
        _S.STARTED: {_G.SETTLE: _S.SETTLED},
        _S.CONSUMED: {_G.SETTLE: _S.SETTLED},
        _S.MERGED: {_G.SETTLE: _S.SETTLED, _G.WITHDRAW: _S.WITHDRAWN},
        _S.SETTLED: {_G.RETRY: _S.STARTED},
    },
)


class ReplyState(StrEnum):
    """Where a message of the agent is: still being said, said, or cut off."""

    STREAMING = "streaming"
    COMPLETED = "completed"
    PARTIAL = "partial"


class ReplySignal(StrEnum):
    """What can happen to a message of the agent."""

    FINISH = "finish"
    CUT = "cut"


REPLY: Machine[ReplyState, ReplySignal] = Machine(
    "reply",
    ReplyState.STREAMING,
    {
        ReplyState.STREAMING: {
            ReplySignal.FINISH: ReplyState.COMPLETED,
            ReplySignal.CUT: ReplyState.PARTIAL,
        },
    },
)


class Disposition(StrEnum):
    """What admission decided about a message. The receipt says it."""

    STARTED = "started"
    QUEUED = "queued"
    STEERED = "steered"
    MERGED = "merged"


class BusyPolicy(StrEnum):
    """What a sender wants if the session is busy (SEMANTICS, busy policies)."""

    QUEUE = "queue"
    STEER = "steer"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"
    REJECT = "reject"
    LATEST = "latest"
    MERGE = "merge"


class Role(StrEnum):
    """Who speaks in a transcript."""

    USER = "user"
    ASSISTANT = "assistant"
