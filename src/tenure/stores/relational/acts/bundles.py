"""Imports: a session that begins with a journal from elsewhere, as a fork begins with its parent's."""

from collections.abc import Iterator, Sequence

import msgspec

from tenure.core.audit import Deed, Subject
from tenure.core.bundle import Journal
from tenure.core.content import Content
from tenure.core.entry import entry
from tenure.core.event import Parent, SessionCreated
from tenure.core.message import Role
from tenure.core.principal import Author
from tenure.core.principal import Role as Rights
from tenure.core.rules import Rules
from tenure.core.transcript import Item
from tenure.core.view import MessageReceipt, SessionInfo
from tenure.ports.acts import Stamp
from tenure.ports.history import Bundled
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.auditing import note
from tenure.stores.relational.acts.rows import session_row
from tenure.stores.relational.acts.sessions import info_in
from tenure.stores.relational.acts.states import fill_conversation_state
from tenure.stores.relational.tx import Tx

TOGETHER = 200
"""So many entries share a row of the journal."""


def bring_in(tx: Tx, stamp: Stamp, bundle: Bundled, session_id: str, rules: Rules) -> SessionInfo:
    """Open a session with all of a bundle but its files. Raises TenureError `capacity`."""
    slots.open_session(tx, stamp.by.tenant, stamp.by.user, rules.limits)
    journal = bundle.journal
    journal.transcript.branch()
    no = tx.insert(
        "fork_session",
        id=session_id,
        tenant=stamp.by.tenant,
        owner=stamp.by.user,
        agent=bundle.agent,
        title=bundle.title,
        labels=_json(bundle.labels),
        at=stamp.at,
        parent_no=None,
        message_count=sum(not (i.undone or i.superseded) for i in journal.transcript.items.values()),
    )
    tx.add_title(no)
    _write_journal(tx, no, journal.lines)
    tx.must("fork_head", no=no, seq=journal.head, base=0)
    tx.hold(no)
    created = SessionCreated(
        agent=bundle.agent,
        owner=stamp.by.user,
        title=bundle.title,
        labels=bundle.labels,
        parent=Parent(session_id=bundle.session_id, seq=journal.head),
    )
    tx.record(no, session_id, [entry(stamp.at, created)])
    items = journal.transcript.items.values()
    tx.many("import_message", [_message(no, item, journal, stamp) for item in items])
    tx.many("import_compaction", [*_compactions(no, journal)])
    tx.many("trace_insert", [{"no": no, **msgspec.structs.asdict(trace)} for trace in journal.traces])
    fill_conversation_state(tx, session_id, [*journal.values.values()], journal.floor, stamp.at)
    note(tx, stamp, Deed.SESSION_IMPORTED, Subject("session", session_id, stamp.by.tenant))
    return info_in(tx, session_id)


def _write_journal(tx: Tx, no: int, lines: Sequence[bytes]) -> None:
    for start in range(0, len(lines), TOGETHER):
        some = lines[start : start + TOGETHER]
        tx.must("journal_copy", strand=no, first=start + 1, last=start + len(some), body=b"\n".join(some))


def _message(no: int, item: Item, journal: Journal, stamp: Stamp) -> dict[str, object]:
    """The row of a message. What it says of its author is a name, and no right follows from it."""
    begun = journal.admitted.get(item.message_id)
    spoken = begun is not None and item.role is Role.USER
    seq = begun.seq if begun else item.entered_seq or 0
    receipt = MessageReceipt(
        message_id=item.message_id, run_id=item.run_id, disposition="started", queue_position=0, seq=seq
    )
    author = Author(tenant=stamp.by.tenant, user=begun.by if begun else "", role=Rights.VIEWER)
    return {
        "no": no,
        "id": item.message_id,
        "role": item.role,
        "state": item.status,
        "author": _json(author) if spoken else None,
        "content": _json(item.content),
        "run_id": item.run_id,
        "receipt": _json(receipt) if spoken else None,
        "admitted_seq": seq if spoken else None,
        "entered_seq": item.entered_seq,
        "superseded": int(item.superseded),
        "undone": int(item.undone),
        "joined": item.joined,
    }


def _compactions(no: int, journal: Journal) -> Iterator[dict[str, object]]:
    for summary in journal.transcript.summaries:
        yield {
            "no": no,
            "seq": summary.seq,
            "run_id": summary.run_id,
            "message_id": journal.messages.get(summary.run_id, ""),
            "covers": summary.covers_through,
            "summary": summary.text,
            "undone": int(summary.undone),
        }


def bring_files(tx: Tx, session_id: str, bundle: Bundled, kept: Sequence[str]) -> None:
    """The bytes of these files are there: they are the session's from here on."""
    session = session_row(tx, session_id)
    filed = bundle.journal.transcript.files
    for file_id in kept:
        file, begun = filed[file_id].file, bundle.journal.filed[file_id]
        tx.must(
            "import_file",
            no=session.no,
            id=file_id,
            name=file.name,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            by=file.by,
            run_id=filed[file_id].run_id,
            seq=begun.seq,
            at=begun.at,
        )


def _json(value: Author | MessageReceipt | Content | dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()
