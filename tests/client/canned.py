"""A server that says what a test tells it to: for what no real server says on demand."""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

STREAM = {"Content-Type": "text/event-stream"}
PROBLEM = {"Content-Type": "application/problem+json"}


class Said(NamedTuple):
    """One answer, in full."""

    status: int
    body: str
    headers: Mapping[str, str] = {}


class Heard(NamedTuple):
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


class Canned:
    """Answers the next requests with what it was given, and keeps what was asked."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._says: list[Said] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def says(self, *answers: Said) -> None:
        """What to answer next, in order."""
        self._says.extend(answers)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length).decode()
                canned.heard.append(Heard(self.command, self.path, dict(self.headers), body))
                said = canned._says.pop(0)
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.body.encode())))
                self.end_headers()
                self.wfile.write(said.body.encode())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def event(seq: int, kind: str = "message.delta", data: str = '{"message_id":"m","text":"x"}') -> str:
    """An envelope of a journal."""
    return (
        f'{{"seq":{seq},"at":"2026-11-20T20:10:00.123456Z","type":"{kind}","run_id":"run_1","data":{data}}}'
    )


def frames(*events: str) -> str:
    """A piece of an event stream."""
    return "".join(f"id: {at}\ndata: {text}\n\n" for at, text in enumerate(events))


def control(name: str, data: str) -> str:
    """A control frame."""
    return f"event: {name}\ndata: {data}\n\n"
