"""Sessions: open, list, read, rename, close, reopen, delete."""

from typing import Annotated
from urllib.parse import unquote

import msgspec
from starlette.types import ASGIApp

from tenure.core.command import CloseSession, OpenSession, ReopenSession, UpdateSession
from tenure.core.content import storable
from tenure.core.principal import reach
from tenure.core.run import RunState
from tenure.core.session import SessionStatus
from tenure.core.view import ListedSession, View
from tenure.errors import Code, TenureError
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.gates import not_found
from tenure.http.lists import Limit
from tenure.http.shares import as_shared
from tenure.http.wire import empty_response, json_response
from tenure.ports.store import SessionFilter


class SessionPage(View, frozen=True, kw_only=True):
    """A page of sessions, the latest first."""

    data: tuple[ListedSession, ...]
    next_cursor: str | None


class SessionsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions to list. `label` is NAME:VALUE and may be given several times; all must hold.

    A colon in the name of a label is written `%3A` and a per cent sign `%25`, before the whole is made a
    part of the address. `q` is found in titles and messages: all words, phrases in quotes, and the last
    word may be a beginning. `last_run` is the status of a session's newest run, whether live or over.
    Whoever reaches only their own sessions gets none with another `owner`.
    """

    limit: Limit = 100
    cursor: str | None = None
    agent: str | None = None
    owner: str | None = None
    status: SessionStatus | None = None
    last_run: RunState | None = None
    label: tuple[str, ...] = ()
    q: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None


async def open_session(call: Call[OpenSession, NoQuery]) -> ASGIApp:
    """Open a session with an agent. It belongs to the caller."""
    made = await call.site.host.commands.open_session(call.by, call.body, call.idempotency)
    return json_response(made.value, 201, replayed=made.replayed)


async def list_sessions(call: Call[NoBody, SessionsQuery]) -> ASGIApp:
    """The sessions that the caller reaches."""
    query = call.query
    tenant, own = reach(call.by)
    if own is not None and query.owner not in (None, own):
        return json_response(SessionPage(data=(), next_cursor=None))
    which = SessionFilter(
        tenant,
        own or query.owner,
        agent=query.agent,
        status=query.status,
        last_run=query.last_run,
        labels=tuple(_label(text) for text in query.label),
        words=query.q if query.q is not None and query.q.strip() else None,
    )
    page = await call.site.host.store.sessions(which, query.cursor, query.limit)
    return json_response(SessionPage(data=tuple(page.data), next_cursor=page.next_cursor))


async def read_facets(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """What the sessions that the caller reaches could be filtered by."""
    return json_response(await call.site.host.store.overviews.facets(*reach(call.by)))


async def read_session(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One session, with its head and what it has spent."""
    found = await call.site.host.store.session(call.session_id)
    if found is None:
        raise not_found("session", call.session_id)
    return json_response(found if call.by.session is None else as_shared(found))


async def update_session(call: Call[UpdateSession, NoQuery]) -> ASGIApp:
    """Rename or relabel a session. What is left out stays."""
    return json_response(await call.site.host.commands.update_session(call.by, call.session_id, call.body))


async def close_session(call: Call[CloseSession, NoQuery]) -> ASGIApp:
    """Close a session: nothing can be sent until it is reopened. Its journal stays readable."""
    made = await call.site.host.commands.close_session(call.by, call.session_id, call.body, call.idempotency)
    return json_response(made.value, replayed=made.replayed)


async def reopen_session(call: Call[ReopenSession, NoQuery]) -> ASGIApp:
    """Open a closed session again."""
    made = await call.site.host.commands.reopen_session(call.by, call.session_id, call.idempotency)
    return json_response(made.value, replayed=made.replayed)


class DeletionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes with a session: with `cascade`, its forks too. Without, they keep what they share."""

    cascade: bool = False


async def delete_session(call: Call[NoBody, DeletionQuery]) -> ASGIApp:
    """Delete a session for good. Its run is stopped, its streams end.

    The header `Tenure-Shared-With` says how many forks keep the part of the journal that they began with.
    """
    response = empty_response()
    if call.query.cascade:
        await call.site.host.histories.delete_family(call.by, call.session_id)
    else:
        sharing = await call.site.host.commands.delete_session(call.by, call.session_id)
        response.headers["tenure-shared-with"] = str(sharing)
    return response


def _label(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise TenureError(
            Code.INVALID,
            f"label is {text[:100]!r}. Send the name and the value with a colon between them.",
            field="label",
            value=text[:100],
        )
    return storable(unquote(name), "label"), value
