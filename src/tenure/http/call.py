"""What a route is, and what its handler is given: one call that passed the front.

`routes` fills the table with these, the front makes the calls, the resource files read them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from starlette.types import ASGIApp, Scope

from tenure.core.principal import Action, Principal
from tenure.host.context import Attempt
from tenure.host.host import Host
from tenure.http.assets import Assets
from tenure.http.audience import Audience
from tenure.http.bodies import MAX_BYTES
from tenure.http.pace import Pace
from tenure.ports.store import Ground, Idempotency

B = TypeVar("B")
Q = TypeVar("Q")

SOCKET = "WEBSOCKET"
"""The method of a route that is a WebSocket."""


class TenantRule(StrEnum):
    """How the front finds out whether what is asked for exists for the one who asks."""

    PUBLIC = "public"
    """No key is asked for: it shows nothing of anybody."""
    OWN = "own"
    """It acts in the caller's own tenant, or shows what the caller reaches."""
    SESSION = "session"
    """The path names a session by `session_id`."""
    RUN = "run"
    """The path names a run by `run_id`; its session decides."""
    APPROVAL = "approval"
    """The path names an approval by `approval_id`; its session decides."""
    SCHEDULE = "schedule"
    """The path names a schedule by `schedule_id`; its maker, or the owner of its session, reaches it."""
    KEY = "key"
    """The path names an API key by `key_id`; its tenant decides."""
    SIGN_IN = "sign_in"
    """The path names a signed-in browser by `sign_in_id`; it exists for its own user alone."""
    HOST = "host"
    """It concerns the whole host."""
    LIVE_RUN = "live_run"
    """No key opens it: a token of the run gateway names a session, whose live run decides."""


class NoBody(msgspec.Struct, frozen=True):
    """The body type of a route that takes none."""


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query type of a route that takes no parameters."""


class AnyQuery(msgspec.Struct, frozen=True):
    """The query type of a page that reads its own address: the host doesn't look at it."""


class Options(NamedTuple):
    """What the operator sets about the HTTP face. Times are in seconds.

    `allowed_hosts` adds to the loopback names, with or without a port, `*` for any; `allowed_origins`
    adds to pages that this host serves itself. `public_url` is where browsers find this host, if a proxy
    stands between them that gives it another name.
    """

    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    heartbeat_s: float = 15.0
    recheck_s: float = 4.0
    key_frame_s: float = 10.0
    public_url: str | None = None


class Texts(NamedTuple):
    """What is written once from the route table, when the app is made."""

    openapi: bytes
    docs: bytes
    home: bytes


class RunFace(Protocol):
    """The protocol in which the run gateway is spoken. Its library is an extra, so a host may have none."""

    async def serve(self, host: Host, attempt: Attempt) -> ASGIApp:
        """What answers one request that came with a token of this run."""
        ...


class Site(NamedTuple):
    """What handlers work with: the host's rooms, the open streams, the rate limit, what stands ready."""

    host: Host
    audience: Audience
    pace: Pace
    options: Options
    texts: Texts
    tasks: set[asyncio.Task[None]]
    """What goes on after its request was answered."""
    run_face: RunFace | None = None
    assets: Assets = Assets()


@dataclass(slots=True)
class Call(Generic[B, Q]):
    """One request or socket that passed the front. `headers` has lower-case names; the last value wins."""

    site: Site
    route: "Route[B, Q]"
    scope: Scope
    path: dict[str, str]
    headers: dict[bytes, bytes]
    query: Q
    body: B
    key: bytes = b""
    principal: Principal | None = None
    ground: Ground | None = None
    attempt: Attempt | None = None
    idempotency: Idempotency | None = None

    @property
    def by(self) -> Principal:
        """Who asks. Only public routes have nobody, and they never look."""
        assert self.principal is not None, "a public route asked who calls"
        return self.principal

    @property
    def session_id(self) -> str:
        """The session that the path names, directly or through its run."""
        assert self.ground is not None, "a route without a session asked for it"
        return self.ground.session_id

    def header(self, name: bytes) -> str:
        """A header as text, empty if it isn't there."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def wants_stream(self) -> bool:
        """Whether the client accepts an event stream. HEAD never gets one: it would have no end."""
        accepts = b"text/event-stream" in self.headers.get(b"accept", b"")
        return accepts and self.scope["method"] != "HEAD"


Handler = Callable[[Call[B, Q]], Awaitable[ASGIApp]]
"""Decides, and returns what writes the answer. A refusal raised by either becomes a problem."""


class Route(msgspec.Struct, Generic[B, Q], frozen=True, kw_only=True):
    """One line of the route table.

    `hot` routes answer by plain ASGI; the others may use Starlette's responses. `streams` says that
    the route can answer with an event stream too. `most_bytes` is the size of the largest body; that of
    a route that `uploads` is a file, which its handler reads. `later` says that it may answer 202 too, before
    what was asked for is done. The reference and the OpenAPI document tell of it if it is `listed`.
    Whoever has a share of a session may use the `shareable` ones, for that session.
    """

    method: str
    path: str
    summary: str
    resource: str = ""
    action: Action | None = None
    tenant_rule: TenantRule | None = None
    query: type[Q]
    body: type[B]
    answer: Any = None
    media: str = "application/json"
    status: int = 200
    later: bool = False
    hot: bool = False
    streams: bool = False
    uploads: bool = False
    most_bytes: int = MAX_BYTES
    listed: bool = True
    shareable: bool = False
    handler: Handler[B, Q]

    @property
    def name(self) -> str:
        """Method and path, as errors and tests name the route."""
        return f"{self.method} {self.path}"


AnyRoute = Route[Any, Any]
AnyCall = Call[Any, Any]
