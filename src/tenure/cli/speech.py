"""Shows what an agent says, as it says it: text on stdout, everything about it on stderr or dimmed.

`send --wait` and `chat` feed it events. It sends nothing and keeps nothing but where the line stands.
"""

import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

import msgspec

from tenure.cli.recalls import recall_note
from tenure.cli.screen import counted, exact, put, shown
from tenure.client import JournalEvent
from tenure.core.approval import BY_RULE, ApprovalState
from tenure.core.content import text_of
from tenure.core.effect import CallStatus
from tenure.core.event import (
    ApprovalResolved,
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
    TranscriptCompacted,
    TranscriptRedone,
    TranscriptUndone,
)
from tenure.core.run import RunState

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
MOST_ARGUMENTS = 200
WHY_AGAIN = {
    "host_lost": "its host was lost",
    "drain": "its host was taken out of service",
    "approval": "it was let go while it waited for an answer",
}


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
        self._invited = False

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

    def tell(self, text: str) -> None:
        """Lines about the conversation itself."""
        self.end_line()
        self._write(self._notes, f"{text}\n", dim=True)

    def ask(self, lines: Sequence[str]) -> None:
        """Something that wants the person: the first line stands out. The lines are `exact` ones."""
        self.end_line()
        first, *rest = lines
        head = f"{BOLD}{first}{PLAIN}" if self._dim else first
        self._write(self._notes, "".join(f"{line}\n" for line in (head, *rest)), dim=False)

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
        """Invite the person to type, unless that is the last thing they see."""
        if self._invited:
            return
        self.end_line()
        self._write(self._notes, sign, dim=False)
        self._unended = self._notes
        self._invited = True

    def entered(self) -> None:
        """The person has ended the line."""
        self._open = self._unended = None
        self._invited = False

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if self._unended is not None:
            self._write(self._unended, "\n", dim=False)
        self._open = self._unended = None
        self._invited = False

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
        # Of a call that was denied, the answer has been told.
        case ToolCallCompleted(status=status) if status not in (CallStatus.OK, CallStatus.DENIED):
            return f"the call ended: {status}"
        case ApprovalResolved():
            return answer_of(event)
        case TranscriptUndone(message_ids=message_ids, kept=kept):
            stays = f"; what stays: {', '.join(kept)}" if kept else ""
            return f"undone, {counted(len(message_ids), 'message')}{stays}"
        case TranscriptRedone(message_ids=message_ids):
            return f"redone, {counted(len(message_ids), 'message')}"
        case TranscriptCompacted(summary=summary):
            return f"from here on, this stands for what was said before:\n{summary}"
        case RunRetried(attempt=attempt, reason=reason):
            return f"the run starts over, attempt {attempt}: {WHY_AGAIN.get(reason, reason)}"
        case RunInterrupting(by=by):
            return f"stopping, by {by}"
        case RunFinished(status=status, reason=reason) if status != RunState.COMPLETED:
            return f"{status}: {reason}" if reason else status
        case RunnerWarning(code=code, detail=detail):
            return f"warning, {code}: {detail}"
        case _:
            return recall_note(event)


def answer_of(resolved: ApprovalResolved) -> str:
    """How a question was answered, by whom, and with which arguments if they were changed."""
    match resolved.decision:
        case ApprovalState.GRANTED if resolved.by == BY_RULE:
            said = "allowed, as you said before"
        case ApprovalState.GRANTED:
            said = f"approved by {resolved.by}"
        case ApprovalState.DENIED:
            said = f"denied by {resolved.by}"
        case ApprovalState.EXPIRED:
            said = "nobody answered in time: denied"
        case _:
            said = "the question is withdrawn"
    if resolved.arguments is not None:
        said += f", as {exact(resolved.arguments)}"
    if resolved.remember is not None:
        said += "; this tool needs no answer any more in this session"
    return f"{said}: {resolved.note}" if resolved.note else said
