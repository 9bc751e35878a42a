"""The approvals that wait in a conversation: each has a number, is shown exactly, and is answered by number.

`conversation` keeps them. No plain line ever answers one, and no answer meets a call that wasn't shown.
"""

import re
import shlex
from typing import NamedTuple

import msgspec

from tenure.cli.screen import exact
from tenure.client import JournalEvent
from tenure.core.event import ApprovalRequested, ApprovalResolved, RunFinished, RunWaiting
from tenure.core.ledger import CHANGED
from tenure.core.tool import Arguments
from tenure.core.view import ApprovalInfo

_NUMBER = re.compile(r"\s*(\d+)(?:\s+|$)")
_CHANGE = re.compile(r"(\w+)=(.*)", re.DOTALL)


class Unclear(Exception):
    """What was typed can't be carried out; the text says what to type."""


class Question(NamedTuple):
    """A call that waits for a person. `number` is its name in this conversation."""

    number: int
    approval_id: str
    run_id: str | None
    tool: str
    arguments: Arguments
    expires_at: str
    reason: str | None
    done: tuple[str, ...]


class Answer(NamedTuple):
    """What was typed behind /approve or /deny: which question, and the rest."""

    question: Question
    rest: str


class Questions:
    """The questions of one session, as its events tell of them."""

    def __init__(self) -> None:
        self._open: dict[str, Question] = {}
        self._asked = 0
        self._held_back: dict[str, Question] = {}
        self._remembered: set[str] = set()
        self._in_sight: set[int] = set()

    def __bool__(self) -> bool:
        """Whether one waits for an answer."""
        return bool(self._open)

    def recall(self, waiting: ApprovalInfo) -> Question:
        """One that waited when the conversation began."""
        return self._show(self._question(waiting.id, waiting.run_id, waiting))

    def take(self, item: JournalEvent) -> list[Question]:
        """Take up an event, and return the questions that are to be shown now."""
        match item.event:
            case ApprovalRequested(approval_id=approval_id, tool=tool) as asked:
                if approval_id in self._open:
                    return []
                question = self._question(approval_id, item.run_id, asked)
                if tool not in self._remembered:
                    return [self._show(question)]
                # Most likely the earlier answer settles it in the same commit. Else the run says so.
                self._held_back[approval_id] = question
            case RunWaiting(approval_ids=waiting):
                held = [self._held_back.pop(one) for one in waiting if one in self._held_back]
                return [self._show(question) for question in held]
            case ApprovalResolved(approval_id=approval_id, remember=remember):
                settled = self._held_back.pop(approval_id, None) or self._open.pop(approval_id, None)
                if settled is not None and remember is not None:
                    self._remembered.add(settled.tool)
            case RunFinished():
                self._open = {one: q for one, q in self._open.items() if q.run_id != item.run_id}
            case _:
                pass
        return []

    def _question(
        self, approval_id: str, run_id: str | None, asked: ApprovalInfo | ApprovalRequested
    ) -> Question:
        known = self._open.get(approval_id)
        if known is not None:
            return known
        self._asked += 1
        return Question(
            self._asked,
            approval_id,
            run_id,
            asked.tool,
            asked.arguments,
            asked.expires_at,
            asked.reason,
            asked.done,
        )

    def _show(self, question: Question) -> Question:
        self._open[question.approval_id] = question
        self._in_sight.add(question.number)
        return question

    def answer(self, typed: str) -> Answer:
        """Which question is answered with what. Raises Unclear if that isn't certain.

        Without a number it must be the only one that was open since the line before: else the person may
        have meant one that is settled, and answered another.
        """
        named = _NUMBER.match(typed)
        if named is not None:
            return Answer(self._numbered(int(named[1])), typed[named.end() :].strip())
        match tuple(self._open.values()):
            case ():
                raise Unclear("Nothing waits for an answer.")
            case (only,) if self._in_sight == {only.number}:
                return Answer(only, typed.strip())
            case several:
                numbers = " or ".join(str(question.number) for question in several)
                raise Unclear(f"Say which one by its number: {numbers}.")

    def _numbered(self, number: int) -> Question:
        for question in self._open.values():
            if question.number == number:
                return question
        raise Unclear(f"Question {number} doesn't wait for an answer.")

    def entered(self) -> None:
        """A line was dealt with: what is open from here on is what the next one is about."""
        self._in_sight = {question.number for question in self._open.values()}


def changed(question: Question, typed: str) -> Arguments | None:
    """The arguments with the changes that were typed, as name=value; None if there are none.

    A value is JSON; where a text stands now, it is a text as it is. Raises Unclear.
    """
    try:
        words = shlex.split(typed)
    except ValueError as error:
        raise Unclear(
            f"The changes can't be read: {error}. Write name=value, or name='two words'."
        ) from error
    changes: Arguments = {}
    for word in words:
        change = _CHANGE.fullmatch(word)
        if change is None:
            raise Unclear(f"{word!r} is no change. Write name=value, or name='two words'.")
        changes[change[1]] = _value(question.arguments.get(change[1]), change[2])
    return {**question.arguments, **changes} if changes else None


def _value(before: object, typed: str) -> object:
    if isinstance(before, str):
        return typed
    try:
        return msgspec.json.decode(typed)
    except msgspec.DecodeError:
        return typed


def shape(tool: str, arguments: Arguments, expires_at: str) -> list[str]:
    """The lines that show a call to the one who decides: all of it, with nothing hidden or cut."""
    until = f"{expires_at[:16].replace('T', ' ')} UTC"
    width = max((len(exact(name)) for name in arguments), default=0)
    return [
        f"{exact(tool)[1:-1]} waits for your approval, until {until}:",
        *(f"  {exact(name)[1:-1]:<{width}}{exact(value)}" for name, value in arguments.items()),
    ]


def why(reason: str | None, done: tuple[str, ...]) -> list[str]:
    """The lines that say why a person is asked beyond the rule of the tool."""
    if reason is None:
        return []
    if reason != CHANGED:
        return [f"Asked because: {exact(reason)[1:-1]}."]
    first = "The run began again and asks for something else than before. It had already called:"
    return [first, *(f"  {exact(call)[1:-1]}" for call in done)]
