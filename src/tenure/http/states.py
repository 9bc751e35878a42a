"""State of agents, over HTTP: read, list, keep and delete values, with versions as entity tags."""

from urllib.parse import unquote_to_bytes

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from tenure.core.scope import Scope
from tenure.core.state import SetState, StateValue
from tenure.errors import Code, TenureError
from tenure.host.states import Addressed
from tenure.http.bodies import idempotency
from tenure.http.call import AnyCall, Call, NoBody
from tenure.http.etag import etag, expected
from tenure.http.lists import Limit
from tenure.http.wire import empty_response, json_response
from tenure.ports.acts import Idempotency

_BEFORE_KEY = 6
"""Slashes of a path in front of the key."""


class StateQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose state of the scope it is, as `type:id`. Without it, the caller's own.

    `actor` names the subject too, where the scope is that: `subject` is only the clearer word.
    """

    actor: str | None = None
    subject: str | None = None


class StatesQuery(StateQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a scope: `cursor` is the `next_cursor` of the page before."""

    limit: Limit = 100
    cursor: str | None = None


async def list_states(call: Call[NoBody, StatesQuery]) -> ASGIApp:
    """The values of one scope, in the order in which their keys came."""
    query = call.query
    page = await call.site.host.states.page(call.by, _about(call, query), query.cursor, query.limit)
    return json_response(page)


async def read_state(call: Call[NoBody, StateQuery]) -> ASGIApp:
    """One value. Its version is the entity tag too."""
    return _tagged(await call.site.host.states.read(call.by, _about(call, call.query), _key(call)))


async def set_state(call: Call[SetState, StateQuery]) -> ASGIApp:
    """Keep a value. `If-Match` names the version it is to replace, `If-None-Match: *` asks for a new key."""
    about, key, wanted = _about(call, call.query), _key(call), expected(call)
    states, idem = call.site.host.states, _idempotency(call)
    made = await states.set(call.by, about, key, call.body, wanted, idem)
    return _tagged(made.value, replayed=made.replayed)


async def delete_state(call: Call[NoBody, StateQuery]) -> ASGIApp:
    """Delete a value; with `If-Match`, only that version of it. No version is ever given twice."""
    await call.site.host.states.delete(call.by, _about(call, call.query), _key(call), expected(call))
    return empty_response()


def _about(call: AnyCall, query: StateQuery) -> Addressed:
    scope, actor, subject = call.path["scope"], query.actor, query.subject
    if scope == Scope.SUBJECT and subject is None:
        actor, subject = None, actor
    return Addressed(session_id=call.session_id, scope=scope, actor=actor, subject=subject)


def _tagged(value: StateValue, *, replayed: bool = False) -> Response:
    return json_response(value, replayed=replayed, tag=etag(value.version))


def _key(call: AnyCall) -> str:
    """The key as the client sent it, a `%2F` in it included. The server's own decoding hides broken UTF-8."""
    raw: bytes = call.scope.get("raw_path") or call.scope["path"].encode()
    parts = raw.partition(b"?")[0].split(b"/", _BEFORE_KEY)
    try:
        return unquote_to_bytes(parts[_BEFORE_KEY]).decode()
    except UnicodeDecodeError:
        raise TenureError(
            Code.INVALID, "The key isn't percent-encoded UTF-8. Encode it as such.", field="key"
        ) from None


def _idempotency(call: Call[SetState, StateQuery]) -> Idempotency | None:
    """The client's key for this write, which stands for whose state it is and for its conditions too."""
    given = call.headers.get(b"idempotency-key")
    if given is None:
        return None
    conditions = call.header(b"if-match"), call.header(b"if-none-match")
    what = f"{call.scope['path']} {call.query} {conditions}"
    return idempotency(given.decode("latin-1"), len(given), what, call.body, method="PUT")
