"""The states of an approval: a question to a person while the run waits."""

from enum import StrEnum

from tenure.core.machine import Machine


class ApprovalState(StrEnum):
    """Where an approval is. All but the first are final: it is resolved once."""

    PENDING = "pending"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ApprovalSignal(StrEnum):
    """What can happen to an approval."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"


APPROVAL: Machine[ApprovalState, ApprovalSignal] = Machine(
    "approval",
    ApprovalState.PENDING,
    {
        ApprovalState.PENDING: {
            ApprovalSignal.APPROVE: ApprovalState.GRANTED,
            ApprovalSignal.DENY: ApprovalState.DENIED,
            ApprovalSignal.EXPIRE: ApprovalState.EXPIRED,
            ApprovalSignal.WITHDRAW: ApprovalState.WITHDRAWN,
        },
    },
)
