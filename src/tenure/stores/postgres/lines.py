"""Lines: what one host writes for one run, in order. Lines go side by side. Used by the lane."""

from asyncio import Future
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tenure.core.entry import Entry
from tenure.ports.store import Append, Block, Lease
from tenure.stores.relational.lane import Outcome
from tenure.stores.relational.locks import Lock
from tenure.stores.relational.tx import Act

IDLE = 2_048
"""Of how many runs that write nothing just now it is kept where their output goes."""


class Job(NamedTuple):
    """An act under its locks."""

    act: Act
    locks: tuple[Lock, ...]
    future: "Future[Any]"


class Output(NamedTuple):
    """Output that changes no table but the journal."""

    lease: Lease
    append: Append
    future: "Future[Any]"


class Committed(NamedTuple):
    """What an act came to, and the blocks that are durable now."""

    outcome: Outcome
    blocks: list[Block]


class Line:
    """The order of one run's writes."""

    __slots__ = ("busy", "run_id", "session_id", "session_no", "waiting")

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.busy = False
        self.waiting: deque[Job | Output] = deque()
        self.session_no = 0
        self.session_id = ""

    def outputs(self) -> list[Output]:
        """The outputs that stand at the front, taken away; all of one lease."""
        taken: list[Output] = []
        while self.waiting and isinstance(front := self.waiting[0], Output):
            if taken and front.lease != taken[0].lease:
                break
            taken.append(front)
            self.waiting.popleft()
        return taken


class Part(NamedTuple):
    """What one line has for a batch."""

    line: Line
    taken: Sequence[Output]

    @property
    def incarnation(self) -> int:
        """The life of the host that wrote it."""
        return self.taken[0].lease.incarnation

    def entries(self) -> list[Entry]:
        """All that was put out, in order."""
        return [entry for output in self.taken for entry in output.append.entries]

    def block(self, last: int) -> Block:
        """The range that it became."""
        entries = tuple(self.entries())
        body = b"\n".join([entry.line for entry in entries])
        return Block(
            session_id=self.line.session_id,
            first=last - len(entries) + 1,
            last=last,
            body=body,
            entries=entries,
        )


class Lines:
    """The lines of all runs: those at work, and as many idle ones as are worth remembering."""

    def __init__(self) -> None:
        self._busy: dict[str, Line] = {}
        self._idle: OrderedDict[str, Line] = OrderedDict()

    def __iter__(self) -> Iterator[Line]:
        return iter([*self._busy.values()])

    def of(self, run_id: str) -> Line:
        """The line of a run, which begins to be at work."""
        line = self._busy.get(run_id)
        if line is None:
            line = self._busy[run_id] = self._idle.pop(run_id, None) or Line(run_id)
        return line

    def rest(self, line: Line) -> None:
        """Nothing stands in this line any more."""
        self._busy.pop(line.run_id, None)
        if line.session_no:
            self._idle[line.run_id] = line
        while len(self._idle) > IDLE:
            self._idle.popitem(last=False)
