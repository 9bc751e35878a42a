"""Signing a browser in by key or by a link that works once, and out again."""

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from tenure.core.signing import SIGN_IN_PATH, MakeSignInLink, SignIn, SignInInfo, SignInLink, SignOut
from tenure.core.view import View
from tenure.errors import Code, TenureError
from tenure.host.signing import SignedIn
from tenure.http.call import AnyCall, AnyQuery, Call, NoBody, NoQuery
from tenure.http.cookies import OWN_SITES, address_of, check_own_page, set_cookie
from tenure.http.gates import authenticate, key_is_unknown
from tenure.http.keys import who_is
from tenure.http.lists import PageQuery
from tenure.http.pages import ask_first
from tenure.http.secrets import bound, secret_for
from tenure.http.wire import NO_STORE, empty_response, json_response

CONSOLE = "/"
USED = "/#link-used"
"""Where the console says that a link works no more, without telling why: it might not be the reader's."""


class SignInPage(View, frozen=True, kw_only=True):
    """A page of signed-in browsers, the latest first."""

    data: tuple[SignInInfo, ...]
    next_cursor: str | None


async def sign_in(call: Call[SignIn, NoQuery]) -> ASGIApp:
    """Sign this browser in with a key: the answer sets a cookie, which from then on stands for the key."""
    check_own_page(call, needs_origin=b"sec-fetch-site" in call.headers)
    host = call.site.host
    by = await authenticate(host, call.body.key.strip().encode())
    if by.sign_in is not None or by.session is not None:
        raise key_is_unknown()
    call.site.pace.take(by)
    signed = await host.signing.sign_in(by)
    return _signed_in(call, json_response(who_is(host, by)), signed)


async def make_sign_in_link(call: Call[MakeSignInLink, NoQuery]) -> ASGIApp:
    """Make a link that signs one browser in, once, as the caller. Give it to nobody else."""
    call.site.pace.take(call.by)
    secret = secret_for(call, b"tenure-link")
    made = await call.site.host.signing.offer(call.by, call.body.expires_in_s, secret, bound(call))
    url = f"{address_of(call)}{SIGN_IN_PATH}{secret}"
    link = SignInLink(url=url, expires_at=made.value.expires_at)
    return json_response(link, 201, replayed=made.replayed)


async def open_sign_in_link(call: Call[NoBody, AnyQuery]) -> ASGIApp:
    """Sign this browser in by a link, which then is used up, and go on to the console.

    Where another page leads here, a person has to say so first: it might be its author's link.
    """
    if not _is_opened(call):
        raise TenureError(Code.UNSUPPORTED, "The link works once, and only for whoever opens it as a page.")
    if call.scope["method"] == "HEAD":
        return _go(CONSOLE)
    if call.header(b"sec-fetch-site").lower() not in ("", *OWN_SITES):
        return ask_first("Sign in to Tenure?", "Sign in, as whoever gave me this link")
    signed = await call.site.host.signing.redeem(call.path["token"])
    return _go(USED) if signed is None else _signed_in(call, _go(CONSOLE), signed)


async def sign_out(call: Call[SignOut, NoQuery]) -> ASGIApp:
    """Sign this browser out: its cookie opens nothing any more, and its open streams end."""
    if call.by.sign_in is None:
        raise TenureError(
            Code.CONFLICT,
            "The request came with a key, and a key isn't signed in. Leave it out to sign a browser out, "
            "or revoke the key.",
        )
    await call.site.host.signing.sign_out(call.by, call.by.sign_in)
    response = empty_response()
    response.headers["set-cookie"] = set_cookie(call, "", 0)
    return response


async def list_sign_ins(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """Where the caller is signed in, the latest first. `current` marks the browser that asks."""
    query = call.query
    page = await call.site.host.signing.sign_ins(call.by, query.cursor, query.limit)
    marked = (msgspec.structs.replace(each, current=each.id == call.by.sign_in) for each in page.data)
    return json_response(SignInPage(data=tuple(marked), next_cursor=page.next_cursor))


async def end_sign_in(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Sign another browser of the caller's out, and end its open streams."""
    await call.site.host.signing.sign_out(call.by, call.path["sign_in_id"])
    return empty_response()


def _is_opened(call: AnyCall) -> bool:
    """Whether somebody opens the address as a page: no browser ahead of them, no page as a part of itself."""
    ahead = call.header(b"sec-purpose") + call.header(b"purpose")
    return "prefetch" not in ahead and call.header(b"sec-fetch-dest") in ("", "document")


def _signed_in(call: AnyCall, response: Response, signed: SignedIn) -> Response:
    response.headers["set-cookie"] = set_cookie(call, signed.secret, signed.lasts_s)
    return response


def _go(where: str) -> Response:
    """On to the console. The address that was asked for holds a secret, so no page learns of it."""
    return Response(
        status_code=303, headers={**NO_STORE, "location": where, "referrer-policy": "no-referrer"}
    )
