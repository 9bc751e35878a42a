"""A loopback proxy that loses connections: each one may bring back only so many bytes of answer."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import chain, repeat

NEVER = 1 << 60
TICK_S = 0.05
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Stands between client and server. `budgets` says, connection by connection, how much gets through.

    With a budget of 0 the request reaches the server, which answers, and the client never hears of it.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._budgets: Iterator[int] = repeat(NEVER)
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self._threads[0].start()

    def allow(self, *budgets: int) -> None:
        """The budgets of the next connections; after them everything gets through."""
        self._budgets = chain(budgets, repeat(NEVER))

    def allow_each(self, draw: Callable[[], int], times: int) -> None:
        """Draw the budgets of so many connections; after them everything gets through."""
        self._budgets = chain((draw() for _ in range(times)), repeat(NEVER))

    def close(self) -> None:
        """Drop every connection and stop listening."""
        self._closed.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            if select.select([self._listener], [], [], TICK_S)[0]:
                client, _ = self._listener.accept()
                carry = threading.Thread(target=self._carry, args=(client, next(self._budgets)))
                self._threads.append(carry)
                carry.start()

    def _carry(self, client: socket.socket, budget: int) -> None:
        with closing(client), suppress(ConnectionError):
            with closing(socket.create_connection(("127.0.0.1", self._upstream))) as server:
                self._pass_on(client, server, budget)

    def _pass_on(self, client: socket.socket, server: socket.socket, budget: int) -> None:
        while not self._closed.is_set():
            for side in select.select([client, server], [], [], TICK_S)[0]:
                data: bytes = side.recv(65_536)
                if not data:
                    return
                if side is client:
                    server.sendall(data)
                    continue
                client.sendall(data[:budget])
                budget -= len(data)
                if budget <= 0:
                    self.cuts += 1
                    # An abrupt end, as when the other side's machine is gone.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    return
