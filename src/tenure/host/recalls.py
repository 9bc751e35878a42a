"""The room of recalls: one timer for whatever is due first, and what becomes of it then.

What is due on time goes first. What is late, after an outage or a rest, comes behind it, spread out, so
that a storm of it doesn't stand in front of what people do now. The host opens and closes it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

from tenure.core.event import RecallRetrying
from tenure.core.moment import SECOND, Micros, micros
from tenure.core.principal import Principal, Role
from tenure.core.recall import LATE, Reason
from tenure.core.schedule import ScheduleSignal, ScheduleState
from tenure.core.timing import LATEST
from tenure.errors import Code, TenureError
from tenure.host.occurrences import decide
from tenure.host.scheduling import fresh_ids
from tenure.host.tasks import Tasks
from tenure.host.telemetry import Telemetry
from tenure.ports.acts import Lease, Stamp, Wake
from tenure.ports.clock import Clock, Ids
from tenure.ports.schedules import Retry, ScheduleActs, Standing
from tenure.ports.store import Block

T = TypeVar("T")

AT_ONCE = 64
"""How many schedules that are due on time are looked at together."""

LATE_AT_ONCE = 16
"""How many late ones are made up for, and then nothing late for PAUSE_S."""

PAUSE_S = 0.25
RETRY_S = 1.0
TOGETHER_S = 0.002
"""The shortest wait, in seconds: timers are no finer than 1 ms, so whoever waits less looks again and again.
What comes within it shares a commit.
"""

LOOK_S = 60.0
"""How often the clock is looked at while something is to come, in seconds: somebody may set it."""

MOST_TRIES = 3
"""How often a schedule that can't be looked at is tried before it is paused."""

HOST = Principal(tenant="", user="host", role=Role.ADMIN, key_id="", root=True)
"""Who pauses a schedule that can't be looked at."""

_DAWN = Micros(0)
_NOBODYS_FAULT = (Code.STORE_FULL, Code.STORE_UNAVAILABLE, Code.FENCED)

log = logging.getLogger("tenure.host.recalls")


class _Trouble(NamedTuple):
    """What went wrong so often, and when it is tried again, by the loop's clock."""

    tries: int
    until: float


