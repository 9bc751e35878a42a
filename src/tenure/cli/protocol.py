"""The HTTP protocol of the server, with an end to its patience: a request's head may not grow for ever.

The server module hands it to uvicorn. It looks at sizes only; what a head says is the front's to judge.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 65_536
"""How many bytes a request line with its headers may have."""


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request head goes beyond MAX_HEAD, before it is kept."""

    _in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The headers are larger than 64 KiB. Send smaller ones.")
