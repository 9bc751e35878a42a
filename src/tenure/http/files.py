"""Files of a session: upload, list, download, delete.

Bytes go through in pieces, never whole. What is downloaded can't act in a browser, whatever it holds.
"""

import re
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import ASGIApp, Receive, Scope, Send

from tenure.core.artifact import MAX_FILE_BYTES, Blob, FileInfo, check_size
from tenure.core.content import storable
from tenure.core.view import View
from tenure.errors import Code, TenureError
from tenure.http.bodies import Disconnected, idempotency
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.lists import PageQuery
from tenure.http.wire import empty_response, json_response
from tenure.ports.files import Incoming, Outgoing
from tenure.ports.store import Idempotency

MOST_BYTES = MAX_FILE_BYTES + 64 * 1024
"""The size of the largest body of an upload: a file, and what a form puts around it."""

PIECE = 256 * 1024
FIELD = b"file"
FORM = b"application/x-www-form-urlencoded"
"""What curl calls any body of which it isn't told more: it says nothing of a file."""

_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")
_SANDBOX = b"sandbox; default-src 'none'; frame-ancestors 'none'"


class FilePage(View, frozen=True, kw_only=True):
    """A page of the files of a session, oldest first."""

    data: tuple[FileInfo, ...]
    next_cursor: str | None


class UploadQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name of a file whose bytes are the body itself. In a form it replaces the one that stands there."""

    name: str | None = None


async def upload_file(call: Call[NoBody, UploadQuery]) -> ASGIApp:
    """Send a file: as the field `file` of a form, or as the body itself with the parameter `name`.

    It may have up to 32 MiB. Its media type is what the part or the request says, else told by the name. A
    message refers to it by its id. Before the next run begins, it lies in the session's folder.
    """
    return Upload(call)


async def list_files(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """The files of a session: what was sent, and what its agent made."""
    page = await call.site.host.store.files.page(call.session_id, call.query.cursor, call.query.limit)
    return json_response(FilePage(data=tuple(page.data), next_cursor=page.next_cursor))


async def download_file(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """The bytes of a file, as an attachment that no browser runs. Its `ETag` is its SHA-256."""
    info, outgoing = await call.site.host.files.open(call.session_id, call.path["file_id"])
    return Download(call, info, outgoing)


async def delete_file(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Delete a file. Its id stays in the journal, its bytes go unless another file has the same."""
    await call.site.host.files.delete(call.by, call.session_id, call.path["file_id"])
    return empty_response()


# --- up


class Named(NamedTuple):
    """What a client says of the file it sends."""

    name: str
    media_type: str | None


class Upload(NamedTuple):
    """The answer to an upload: it reads the body first."""

    call: Call[NoBody, UploadQuery]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the file, and tell what became of it."""
        call, files = self.call, self.call.site.host.files
        incoming = files.folders.receive(call.session_id)
        try:
            named = await self._read(receive, incoming)
            answer = await files.upload(
                call.by,
                call.session_id,
                incoming,
                name=named.name,
                kind=named.media_type,
                idem=lambda blob: self._idempotency(named, blob),
            )
        finally:
            await incoming.drop()
        respond = json_response(answer.value, 201, replayed=answer.replayed)
        await respond(scope, receive, send)

    async def _read(self, receive: Receive, incoming: Incoming) -> Named:
        given = self.call.query.name
        kind, options = parse_options_header(self.call.header(b"content-type"))
        if kind == b"multipart/form-data":
            form = Form(options.get(b"boundary", b""))
            await _pass_on(receive, incoming, form)
            named = form.named()
            return named if given is None else named._replace(name=given)
        if given is None:
            raise TenureError(
                Code.INVALID,
                "The file has no name. Give it as ?name=report.csv, or send a form with the field `file`.",
                field="name",
            )
        await _pass_on(receive, incoming, None)
        return Named(given, None if kind in (b"", FORM) else self.call.header(b"content-type"))

    def _idempotency(self, named: Named, blob: Blob) -> Idempotency | None:
        key = self.call.headers.get(b"idempotency-key")
        if key is None:
            return None
        body = {"name": named.name, "media_type": named.media_type, "sha256": blob.sha256}
        return idempotency(key.decode("latin-1"), len(key), self.call.scope["path"], body)


async def _pass_on(receive: Receive, incoming: Incoming, form: "Form | None") -> None:
    """Take the body, piece by piece. Raises TenureError `too_large` as soon as the file is."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        data: bytes = message.get("body", b"")
        for piece in (data,) if form is None else form.feed(data):
            if piece:
                check_size(None, incoming.size + len(piece))
                await incoming.write(piece)
        if not message.get("more_body", False):
            return


