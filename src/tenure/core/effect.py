"""The states of an effect: one host-mediated tool call in the ledger."""

from enum import StrEnum

from tenure.core.machine import Machine


class EffectState(StrEnum):
    """How far a tool call got. `unknown` means that a host died between dispatch and answer."""

    INTENDED = "intended"
    DISPATCHED = "dispatched"
    UNKNOWN = "unknown"
    SETTLED = "settled"


class EffectSignal(StrEnum):
    """What can happen to a tool call."""

    DISPATCH = "dispatch"
    LOSE = "lose"
    SETTLE = "settle"


EFFECT: Machine[EffectState, EffectSignal] = Machine(
    "effect",
    EffectState.INTENDED,
    {
        EffectState.INTENDED: {EffectSignal.DISPATCH: EffectState.DISPATCHED},
        EffectState.DISPATCHED: {
            EffectSignal.SETTLE: EffectState.SETTLED,
            EffectSignal.LOSE: EffectState.UNKNOWN,
        },
        EffectState.UNKNOWN: {EffectSignal.SETTLE: EffectState.SETTLED},
    },
)
