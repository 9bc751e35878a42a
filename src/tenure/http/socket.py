"""A session over a WebSocket: the same events down, commands up, each answered by its id.

A command is the POST of the same name in another envelope: same body, same refusals, same receipts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from tenure.core.command import (
    Ask,
    ChangeMessage,
    DecideApproval,
    DecideHere,
    InterruptRun,
    PromoteMessage,
    SendMessage,
    WithdrawMessage,
)
from tenure.core.history import CompactSession, RedoTurns, UndoReceipt, UndoTurns
from tenure.core.message import BusyPolicy
from tenure.core.principal import Action
from tenure.errors import Code, TenureError
from tenure.host.fanout import Delivery, Ended
from tenure.http import gates, problems
from tenure.http.bodies import MAX_BYTES, Disconnected, decode, idempotency, too_large
from tenure.http.call import AnyCall, Call, NoBody
from tenure.http.lists import cursor_of
from tenure.http.stream import NAMES, Beat, Reader, control_of, following
from tenure.ports.store import Answer, Idempotency

ACCEPT = {"type": "websocket.accept"}
CLOSE_CODES = {"draining": 1001, "revoked": 4401}
NORMAL = 1000


class SocketQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the socket begins to follow."""

    after: str | None = None
    history: str | None = None


class KeyFrame(Ask, frozen=True, kw_only=True):
    """The first frame of a client that can't set headers."""

    auth: str


class CommandFrame(Ask, frozen=True, kw_only=True):
    """A command: `id` comes back with its answer, `idempotency_key` is the header's equal."""

    id: str | int
    command: str
    body: msgspec.Raw = msgspec.Raw(b"{}")
    idempotency_key: str | None = None


class Named(msgspec.Struct, frozen=True):
    """As much of a frame as its answer needs, whatever else is wrong with it."""

    id: str | int | None = None


class ReplyFrame(msgspec.Struct, frozen=True):
    """The answer to a command, or, with no id, to something that wasn't one."""

    id: str | int | None
    status: int
    body: object


class Command(NamedTuple):
    """What a command of the socket stands for: the POST at `path` below the session."""

    body: type[Ask]
    action: Action
    path: str
    give: Callable[[AnyCall, Any, Idempotency | None], Awaitable[Answer[Any]]]
    status: int = 202


async def _send(call: AnyCall, ask: SendMessage, idem: Idempotency | None) -> Answer[Any]:
    return await call.site.host.commands.send(call.by, call.session_id, ask, idem)


async def _interrupt(call: AnyCall, ask: InterruptRun, idem: Idempotency | None) -> Answer[Any]:
    return await call.site.host.commands.interrupt(call.by, call.session_id, ask, idem)


async def _steer(call: AnyCall, ask: SendMessage, idem: Idempotency | None) -> Answer[Any]:
    ask = msgspec.structs.replace(ask, when_busy=BusyPolicy.STEER)
    return await call.site.host.commands.send(call.by, call.session_id, ask, idem)


async def _withdraw(call: AnyCall, ask: WithdrawMessage, _idem: Idempotency | None) -> Answer[Any]:
    await call.site.host.commands.withdraw_message(call.by, call.session_id, ask.message_id)
    return Answer(None)


async def _promote(call: AnyCall, ask: PromoteMessage, _idem: Idempotency | None) -> Answer[Any]:
    change = ChangeMessage(promote=ask.promote)
    commands = call.site.host.commands
    return Answer(await commands.change_message(call.by, call.session_id, ask.message_id, change))


async def _decide(call: AnyCall, ask: DecideHere, idem: Idempotency | None) -> Answer[Any]:
    host = call.site.host
    ground = await host.store.ground_of_approval(ask.approval_id)
    if ground is None or ground.session_id != call.session_id:
        raise gates.not_found("approval", ask.approval_id)
    body = DecideApproval(
        decision=ask.decision, arguments=ask.arguments, note=ask.note, remember=ask.remember
    )
    if idem is not None:
        path = f"/v1/approvals/{ask.approval_id}"
        idem = idempotency(idem.key, len(idem.key.encode()), path, body)
    return await host.approvals.decide(call.by, ask.approval_id, body, idem)


async def _undo(call: AnyCall, ask: UndoTurns, idem: Idempotency | None) -> Answer[Any]:
    return await call.site.host.histories.undo(call.by, call.session_id, ask, idem)


async def _redo(call: AnyCall, ask: RedoTurns, idem: Idempotency | None) -> Answer[Any]:
    return await call.site.host.histories.redo(call.by, call.session_id, ask, idem)


async def _compact(call: AnyCall, ask: CompactSession, idem: Idempotency | None) -> Answer[Any]:
    return await call.site.host.histories.compact(call.by, call.session_id, ask, idem)


COMMANDS: dict[str, Command] = {
    "undo": Command(UndoTurns, Action.WRITE, "undo", _undo, 200),
    "redo": Command(RedoTurns, Action.WRITE, "redo", _redo, 200),
    "compact": Command(CompactSession, Action.WRITE, "compact", _compact),
    "send": Command(SendMessage, Action.WRITE, "messages", _send),
    "steer": Command(SendMessage, Action.WRITE, "messages", _steer),
    "withdraw": Command(WithdrawMessage, Action.WRITE, "messages", _withdraw, 204),
    "promote": Command(PromoteMessage, Action.WRITE, "messages", _promote, 200),
    "decide": Command(DecideHere, Action.WRITE, "approvals", _decide, 200),
    "interrupt": Command(InterruptRun, Action.WRITE, "interrupt", _interrupt),
}


