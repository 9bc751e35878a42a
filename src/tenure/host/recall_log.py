"""The log of recalls: a line for each run of a schedule that ends, as nobody may have been watching it.

It reads what the host commits, and the host gives it every block. Runs that a former life began it doesn't
know: what became of those stands in their occurrences.
"""

import logging

import msgspec

from tenure.core.content import text_of
from tenure.core.entry import Entry
from tenure.core.event import MessageAdmitted, MessageCompleted, RecallFired, RunFinished, RunStarted
from tenure.core.moment import SECOND, Micros, micros
from tenure.core.recall import RECALL
from tenure.host.telemetry import Telemetry
from tenure.ports.store import Block

MOST = 10_000
"""How many messages that wait are remembered; what waits behind more is logged by its schedule alone."""

_TOLD = frozenset({RecallFired, MessageAdmitted, RunStarted, MessageCompleted, RunFinished})

log = logging.getLogger("tenure.host.recalls")


class _Course(msgspec.Struct):
    """The run of a recall on its way."""

    what: str
    due_at: Micros
    began_at: Micros
    characters: int = 0


class RecallLog:
    """Counts recalls, and says how their runs ended."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._waiting: dict[str, RecallFired] = {}
        self._courses: dict[str, _Course] = {}

    def deliver(self, block: Block) -> None:
        """Follow the recalls in a committed block."""
        fired: RecallFired | None = None
        for entry in block.entries:
            if type(entry.event) not in _TOLD:
                continue
            match entry.event:
                case RecallFired() as event:
                    fired = event
                    self._telemetry.recalls += 1
                case MessageAdmitted(message_id=message_id) if fired is not None:
                    if len(self._waiting) < MOST:
                        self._waiting[message_id] = fired
                    fired = None
                case RunStarted() as event if event.trigger.kind == RECALL and entry.run_id:
                    self._start(entry.run_id, event, entry.at)
                case MessageCompleted() as event if entry.run_id in self._courses:
                    self._courses[entry.run_id].characters += len(text_of(event.content))
                case RunFinished() as event if entry.run_id in self._courses:
                    self._finish(entry, event, self._courses.pop(entry.run_id))
                case _:
                    pass

    def _start(self, run_id: str, event: RunStarted, at: Micros) -> None:
        fired = self._waiting.pop(event.trigger.message, None)
        if fired is None:
            self._courses[run_id] = _Course(f"{event.trigger.id} (tried again)", at, at)
        else:
            self._courses[run_id] = _Course(fired.occurrence, micros(fired.due_at), at)

    def _finish(self, entry: Entry, event: RunFinished, course: _Course) -> None:
        log.info(
            "The recall %s ended as %s%s: %.3f s late, %.3f s long, %d characters said.",
            course.what,
            event.status,
            f" ({event.reason})" if event.reason else "",
            (course.began_at - course.due_at) / SECOND,
            (entry.at - course.began_at) / SECOND,
            course.characters,
        )
