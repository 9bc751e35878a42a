"""What stands before every route, each gate one function: host, origin, size, key, role, tenant.

The front asks them in this order; the socket asks the last three again for a key that comes in its
first frame. They only read and refuse: a gate never changes anything.
"""

import hashlib
from typing import NamedTuple, assert_never

from tenure.core.ids import APPROVAL, KEY, RUN, SCHEDULE, SESSION, SIGN_IN, well_formed
from tenure.core.principal import Action, Principal, may, reaches, reaches_session
from tenure.errors import Code, TenureError
from tenure.host.host import Host
from tenure.http.bodies import too_large
from tenure.http.call import AnyCall, AnyRoute, Options, TenantRule
from tenure.http.cookies import check_own_page, cookie_of, origin_of
from tenure.ports.store import Ground

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
MAX_KEY = 1_000

Pairs = list[tuple[bytes, bytes]]


class Credential(NamedTuple):
    """The secret that a request came with: of a key or a share, or of the cookie that a browser keeps."""

    secret: bytes
    is_cookie: bool = False

    def __repr__(self) -> str:
        """Without the secret: what is printed ends up in logs."""
        return f"Credential(secret=…, is_cookie={self.is_cookie})"


class Trust(NamedTuple):
    """Which names this host answers to, and which pages elsewhere may use it."""

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(cls, options: Options) -> "Trust":
        """The allow-lists that the operator set, with the loopback names."""
        hosts = frozenset(name.lower() for name in (*LOOPBACK, *options.allowed_hosts))
        own = (origin_of(options.public_url),) if options.public_url else ()
        return cls(hosts, frozenset((*(o.lower().rstrip("/") for o in options.allowed_origins), *own)))


def check_host(trust: Trust, pairs: Pairs) -> str:
    """The one Host header, if it is one of ours. Raises TenureError `bad_host`."""
    given = [value.decode("latin-1").lower() for name, value in pairs if name == b"host"]
    host = given[0] if len(given) == 1 else ""
    if host and (host in trust.hosts or _without_port(host) in trust.hosts or "*" in trust.hosts):
        return host
    raise TenureError(
        Code.BAD_HOST,
        f"This host doesn't answer to the name {', '.join(given) or '(none)'}. "
        "Use its own address, or have the operator add the name to allowed_hosts.",
    )


def check_origin(trust: Trust, headers: dict[bytes, bytes], host: str) -> None:
    """Refuse a page of another site. Raises TenureError `bad_origin`. No Origin is no page: let it pass."""
    origin = headers.get(b"origin")
    if origin is None:
        return
    shown = origin.decode("latin-1").lower()
    if shown in trust.origins or shown in (f"http://{host}", f"https://{host}"):
        return
    raise TenureError(
        Code.BAD_ORIGIN,
        f"Pages of {shown} may not use this host. Have the operator add it to allowed_origins.",
    )


def check_size(headers: dict[bytes, bytes], most: int) -> None:
    """Refuse a body that says it is too large. Raises TenureError `too_large` or `bad_request`."""
    length = headers.get(b"content-length")
    if length is None:
        return
    if not length.isdigit():
        raise TenureError(
            Code.BAD_REQUEST,
            f"Content-Length is {length.decode('latin-1')}. Send the number of bytes of the body.",
        )
    if len(length) > len(str(most)) or int(length) > most:
        raise too_large(int(length[:18]), most)


def bearer(headers: dict[bytes, bytes]) -> bytes | None:
    """The key in the Authorization header; None if there is no such header."""
    header = headers.get(b"authorization")
    if header is None:
        return None
    scheme, _, key = header.partition(b" ")
    if scheme.lower() != b"bearer":
        raise _no_key("The Authorization header isn't of the form: Bearer KEY.")
    return key.strip()


def credential(call: AnyCall) -> Credential | None:
    """What the request says it may come in by: a key, else the cookie of a signed-in browser.

    Raises TenureError `bad_origin` where the cookie was sent for a page that isn't this host's.
    """
    key = bearer(call.headers)
    if key is not None:
        return Credential(key)
    cookie = cookie_of(call)
    if cookie is None:
        return None
    check_own_page(call, needs_origin=call.scope.get("method") not in ("GET", "HEAD"))
    return Credential(cookie, is_cookie=True)


async def enter(call: AnyCall, given: Credential | None) -> None:
    """Authentication, role and tenant for one call. Raises `unauthenticated`, `forbidden` or `not_found`."""
    if given is None:
        raise _no_key("The request has no key.")
    by = await authenticate(call.site.host, given.secret)
    if (by.sign_in is not None) != given.is_cookie:
        raise key_is_unknown()  # neither may a cookie be sent as a key, nor a key or a share as a cookie
    call.principal = by
    call.key = given.secret
    check_role(call.route, call.principal)
    call.ground = await find_ground(call.site.host, call.route.tenant_rule, call.path, call.principal)


