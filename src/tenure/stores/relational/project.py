"""Projects the changes that core derives from an event into the tables, in the event's transaction."""

from collections.abc import Callable
from typing import NamedTuple, assert_never

import msgspec

from tenure.core.approval import APPROVAL
from tenure.core.effect import CallStatus
from tenure.core.entry import Entry
from tenure.core.ledger import digest_of
from tenure.core.message import MessageState
from tenure.core.moment import Micros, micros, timestamp
from tenure.core.origin import API, Origin
from tenure.core.principal import Author
from tenure.core.run import RunState
from tenure.core.transcript import (
    Admitted,
    Answered,
    Asked,
    Booked,
    Change,
    Closed,
    Compacted,
    Consumed,
    Decided,
    Discarded,
    Edited,
    Ended,
    Entered,
    Filed,
    Forked,
    Left,
    Moved,
    Opened,
    Promoted,
    Redone,
    Superseded,
    Undone,
    Withdrawn,
)
from tenure.core.view import MessageReceipt
from tenure.stores.relational import undoing


class Intake(NamedTuple):
    """What the row of an admitted message keeps besides its event: whose authority its run will have.

    `place` orders it among those that wait, `undo_run` is the run that is taken back before it starts.
    """

    author: Author
    deadline_s: float | None
    receipt: MessageReceipt
    origin: Origin = API
    place: int | None = None
    undo_run: str | None = None


