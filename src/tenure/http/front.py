"""The one front: every request and every socket comes through here, in one order.

Host and origin, size, key, role, tenant, rate limit, then query and body; and every error becomes one
problem. It is the only place of the HTTP face that catches whatever is raised.
"""

import logging
from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from tenure.core.principal import Action
from tenure.errors import Code, TenureError
from tenure.http import gates, problems
from tenure.http.bodies import Disconnected, decode, decode_query, idempotency, read_body
from tenure.http.call import SOCKET, AnyCall, AnyQuery, AnyRoute, NoBody, Site, TenantRule
from tenure.http.router import Router, shown
from tenure.http.socket import refuse
from tenure.http.wire import send_rendered
from tenure.ports.store import Idempotency

log = logging.getLogger("tenure.http")

MAX_PARAMETERS = 100


class Outbox:
    """Where an answer goes; it knows whether one has begun, and drops the body that HEAD must not have."""

    def __init__(self, send: Send, *, head: bool) -> None:
        self._send = send
        self._head = head
        self.begun = False

    async def send(self, message: Message) -> None:
        """Pass one message on."""
        self.begun = True
        if self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


class Front:
    """The ASGI application. Raises UndeclaredRoute when the table has a hole."""

    def __init__(self, site: Site, routes: Iterable[AnyRoute]) -> None:
        self._site = site
        self._router = Router(routes)
        self._trust = gates.Trust.of(site.options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._socket(scope, receive, send)
            case "lifespan":
                await _lifespan(receive, send)
            case kind:
                raise NotImplementedError(f"Tenure doesn't speak {kind}.")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._site.host.telemetry.requests += 1
        outbox = Outbox(send, head=scope["method"] == "HEAD")
        try:
            call = self._arrive(scope, scope["method"])
            if call.route.tenant_rule is TenantRule.LIVE_RUN:
                gates.enter_run(call, gates.bearer(call.headers))
            elif call.route.tenant_rule is not TenantRule.PUBLIC:
                await gates.enter(call, gates.credential(call))
                if call.route.action is not Action.READ:
                    self._site.pace.take(call.by)
            await self._read(call, receive)
            answer = await call.route.handler(call)
            await answer(scope, receive, outbox.send)
        except Disconnected:
            return
        except TenureError as error:
            await _answer_problem(outbox, error)
        except Exception:
            log.exception("A request failed: %s %s", scope["method"], shown(scope["path"]))
            await _answer_problem(outbox, problems.internal())

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        outbox = Outbox(send, head=False)
        try:
            await receive()  # the server's word that a socket waits to be accepted
            call = self._arrive(scope, SOCKET)
            given = gates.credential(call)
            if given is not None:
                await gates.enter(call, given)
            self._read_query(call)
            answer = await call.route.handler(call)
            await answer(scope, receive, outbox.send)
        except (Disconnected, OSError):
            return
        except TenureError as error:
            await refuse(scope, send, error, accepted=outbox.begun)
        except Exception:
            log.exception("A socket failed: %s", shown(scope["path"]))
            await refuse(scope, send, problems.internal(), accepted=outbox.begun)

    def _arrive(self, scope: Scope, method: str) -> AnyCall:
        """The gates that need no key, and the route."""
        pairs: gates.Pairs = scope["headers"]
        headers = dict(pairs)
        host = gates.check_host(self._trust, pairs)
        gates.check_origin(self._trust, headers, host)
        route, path = self._router.find(method, scope["path"])
        gates.check_size(headers, route.most_bytes)
        return AnyCall(self._site, route, scope, path, headers, query=None, body=None)

    async def _read(self, call: AnyCall, receive: Receive) -> None:
        """Query, body and idempotency key, typed; only after every gate."""
        self._read_query(call)
        route = call.route
        if route.body is NoBody:
            return
        call.body = decode(await read_body(receive, route.most_bytes), route.body)
        if route.method == "POST":
            call.idempotency = _idempotency(call)

    def _read_query(self, call: AnyCall) -> None:
        if call.route.query is AnyQuery:
            return
        raw: bytes = call.scope["query_string"]
        call.query = decode_query(_pairs(raw), call.route.query)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    if not raw:
        return []
    try:
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise TenureError(
            Code.INVALID, f"The query string has more than {MAX_PARAMETERS} parameters. Send fewer."
        ) from None


def _idempotency(call: AnyCall) -> Idempotency | None:
    key = call.headers.get(b"idempotency-key")
    if key is None:
        return None
    return idempotency(key.decode("latin-1"), len(key), call.scope["path"], call.body)


async def _answer_problem(outbox: Outbox, error: TenureError) -> None:
    """Answer with the problem; after a half-sent answer only the server can end the connection."""
    if not outbox.begun:
        await send_rendered(outbox.send, problems.render(error))


async def _lifespan(receive: Receive, send: Send) -> None:
    """Agree to everything: whoever made the host starts and stops it."""
    for moment in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{moment}.complete"})
