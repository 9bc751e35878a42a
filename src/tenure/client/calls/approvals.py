"""Questions about approvals, and the answers that people give."""

from collections.abc import AsyncGenerator

from tenure.client.calls.asking import Asking, get, path_to, post
from tenure.client.face import many, once
from tenure.client.wires import Request
from tenure.core.approval import ApprovalState
from tenure.core.command import Answering, DecideApproval, Remember
from tenure.core.tool import Arguments
from tenure.core.view import ApprovalInfo


class ApprovalCalls(Asking):
    """Calls that wait for a person."""

    @many
    def approvals(
        self, *, status: ApprovalState | None = None, session_id: str | None = None
    ) -> AsyncGenerator[ApprovalInfo, None]:
        """Every approval that the caller reaches: those that are pending first, then the newest."""
        wanted = [("status", status), ("session_id", session_id)]
        query = [(name, str(value)) for name, value in wanted if value is not None]
        return self._pages(ApprovalInfo, "approvals", query=query)

    @once
    async def approval(self, approval_id: str) -> ApprovalInfo:
        """One approval, and what was decided."""
        return await self._line.ask(get("approvals", approval_id), ApprovalInfo)

    @once
    async def approve(
        self,
        approval_id: str,
        *,
        arguments: Arguments | None = None,
        note: str | None = None,
        remember: Remember | None = None,
        idempotency_key: str | None = None,
    ) -> ApprovalInfo:
        """Let a call be made, with `arguments` in place of its own if they are given.

        With `remember`, later calls of this tool in the session need nobody. Raises TenureError
        `already_resolved`, which names the first answer, and `invalid` for arguments that don't fit.
        """
        ask = DecideApproval(decision=Answering.APPROVE, arguments=arguments, note=note, remember=remember)
        return await self._line.ask(post(ask, idempotency_key, "approvals", approval_id), ApprovalInfo)

    @once
    async def deny(
        self, approval_id: str, *, note: str | None = None, idempotency_key: str | None = None
    ) -> ApprovalInfo:
        """Let a call not be made; the agent is told so, with the note.

        Raises TenureError `already_resolved`, which names the first answer.
        """
        ask = DecideApproval(decision=Answering.DENY, note=note)
        return await self._line.ask(post(ask, idempotency_key, "approvals", approval_id), ApprovalInfo)

    @once
    async def revoke_approval(self, approval_id: str) -> None:
        """Let people be asked again about later calls that this approval allowed for its session."""
        await self._line.send(Request("DELETE", path_to("approvals", approval_id)), gone=True)
