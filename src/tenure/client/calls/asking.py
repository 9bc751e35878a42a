"""What all groups of questions share: the line to the server, and how paths and pages are asked."""

import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from tenure.client.line import Line
from tenure.client.place import Place
from tenure.client.wires import Request, Wire

T = TypeVar("T")

PAGE = 200


class Listed(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list as the server answers it."""

    data: tuple[T, ...]
    next_cursor: str | None = None


class Asking:
    """The base of every group of questions."""

    def __init__(self, wire: Wire, place: Place, patience_s: float) -> None:
        self.address = place.url
        self._line = Line(wire, place.url, patience_s)

    async def _pages(
        self, kind: type[T], *path: str, query: Iterable[tuple[str, str]] = ()
    ) -> AsyncGenerator[T, None]:
        fixed = (*query, ("limit", str(PAGE)))
        cursor: str | None = None
        while True:
            place = () if cursor is None else (("cursor", cursor),)
            page = await self._line.ask(get(*path, query=(*fixed, *place)), Listed[kind])
            for item in page.data:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return


def path_to(*parts: str) -> str:
    """A path of the API. Ids are quoted, so that nothing a caller says leads to another route."""
    return "/v1/" + "/".join(_step(part) for part in parts)


def _step(part: str) -> str:
    """One step of a path. As they are, the names of this folder and the one above lead to other routes."""
    return part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="")


def get(*path: str, query: Iterable[tuple[str, str]] = ()) -> Request:
    return Request("GET", path_to(*path), tuple(query))


def post(body: msgspec.Struct | Mapping[str, object], key: str | None, *path: str) -> Request:
    headers = (("Idempotency-Key", key or secrets.token_hex(16)),)
    return Request("POST", path_to(*path), headers=headers, body=msgspec.json.encode(body))
