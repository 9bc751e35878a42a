"""A session under construction, for the tests of the invariant checker."""

from dataclasses import dataclass, field

from tenure.core.entry import entry, frame
from tenure.core.event import (
    Actor,
    Event,
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    Parent,
    RunFinished,
    RunStarted,
    SessionCreated,
    Trigger,
)
from tenure.core.evidence import (
    Stored,
    StoredRun,
    StoredSpan,
)
from tenure.core.message import Role
from tenure.core.moment import Micros
from tenure.core.transcript import Item

SESSION = "ses_1"
ROOT = Actor(user="ada", role="member")
PARENT = Parent(session_id="ses_0", seq=4)


def admitted(message_id: str, disposition: str = "started", run_id: str | None = None) -> MessageAdmitted:
    return MessageAdmitted(
        message_id=message_id,
        actor=ROOT,
        content="hi",
        when_busy="queue",
        disposition=disposition,
        run_id=run_id,
    )


def started(message_id: str, digest: str = "d1") -> RunStarted:
    return RunStarted(
        runner="python", attempt=1, trigger=Trigger(kind="message", id=message_id), grant_digest=digest
    )


def said(message_id: str, text: str = "hello") -> MessageCompleted:
    return MessageCompleted(message_id=message_id, role=Role.ASSISTANT, content=text)


FINISHED = RunFinished(status="completed", reason="")


@dataclass
class Book:
    """A session under construction: events, and the rows that belong to them."""

    events: list[tuple[Event, str | None]] = field(default_factory=list[tuple[Event, str | None]])
    messages: list[Item] = field(default_factory=list[Item])
    runs: list[StoredRun] = field(default_factory=list[StoredRun])
    state: str = "open"
    held: bool = False

    def add(self, event: Event, run_id: str | None = None) -> int:
        self.events.append((event, run_id))
        return len(self.events)

    def lines(self) -> list[bytes]:
        return [entry(Micros(0), event, run_id).line for event, run_id in self.events]

    def envelopes(self) -> list[bytes]:
        return [frame(seq, line[1:]) for seq, line in enumerate(self.lines(), 1)]

    def stored(self) -> Stored:
        lines = self.lines()
        halves = (0, len(lines) // 2), (len(lines) // 2, len(lines))
        spans = [StoredSpan(a + 1, b, b"\n".join(lines[a:b])) for a, b in halves if b > a]
        return Stored(
            session_id=SESSION,
            head_seq=len(lines),
            state=self.state,
            queue_held=self.held,
            spans=tuple(spans),
            messages=tuple(self.messages),
            runs=tuple(self.runs),
        )


def user(message_id: str, status: str, run_id: str | None, seq: int | None) -> Item:
    return Item(message_id, Role.USER, "hi", run_id, status, seq)


def reply(message_id: str, status: str, run_id: str, seq: int, text: str = "hello") -> Item:
    return Item(message_id, Role.ASSISTANT, text, run_id, status, seq)


def talk() -> Book:
    """Created, one message, one run that says hello and completes: entries 1 to 6."""
    book = Book()
    book.add(SessionCreated(agent="scripted", owner="ada"))
    book.add(admitted("m1"))
    book.add(started("m1"), "r1")
    book.add(MessageDelta("a1", "hello"), "r1")
    book.add(said("a1"), "r1")
    book.add(FINISHED, "r1")
    book.messages = [user("m1", "settled", "r1", 3), reply("a1", "completed", "r1", 4)]
    book.runs = [StoredRun("r1", "completed", "d1", False)]
    return book
