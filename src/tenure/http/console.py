"""The console's pages and files. All its addresses answer one page, which finds out what it shows.

Nothing here looks anything up: what a page shows, it asks for under /v1, as every client does.
"""

from starlette.responses import Response
from starlette.types import ASGIApp

from tenure.errors import Code, TenureError
from tenure.http.assets import Asset
from tenure.http.call import AnyCall, AnyQuery, Call, NoBody
from tenure.http.pages import home

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types svelte-trusted-html dompurify markdown",
    )
)
"""What the page may load and run: files of this host, never a script that stands in a text.

`data:` and `blob:` are pictures that somebody sent into a session. Only the named policies of trusted types
may make HTML of text: that of the framework for its templates, and those of `console/src/lib/markdown.ts`
for what agents and people write, after it was cleaned.
"""

NOTHING_OF_THE_MACHINE = ", ".join(
    f"{feature}=()"
    for feature in (
        *("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid"),
        *("magnetometer", "microphone", "midi", "payment", "serial", "usb", "xr-spatial-tracking"),
    )
)

FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"

COMMON = {
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
PAGE = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": NOTHING_OF_THE_MACHINE,
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}


async def console(call: Call[NoBody, AnyQuery]) -> ASGIApp:
    """The console, for people. Where it isn't installed, a plain page says how to get it."""
    return await page(call)


async def page(call: AnyCall, status: int = 200) -> ASGIApp:
    """The page of every address of the console, with the status that the address deserves."""
    asset = call.site.assets.page
    if asset is None:
        return await home(call)
    return _answer(call, asset, ASK_AGAIN if status == 200 else "no-store", status, PAGE)


async def beside(call: Call[NoBody, AnyQuery]) -> ASGIApp:
    """A file that stands at the root: the icon, and what is for installers and for robots."""
    name = call.route.path.removeprefix("/")
    return _answer(call, _found(call, call.site.assets.beside.get(name)), ASK_AGAIN)


async def hashed(call: Call[NoBody, AnyQuery]) -> ASGIApp:
    """A part of the console, named after its content. An old tab may ask for one that is gone."""
    return _answer(call, _found(call, call.site.assets.hashed.get(call.path["name"])), FOREVER)


def takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header lets an answer be compressed (RFC 9110, section 12.5.3)."""
    parts = (part.partition(";") for part in header.lower().replace(" ", "").split(","))
    weights = {coding: weight for coding, _, weight in parts}
    weight = weights.get("gzip", weights.get("*", "q=0"))
    return weight.rstrip("0.") != "q="


def _answer(
    call: AnyCall, asset: Asset, keep: str, status: int = 200, more: dict[str, str] | None = None
) -> Response:
    zipped = takes_gzip(call.header(b"accept-encoding"))
    form = asset.zipped if zipped else asset.plain
    headers = {**COMMON, **(more or {}), "cache-control": keep, "etag": form.tag}
    if status == 200 and _known(call, form.tag):
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["content-encoding"] = "gzip"
    return Response(form.body, status, {**headers, "content-type": asset.media})


def _known(call: AnyCall, tag: str) -> bool:
    """Whether the browser says that it has this form already; a proxy may have weakened the tag."""
    given = call.header(b"if-none-match").split(",")
    return any(one.strip().removeprefix("W/") in (tag, "*") for one in given)


def _found(call: AnyCall, asset: Asset | None) -> Asset:
    if asset is None:
        raise TenureError(
            Code.NOT_FOUND,
            f"The console of this host has no file {call.scope['path'][:200]}. "
            "Load the page again: it may be older than the host.",
        )
    return asset
