"""Planted faults of approvals, of calls in the ledger, and of runs that wait."""

import msgspec

from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    RunResumed,
    RunWaiting,
    SessionCreated,
    StateUpdated,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.evidence import Observed, Stored, StoredApproval, StoredCall, StoredRun, StoredValue
from tenure.core.invariants import Invariant
from tenure.core.ledger import digest_of
from tests.core.book import FINISHED, Book, admitted, started, user
from tests.core.faults import plants

WANTED: dict[str, object] = {"to": "x"}
DIGEST = digest_of(WANTED)
CALLED = ToolCallStarted(call_id="eff_1", tool="mail", arguments=WANTED)
ASKED = ApprovalRequested(
    approval_id="apr_1",
    call_id="eff_1",
    tool="mail",
    arguments=WANTED,
    digest=DIGEST,
    expires_at="2026-11-20T20:10:00.000000Z",
)
GRANTED = ApprovalResolved(approval_id="apr_1", decision="granted", by="ada")
UNEDITED = StoredApproval("apr_1", "r1", "eff_1", "granted", DIGEST)
EDITED = UNEDITED._replace(digest="5e0")
ENDED = ToolCallCompleted(call_id="eff_1", status="ok", result=1)


def asking() -> Book:
    """A run whose call waits for a person: entries 1 to 6."""
    book = Book()
    book.add(SessionCreated(agent="scripted", owner="ada"))
    book.add(admitted("m1"))
    book.add(started("m1"), "r1")
    book.add(CALLED, "r1")
    book.add(ASKED, "r1")
    book.add(RunWaiting(approval_ids=("apr_1",)), "r1")
    book.messages = [user("m1", "started", "r1", 3)]
    book.runs = [StoredRun("r1", "waiting", "d1", False)]
    return book


def granted() -> Book:
    """The same, and it was granted: entries 7 and 8."""
    book = asking()
    book.add(GRANTED, "r1")
    book.add(RunResumed(attempt=1, mode="held"), "r1")
    book.runs = [StoredRun("r1", "running", "d1", True)]
    return book


def with_rows(
    book: Book,
    approval: str | None = "pending",
    call: tuple[str, str | None] = ("intended", None),
    digest: str = DIGEST,
) -> tuple[Stored, Observed]:
    """A session with the rows of its approval and its call."""
    approvals = () if approval is None else (StoredApproval("apr_1", "r1", "eff_1", approval, digest),)
    calls = (StoredCall("eff_1", *call),)
    return msgspec.structs.replace(book.stored(), approvals=approvals, calls=calls), Observed()


def done(book: Book) -> tuple[Stored, Observed]:
    """With the rows of a call that was granted and ended well."""
    return with_rows(book, "granted", ("settled", "ok"))


@plants(Invariant.APPROVALS, "The approval apr_1 was asked for twice.")
def asked_twice() -> tuple[Stored, Observed]:
    book = asking()
    book.add(ASKED, "r1")
    return with_rows(book)


@plants(Invariant.APPROVALS, "The approval apr_1 was granted and then denied.")
def resolved_twice() -> tuple[Stored, Observed]:
    book = granted()
    book.add(msgspec.structs.replace(GRANTED, decision="denied"), "r1")
    return with_rows(book, "denied")


@plants(Invariant.APPROVALS, "The approval apr_9 was granted, but never asked for.")
def resolved_from_nowhere() -> tuple[Stored, Observed]:
    book = granted()
    book.add(msgspec.structs.replace(GRANTED, approval_id="apr_9"), "r1")
    return with_rows(book, "granted")


@plants(Invariant.APPROVALS, "The approval apr_1 isn't for the digest of its arguments.")
def asked_for_other_arguments() -> tuple[Stored, Observed]:
    book = asking()
    other = msgspec.structs.replace(ASKED, digest="5e0")
    book.events[4] = (other, "r1")
    return with_rows(book, digest="5e0")


@plants(Invariant.APPROVALS, f"The row of apr_1 is {EDITED}, but the journal says {UNEDITED}.")
def edited_only_in_the_row() -> tuple[Stored, Observed]:
    return with_rows(granted(), "granted", ("dispatched", None), digest="5e0")


@plants(Invariant.APPROVALS, "The run r1 finished and left ['apr_1'] undecided.")
def finished_while_somebody_is_asked() -> tuple[Stored, Observed]:
    book = asking()
    book.add(msgspec.structs.replace(ENDED, status="denied"), "r1")
    book.add(FINISHED, "r1")
    book.messages = [user("m1", "settled", "r1", 3)]
    book.runs = [StoredRun("r1", "completed", "d1", False)]
    return with_rows(book, call=("settled", "denied"))


@plants(Invariant.EFFECTS, "The call eff_1 had ended ok, and then error.")
def ended_twice() -> tuple[Stored, Observed]:
    book = granted()
    book.add(ENDED, "r1")
    book.add(msgspec.structs.replace(ENDED, status="error"), "r1")
    return with_rows(book, "granted", ("settled", "error"))


@plants(Invariant.EFFECTS, "The call eff_1 ended ok, but was told again as error.")
def told_otherwise() -> tuple[Stored, Observed]:
    book = granted()
    book.add(ENDED, "r1")
    book.add(msgspec.structs.replace(ENDED, status="error", replayed=True), "r1")
    return done(book)


@plants(Invariant.EFFECTS, "The call eff_1 ended ok while its approval was pending.")
def made_before_it_was_granted() -> tuple[Stored, Observed]:
    book = asking()
    book.add(ENDED, "r1")
    return with_rows(book, "pending", ("settled", "ok"))


@plants(Invariant.EFFECTS, "The row of eff_1 is None, but the journal ended it ok.")
def call_without_a_row() -> tuple[Stored, Observed]:
    book = granted()
    book.add(ENDED, "r1")
    return msgspec.structs.replace(done(book)[0], calls=()), Observed()


@plants(Invariant.WAITING, "The run r1 waits for ['apr_1', 'apr_9'], undecided are ['apr_1'].")
def waits_for_somebody_else() -> tuple[Stored, Observed]:
    book = asking()
    book.events[5] = (RunWaiting(approval_ids=("apr_1", "apr_9")), "r1")
    return with_rows(book)


@plants(Invariant.WAITING, "The run r1 went on before ['apr_1'] were decided.")
def went_on_undecided() -> tuple[Stored, Observed]:
    book = asking()
    book.add(RunResumed(attempt=1, mode="held"), "r1")
    book.add(RunWaiting(approval_ids=("apr_1",)), "r1")
    return with_rows(book)


@plants(Invariant.WAITING, "The run r1 waits, but nobody is asked.")
def waits_for_nobody() -> tuple[Stored, Observed]:
    book = granted()
    book.events[7:] = []
    book.runs = [StoredRun("r1", "waiting", "d1", False)]
    return with_rows(book, "granted")


@plants(Invariant.STATE, "Version 1 of 'plan' was given before.")
def version_given_twice() -> tuple[Stored, Observed]:
    book = asking()
    kept = StateUpdated(scope="conversation", key="plan", version=1, value=1)
    book.add(kept)
    book.add(kept)
    stored, observed = with_rows(book)
    return msgspec.structs.replace(stored, values=(StoredValue("plan", 1, "1"),)), observed
