"""The pages that this host serves itself: a plain start page, the reference, and the OpenAPI document.

They are written once, when the app is made, from the route table. They load nothing from elsewhere,
run no script, and hold nothing that a client sent.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp

from tenure.core.principal import Action
from tenure.http.call import SOCKET, AnyRoute, Call, NoBody, NoQuery, TenantRule
from tenure.http.openapi import Json
from tenure.http.problems import KINDS
from tenure.http.wire import JSON, NO_STORE

STYLE = """
:root { --paper: #FBFAF7; --ink: #1C1B19; --line: #E6E2DA; --quiet: #6B665E; --brass: #8A5F12; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #141311; --ink: #ECE8E1; --line: #2B2925; --quiet: #A39D92; --brass: #D9A441; }
}
body { margin: 0 auto; padding: 48px 24px; max-width: 68ch; background: var(--paper);
  color: var(--ink); font: 15px/24px system-ui, sans-serif; }
main { border-left: 1px solid var(--line); padding-left: 24px; }
h1 { font-size: 24px; font-weight: 600; margin: 0 0 16px; }
h2 { font-size: 15px; font-weight: 600; margin: 40px 0 8px; overflow-wrap: anywhere; }
code, pre { font: 13px/20px ui-monospace, monospace; }
pre { border: 1px solid var(--line); border-radius: 6px; padding: 12px 16px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: 4px 12px 4px 0; text-align: left;
  vertical-align: top; font-weight: 400; overflow-wrap: anywhere; }
a { color: var(--brass); }
.quiet { color: var(--quiet); }
"""

_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

WHO = {
    Action.READ: "any role",
    Action.WRITE: "admin, operator or member",
    Action.CONNECT: "admin or operator",
    Action.MANAGE: "admin",
    Action.DRAIN: "the bootstrap admin",
}


async def home(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """The start page."""
    return _html(call.site.texts.home)


def ask_first(what: str, go_on: str) -> Response:
    """A page that does nothing until whoever sees it goes on by hand, to the very address that it has."""
    return _html(_page("Tenure", f'<h1>{escape(what)}</h1><p><a href="">{escape(go_on)}</a></p>'))


async def docs(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """The reference."""
    return _html(call.site.texts.docs)


async def openapi(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """The OpenAPI document."""
    return Response(call.site.texts.openapi, headers=NO_STORE, media_type=JSON)


def _html(page: bytes) -> Response:
    headers = {
        **NO_STORE,
        "content-security-policy": POLICY,
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }
    return Response(page, headers=headers, media_type="text/html")


def home_page(agents: Iterable[str], version: str) -> bytes:
    """What a person sees at the console's addresses where the console isn't installed."""
    names = sorted(agents)
    listed = ", ".join(f"<code>{escape(name)}</code>" for name in names) or "none yet"
    first = escape(names[0]) if names else "NAME"
    return _page(
        "Tenure",
        f"""<h1>Tenure</h1>
<p>This is a Tenure host, version {escape(version)}: a durable home for agent sessions. Whatever an
agent says here is kept in a journal that any screen can follow, leave and pick up again.</p>
<p>Agents on this host: {listed}.</p>
<h2>The console</h2>
<p>It isn't part of this installation: its pages have to be built, and here they weren't. In a clone,
build them with Node.js 20.19 or newer, and start the host again. Whoever installs the package has them.</p>
<pre>./dev console</pre>
<p>Everything else works without it.</p>
<h2>Talk to an agent</h2>
<pre>tenure chat --agent {first}</pre>
<p>On the machine that runs this host, the command finds its address and key by itself. Elsewhere,
set <code>TENURE_SERVER</code> to this address and <code>TENURE_KEY</code> to a key.</p>
<h2>Build on it</h2>
<p><a href="/docs">The reference</a> lists every path. <a href="/openapi.json">The OpenAPI
document</a> says the same to programs. <a href="/healthz">Health</a>,
<a href="/readyz">readiness</a> and <a href="/metrics">metrics</a> are open to whoever watches.</p>""",
    )


def docs_page(routes: Iterable[AnyRoute], document: Json) -> bytes:
    """The reference: every route and every problem of the table."""
    table = tuple(routes)
    return _page(
        "Tenure: reference",
        f"""<h1>Tenure, reference</h1>
<p>Bodies are JSON of at most 1 MiB. Send a key as <code>Authorization: Bearer KEY</code>. Every
<code>POST</code> takes an <code>Idempotency-Key</code>: its repeat answers the same again. Every error
is a problem document with a <code>code</code> from the table at the end.
<a href="/openapi.json">The OpenAPI document</a> says the same to programs.</p>
{"".join(_route(route, document) for route in table)}
<h2 id="problems">Problems</h2>
<table>{"".join(_problems())}</table>""",
    )


def _page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    ).encode()


def _route(route: AnyRoute, document: Json) -> str:
    method = "WS" if route.method == SOCKET else route.method
    operation = document["paths"][route.path]["get" if method == "WS" else method.lower()]
    anchor = operation["operationId"]
    who = "no key" if route.tenant_rule is TenantRule.PUBLIC else WHO[route.action or Action.DRAIN]
    return (
        f'<h2 id="{anchor}"><code>{method} {escape(route.path)}</code></h2>'
        f"<p>{_prose(operation['description'])} <span class=quiet>For {who}. Answers {route.status}"
        f"{', or an event stream' if route.streams else ''}.</span></p>"
        f"{_fields(operation, document)}"
    )


def _prose(text: str) -> str:
    """A sentence with its `names` set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _fields(operation: Json, document: Json) -> str:
    rows = [
        _row(p["name"], p["in"], _type(p["schema"]))
        for p in operation.get("parameters", ())
        if "name" in p and p["in"] == "query"
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for part in content.values():
        body = part["schema"]
        if "$ref" in body:
            body = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
        required = body.get("required", ())
        for name, schema in body.get("properties", {}).items():
            rows.append(_row(name, "body, required" if name in required else "body", _type(schema)))
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _row(name: str, place: str, kind: str) -> str:
    return f"<tr><td><code>{escape(name)}</code><td class=quiet>{place}<td>{escape(kind)}"


def _type(schema: Any) -> str:
    """A schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "any"))


def _problems() -> Iterator[str]:
    for code, kind in KINDS.items():
        yield f'<tr id="{code}"><td><code>{code}</code><td>{kind.status}<td>{escape(kind.title)}'