class Form:
    """A form of one field, read as it comes. Raises TenureError `bad_request` or `invalid`."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise _no_form("its Content-Type names no boundary")
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._pieces: list[bytes] = []
        self._file: Named | None = None
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_part_data": self._take,
                    "on_header_field": self._take_name,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._open,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _no_form(str(error)) from None

    def feed(self, data: bytes) -> list[bytes]:
        """Read on. Returns what belongs to the file."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _no_form(str(error)) from None
        pieces, self._pieces = self._pieces, []
        return pieces

    def named(self) -> Named:
        """What the form says of its file, once all of it was read."""
        if not self._ended:
            raise _no_form("it ends in the middle")
        if self._file is None:
            raise TenureError(
                Code.INVALID, "The form holds no file. Send it as the field `file`.", field="file"
            )
        return self._file

    def _begin(self) -> None:
        self._headers = {}

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(_text(self._headers.get(b"content-disposition", b"")))
        field = options.get(b"name", b"")
        if field != FIELD or self._file is not None:
            shown = field[:100].decode(errors="replace")
            raise TenureError(
                Code.INVALID, f"The form holds the field {shown!r}. Send one field `file`.", field=shown
            )
        kind = self._headers.get(b"content-type")
        self._file = Named(_name_of(options.get(b"filename", b"")), None if kind is None else _text(kind))

    def _take(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        self._ended = True


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _name_of(value: bytes) -> str:
    """A file's name: browsers and clients send UTF-8, old ones anything."""
    try:
        return storable(value.decode(), "The name of the file")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _no_form(reason: str) -> TenureError:
    return TenureError(
        Code.BAD_REQUEST, f"The body isn't a readable form: {reason}. Send multipart/form-data."
    )


# --- down


class Span(NamedTuple):
    """Which bytes of a file are asked for: from `first` on, `size` of them."""

    first: int
    size: int


class Download(NamedTuple):
    """The answer that is a file."""

    call: Call[NoBody, NoQuery]
    info: FileInfo
    outgoing: Outgoing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it, a piece at a time: a slow client keeps one piece in memory."""
        tag = f'"{self.info.sha256}"'
        try:
            if _matches(self.call.header(b"if-none-match"), tag):
                await _start(send, 304, [(b"etag", tag.encode())])
                await send({"type": "http.response.body", "body": b""})
                return
            span = self._span(tag)
            await _start(send, 200 if span is None else 206, self._headers(tag, span))
            whole = Span(0, self.outgoing.size)
            await self._write(send, span or whole)
        finally:
            self.outgoing.close()

    def _span(self, tag: str) -> Span | None:
        """The part that is asked for; None for all of it, which is also the answer to nonsense."""
        asked = _RANGE.fullmatch(self.call.header(b"range").strip())
        if asked is None or self.call.header(b"if-range") not in ("", tag):
            return None
        first, size = int(asked[1]), self.outgoing.size
        last = min(int(asked[2]) if asked[2] else size, size - 1)
        return Span(first, last - first + 1) if first <= last else None

    def _headers(self, tag: str, span: Span | None) -> list[tuple[bytes, bytes]]:
        size = self.outgoing.size
        headers = [
            (b"content-type", self.info.media_type.encode("latin-1")),
            (b"content-length", b"%d" % (size if span is None else span.size)),
            (b"content-disposition", disposition(self.info.name)),
            (b"etag", tag.encode()),
            (b"accept-ranges", b"bytes"),
        ]
        if span is not None:
            last = span.first + span.size - 1
            headers.append((b"content-range", b"bytes %d-%d/%d" % (span.first, last, size)))
        return headers

    async def _write(self, send: Send, span: Span) -> None:
        if self.call.scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self.outgoing.skip(span.first)
        left = span.size
        while left and (piece := await self.outgoing.read(min(left, PIECE))):
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    safe = [
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", _SANDBOX),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cache-control", b"private, no-cache"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *safe]})


def _matches(header: str, tag: str) -> bool:
    return tag in [part.strip().removeprefix("W/") for part in header.split(",")]


def disposition(name: str) -> bytes:
    """A Content-Disposition that saves under `name`: in full for all, and in ASCII for old clients."""
    plain = re.sub(r'[^ !#-\[\]-~]|["%\\]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()
