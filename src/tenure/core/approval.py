"""An approval: a question to a person while the run waits. Its states, and who may answer."""

from enum import StrEnum

import msgspec

from tenure.core.machine import Machine
from tenure.core.principal import Action, Principal, Role, may, reaches


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

ANSWERED = "approval"
"""Why a run that waited for people starts over, as `run.retried` says it."""

BY_RULE, BY_CLOCK, BY_RUNNER, BY_HOST = "rule", "clock", "runner", "host"
"""Who resolved an approval, where it was no person."""


class Resumption(StrEnum):
    """How a run goes on after an answer.

    `held`: its runner was kept in memory and never noticed. `rerun`: it starts over as the next attempt.
    `resume`: its runner is given the decisions and goes on by itself.
    """

    HELD = "held"
    RERUN = "rerun"
    RESUME = "resume"


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one approval of a run, for a runner that goes on by itself."""

    approval_id: str
    call_id: str
    tool: str
    arguments: dict[str, object]
    decision: ApprovalState
    note: str | None = None


def resumption(*, answered: bool, held: bool, resumes: bool) -> Resumption | None:
    """How a claimed run goes on; None if it was no answer that it waited for."""
    if held:
        return Resumption.HELD
    if not answered:
        return None
    return Resumption.RESUME if resumes else Resumption.RERUN


def may_decide(by: Principal, tenant: str, owner: str, author: str, *, posted: bool) -> bool:
    """Whether a principal may answer an approval of a session that `owner` in `tenant` has.

    `posted` says that the run's message came through the front door, made by `author`: the service that
    posted it only carries words of others, so neither it nor the owner it acts for may decide.
    """
    if not may(by, Action.WRITE) or not reaches(by, tenant, owner):
        return False
    own = by.tenant == tenant and by.user in (owner, author)
    if posted:
        return not own and (by.root or by.role in (Role.ADMIN, Role.OPERATOR))
    return True
