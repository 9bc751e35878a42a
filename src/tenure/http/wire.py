"""How answers are written: plain ASGI for the hot routes, Starlette's responses for the rest.

Handlers return what is made here. It decides nothing; statuses of refusals stand in `problems`.
"""

from typing import NamedTuple

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tenure.http.problems import Rendered

JSON = "application/json"
NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
REPLAYED = (b"idempotency-replayed", b"true")

_encoder = msgspec.json.Encoder()


def json_response(
    value: object, status: int = 200, *, replayed: bool = False, tag: str | None = None
) -> Response:
    """`value` as JSON; `replayed` says that the same request was answered before, `tag` is its ETag."""
    headers = {**NO_STORE, "idempotency-replayed": "true"} if replayed else NO_STORE
    if tag is not None:
        headers = {**headers, "etag": tag}
    return Response(_encoder.encode(value), status, headers, media_type=JSON)


def empty_response() -> Response:
    """204: done, and there is nothing to say."""
    return Response(status_code=204, headers=NO_STORE)


class Reply(NamedTuple):
    """A JSON answer written by plain ASGI."""

    status: int
    body: bytes
    replayed: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if self.replayed:
            headers.append(REPLAYED)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


async def send_rendered(send: Send, rendered: Rendered) -> None:
    """Write a problem."""
    await send({"type": "http.response.start", "status": rendered.status, "headers": rendered.headers})
    await send({"type": "http.response.body", "body": rendered.body})