class Projection:
    """The rows of one session. `touch` is told of each change in the number of its messages."""

    def __init__(
        self,
        do: Callable[..., int],
        no: int,
        touch: Callable[[int, Micros, int], None],
        intake: Intake | None,
    ) -> None:
        self._run = do
        self._no = no
        self._touch = touch
        self._intake = intake

    def apply(self, change: Change, seq: int, entry: Entry) -> None:
        """Do to the tables what `change` says; `entry` is the event behind it, numbered `seq`."""
        match change:
            case Admitted():
                self._admit(change, seq)
            case Entered():
                self._enter(change, seq, entry)
            case Edited(message_id=message_id, content=content):
                self._do("message_edit", id=message_id, content=_json(content))
            case Promoted(message_id=message_id, run_id=run_id, steers=steers):
                self._do("message_steer" if steers else "message_requeue", id=message_id, run_id=run_id)
            case Consumed(message_id=message_id, run_id=run_id):
                self._count(self._do("message_take", id=message_id, run_id=run_id, seq=seq), entry)
                self._do("message_join", id=message_id, run_id=run_id)
            case Withdrawn(message_id=message_id):
                self._do("message_withdraw", id=message_id)
            case Opened(message_id=message_id, run_id=run_id):
                self._do("reply_open", id=message_id, run_id=run_id, seq=seq)
                self._count(1, entry)
            case Closed():
                self._close(change, seq, entry)
            case Superseded(run_id=run_id):
                self._count(-self._do("reply_supersede", run_id=run_id), entry)
            case Moved(run_id=run_id, state=state):
                if state is RunState.INTERRUPTING:
                    self._run("run_interrupt", id=run_id)
                elif state is RunState.WAITING:
                    # A run that waits already asks for one more: it goes on waiting.
                    self._run("run_ask", id=run_id)
            case Asked():
                self._ask(change, entry)
            case Decided():
                self._decide(change, entry)
            case Answered():
                self._answer(change)
            case Ended():
                self._end(change, entry)
            case Booked():
                self._book(change, entry)
            case Filed():
                self._file(change, seq, entry)
            case Discarded(file_id=file_id):
                self._do("file_delete", id=file_id)
            case Undone() | Redone() | Compacted() | Left() | Forked():
                self._count(undoing.apply(self._do, change, seq), entry)
            case _:
                assert_never(change)

    def _do(self, name: str, /, **values: object) -> int:
        return self._run(name, no=self._no, **values)

    def _count(self, count: int, entry: Entry) -> None:
        self._touch(self._no, entry.at, count)

    def _enter(self, change: Entered, seq: int, entry: Entry) -> None:
        taken = {"id": change.message_id, "run_id": change.run_id}
        entered = self._do("message_enter", **taken, seq=seq if change.shown else None)
        if not entered:
            self._do("message_retry", **taken)
        self._do("message_join", **taken)
        if change.shown:
            self._count(entered, entry)

    def _admit(self, change: Admitted, seq: int) -> None:
        if self._intake is None:
            raise RuntimeError(f"The message {change.message_id} was admitted by no act.")
        self._do(
            "message_insert",
            id=change.message_id,
            state=change.state,
            run_id=change.run_id if change.state is MessageState.STEERED else None,
            joined=change.into,
            undo_run=self._intake.undo_run,
            place=self._intake.place,
            author=_json(self._intake.author),
            content=_json(change.content),
            deadline_s=self._intake.deadline_s,
            receipt=_json(self._intake.receipt),
            origin=_json(self._intake.origin),
            seq=seq,
        )

    def _close(self, change: Closed, seq: int, entry: Entry) -> None:
        said = {"id": change.message_id, "state": change.state, "content": _json(change.content)}
        if not self._do("reply_close", **said):
            self._do("reply_whole", **said, run_id=change.run_id, seq=seq)
            self._count(1, entry)

    def _end(self, change: Ended, entry: Entry) -> None:
        ended = self._do(
            "run_end",
            id=change.run_id,
            state=change.state,
            reason=change.reason,
            retryable=int(change.retryable),
            usage=_json(change.usage),
            at=entry.at,
        )
        if ended != 1:
            raise RuntimeError(f"The run {change.run_id} has an outcome already.")
        self._do("message_settle", run_id=change.run_id)
        self._count(0, entry)

    def _book(self, change: Booked, entry: Entry) -> None:
        """What a run spent is on all books in the commit of the event that says so, and only there."""
        if change.call_id is not None and not self._do(
            "spent_call", run_id=change.run_id, call_id=change.call_id
        ):
            return
        spent = msgspec.structs.asdict(change.spent)
        if change.spent.records or change.spent.tool_calls:
            self._do("spent_of_run", run_id=change.run_id, **spent)
            self._do("spent_of_session", **spent)
        self._do("spent_of_day", run_id=change.run_id, day=timestamp(entry.at)[:10], **spent)

    def _ask(self, change: Asked, entry: Entry) -> None:
        asked = change.approval
        self._do(
            "approval_insert",
            id=asked.approval_id,
            run_id=change.run_id,
            call_id=asked.call_id,
            tool=asked.tool,
            arguments=_json(asked.arguments),
            digest=asked.digest,
            own=asked.own,
            reason=asked.reason,
            done=_json(asked.done),
            at=entry.at,
            expires_at=micros(asked.expires_at),
        )

    def _decide(self, change: Decided, entry: Entry) -> None:
        edited = change.arguments
        resolved = self._do(
            "approval_resolve",
            id=change.approval_id,
            state=APPROVAL.advance(APPROVAL.initial, change.signal),
            at=entry.at,
            by=change.by,
            note=change.note,
            arguments=None if edited is None else _json(edited),
            digest=None if edited is None else digest_of(edited),
        )
        if resolved != 1:
            raise RuntimeError(f"The approval {change.approval_id} was resolved already.")

    def _answer(self, change: Answered) -> None:
        if change.status is CallStatus.UNKNOWN:
            self._do("effect_lose", id=change.call_id)
        else:
            self._do("effect_settle", id=change.call_id, status=change.status, result=_json(change.result))

    def _file(self, change: Filed, seq: int, entry: Entry) -> None:
        file = change.file
        self._do(
            "file_insert",
            id=file.artifact_id,
            name=file.name,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            by=file.by,
            run_id=change.run_id,
            seq=seq,
            at=entry.at,
        )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
