"""Shows what an agent says, as it says it: text on stdout, everything about it on stderr or dimmed.

`send --wait` and `chat` feed it events. It sends nothing and keeps nothing but where the line stands.
"""

import sys
from typing import Protocol, TextIO

import msgspec

from tenure.cli.screen import put, shown
from tenure.client import JournalEvent
from tenure.core.content import text_of
from tenure.core.event import (
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    RunRetried,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.run import RunState

DIM, PLAIN = "\x1b[2m", "\x1b[0m"
MOST_ARGUMENTS = 200


class Listener(Protocol):
    """Takes the events of a session, one after the other."""

    def take(self, event: JournalEvent) -> None: ...


class Raw:
    """Prints every event as the server sent it."""

    def take(self, event: JournalEvent) -> None:
        """Print one event on one line."""
        put(event.raw)


class Speech:
    """What the agent says, for people. `dim` says whether what it doesn't say itself is dimmed."""

    def __init__(self, *, dim: bool) -> None:
        self._out: TextIO = sys.stdout
        self._notes: TextIO = sys.stderr
        self._dim = dim
        self._open: str | None = None
        self._unended: TextIO | None = None

    def take(self, event: JournalEvent) -> None:
        """Show what an event says, if it says something."""
        match event.event:
            case MessageDelta(message_id=message_id, text=text):
                self._continue(message_id, text, dim=False)
            case ReasoningDelta(message_id=message_id, text=text):
                self._continue(message_id, text, dim=True)
            case MessageCompleted(message_id=message_id, content=content):
                self._complete(message_id, text_of(content), dim=False)
            case ReasoningCompleted(message_id=message_id, content=content):
                self._complete(message_id, text_of(content), dim=True)
            case other:
                note = note_of(other)
                if note:
                    self.note(note)

    def note(self, text: str) -> None:
        """Something that the agent doesn't say itself, on a line of its own."""
        self.end_line()
        self._write(self._notes, f"({shown(text)})\n", dim=True)

    def quote(self, user: str, text: str) -> None:
        """What a person said."""
        self.end_line()
        self._write(self._notes, f"{shown(user)}: {shown(text)}\n", dim=True)

    def recall(self, message_id: str, text: str, *, whole: bool) -> None:
        """What the agent said before; if it isn't whole, its next words follow on."""
        self._continue(message_id, text, dim=False)
        if whole:
            self.end_line()

    def prompt(self, sign: str) -> None:
        """Invite the person to type."""
        self.end_line()
        self._write(self._notes, sign, dim=False)
        self._unended = self._notes

    def entered(self) -> None:
        """The person has ended the line."""
        self._open = self._unended = None

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if self._unended is not None:
            self._write(self._unended, "\n", dim=False)
        self._open = self._unended = None

    def _continue(self, message_id: str, text: str, *, dim: bool) -> None:
        if self._open != message_id:
            self.end_line()
            self._open = message_id
        self._say(text, dim=dim)

    def _complete(self, message_id: str, text: str, *, dim: bool) -> None:
        if self._open != message_id:
            self.end_line()
            self._say(text, dim=dim)
        self.end_line()

    def _say(self, text: str, *, dim: bool) -> None:
        if text:
            # What the agent only thinks is no part of its answer.
            to = self._notes if dim else self._out
            self._write(to, shown(text), dim=dim)
            self._unended = None if text.endswith("\n") else to

    def _write(self, to: TextIO, text: str, *, dim: bool) -> None:
        if to is self._out:
            put(text, end="")
            return
        to.write(f"{DIM}{text}{PLAIN}" if dim and self._dim else text)
        to.flush()


def note_of(event: object) -> str:
    """What an event means to somebody who listens, or an empty text."""
    match event:
        case ToolCallStarted(tool=tool, arguments=arguments):
            return f"{tool} {msgspec.json.encode(arguments).decode()[:MOST_ARGUMENTS]}"
        case ToolCallCompleted(status=status) if status != "ok":
            return f"the call ended: {status}"
        case RunRetried(attempt=attempt, reason=reason):
            return f"the run starts over, attempt {attempt}: {reason}"
        case RunInterrupting(by=by):
            return f"stopping, by {by}"
        case RunFinished(status=status, reason=reason) if status != RunState.COMPLETED:
            return f"{status}: {reason}" if reason else status
        case RunnerWarning(code=code, detail=detail):
            return f"warning, {code}: {detail}"
        case _:
            return ""