def enter_run(call: AnyCall, token: bytes | None) -> None:
    """Let a token of the run gateway in. Raises `unauthenticated`, or `forbidden` while no run is live.

    A key opens nothing here, whoever holds it, as the token opens nothing elsewhere.
    """
    if not token or len(token) > MAX_KEY:
        raise TenureError(
            Code.UNAUTHENTICATED,
            "The request has no token. Send the one that the run was given: Authorization: Bearer TOKEN.",
        )
    call.attempt = call.site.host.gateway.enter(token.decode("latin-1"))


async def authenticate(host: Host, key: bytes) -> Principal:
    """Who presents this key. The look-up is by its hash, so its time tells nothing about other keys."""
    by = await host.store.principal(hash_of(key), host.clock.now()) if 0 < len(key) <= MAX_KEY else None
    if by is None:
        raise key_is_unknown()
    return by


def key_is_unknown() -> TenureError:
    """The one answer for a key, a sign-in or a share that is worth nothing here, whatever the reason."""
    return _no_key("The key isn't known here, or it was revoked or has expired.")


def hash_of(key: bytes) -> bytes:
    """What the store keeps of a key."""
    return hashlib.sha256(key).digest()


def check_role(route: AnyRoute, by: Principal) -> None:
    """Raises TenureError `forbidden` if the principal's role doesn't have the route's action."""
    check_action(route.action, by, f"{route.method} {route.path}")
    if by.session is not None and not route.shareable:
        raise TenureError(
            Code.FORBIDDEN,
            "A share lets you read one session: itself, its transcript and its journal. For more, use a key.",
            role=by.role,
        )


def check_action(action: Action | None, by: Principal, what: str) -> None:
    """Raises TenureError `forbidden` if the principal's role doesn't have the action that `what` needs."""
    if action is None or not may(by, action):
        way_out = (
            "Only the bootstrap admin may." if action is Action.DRAIN else "Use a key with a stronger role."
        )
        raise TenureError(
            Code.FORBIDDEN, f"A key with role {by.role} may not {what}. {way_out}", role=by.role
        )


async def find_ground(
    host: Host, rule: TenantRule | None, path: dict[str, str], by: Principal
) -> Ground | None:
    """What the path names, if it exists for this principal. Raises TenureError `not_found` otherwise."""
    match rule:
        case TenantRule.PUBLIC | TenantRule.OWN | TenantRule.HOST | TenantRule.LIVE_RUN | None:
            return None
        case TenantRule.SESSION:
            return await _session(host, path["session_id"], by)
        case TenantRule.RUN:
            return await _run(host, path["run_id"], by)
        case TenantRule.APPROVAL:
            return await _approval(host, path["approval_id"], by)
        case TenantRule.SCHEDULE:
            return await _schedule(host, path["schedule_id"], by)
        case TenantRule.KEY:
            return await _key(host, path["key_id"], by)
        case TenantRule.SIGN_IN:
            return await _sign_in(host, path["sign_in_id"], by)
        case _:
            assert_never(rule)


def not_found(noun: str, name: str) -> TenureError:
    """The one answer for what isn't there and for what isn't the caller's: nobody can tell them apart."""
    return TenureError(
        Code.NOT_FOUND, f"There is no {noun} {name[:100]} for this key. Check the id, or use another key."
    )


async def _session(host: Host, session_id: str, by: Principal) -> Ground:
    ground = await host.store.ground(session_id) if well_formed(SESSION, session_id) else None
    if ground is None or not reaches_session(by, session_id, ground.tenant, ground.owner):
        raise not_found("session", session_id)
    return ground


async def _run(host: Host, run_id: str, by: Principal) -> Ground:
    ground = await host.store.ground_of_run(run_id) if well_formed(RUN, run_id) else None
    if ground is None or not reaches(by, ground.tenant, ground.owner):
        raise not_found("run", run_id)
    return ground


async def _approval(host: Host, approval_id: str, by: Principal) -> Ground:
    ground = await host.store.ground_of_approval(approval_id) if well_formed(APPROVAL, approval_id) else None
    if ground is None or not reaches(by, ground.tenant, ground.owner):
        raise not_found("approval", approval_id)
    return ground


async def _schedule(host: Host, schedule_id: str, by: Principal) -> None:
    schedules = host.store.schedules
    ground = await schedules.ground(schedule_id) if well_formed(SCHEDULE, schedule_id) else None
    owners = () if ground is None else (ground.owner, ground.session_owner)
    if ground is None or not any(reaches(by, ground.tenant, owner) for owner in owners if owner is not None):
        raise not_found("schedule", schedule_id)


async def _key(host: Host, key_id: str, by: Principal) -> None:
    found = await host.store.key(key_id) if well_formed(KEY, key_id) else None
    if found is None or not reaches(by, found.tenant, found.user):
        raise not_found("key", key_id)


async def _sign_in(host: Host, sign_in_id: str, by: Principal) -> None:
    whose = await host.store.sign_ins.whose(sign_in_id) if well_formed(SIGN_IN, sign_in_id) else None
    if whose != (by.tenant, by.user):
        raise not_found("sign-in", sign_in_id)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _no_key(what: str) -> TenureError:
    return TenureError(
        Code.UNAUTHENTICATED, f"{what} Send a valid one as the header: Authorization: Bearer KEY."
    )