async def open_socket(call: Call[NoBody, SocketQuery]) -> ASGIApp:
    """Follow a session and give commands over one connection."""
    if call.site.host.draining:
        raise TenureError(Code.DRAINING, "The host is draining. Open the socket on another host.")
    return Socket(call)


class Socket(NamedTuple):
    """One open socket."""

    call: Call[NoBody, SocketQuery]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it until one side ends it."""
        call = self.call
        accepted = call.principal is None
        if accepted:
            await send(ACCEPT)
            key = await _key_frame(receive, call.site.options.key_frame_s)
            await gates.enter(call, gates.Credential(key))
        after = cursor_of(call, call.query.after, call.query.history) or 0
        with call.site.audience.seat(call.by, gates.hash_of(call.key)) as seat:
            async with following(call, seat, after, send) as reader:
                if not accepted:
                    await send(ACCEPT)
                await _first_of(_events(call, reader, send), _commands(call, receive, send))


async def refuse(scope: Scope, send: Send, error: TenureError, *, accepted: bool) -> None:
    """Tell a socket's client why it isn't served: an HTTP answer if it can still be one, else a frame."""
    rendered = problems.render(error)
    if accepted:
        await _send_json(send, ReplyFrame(None, rendered.status, problems.document(error)))
        await send({"type": "websocket.close", "code": 4000 + rendered.status, "reason": error.code})
    elif "websocket.http.response" in scope.get("extensions", {}):
        kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": rendered.status, "headers": rendered.headers})
        await send({"type": f"{kind}.body", "body": rendered.body})
    else:
        await send({"type": "websocket.close", "code": 4000 + rendered.status, "reason": error.code})


async def _first_of(*sides: Coroutine[Any, Any, None]) -> None:
    """Run both sides until one ends; then the other one ends too."""
    tasks = [asyncio.ensure_future(side) for side in sides]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


async def _events(call: AnyCall, reader: Reader, send: Send) -> None:
    history = call.site.host.store.history
    while (step := await reader.next()) is not None:
        match step:
            case Delivery():
                for envelope in step.envelopes():
                    await send({"type": "websocket.send", "text": envelope.decode()})
            case Beat():
                pass
            case _:
                control = control_of(step, history)
                await _send_json(send, {"control": NAMES[type(control)], **msgspec.structs.asdict(control)})
        reader.spoke()
        if isinstance(step, Ended):
            await send({"type": "websocket.close", "code": CLOSE_CODES.get(step.reason, NORMAL)})
            return


async def _commands(call: AnyCall, receive: Receive, send: Send) -> None:
    while (text := await _text(receive)) is not None:
        await _send_json(send, await _obey(call, text))


async def _obey(call: AnyCall, text: bytes) -> ReplyFrame:
    """Carry out one frame. A refusal is an answer, with the problem as its body."""
    try:
        frame = decode(text, CommandFrame)
    except TenureError as error:
        return _refusal(_id_of(text) if error.code is Code.INVALID else None, error)
    try:
        status, made = await _give(call, frame)
    except TenureError as error:
        return _refusal(frame.id, error)
    return ReplyFrame(frame.id, status, made.value)


def _id_of(text: bytes) -> str | int | None:
    """The id of a frame that is JSON, but no command."""
    try:
        return msgspec.json.decode(text, type=Named).id
    except msgspec.DecodeError:
        return None


def _refusal(frame_id: str | int | None, error: TenureError) -> ReplyFrame:
    return ReplyFrame(frame_id, problems.KINDS[error.code].status, problems.document(error))


async def _give(call: AnyCall, frame: CommandFrame) -> tuple[int, Answer[Any]]:
    command = COMMANDS.get(frame.command)
    if command is None:
        raise TenureError(
            Code.UNSUPPORTED,
            f"The socket has no command {frame.command[:100]!r}. It has: {', '.join(COMMANDS)}.",
            command=frame.command[:100],
        )
    gates.check_action(command.action, call.by, f"give the command {frame.command}")
    call.site.pace.take(call.by)
    ask = decode(bytes(frame.body), command.body)
    made = await command.give(call, ask, _idempotency(call, frame.idempotency_key, command, ask))
    stops = isinstance(made.value, UndoReceipt) and made.value.interrupts is not None
    return 202 if stops else command.status, made


def _idempotency(call: AnyCall, key: str | None, command: Command, ask: Ask) -> Idempotency | None:
    """The same key and the same body name the same request here and at the POST."""
    if key is None:
        return None
    path = f"/v1/sessions/{call.session_id}/{command.path}"
    return idempotency(key, len(key.encode()), path, ask)


async def _key_frame(receive: Receive, within_s: float) -> bytes:
    try:
        async with asyncio.timeout(within_s):
            text = await _text(receive)
    except TimeoutError:
        raise TenureError(
            Code.UNAUTHENTICATED,
            f'No key came within {within_s:g} s. Send {{"auth": KEY}} first, or the Authorization header.',
        ) from None
    if text is None:
        raise Disconnected
    return decode(text, KeyFrame).auth.encode()


async def _text(receive: Receive) -> bytes | None:
    """The next text frame; None once the client is gone."""
    message = await receive()
    if message["type"] == "websocket.disconnect":
        return None
    text = message.get("text")
    if text is None:
        raise TenureError(Code.BAD_REQUEST, "A binary frame came. Send each command as a text frame.")
    body = text.encode(errors="surrogatepass")
    if len(body) > MAX_BYTES:
        raise too_large(len(body))
    return body


async def _send_json(send: Send, value: object) -> None:
    await send({"type": "websocket.send", "text": msgspec.json.encode(value).decode()})
