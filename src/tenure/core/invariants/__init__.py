"""The invariants of one session, judged from what is stored and from what clients were told.

One pure checker serves `tenure doctor`, the simulation and the crash tests. It folds the journal anew
and compares; it repairs nothing. A violation says which invariant broke, where, and how.
"""

from collections.abc import Callable

from tenure.core.evidence import UNOBSERVED, Observed, Stored
from tenure.core.invariants.case import Case, Faults, lines, read
from tenure.core.invariants.decisions import approvals, effects, waiting
from tenure.core.invariants.history import undo_order
from tenure.core.invariants.meaning import MEANING, Invariant, Violation
from tenure.core.invariants.messages import message_outcome, queue_order, steering
from tenure.core.invariants.recalls import recalls
from tenure.core.invariants.rows import file_rows, message_rows, owners, run_rows, summary_rows
from tenure.core.invariants.runs import grant, one_live_run, open_ends, run_end, run_start, stopped, words
from tenure.core.invariants.sessions import birth, deleted, session_row
from tenure.core.invariants.states import state_rows
from tenure.core.invariants.streams import acknowledged, contiguous, numbers, streamed
from tenure.core.session import SessionState
from tenure.core.snapshot import unfolded

__all__ = ["MEANING", "Invariant", "Violation", "check", "check_absent"]


def check(stored: Stored, observed: Observed = UNOBSERVED) -> list[Violation]:
    """Every invariant that this session breaks; an empty list if it is whole."""
    found = list(lines(stored.spans))
    journal, unreadable = read(found)
    journal = [*unfolded(stored.snapshot), *journal]
    case = Case(stored, observed, dict(found), journal)
    found = [Violation(Invariant.ENTRIES, stored.session_id, *fault) for fault in unreadable]
    for invariant, rule in _rules_for(stored).items():
        found += [Violation(invariant, stored.session_id, *fault) for fault in rule(case)]
    return found


def check_absent(session_id: str, observed: Observed) -> list[Violation]:
    """What is wrong with a session that isn't stored at all: nothing, if somebody asked to delete it."""
    known = observed.acknowledged or any(c.frames for reader in observed.readers for c in reader)
    if observed.deletion_asked or not known:
        return []
    sentence = "Clients know this session and nobody asked to delete it, but it isn't stored."
    return [Violation(Invariant.ACKNOWLEDGED, session_id, sentence)]


_RULES: dict[Invariant, Callable[[Case], Faults]] = {
    Invariant.NUMBERS: numbers,
    Invariant.ACKNOWLEDGED: acknowledged,
    Invariant.STREAMED: streamed,
    Invariant.CONTIGUOUS: contiguous,
    Invariant.BIRTH: birth,
    Invariant.DELETED: deleted,
    Invariant.SESSION_ROW: session_row,
    Invariant.MESSAGE_OUTCOME: message_outcome,
    Invariant.RUN_START: run_start,
    Invariant.RUN_END: run_end,
    Invariant.STOPPED: stopped,
    Invariant.ONE_LIVE_RUN: one_live_run,
    Invariant.QUEUE_ORDER: queue_order,
    Invariant.STEERING: steering,
    Invariant.OPEN_ENDS: open_ends,
    Invariant.WORDS: words,
    Invariant.GRANT: grant,
    Invariant.APPROVALS: approvals,
    Invariant.EFFECTS: effects,
    Invariant.WAITING: waiting,
    Invariant.TRANSCRIPT: message_rows,
    Invariant.UNDO_ORDER: undo_order,
    Invariant.SUMMARIES: summary_rows,
    Invariant.RUNS: run_rows,
    Invariant.FILES: file_rows,
    Invariant.STATE: state_rows,
    Invariant.RECALLS: recalls,
    Invariant.OWNERS: owners,
}


def _rules_for(stored: Stored) -> dict[Invariant, Callable[[Case], Faults]]:
    """All rules; for a deleted session whose rows are being freed, those that need no whole journal."""
    freed = (
        stored.state == SessionState.DELETED
        and sum(span.last - span.first + 1 for span in stored.spans) < stored.head_seq - stored.retired
    )
    return {Invariant.DELETED: deleted, Invariant.OWNERS: owners} if freed else _RULES
