"""The cookie of a signed-in browser, and which pages may use it. The gates and the sign-in routes ask it.

A browser sends a cookie along with whatever any page makes it ask for. So a cookie counts only where the
browser says that a page of this very host asks: pages that the operator trusts elsewhere need a key. See
RFC 6265bis, and the headers `Origin` and `Sec-Fetch-Site`.
"""

import hashlib
from urllib.parse import urlsplit

from tenure.errors import Code, TenureError
from tenure.http.call import AnyCall

DEFAULT_PORTS = {"http": ":80", "https": ":443"}
LOCKED = "__Host-"
"""A cookie whose name begins so comes from this very host, by TLS: no neighbour can plant it."""

OWN_SITES = ("same-origin", "none")
"""What a browser says of a request of this host's own page, and of one that a person typed."""


def cookie_name(history: str) -> str:
    """The cookie's name, another one for each store: a browser doesn't keep the ports of a machine apart."""
    return f"tenure_{hashlib.sha256(history.encode()).hexdigest()[:8]}"


def cookie_of(call: AnyCall) -> bytes | None:
    """What the browser keeps of its sign-in here; None without.

    A cookie that comes twice is none: a neighbour under the same domain may have set the other one. One that
    nobody else can have set goes first, and is the only one where browsers always come by TLS.
    """
    name = cookie_name(call.site.host.store.history)
    locked = _only(call, LOCKED + name)
    return locked if locked is not None or _is_always_encrypted(call) else _only(call, name)


def _only(call: AnyCall, name: str) -> bytes | None:
    pairs = (part.strip().partition(b"=") for part in call.headers.get(b"cookie", b"").split(b";"))
    found = [value for given, _, value in pairs if given == name.encode() and value]
    return found[0] if len(found) == 1 else None


def set_cookie(call: AnyCall, secret: str, lasts_s: int) -> str:
    """The header that signs this browser in; with no secret and no time, the one that signs it out."""
    name = cookie_name(call.site.host.store.history)
    start, end = (LOCKED, "; Secure") if is_encrypted(call) else ("", "")
    return f"{start}{name}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={lasts_s}{end}"


def is_encrypted(call: AnyCall) -> bool:
    """Whether the browser came by TLS, as far as this host can know.

    What a proxy, or whoever poses as one, says of it is believed: all that it can do is make the cookie
    stricter.
    """
    return (
        _is_always_encrypted(call)
        or call.header(b"x-forwarded-proto").partition(",")[0].strip().lower() == "https"
        or call.header(b"origin").lower() == f"https://{_host(call)}"
    )


def _is_always_encrypted(call: AnyCall) -> bool:
    """Whether this host itself speaks TLS, or the operator says that whatever stands before it does."""
    public = call.site.options.public_url or ""
    return call.scope.get("scheme") in ("https", "wss") or public.startswith("https:")


def address_of(call: AnyCall) -> str:
    """Where browsers find this host: as the operator says, else as this request found it."""
    public = call.site.options.public_url
    if public is not None:
        return public.rstrip("/")
    return f"{'https' if is_encrypted(call) else 'http'}://{_host(call)}"


def check_own_page(call: AnyCall, *, needs_origin: bool) -> None:
    """Refuse what isn't asked by a page of this host. Raises TenureError `bad_origin`."""
    site = call.header(b"sec-fetch-site").lower()
    if site and site not in OWN_SITES:
        raise _foreign(f"a page that is {site[:20]}")
    origin = call.header(b"origin").lower()
    if not origin and needs_origin:
        raise _foreign("a request without Origin")
    if origin and origin not in _own_origins(call):
        raise _foreign(f"a page of {origin[:200]}")


def _own_origins(call: AnyCall) -> set[str]:
    host = _host(call)
    own = {f"https://{host}"}
    if not is_encrypted(call):
        own.add(f"http://{host}")
    if call.site.options.public_url is not None:
        own.add(origin_of(call.site.options.public_url))
    return own


def origin_of(url: str) -> str:
    """The origin of pages at a URL, as a browser writes it."""
    scheme, netloc, *_ = urlsplit(url.lower())
    return f"{scheme}://{netloc.removesuffix(DEFAULT_PORTS.get(scheme, ''))}"


def _host(call: AnyCall) -> str:
    return call.header(b"host").lower()


def _foreign(who: str) -> TenureError:
    return TenureError(
        Code.BAD_ORIGIN,
        f"A signed-in browser was used by {who}, and its cookie counts only for pages of this host. "
        "Use the console at this host's own address, or send a key: Authorization: Bearer KEY.",
    )
