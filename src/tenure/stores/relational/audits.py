"""What the invariant checker reads: everything about one session, and counters beside a recount."""

from collections.abc import Iterator

import msgspec

from tenure.core.content import Content
from tenure.core.evidence import (
    Stored,
    StoredApproval,
    StoredCall,
    StoredFile,
    StoredOccurrence,
    StoredRun,
    StoredSchedule,
    StoredSpan,
    StoredValue,
)
from tenure.core.message import Role
from tenure.core.transcript import Item, Summary
from tenure.stores.relational import strands
from tenure.stores.relational.look import Look
from tenure.stores.relational.retired import retired


def session_ids(db: Look, after: str, limit: int) -> list[str]:
    """The ids of all sessions, in order, a page at a time."""
    return [row["id"] for row in db.rows("read_session_ids", after=after, limit=limit)]


def audit(db: Look, session_id: str) -> Stored | None:
    """Everything stored about one session, a deleted one included until its rows are gone."""
    row = db.first("audit_session", id=session_id)
    if row is None:
        return None
    no = row["no"]
    spans = strands.after(db, strands.Place(no, row["strand"], row["seq"], row["base"]), 0)
    gone = retired(db, no, row["strand"])
    return Stored(
        session_id=session_id,
        head_seq=row["seq"],
        state=row["state"],
        queue_held=bool(row["queue_held"]),
        spans=tuple(StoredSpan(*span) for span in spans),
        retired=gone.through,
        snapshot=gone.lines,
        messages=tuple(messages(db, no)),
        runs=tuple(
            StoredRun(run_id, state, digest, bool(owned))
            for run_id, state, digest, owned in db.each("audit_runs", no=no)
        ),
        values=tuple(StoredValue(*value) for value in db.each("audit_values", no=no)),
        files=tuple(StoredFile(*file) for file in db.each("audit_files", no=no)),
        summaries=tuple(summaries(db, no)),
        approvals=tuple(StoredApproval(*row) for row in db.each("audit_approvals", no=no)),
        calls=tuple(StoredCall(*row) for row in db.each("audit_effects", no=no)),
        schedules=tuple(StoredSchedule(*row) for row in db.each("audit_schedules", no=no)),
        occurrences=tuple(occurrences(db, no)),
    )


def messages(db: Look, no: int) -> Iterator[Item]:
    """Every message of a session, as its row says."""
    return (_message(row) for row in db.each("audit_messages", no=no))


def summaries(db: Look, no: int) -> Iterator[Summary]:
    """Every compaction of a session, those that were taken off included."""
    for *summary, undone in db.each("audit_compactions", no=no):
        yield Summary(*summary, undone=bool(undone))


def occurrences(db: Look, no: int) -> Iterator[StoredOccurrence]:
    """Every occurrence that came into a session, and every one of its schedules."""
    for row in db.each("audit_occurrences", no=no):
        occurrence, schedule_id, state, manual, message_id, run_id, outcome, attempts, retries = row
        yield StoredOccurrence(
            occurrence,
            schedule_id,
            state,
            bool(manual),
            message_id,
            run_id,
            outcome,
            attempts,
            bool(retries),
        )


def _message(row: tuple[str, str, str, str | None, int, str, int | None, str | None, int]) -> Item:
    message_id, role, state, run_id, superseded, content, entered, joined, undone = row
    said = msgspec.json.decode(content, type=Content)
    return Item(message_id, Role(role), said, run_id, state, entered, bool(superseded), joined, bool(undone))


def counter_faults(db: Look) -> list[str]:
    """Every counter that isn't what a recount gives, and every run held by a dead host; in words."""
    return [
        *_slot_faults(db),
        *_quota_faults(db),
        *_owner_faults(db),
        *_state_faults(db),
        *_event_faults(db),
        *_schedule_faults(db),
    ]


def _slot_faults(db: Look) -> list[str]:
    faults = [
        f"{r['tenant']}/{r['author']} has {r['live']} live and {r['queued']} queued runs on the books, "
        f"but {r['real_live']} and {r['real_queued']} in fact."
        for r in db.rows("audit_slots")
        if (r["live"], r["queued"]) != (r["real_live"], r["real_queued"])
    ]
    booked = db.one("slot_read", tenant="", author="")[:2]
    real = db.one("audit_slot_total")
    if tuple(booked) != tuple(real):
        faults.append(
            f"The books show {tuple(booked)} live and queued runs in all, but there are {tuple(real)}."
        )
    return faults


def _quota_faults(db: Look) -> list[str]:
    faults = [
        f"{r['tenant']}/{r['owner']} has {r['open']} open sessions on the books, {r['real_open']} in fact."
        for r in db.rows("audit_quotas")
        if r["open"] != r["real_open"]
    ]
    booked = (db.one("audit_quota_booked") or (0,))[0]
    real = db.one("audit_quota_total")[0]
    if booked != real:
        faults.append(f"The books show {booked} open sessions in all, but there are {real}.")
    return faults


def _state_faults(db: Look) -> list[str]:
    return [
        f"The state {r['digest']} has {r['keys']} keys and {r['bytes']} bytes on the books, "
        f"but {r['real_keys']} and {r['real_bytes']} in fact."
        for r in db.rows("audit_states")
    ]


def _event_faults(db: Look) -> list[str]:
    lost = [
        f"The incoming event of message {r['message_id']} was received, but that message isn't there."
        for r in db.rows("audit_received")
    ]
    astray = [
        f"A conversation leads to the session {r['no']}, which isn't there."
        for r in db.rows("audit_conversations")
    ]
    return [*lost, *astray]


def _schedule_faults(db: Look) -> list[str]:
    runs = [
        f"The schedule {r['id']} counts {r['runs']} occurrences, but {r['real_runs']} are admitted "
        f"beside {r['trimmed']} forgotten ones."
        for r in db.rows("audit_schedule_runs")
    ]
    quotas = [
        f"{r['tenant']}/{r['owner']} has {r['open']} schedules on the books, {r['real_open']} in fact."
        for r in db.rows("audit_schedule_quotas")
    ]
    return [*runs, *quotas]


def _owner_faults(db: Look) -> list[str]:
    return [f"The run {r['id']} is held by a dead host." for r in db.rows("audit_dead_owners")]
