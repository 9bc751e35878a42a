"""Questions about sessions."""

from collections.abc import AsyncGenerator, Mapping

import msgspec

from tenure.client.calls.asking import Asking, get, path_to, post
from tenure.client.face import many, once
from tenure.client.wires import Request
from tenure.core.command import (
    CloseSession,
    Conversation,
    OpenSession,
    ReopenSession,
    UpdateSession,
)
from tenure.core.view import (
    ListedSession,
    SessionFacets,
    SessionInfo,
)


class SessionCalls(Asking):
    """Sessions: open, list, rename, close, reopen, delete."""

    @once
    async def open_session(
        self,
        agent: str,
        *,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        conversation: Conversation | None = None,
        idempotency_key: str | None = None,
    ) -> SessionInfo:
        """Open a session with an agent. It belongs to the key's user."""
        ask = OpenSession(agent=agent, title=title, labels=dict(labels or {}), conversation=conversation)
        return await self._line.ask(post(ask, idempotency_key, "sessions"), SessionInfo)

    @many
    def sessions(
        self,
        *,
        agent: str | None = None,
        owner: str | None = None,
        status: str | None = None,
        last_run: str | None = None,
        labels: Mapping[str, str] | None = None,
        search: str | None = None,
    ) -> AsyncGenerator[ListedSession, None]:
        """Every session that the caller reaches, the latest first; all conditions must hold.

        `search` is found in titles and messages: all words, phrases in quotes, and the last word may be a
        beginning. `last_run` is the status of a session's newest run, such as `failed`.
        """
        which = [
            ("agent", agent),
            ("owner", owner),
            ("status", status),
            ("last_run", last_run),
            ("q", search),
        ]
        wanted = [(name, value) for name, value in which if value is not None]
        wanted += [("label", f"{_name(name)}:{value}") for name, value in (labels or {}).items()]
        return self._pages(ListedSession, "sessions", query=wanted)

    @once
    async def session_facets(self) -> SessionFacets:
        """What the caller's sessions could be filtered by: agents, statuses, owners, labels."""
        return await self._line.ask(get("sessions", "facets"), SessionFacets)

    @once
    async def session(self, session_id: str) -> SessionInfo:
        """One session, with its head and what it has spent."""
        return await self._line.ask(get("sessions", session_id), SessionInfo)

    @once
    async def update_session(
        self,
        session_id: str,
        *,
        title: str | msgspec.UnsetType | None = msgspec.UNSET,
        labels: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET,
    ) -> SessionInfo:
        """Rename or relabel a session. What is left out stays as it is."""
        given = labels if isinstance(labels, msgspec.UnsetType) else dict(labels)
        body = msgspec.json.encode(UpdateSession(title=title, labels=given))
        request = Request("PATCH", path_to("sessions", session_id), body=body)
        return await self._line.ask(request, SessionInfo)

    @once
    async def close_session(
        self, session_id: str, *, reason: str = "", idempotency_key: str | None = None
    ) -> SessionInfo:
        """Close a session: nothing can be sent until it is reopened."""
        ask = CloseSession(reason=reason)
        request = post(ask, idempotency_key, "sessions", session_id, "close")
        return await self._line.ask(request, SessionInfo)

    @once
    async def reopen_session(self, session_id: str, *, idempotency_key: str | None = None) -> SessionInfo:
        """Open a closed session again."""
        request = post(ReopenSession(), idempotency_key, "sessions", session_id, "reopen")
        return await self._line.ask(request, SessionInfo)

    @once
    async def delete_session(self, session_id: str, *, cascade: bool = False) -> None:
        """Delete a session for good. Its run is stopped, its streams end.

        Its forks keep what they share with it; with `cascade` they are deleted too.
        """
        query = (("cascade", "true"),) if cascade else ()
        await self._line.send(Request("DELETE", path_to("sessions", session_id), query), gone=True)


def _name(label: str) -> str:
    """The name of a label in a filter, where a colon ends it."""
    return label.replace("%", "%25").replace(":", "%3A")
