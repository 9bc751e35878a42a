"""How turns are taken off a transcript, in whatever transaction that happens; and what a run's end owes.

Settlement calls `carry_out`, the busy policy rollback `undo_run`, and the commands in `undos` the rest.
"""

from collections.abc import Iterator

import msgspec

from tenure.core.entry import entry
from tenure.core.event import TranscriptUndone
from tenure.core.history import COMMAND, Cut, Line, UndoTurns, cut, turns_back
from tenure.core.moment import Micros
from tenure.core.origin import Origin
from tenure.core.recall import RECALL
from tenure.errors import TenureError
from tenure.stores.relational.acts.rows import SessionRow
from tenure.stores.relational.tx import Tx

_owed = msgspec.json.Decoder(list[UndoTurns])


def lines_back(tx: Tx, no: int) -> Iterator[Line]:
    """What stands in a transcript, newest first. Only as much is read as is asked for."""
    return (Line(*row) for row in tx.each("history_lines", no=no))


def plan(tx: Tx, session: SessionRow, ask: UndoTurns) -> Cut:
    """What an undo takes off, the compactions behind it included. Raises what `cut` raises."""
    turns = cut(lines_back(tx, session.no), ask, session.id)
    return _with_compactions(tx, session, turns)


def _with_compactions(tx: Tx, session: SessionRow, turns: Cut) -> Cut:
    off = [run_id for (run_id,) in tx.all("compactions_after", no=session.no, seq=turns.to_seq)]
    return turns._replace(run_ids=(*turns.run_ids, *off))


def kept(tx: Tx, session: SessionRow, taken: Cut) -> tuple[str, ...]:
    """What the runs left that can't be taken back, in words and in order."""
    ids = msgspec.json.encode(taken.run_ids).decode()
    return tuple(dict.fromkeys(what for (what,) in tx.all("trace_of", no=session.no, run_ids=ids)))


def take_off(tx: Tx, session: SessionRow, taken: Cut, at: Micros) -> TranscriptUndone:
    """Take turns off, and say so in the journal."""
    event = TranscriptUndone(
        run_ids=taken.run_ids,
        message_ids=taken.message_ids,
        to_seq=taken.to_seq,
        kept=kept(tx, session, taken),
    )
    tx.record(session.no, session.id, [entry(at, event)])
    return event


def owe(tx: Tx, run_id: str, ask: UndoTurns) -> None:
    """Let the end of a live run take turns off. What is owed already comes first."""
    owed = [*_obligations(tx, run_id), ask]
    tx.must("obligation_put", id=run_id, obligation=msgspec.json.encode(owed).decode())


def _obligations(tx: Tx, run_id: str) -> list[UndoTurns]:
    row = tx.one("obligation_get", id=run_id)
    return [] if row is None or row[0] is None else _owed.decode(row[0])


def carry_out(tx: Tx, session: SessionRow, run_id: str, at: Micros) -> None:
    """Do what is owed at the end of a run, in the transaction that gives it its outcome."""
    owed = _obligations(tx, run_id)
    tx.must("obligation_put", id=run_id, obligation=None)
    for ask in owed:
        try:
            taken = plan(tx, session, ask)
        except TenureError:
            # An earlier one took it off already. A run's end isn't refused for that.
            continue
        take_off(tx, session, taken, at)


def undo_run(tx: Tx, session: SessionRow, run_id: str, at: Micros) -> None:
    """Take a run's turn off, and what came after it. A run that took no message has none."""
    runs: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    for turn in turns_back(lines_back(tx, session.no)):
        runs, messages = (*turn.run_ids, *runs), (*turn.message_ids, *messages)
        if run_id in turn.run_ids:
            found = Cut(runs, messages, turn.first_seq - 1)
            take_off(tx, session, _with_compactions(tx, session, found), at)
            return


def is_command(tx: Tx, no: int, message_id: str) -> bool:
    """Whether a message is no message but a command that waits, or whose run is live."""
    return _trigger(tx, no, message_id) == COMMAND


def is_recall(tx: Tx, no: int, message_id: str) -> bool:
    """Whether a message is an occurrence of a schedule."""
    return _trigger(tx, no, message_id) == RECALL


def _trigger(tx: Tx, no: int, message_id: str) -> str | None:
    row = tx.one("message_receipt", no=no, id=message_id)
    return None if row is None else msgspec.json.decode(row[2], type=Origin).trigger


def is_undone(tx: Tx, no: int, message_id: str) -> bool:
    """Whether the turn of a message was taken off."""
    row = tx.one("message_undone", no=no, id=message_id)
    return row is not None and bool(row[0])
