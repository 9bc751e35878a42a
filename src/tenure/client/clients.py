"""Every question that can be asked of a server, each written once for both kinds of client.

Programs use `Client` and `AsyncClient`; their methods are those of `Calls`.
"""

from pathlib import Path
from types import TracebackType

from tenure.client.calls.approvals import ApprovalCalls
from tenure.client.calls.conversation import ConversationCalls
from tenure.client.calls.events import EventCalls
from tenure.client.calls.files import FileCalls
from tenure.client.calls.history import HistoryCalls
from tenure.client.calls.hosts import HostCalls
from tenure.client.calls.operations import OperationCalls
from tenure.client.calls.schedules import ScheduleCalls
from tenure.client.calls.sessions import SessionCalls
from tenure.client.calls.signing import SigningCalls
from tenure.client.calls.state import StateCalls
from tenure.client.calls.usage import UsageCalls
from tenure.client.face import Awaiting, Blocking, finish
from tenure.client.place import find_place
from tenure.client.wires import AwaitingWire, BlockingWire

PATIENCE_S = 30.0


class Calls(
    HostCalls,
    OperationCalls,
    ApprovalCalls,
    EventCalls,
    SessionCalls,
    ConversationCalls,
    HistoryCalls,
    ScheduleCalls,
    UsageCalls,
    FileCalls,
    StateCalls,
    SigningCalls,
):
    """What both clients can do.

    Refusals are raised as TenureError with the server's code, detail and facts; a server that stays out
    of reach as ServerUnreachable. Commands are repeated under one idempotency key after a dropped
    connection, so each happens once.
    """


class Client(Calls, Blocking):
    """The blocking client. Use it as a context manager; several threads may share one.

    Address and key are found as the command line finds them, unless given. `patience_s` is how long a
    server that was there may be out of reach before ServerUnreachable is raised.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        *,
        home: Path | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        place = find_place(server, key, home)
        super().__init__(BlockingWire(place), place, patience_s)

    def close(self) -> None:
        """Close all connections. Runs go on."""
        finish(self._line.close())

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(Calls, Awaiting):
    """The asynchronous client. Use it as a context manager, within one event loop.

    Address, key and `patience_s` are those of `Client`.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        *,
        home: Path | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        place = find_place(server, key, home)
        super().__init__(AwaitingWire(place), place, patience_s)

    async def aclose(self) -> None:
        """Close all connections. Runs go on."""
        await self._line.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
