"""Projects the changes that core derives from an event into the tables, in the event's transaction."""

import sqlite3
from collections.abc import Callable
from typing import NamedTuple, assert_never

import msgspec

from tenure.core.entry import Entry
from tenure.core.moment import Micros
from tenure.core.principal import Author
from tenure.core.run import RunState
from tenure.core.transcript import (
    Admitted,
    Change,
    Closed,
    Ended,
    Entered,
    Moved,
    Opened,
    Superseded,
    Withdrawn,
)
from tenure.core.view import MessageReceipt
from tenure.stores.sqlite.queries import SQL


class Intake(NamedTuple):
    """What the row of an admitted message keeps besides its event: whose authority its run will have."""

    author: Author
    deadline_s: float | None
    receipt: MessageReceipt


class Projection:
    """The rows of one session. `touch` is told of each change in the number of its messages."""

    def __init__(
        self,
        db: sqlite3.Connection,
        no: int,
        touch: Callable[[int, Micros, int], None],
        intake: Intake | None,
    ) -> None:
        self._db = db
        self._no = no
        self._touch = touch
        self._intake = intake

    def apply(self, change: Change, seq: int, entry: Entry) -> None:
        """Do to the tables what `change` says; `entry` is the event behind it, numbered `seq`."""
        match change:
            case Admitted():
                self._admit(change, seq)
            case Entered(message_id=message_id, run_id=run_id):
                self._count(self._do("message_enter", id=message_id, run_id=run_id, seq=seq), entry)
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
                    self._db.execute(SQL["run_interrupt"], {"id": run_id})
            case Ended():
                self._end(change, entry)
            case _:
                assert_never(change)

    def _do(self, name: str, **values: object) -> int:
        return self._db.execute(SQL[name], {"no": self._no, **values}).rowcount

    def _count(self, count: int, entry: Entry) -> None:
        self._touch(self._no, entry.at, count)

    def _admit(self, change: Admitted, seq: int) -> None:
        if self._intake is None:
            raise RuntimeError(f"The message {change.message_id} was admitted by no act.")
        self._do(
            "message_insert",
            id=change.message_id,
            state=change.state,
            author=_json(self._intake.author),
            content=_json(change.content),
            deadline_s=self._intake.deadline_s,
            receipt=_json(self._intake.receipt),
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


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
