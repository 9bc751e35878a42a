"""Compaction as a command: it is admitted like a message and never enters the transcript itself."""

from tenure.core.command import SendMessage
from tenure.core.history import COMMAND, COMPACT, CompactSession
from tenure.core.origin import Origin
from tenure.core.rules import Rules
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Lease, Stamp, Wake
from tenure.ports.store import Admission
from tenure.stores.relational.acts.history import lines_back
from tenure.stores.relational.acts.messages import admit
from tenure.stores.relational.acts.receipts import replay
from tenure.stores.relational.acts.rows import live_run
from tenure.stores.relational.acts.undos import changeable
from tenure.stores.relational.tx import Tx

ORIGIN = Origin(trigger=COMMAND, data={"command": COMPACT})
"""What tells the run of a compaction from the run of a message."""


def admission(
    stamp: Stamp,
    session_id: str,
    ask: CompactSession,
    message_id: str,
    run_id: str,
    lease: Lease | None,
) -> Admission:
    """The admission of a compaction: what it says is the instructions."""
    said = SendMessage(content=ask.instructions)
    return Admission(stamp, session_id, said, message_id, run_id, lease, ORIGIN)


def compact(tx: Tx, admission: Admission, rules: Rules) -> tuple[Answer[MessageReceipt], Wake]:
    """Queue a compaction behind what waits. Raises TenureError `conflict` if there is nothing to compact."""
    known = replay(tx, admission.stamp, MessageReceipt)
    if known is not None:
        return known, Wake()
    session = changeable(tx, admission.session_id, rules, "compact")
    if live_run(tx, session.no) is None and next(lines_back(tx, session.no), None) is None:
        raise TenureError(
            Code.CONFLICT,
            f"Session {session.id} has nothing to compact: its transcript is empty. Say something first.",
            session_id=session.id,
        )
    return admit(tx, admission, rules)
