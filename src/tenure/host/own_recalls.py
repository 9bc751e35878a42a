"""The schedules of one attempt: what a run asks to have said later, in its own session.

What it makes acts as the author of the run's message and may touch at most what the run may: the store keeps
the run's grant with it. What was asked for has an id made of the run, of what was asked for and of how often
exactly that was, so that an attempt which starts over finds what an earlier one made, however late.
"""

import hashlib
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from tenure.core.grant import RECALLS
from tenure.core.ids import SCHEDULE
from tenure.core.principal import Principal
from tenure.core.schedule import ScheduleSignal
from tenure.core.scheduling import CreateSchedule, Preview, PreviewSchedule, Recall, ScheduleInfo
from tenure.errors import Code, TenureError
from tenure.host.authorization import require
from tenure.host.scheduling import Scheduling
from tenure.host.states import Behind
from tenure.ports.acts import Lease, Start
from tenure.ports.checkpoints import Asked
from tenure.ports.schedules import Maker, ScheduleActs, ScheduleFilter

SCHEDULING = "#schedule"
"""Under which name checkpoints keep how often a schedule was asked for. No tool has such a name."""

MOST_COUNT = 100
_PAGE = 100


class OwnRecalls:
    """What `run.recalls` leads to."""

    def __init__(
        self,
        room: Scheduling,
        acts: ScheduleActs,
        start: Start,
        lease: Lease,
        behind: Behind,
        asked: tuple[Asked, ...] = (),
    ) -> None:
        self._room = room
        self._acts = acts
        self._start = start
        self._grant = start.grant
        self._maker = Maker(lease, start.run_id, start.attempt)
        self._behind = behind
        self._asked = Counter({each.digest: each.times for each in asked if each.tool == SCHEDULING})
        self._open: Counter[str] = Counter()

    async def schedule(self, recall: Recall) -> ScheduleInfo:
        """Have something said later. What the run said before stands before it in the journal."""
        require(self._grant, RECALLS)
        ask = self._in_session(recall)
        line = msgspec.json.encode(ask)
        with self._under_way(hashlib.sha256(line).hexdigest()) as schedule_id:
            await self._behind(len(line))
            known = await self._acts.get(schedule_id)
            if known is not None:
                # Its time may have passed meanwhile, so it isn't judged again.
                return known
            return (await self._room.create(self._by, ask, None, self._maker, schedule_id)).value

    async def preview(self, recall: Recall, count: int = 5) -> Preview:
        """What it would do: in words, and its next instants."""
        require(self._grant, RECALLS)
        if not 1 <= count <= MOST_COUNT:
            detail = f"count is {count}. Give a number from 1 to {MOST_COUNT}."
            raise TenureError(Code.INVALID, detail, field="count")
        given = msgspec.structs.asdict(self._in_session(recall))
        return await self._room.preview(PreviewSchedule(**given, count=count))

    async def entries(self) -> list[ScheduleInfo]:
        """The schedules of the session, newest first, without those that were cancelled."""
        require(self._grant, RECALLS)
        which = ScheduleFilter(None, None, session_id=self._start.session_id)
        found: list[ScheduleInfo] = []
        cursor, more = None, True
        while more:
            page = await self._acts.page(which, cursor, _PAGE)
            found += page.data
            cursor, more = page.next_cursor, page.next_cursor is not None
        return found

    async def pause(self, schedule_id: str) -> ScheduleInfo:
        """Let one rest that a run made in this session."""
        return await self._turn(schedule_id, ScheduleSignal.PAUSE)

    async def resume(self, schedule_id: str) -> ScheduleInfo:
        """Let one go on that a run of the same author made in this session."""
        return await self._turn(schedule_id, ScheduleSignal.RESUME)

    async def cancel(self, schedule_id: str) -> ScheduleInfo:
        """End one that a run made in this session."""
        return await self._turn(schedule_id, ScheduleSignal.CANCEL)

    async def _turn(self, schedule_id: str, signal: ScheduleSignal) -> ScheduleInfo:
        require(self._grant, RECALLS)
        await self._behind(0)
        return await self._room.turn(self._by, schedule_id, signal, self._maker)

    def known(self) -> tuple[Asked, ...]:
        """How often each schedule was asked for whose making the runner knows of."""
        told = ((digest, times - self._open[digest]) for digest, times in self._asked.items())
        return tuple(Asked(SCHEDULING, False, digest, times) for digest, times in told if times)

    def reduce(self, removed: tuple[str, ...]) -> None:
        """The run may use less from here on."""
        self._grant = self._grant.without(removed)

    @contextmanager
    def _under_way(self, digest: str) -> Generator[str]:
        """The id of what is asked for, which no checkpoint knows of until it is made."""
        self._asked[digest] += 1
        self._open[digest] += 1
        name = f"{self._start.run_id} {digest} {self._asked[digest]}"
        try:
            yield SCHEDULE + hashlib.sha256(name.encode()).hexdigest()[:32]
        finally:
            self._open[digest] -= 1

    def _in_session(self, recall: Recall) -> CreateSchedule:
        given = msgspec.structs.asdict(recall)
        return CreateSchedule(**given, session_id=self._start.session_id)

    @property
    def _by(self) -> Principal:
        author = self._start.author
        return Principal(tenant=author.tenant, user=author.user, role=author.role, key_id=self._start.run_id)