class Recalls:
    """Fires the schedules of a store."""

    def __init__(
        self,
        *,
        acts: ScheduleActs,
        clock: Clock,
        ids: Ids,
        tasks: Tasks,
        telemetry: Telemetry,
        lease: Callable[[], Lease | None],
        follow: Callable[[Wake], None],
    ) -> None:
        self._acts = acts
        self._clock = clock
        self._ids = ids
        self._tasks = tasks
        self._telemetry = telemetry
        self._lease = lease
        self._follow = follow
        self._open = False
        self._busy = False
        self._since: Micros | None = None
        """What wanted to be looked at by then is late; None while nothing that was seen in time is behind."""
        self._seen = _DAWN
        """Up to when the latest round looked."""
        self._made_up = 0
        self._rests_until = 0.0
        self._troubles: dict[str, _Trouble] = {}
        self._due: Micros | None = None
        self._told: Micros | None = None
        """The earliest instant that came up since the store was last asked what comes first."""
        self._timer: asyncio.TimerHandle | None = None
        self._going: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Fire from now on."""
        self._open = True
        self.look()

    def close(self) -> None:
        """Fire nothing any more: another life of the host sees to it."""
        self._open = False
        self._disarm()

    def due(self, at: Micros) -> None:
        """Something wants to be looked at at this instant."""
        if self._busy:
            self._told = at if self._told is None else min(at, self._told)
        elif self._open and (self._due is None or at < self._due):
            self._arm(at)

    def deliver(self, block: Block) -> None:
        """Look for occurrences that are to be tried again in a committed block."""
        for entry in block.entries:
            if isinstance(entry.event, RecallRetrying):
                self.due(micros(entry.event.retry_at))

    # --- the timer

    def _arm(self, at: Micros) -> None:
        self._disarm()
        self._due = at
        wait_s = min(max(TOGETHER_S, (at - self._clock.now()) / SECOND), LOOK_S)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self.look)

    def _disarm(self) -> None:
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """See what comes first, and wait for it or see to it. To be called too when the clock was set."""
        if self._open and not self._busy:
            self._disarm()
            self._busy = True
            self._going = self._tasks.spawn(self._go_on(), "recalls")

    async def _go_on(self) -> None:
        """Go round while something is due, then wait for what comes next."""
        coming: Micros | None = None
        try:
            while True:
                # Should the store fail to tell what comes first, somebody looks again all the same.
                coming = Micros(self._clock.now() + round(RETRY_S * SECOND))
                coming = await self._first()
                if coming is None or coming > self._clock.now() or not self._open:
                    return
                await self._go_round()
        except TenureError as error:
            if error.code not in _NOBODYS_FAULT:
                raise
        finally:
            self._busy = False
            for at in (coming, self._told):
                if at is not None:
                    self.due(at)

    async def _first(self) -> Micros | None:
        """When to look at something next; what is behind waits until a rest is over."""
        # Forgotten first: what comes up while the store is asked may not be in its answer.
        self._told = None
        first = await self._acts.next_at()
        now, rest_s = self._clock.now(), self._rests_until - _time()
        if first is None or first > now or rest_s <= 0 or self._since is not None:
            return first
        # A rest that is all but over still takes a moment: looked at sooner, nothing would be ready.
        return min(Micros(now + max(1, round(rest_s * SECOND))), await self._next_after(self._seen))

    async def see_to_it(self) -> None:
        """Look, and return once what is due has been seen to: for clocks that only a test moves."""
        self.look()
        while self._busy and self._going is not None:
            await asyncio.wait([self._going])

    async def _next_after(self, seen: Micros) -> Micros:
        """When the first schedule comes that the latest round didn't look at: it waits for no rest."""
        coming = (await self._acts.due(seen, LATEST, 1)).schedules
        return (coming[0].wake_at if coming else None) or LATEST

    def _rest(self, seconds: float) -> None:
        self._rests_until = max(self._rests_until, _time() + seconds)

    # --- what is due

    async def _go_round(self) -> None:
        came = False
        try:
            came = await self._round()
        finally:
            if not came:
                # Also where the store failed to tell what is due: looked at at once, it would fail again.
                self._since = None
                self._rest(RETRY_S)

    async def _round(self) -> bool:
        """See to what is due, on time first. Returns whether anything came of it."""
        lease = self._lease()
        if lease is None:
            return False
        now = self._seen = self._clock.now()
        since = self._since = Micros(now - LATE) if self._since is None else self._since
        found = await self._acts.due(since, now, AT_ONCE + len(self._troubles))
        timely = self._ready(found.schedules, AT_ONCE)
        fired = await self._each((s.schedule_id, self._fire(s, now, since, lease)) for s in timely)
        tried = await self._retry_some(found.retries, lease)
        if fired and len(timely) == AT_ONCE:
            # What is behind was seen in time, however long it takes to get to it.
            return True
        self._since = None
        return await self._make_up(now, since, lease) or bool(fired or tried)

    def _ready(self, found: list[Standing], most: int) -> list[Standing]:
        """What may be looked at now: all but what is in trouble."""
        return [each for each in found if not self._resting(each.schedule_id)][:most]

    def _resting(self, what: str) -> bool:
        trouble = self._troubles.get(what)
        return trouble is not None and _time() < trouble.until

    async def _make_up(self, seen: Micros, since: Micros, lease: Lease) -> bool:
        """See to what is late, one by one, until something comes that isn't. Returns whether there is any."""
        found = await self._acts.due(_DAWN, since, LATE_AT_ONCE + len(self._troubles))
        late = self._ready(found.schedules, LATE_AT_ONCE)
        now = seen
        for each in late:
            behind: Standing | None = each
            # One after the other, so that the first of many is done long before the last.
            while behind is not None:
                if await self._is_due_after(seen) or _time() < self._rests_until or not self._open:
                    return True
                behind = await self._step(behind, now, since, lease)
                now = self._clock.now()
                since = Micros(now - LATE)
        return bool(late)

    async def _step(self, late: Standing, now: Micros, since: Micros, lease: Lease) -> Standing | None:
        """See to the next passed instants of a schedule. Returns it if it is still behind."""
        wakes = await self._each([(late.schedule_id, self._fire(late, now, since, lease))])
        now_is = await self._acts.standing(late.schedule_id) if wakes else None
        if now_is is not None and _is_behind(now_is, late, since):
            return now_is
        self._made_up += 1
        # Runs that wait for a slot are of people too: what is late joins them at a slower pace.
        if self._made_up >= LATE_AT_ONCE or any(wake.backlog for wake in wakes):
            self._made_up = 0
            self._rest(PAUSE_S)
        return None

    async def _is_due_after(self, seen: Micros) -> bool:
        return bool((await self._acts.due(seen, self._clock.now(), 1)).schedules)

    async def _fire(self, standing: Standing, now: Micros, since: Micros, lease: Lease) -> Wake:
        decided = decide(standing, now, since, self._ids)
        wake = await self._acts.fire(decided.firing, lease)
        if decided.wanted_at is not None and decided.wanted_at > since:
            self._telemetry.late(max(0, self._clock.now() - decided.wanted_at) / SECOND)
        return wake

    async def _retry_some(self, found: list[tuple[str, int]], lease: Lease) -> int:
        """Try again what failed, a few at a time."""
        ready = [(what, attempts) for what, attempts in found if not self._resting(what)][:LATE_AT_ONCE]
        asked = (Retry(what, attempts, self._clock.now(), fresh_ids(self._ids)) for what, attempts in ready)
        return len(await self._each((a.occurrence_id, self._acts.retry(a, lease)) for a in asked))

    # --- what goes wrong

    async def _each(self, work: Iterable[tuple[str, Awaitable[Wake]]]) -> list[Wake]:
        """Do it all side by side and follow what comes of it: whatever fails holds up nothing else."""
        named = list(work)
        results = await asyncio.gather(*(each for _, each in named), return_exceptions=True)
        wakes = [result for result in results if not isinstance(result, BaseException)]
        for wake in wakes:
            self._follow(wake)
        for (what, _), result in zip(named, results, strict=True):
            if isinstance(result, BaseException):
                await self._failed(what, result)
            else:
                self._troubles.pop(what, None)
        return wakes

    async def _failed(self, what: str, error: BaseException) -> None:
        """A full disk is nobody's fault. Else it is tried a few times, and then the schedule is paused."""
        self._rest(RETRY_S)
        if isinstance(error, TenureError) and error.code in _NOBODYS_FAULT:
            return
        if isinstance(error, TenureError) and error.code is Code.INVALID:
            log.warning("Nobody can tell when the recall %s is due: %s", what, error.detail)
            await self._give_up(what, Reason.TIMETABLE)
            return
        tries = self._troubles.get(what, _Trouble(0, 0.0)).tries + 1
        self._troubles[what] = _Trouble(tries, _time() + RETRY_S)
        if tries == 1:
            log.error("The recall %s can't be looked at.", what, exc_info=error)
        if tries >= MOST_TRIES:
            await self._give_up(what, Reason.ERROR)

    async def _give_up(self, what: str, reason: Reason) -> None:
        """Pause the schedule, or leave the occurrence alone that should be tried again, until a restart."""
        stamp = Stamp(self._clock.now(), HOST)
        try:
            await self._acts.turn(stamp, what, ScheduleSignal.PAUSE, str(reason))
        except TenureError as refusal:
            if refusal.code in (Code.NOT_FOUND, Code.CONFLICT):
                self._troubles[what] = _Trouble(MOST_TRIES, float("inf"))
            return
        self._troubles.pop(what, None)


def _time() -> float:
    """The loop's clock, by which timers ring: rests go by it, so that they end when their timers do."""
    return asyncio.get_running_loop().time()


def _is_behind(now_is: Standing, before: Standing, since: Micros) -> bool:
    """Whether a schedule moved on and is late all the same."""
    moved = now_is.state is ScheduleState.ACTIVE and now_is.version != before.version
    return moved and now_is.wake_at is not None and now_is.wake_at <= since
