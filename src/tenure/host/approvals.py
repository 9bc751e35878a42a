"""The room of approvals: what people decide goes to the store from here, and what nobody decides expires.

One timer for the whole store, set to the earliest approval that waits; it is moved when one is requested.
"""

import asyncio
from collections.abc import Callable

from tenure.core.command import Answering, DecideApproval
from tenure.core.ledger import plain_arguments
from tenure.core.moment import SECOND, Micros
from tenure.core.principal import Principal
from tenure.core.tool import Arguments
from tenure.core.view import ApprovalInfo
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Catalogue
from tenure.host.tasks import Tasks
from tenure.ports.acts import Answer, Idempotency, Stamp, Wake
from tenure.ports.clock import Clock
from tenure.ports.store import Store
from tenure.ports.tool import Tools

RETRY_S = 1.0
LOOK_S = 60.0
"""How often the clock is looked at while an approval waits, in seconds: somebody may set it."""


class Approvals:
    """What becomes of the approvals of a store."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        tools: Tools,
        catalogue: Catalogue,
        tasks: Tasks,
        follow: Callable[[Wake], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._tools = tools
        self._catalogue = catalogue
        self._tasks = tasks
        self._follow = follow
        self._due: Micros | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- people

    async def decide(
        self, by: Principal, approval_id: str, ask: DecideApproval, idem: Idempotency | None
    ) -> Answer[ApprovalInfo]:
        """Answer an approval. Raises TenureError `already_resolved`, `forbidden`, or `invalid` if the
        edited arguments don't fit the tool; then it goes on waiting.
        """
        checked = await self._checked(approval_id, ask)
        stamp = Stamp(self._clock.now(), by, idem)
        return await self._tasks.whole(self._decide(stamp, approval_id, checked), "decision")

    async def _decide(self, stamp: Stamp, approval_id: str, ask: DecideApproval) -> Answer[ApprovalInfo]:
        answer, wake = await self._store.approvals.decide(stamp, approval_id, ask)
        self._follow(wake)
        return answer

    async def _checked(self, approval_id: str, ask: DecideApproval) -> DecideApproval:
        """The answer with its arguments as the ledger keeps them."""
        info = await self._store.approvals.get(approval_id)
        if ask.arguments is None or info is None or info.decision is not None:
            return ask
        if ask.decision is Answering.DENY:
            detail = "A call that is denied isn't made, so it takes no arguments. Leave them out, or approve."
            raise TenureError(Code.INVALID, detail, field="arguments")
        plain = plain_arguments(info.tool, ask.arguments)
        await self._check(info, plain)
        return DecideApproval(decision=ask.decision, arguments=plain, note=ask.note, remember=ask.remember)

    async def _check(self, info: ApprovalInfo, arguments: Arguments) -> None:
        """Raises TenureError `invalid` for arguments that don't fit, `unsupported` if nobody can tell."""
        if info.own:
            await self._check_own(info, arguments)
            return
        tool = self._tools.get(info.tool)
        if tool is None:
            raise TenureError(
                Code.UNSUPPORTED,
                f"The tool {info.tool} isn't there now, so other arguments can't be checked. Approve the "
                "call as it is, or try again when its server is back.",
                tool=info.tool,
            )
        tool.check(arguments)

    async def _check_own(self, info: ApprovalInfo, arguments: Arguments) -> None:
        ground = await self._store.ground(info.session_id)
        check = None if ground is None else self._catalogue.agent(ground.agent).check
        if check is None:
            raise TenureError(
                Code.UNSUPPORTED,
                f"{info.tool} is a tool of the agent's own, which makes the call as it asked for it. Approve "
                "it as it is, or deny it and say in the note what you want instead.",
                tool=info.tool,
            )
        check(info.tool, arguments)

    async def revoke(self, by: Principal, approval_id: str) -> ApprovalInfo:
        """What an approval allowed for later calls is allowed no longer."""
        return await self._store.approvals.revoke(Stamp(self._clock.now(), by), approval_id)

    # --- the clock

    async def open(self) -> None:
        """Set the timer to what waits since before."""
        at = await self._store.approvals.next_at()
        if at is not None:
            self.due(at)

    def close(self) -> None:
        """Let nothing expire any more: the next life of the host sees to it."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()

    def due(self, at: Micros) -> None:
        """An approval expires at this instant."""
        if self._due is None or at < self._due:
            self.close()
            self._due = at
            wait_s = min(max(0.0, (at - self._clock.now()) / SECOND), LOOK_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        # Forgotten first: what is requested while the store is asked sets the timer anew.
        self._due = None
        self._tasks.spawn(self._look(), "expiry of approvals")

    async def _look(self) -> None:
        """Let expire what is due, and set the timer to what comes next."""
        try:
            at = await self._next_after_expiry()
        except TenureError as error:
            if error.code not in (Code.STORE_FULL, Code.STORE_UNAVAILABLE):
                raise
            at = Micros(self._clock.now() + round(RETRY_S * SECOND))
        if at is not None:
            self.due(at)

    async def _next_after_expiry(self) -> Micros | None:
        at = await self._store.approvals.next_at()
        now = self._clock.now()
        if at is None or at > now:
            return at
        expired = await self._store.approvals.expire(now)
        self._follow(expired.wake)
        return expired.next_at
