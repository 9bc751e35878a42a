"""Messages of a session: send one, read the transcript, read one."""

from typing import NamedTuple, assert_never

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from tenure.core.command import ChangeMessage, SendMessage
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.host.fanout import Delivery, Ended, Gap, Step, UpToDate
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.etag import etag, wanted_version
from tenure.http.gates import hash_of, not_found
from tenure.http.lists import PageQuery, check_head, cursor_of
from tenure.http.stream import (
    COMMENT,
    Beat,
    ControlClosed,
    Reader,
    control_frame,
    control_of,
    following,
    headers_of,
    named_frame,
    watching,
)
from tenure.http.thread import Thread
from tenure.http.wire import REPLAYED, Reply, empty_response, json_response
from tenure.ports.store import Answer

_receipts = msgspec.json.Encoder()


async def send_message(call: Call[SendMessage, NoQuery]) -> ASGIApp:
    """Say something to the agent. With `Accept: text/event-stream` the answer streams to its end."""
    if not call.wants_stream:
        made = await _send(call)
        return Reply(202, _receipts.encode(made.value), made.replayed)
    if call.site.host.draining:
        raise TenureError(Code.DRAINING, "The host is draining. Send the message to another host.")
    after = cursor_of(call, None, None) or 0
    if after:
        await check_head(call.site.host.store, call.session_id, after)
    return MessageStream(call, after)


async def read_transcript(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """The transcript, oldest first, and the messages that wait."""
    query = call.query
    return json_response(await call.site.host.store.transcript(call.session_id, query.cursor, query.limit))


async def read_message(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One message: where it is, which run took it, how that ended."""
    message_id = call.path["message_id"]
    found = await call.site.host.store.message(call.session_id, message_id)
    if found is None:
        raise not_found("message", message_id)
    return json_response(found, tag=etag(found.version))


async def change_message(call: Call[ChangeMessage, NoQuery]) -> ASGIApp:
    """Edit a message that waits, send it now, or move it to the front."""
    ask, version = call.body, wanted_version(call)
    if version is not None:
        ask = msgspec.structs.replace(ask, if_version=version)
    commands, message_id = call.site.host.commands, call.path["message_id"]
    changed = await commands.change_message(call.by, call.session_id, message_id, ask)
    return json_response(changed, tag=etag(changed.version))


async def withdraw_message(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Withdraw a message that waits: it will never run."""
    commands, message_id = call.site.host.commands, call.path["message_id"]
    await commands.withdraw_message(call.by, call.session_id, message_id, wanted_version(call))
    return empty_response()


async def _send(call: Call[SendMessage, NoQuery]) -> Answer[MessageReceipt]:
    return await call.site.host.commands.send(call.by, call.session_id, call.body, call.idempotency)


class MessageStream(NamedTuple):
    """The answer that streams one message to its end. The seat is taken first: a refusal admits nothing."""

    call: Call[SendMessage, NoQuery]
    after: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the message, then write what becomes of it.

        The reader stands at the head before the message is admitted, so that it meets the first events
        live and needn't look for them in the journal.
        """
        call, store = self.call, self.call.site.host.store
        with call.site.audience.seat(call.by, hash_of(call.key)) as seat, watching(receive, seat):
            head = await store.head(call.session_id)
            async with following(call, seat, head, send) as reader:
                made = await _send(call)
                if made.value.seq > head:
                    await self._tell(reader, made, admitted_before=False)
                    return
            after = max(self.after, made.value.seq - 1)
            async with following(call, seat, after, send) as reader:
                await self._tell(reader, made, admitted_before=True)

    async def _tell(self, reader: Reader, made: Answer[MessageReceipt], *, admitted_before: bool) -> None:
        store = self.call.site.host.store
        thread = Thread(store, self.call.session_id, made.value)
        queued = await thread.resume() if admitted_before else thread.queued()
        headers = headers_of(store.history)
        await reader.start([*headers, REPLAYED] if made.replayed else headers)
        await reader.write(named_frame("receipt", made.value) + queued)
        await _follow(reader, thread, store.history)


async def _follow(reader: Reader, thread: Thread, history: str) -> None:
    while (step := await reader.next()) is not None:
        frames = await _frames(step, thread, history)
        if thread.outcome is not None:
            frames += control_frame(ControlClosed(thread.outcome))
        if frames:
            await reader.write(frames)
        if thread.outcome is not None or isinstance(step, Ended):
            await reader.finish()
            return


async def _frames(step: Step | Beat, thread: Thread, history: str) -> bytes:
    match step:
        case Delivery():
            return await thread.frames(step)
        case UpToDate(head_seq=head_seq):
            thread.reached(head_seq)
            return b""
        case Beat():
            return COMMENT
        case Gap() | Ended():
            return control_frame(control_of(step, history))
        case _:
            assert_never(step)
