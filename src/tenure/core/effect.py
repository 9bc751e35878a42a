"""The states of an effect: one host-mediated tool call in the ledger, and how a call can end."""

from enum import StrEnum

from tenure.core.machine import Machine


class EffectState(StrEnum):
    """How far a tool call got. `unknown` means that nobody saw how it ended."""

    INTENDED = "intended"
    DISPATCHED = "dispatched"
    UNKNOWN = "unknown"
    SETTLED = "settled"


class EffectSignal(StrEnum):
    """What can happen to a tool call. `refuse` ends one that was never made."""

    DISPATCH = "dispatch"
    REFUSE = "refuse"
    LOSE = "lose"
    REPEAT = "repeat"
    SETTLE = "settle"


class CallStatus(StrEnum):
    """What `tool.call.completed` says of a call. One that was denied was never made."""

    OK = "ok"
    ERROR = "error"
    DENIED = "denied"
    UNKNOWN = "unknown"


EFFECT: Machine[EffectState, EffectSignal] = Machine(
    "effect",
    EffectState.INTENDED,
    {
        EffectState.INTENDED: {
            EffectSignal.DISPATCH: EffectState.DISPATCHED,
            EffectSignal.REFUSE: EffectState.SETTLED,
        },
        EffectState.DISPATCHED: {
            EffectSignal.SETTLE: EffectState.SETTLED,
            EffectSignal.LOSE: EffectState.UNKNOWN,
            EffectSignal.REPEAT: EffectState.DISPATCHED,
        },
        EffectState.UNKNOWN: {
            EffectSignal.SETTLE: EffectState.SETTLED,
            EffectSignal.REPEAT: EffectState.DISPATCHED,
        },
    },
)
