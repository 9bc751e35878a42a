"""The effect ledger of the store: every tool call of the host, before and after it is made.

The tools room of a run calls these acts. Each is fenced by the life of the host and by the attempt: a
runner that was left behind can't call anything any more.
"""

from typing import NamedTuple, Protocol

import msgspec

from tenure.core.effect import CallStatus
from tenure.core.ledger import Step
from tenure.core.moment import Micros
from tenure.core.tool import Arguments, Replay
from tenure.ports.acts import Lease, Wake


class Caller(NamedTuple):
    """Which attempt of which run acts, and when."""

    run_id: str
    attempt: int
    at: Micros


class Intent(NamedTuple):
    """A call as an attempt asks for it, with the fresh ids that it may need.

    `nth` counts how often the attempt has asked for exactly these arguments, from 1; `key` is the agent's
    own name of the call. `asks` says whether the rule of its grant wants a person. An `own` call is made by
    the agent itself: the ledger only lets it, and answers `replay` for one that an earlier attempt made.
    """

    caller: Caller
    call_id: str
    approval_id: str
    tool: str
    arguments: Arguments
    digest: str
    nth: int
    key: str | None
    replay: Replay
    asks: bool
    own: bool = False


class Intended(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about a call.

    `execute`: it stands in the ledger as dispatched, to be made with `arguments`, whose digest is
    `digest`. `ask`: `approval_id` waits for a person. `replay`: it ended before, with `status` and
    `result`. `verify`: its tool must say whether it was done. `unknown`: nobody knows, and it isn't made
    again. `later`: nothing was decided, because the run waits for a slot. `backlog` counts the runs that
    wait for the slot which a run that waits for a person gave back.
    """

    step: Step
    call_id: str = ""
    arguments: Arguments = {}
    digest: str = ""
    approval_id: str | None = None
    status: CallStatus | None = None
    result: object = None
    backlog: int = 0


class EffectActs(Protocol):
    """The ledger. All acts raise TenureError `fenced` for whoever doesn't hold the run in that attempt."""

    async def intend(self, lease: Lease, intent: Intent) -> Intended:
        """Find the call in the ledger or enter it, and decide what is to be done.

        Raises TenureError `not_running` for a run that is being stopped.
        """
        ...

    async def dispatch(self, lease: Lease, caller: Caller, call_id: str) -> Intended:
        """A call that was approved, or that its tool says was never made, is about to be made.

        Answers `execute`, `replay` if it was refused meanwhile, or `later`.
        """
        ...

    async def answer(
        self,
        lease: Lease,
        caller: Caller,
        call_id: str,
        status: CallStatus,
        result: object,
        *,
        verified: bool = False,
    ) -> None:
        """How a call ended, `unknown` if nobody knows. `verified` if its tool says so only now."""
        ...

    async def forsake(self, lease: Lease, caller: Caller, approval_id: str) -> Wake:
        """The agent waits for a decision no longer: the approval is withdrawn, and the run goes on."""
        ...

    async def let_go(self, lease: Lease, caller: Caller) -> bool:
        """Keep the runner of a waiting run no longer. False if the run goes on already."""
        ...
