"""What must hold of every session, in words, and what is said when it does not."""

from enum import StrEnum

import msgspec


class Invariant(StrEnum):
    """What must hold of every session at every moment; `counters` and `owners` also of the whole store."""

    NUMBERS = "numbers"
    ENTRIES = "entries"
    ACKNOWLEDGED = "acknowledged"
    STREAMED = "streamed"
    CONTIGUOUS = "contiguous"
    BIRTH = "birth"
    DELETED = "deleted"
    SESSION_ROW = "session_row"
    MESSAGE_OUTCOME = "message_outcome"
    RUN_START = "run_start"
    RUN_END = "run_end"
    STOPPED = "stopped"
    ONE_LIVE_RUN = "one_live_run"
    QUEUE_ORDER = "queue_order"
    STEERING = "steering"
    OPEN_ENDS = "open_ends"
    WORDS = "words"
    GRANT = "grant"
    APPROVALS = "approvals"
    EFFECTS = "effects"
    WAITING = "waiting"
    TRANSCRIPT = "transcript"
    UNDO_ORDER = "undo_order"
    SUMMARIES = "summaries"
    RUNS = "runs"
    FILES = "files"
    STATE = "state"
    RECALLS = "recalls"
    OWNERS = "owners"
    COUNTERS = "counters"


MEANING: dict[Invariant, str] = {
    Invariant.NUMBERS: "The journal is numbered 1 to head, with no gap and no number twice.",
    Invariant.ENTRIES: "Every stored entry can be read.",
    Invariant.ACKNOWLEDGED: "What a client was told is done stands in the journal.",
    Invariant.STREAMED: "What a client saw stands in the journal, byte for byte.",
    Invariant.CONTIGUOUS: "A client that follows and resumes sees every number once, in order.",
    Invariant.BIRTH: "A journal begins with session.created, and holds another only where it is a fork.",
    Invariant.DELETED: "Nothing follows session.deleted, and nothing waits or runs behind it.",
    Invariant.SESSION_ROW: "The session's row says what its journal says.",
    Invariant.MESSAGE_OUTCOME: "A message is admitted once, and withdrawn or taken by one run, not both.",
    Invariant.RUN_START: "A run starts once, for an admitted message, before anything it says.",
    Invariant.RUN_END: "A run finishes once, and only runner.warning carries its id afterwards.",
    Invariant.STOPPED: "A run that was asked to stop ends completed, cancelled or timed out.",
    Invariant.ONE_LIVE_RUN: "At most one run of a session is live at any number.",
    Invariant.QUEUE_ORDER: "Messages are taken in the order of the queue, and none while it is held.",
    Invariant.STEERING: "Steering is taken once by the run that it is kept for, or waits as a message.",
    Invariant.OPEN_ENDS: "What a run began to say or call is closed once, before the run finishes.",
    Invariant.WORDS: "A closed message says what its deltas said.",
    Invariant.GRANT: "The grant of a run is the one that its start names.",
    Invariant.APPROVALS: "An approval is asked for once, and resolved once while its run lives.",
    Invariant.EFFECTS: "A tool call ends once, as it was decided, and is told again only as it ended.",
    Invariant.WAITING: "A run waits for just those approvals of it that nobody has decided.",
    Invariant.TRANSCRIPT: "The message rows are what the journal folds to.",
    Invariant.UNDO_ORDER: "Undo and redo happen between runs; redo puts back what was undone last.",
    Invariant.SUMMARIES: "The rows of summaries are what the journal folds to.",
    Invariant.RUNS: "The run rows are what the journal folds to.",
    Invariant.FILES: "The file rows are what the journal folds to; a fork may lack what was deleted since.",
    Invariant.STATE: "The values of a session's own state are those that its journal tells of.",
    Invariant.RECALLS: "An occurrence fires once, with its message, and ends as its run does.",
    Invariant.OWNERS: "Whatever is said to run has an owner that lives.",
    Invariant.COUNTERS: "Counters equal a recount.",
}


class Violation(msgspec.Struct, frozen=True):
    """One broken invariant. `session_id` is empty if it concerns the whole store."""

    invariant: Invariant
    session_id: str
    sentence: str
    seqs: tuple[int, ...] = ()
