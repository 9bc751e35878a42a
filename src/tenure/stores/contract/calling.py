"""What the cases about tool calls and approvals share: an attempt that calls tools, a person who decides."""

from itertools import count

from tenure.core.command import Answering, DecideApproval, Remember
from tenure.core.effect import CallStatus
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    Event,
    ToolCallCompleted,
    ToolCallStarted,
    Unknown,
)
from tenure.core.ids import APPROVAL, EFFECT
from tenure.core.ledger import digest_of
from tenure.core.principal import Principal
from tenure.core.tool import Arguments, Replay
from tenure.core.view import ApprovalInfo
from tenure.ports.acts import Start, Wake
from tenure.ports.effects import Caller, Intended, Intent
from tenure.stores.contract.stage import ADA, Stage

MAIL: Arguments = {"to": "bob"}


class Calls:
    """The tool calls of one attempt, counted as the host counts them."""

    def __init__(self, stage: Stage, start: Start) -> None:
        self.stage = stage
        self.start = start
        self._nth: dict[tuple[str, bool, str], count[int]] = {}

    def caller(self) -> Caller:
        """This attempt, now."""
        return Caller(self.start.run_id, self.start.attempt, self.stage.at())

    async def intend(
        self,
        tool: str = "mail",
        arguments: Arguments = MAIL,
        *,
        key: str | None = None,
        replay: Replay = Replay.NEVER,
        asks: bool = False,
        own: bool = False,
    ) -> Intended:
        """Ask for a call."""
        digest = digest_of(arguments)
        counted = self._nth.setdefault((tool, own, digest), count(1))
        stage = self.stage
        return await stage.store.effects.intend(
            stage.lease,
            Intent(
                caller=self.caller(),
                call_id=stage.ids.new(EFFECT),
                approval_id=stage.ids.new(APPROVAL),
                tool=tool,
                arguments=arguments,
                digest=digest,
                nth=1 if key else next(counted),
                key=key,
                replay=replay,
                asks=asks,
                own=own,
            ),
        )

    async def ask(self, tool: str = "mail", arguments: Arguments = MAIL, *, own: bool = False) -> str:
        """Ask for a call that needs a person. The approval's id."""
        told = await self.intend(tool, arguments, asks=True, own=own)
        assert told.approval_id is not None
        return told.approval_id

    async def dispatch(self, call_id: str) -> Intended:
        """An approved call is about to be made."""
        return await self.stage.store.effects.dispatch(self.stage.lease, self.caller(), call_id)

    async def answer(
        self,
        call_id: str,
        result: object = "done",
        status: CallStatus = CallStatus.OK,
        *,
        verified: bool = False,
    ) -> None:
        """A call has ended."""
        await self.stage.store.effects.answer(
            self.stage.lease, self.caller(), call_id, status, result, verified=verified
        )

    async def forsake(self, approval_id: str) -> Wake:
        """The agent waits no longer."""
        return await self.stage.store.effects.forsake(self.stage.lease, self.caller(), approval_id)

    async def let_go(self) -> bool:
        """The host keeps the runner no longer."""
        return await self.stage.store.effects.let_go(self.stage.lease, self.caller())


async def calls_of(stage: Stage, text: str = "Hello") -> Calls:
    """A fresh session whose run calls tools."""
    return Calls(stage, await stage.begin(text))


async def decide(
    stage: Stage,
    approval_id: str,
    decision: Answering = Answering.APPROVE,
    *,
    by: Principal = ADA,
    arguments: Arguments | None = None,
    note: str | None = None,
    remember: Remember | None = None,
    key: str | None = None,
) -> tuple[ApprovalInfo, Wake]:
    """Answer an approval."""
    ask = DecideApproval(decision=decision, arguments=arguments, note=note, remember=remember)
    answer, wake = await stage.store.approvals.decide(stage.stamp(by, key), approval_id, ask)
    return answer.value, wake


async def approval(stage: Stage, approval_id: str) -> ApprovalInfo:
    """An approval that exists."""
    info = await stage.store.approvals.get(approval_id)
    assert info is not None
    return info


async def of_calls(stage: Stage, session_id: str) -> list[Event | Unknown]:
    """What the journal says of calls and approvals."""
    told = (ToolCallStarted, ToolCallCompleted, ApprovalRequested, ApprovalResolved)
    return [event for event in await stage.events(session_id) if isinstance(event, told)]
