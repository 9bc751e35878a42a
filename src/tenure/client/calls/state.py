"""Questions about the state that agents keep."""

import secrets
from collections.abc import AsyncGenerator

import msgspec

from tenure.client.calls.asking import Asking, get, path_to
from tenure.client.face import many, once
from tenure.client.wires import Request
from tenure.core.state import SetState, StateValue

Pairs = tuple[tuple[str, str], ...]


class StateCalls(Asking):
    """Values under keys, in the scopes conversation, actor, subject and runner of a session's agent.

    Actor and subject scopes are the caller's own, unless `actor` or `subject` name another one as
    `type:id`; that is for operators and admins.
    """

    @once
    async def state(
        self,
        session_id: str,
        scope: str,
        key: str,
        *,
        actor: str | None = None,
        subject: str | None = None,
    ) -> StateValue:
        """One value with its version. Raises TenureError `not_found` if there is none."""
        request = get("sessions", session_id, "state", scope, key, query=_whose(actor, subject))
        return await self._line.ask(request, StateValue)

    @many
    def states(
        self, session_id: str, scope: str, *, actor: str | None = None, subject: str | None = None
    ) -> AsyncGenerator[StateValue, None]:
        """Every value of a scope, in the order in which their keys came."""
        path = ("sessions", session_id, "state", scope)
        return self._pages(StateValue, *path, query=_whose(actor, subject))

    @once
    async def set_state(
        self,
        session_id: str,
        scope: str,
        key: str,
        value: object,
        *,
        if_version: int | None = None,
        ttl_s: float | None = None,
        actor: str | None = None,
        subject: str | None = None,
        idempotency_key: str | None = None,
    ) -> StateValue:
        """Keep a value, and get its version. `ttl_s` is how long it lasts, in seconds.

        With `if_version`, only over that version (0: only if there is none), else TenureError `stale`.
        """
        body = msgspec.json.encode(SetState(value=value, ttl_s=ttl_s))
        path = path_to("sessions", session_id, "state", scope, key)
        once_only = ("Idempotency-Key", idempotency_key or secrets.token_hex(16))
        headers = (*_condition(if_version), once_only)
        request = Request("PUT", path, _whose(actor, subject), headers, body)
        return await self._line.ask(request, StateValue)

    @once
    async def delete_state(
        self,
        session_id: str,
        scope: str,
        key: str,
        *,
        if_version: int | None = None,
        actor: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Delete a value; with `if_version`, only that version. Raises TenureError `not_found`, `stale`."""
        path = path_to("sessions", session_id, "state", scope, key)
        request = Request("DELETE", path, _whose(actor, subject), _condition(if_version))
        await self._line.send(request, gone=True)


def _whose(actor: str | None, subject: str | None) -> Pairs:
    named = (("actor", actor), ("subject", subject))
    return tuple((name, value) for name, value in named if value is not None)


def _condition(if_version: int | None) -> Pairs:
    if if_version is None:
        return ()
    return (("If-None-Match", "*"),) if if_version == 0 else (("If-Match", f'"{if_version}"'),)
