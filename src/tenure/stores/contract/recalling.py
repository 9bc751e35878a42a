"""What the cases about schedules share: a schedule, and whoever keeps its timer."""

from collections.abc import Sequence

from tenure.core.moment import SECOND, Micros
from tenure.core.principal import Principal
from tenure.core.recall import Judged, Reason, RecallKind, RecallPolicy, occurrence_id
from tenure.core.schedule import OccurrenceState, ScheduleSignal
from tenure.core.scheduling import OccurrenceInfo, ScheduleInfo
from tenure.core.timing import Every
from tenure.ports.acts import Answer, Stamp, Start, Wake
from tenure.ports.schedules import Firing, FreshIds, Maker, NewSchedule, Prompt, Retry, Revision
from tenure.stores.contract.stage import ADA, EPOCH, Stage

MINUTE = 60 * SECOND
SCHEDULE = "sch_"
SAID = "Water the plants"
PLAIN = RecallPolicy()


def instant(n: int) -> Micros:
    """The n-th nominal instant."""
    return Micros(EPOCH + n * MINUTE)


def fresh(stage: Stage) -> FreshIds:
    """Ids for one admission."""
    return FreshIds(stage.ids.new("msg_"), stage.ids.new("run_"), stage.ids.new("ses_"))


def wanted(
    stage: Stage,
    session_id: str | None,
    *,
    kind: RecallKind = RecallKind.TASK,
    policy: RecallPolicy = PLAIN,
    maker: Maker | None = None,
    first: int = 1,
    name: str | None = None,
) -> NewSchedule:
    """A schedule every minute: for a session, or for the greeter."""
    return NewSchedule(
        schedule_id=stage.ids.new(SCHEDULE),
        session_id=session_id,
        agent="greeter",
        name=name,
        kind=kind,
        message=SAID,
        timing=Every(every=MINUTE, anchor=EPOCH),
        policy=policy,
        explanation="every minute",
        next_at=instant(first),
        wake_at=instant(first),
        maker=maker,
    )


async def planned(
    stage: Stage,
    session_id: str | None = None,
    *,
    by: Principal = ADA,
    policy: RecallPolicy = PLAIN,
    kind: RecallKind = RecallKind.TASK,
    maker: Maker | None = None,
    first: int = 1,
) -> "Plan":
    """Make a schedule. Without `session_id` it is for the greeter, each time in a new session."""
    new = wanted(stage, session_id, policy=policy, kind=kind, maker=maker, first=first)
    made = await stage.store.schedules.create(stage.stamp(by), new)
    return Plan(stage, made.value.id)


class Plan:
    """One schedule. It fires when the case says so."""

    def __init__(self, stage: Stage, schedule_id: str) -> None:
        self.stage = stage
        self.id = schedule_id
        self.acts = stage.store.schedules

    # --- what can be seen

    async def info(self) -> ScheduleInfo:
        """The schedule as readers see it."""
        info = await self.acts.get(self.id)
        assert info is not None
        return info

    async def version(self) -> int:
        """Where it stands."""
        standing = await self.acts.standing(self.id)
        assert standing is not None
        return standing.version

    async def rows(self) -> list[OccurrenceInfo]:
        """What became of its instants, oldest first, without the one to come."""
        page = await self.acts.occurrences(self.id, None, 1_000)
        return [one for one in reversed(page.data) if one.state != OccurrenceState.DUE]

    async def told(self) -> list[tuple[str, str | None, str | None]]:
        """The same in short: state, reason and outcome of each."""
        return [(one.state, one.reason, one.outcome) for one in await self.rows()]

    def occurrence(self, n: int) -> str:
        """The id of the n-th occurrence."""
        return occurrence_id(self.id, instant(n))

    # --- what is done to it

    async def firing(
        self,
        *came: int,
        missed: Sequence[int] = (),
        follows: int | None = 0,
        version: int | None = None,
        reason: Reason | None = None,
        unlisted: int = 0,
    ) -> Firing:
        """What is decided: these instants are admitted, those missed, and then comes `follows`."""
        judged = [
            *(Judged(instant(n), OccurrenceState.MISSED, Reason.LATE) for n in missed),
            *(Judged(instant(n), OccurrenceState.ADMITTED, reason) for n in came),
        ]
        behind = max([*came, *missed], default=0) + 1 if follows == 0 else follows
        following = None if behind is None else instant(behind)
        return Firing(
            schedule_id=self.id,
            version=await self.version() if version is None else version,
            at=self.stage.at(),
            judged=tuple(judged),
            fresh=tuple(fresh(self.stage) for _ in came),
            next_at=following,
            wake_at=following,
            unlisted=unlisted,
        )

    async def fire(
        self,
        *came: int,
        missed: Sequence[int] = (),
        follows: int | None = 0,
        version: int | None = None,
        here: bool = True,
    ) -> Wake:
        """Fire these instants."""
        firing = await self.firing(*came, missed=missed, follows=follows, version=version)
        wake = await self.acts.fire(firing, self.stage.lease if here else None)
        await self._note_sessions()
        return wake

    async def start(self, n: int = 1) -> Start:
        """Fire one instant, whose run starts here."""
        (start,) = (await self.fire(n)).starts
        return start

    async def _note_sessions(self) -> None:
        """Sessions that recalls opened are checked at the end, too."""
        for row in await self.rows():
            if row.session_id is not None and row.session_id not in self.stage.sessions:
                self.stage.sessions.append(row.session_id)

    async def turn(self, signal: ScheduleSignal, by: Principal = ADA) -> ScheduleInfo:
        """Pause, resume or cancel."""
        return await self.acts.turn(self.stage.stamp(by), self.id, signal, str(Reason.ASKED))

    async def revise(
        self,
        *,
        version: int | None = None,
        policy: RecallPolicy | None = None,
        follows: int | None = 5,
        message: str = "Something else",
    ) -> ScheduleInfo:
        """Change what it says, when it comes next, and its policy."""
        following = None if follows is None else instant(follows)
        revision = Revision(
            version=await self.version() if version is None else version,
            name="renamed",
            kind=RecallKind.TASK,
            message=message,
            timing=Every(every=MINUTE, anchor=EPOCH),
            policy=policy or RecallPolicy(),
            explanation="every minute",
            next_at=following,
            wake_at=following,
        )
        return await self.acts.revise(self.stage.stamp(), self.id, revision)

    async def trigger(
        self, *, key: str | None = None, by: Principal = ADA, stamp: Stamp | None = None
    ) -> tuple[Answer[OccurrenceInfo], Wake]:
        """Have an occurrence now."""
        prompt = Prompt(self.id, fresh(self.stage))
        asked = stamp or self.stage.stamp(by, key)
        made = await self.acts.trigger(asked, prompt, self.stage.lease)
        await self._note_sessions()
        return made

    async def retry(self, n: int = 1, attempts: int = 1) -> Wake:
        """Admit a failed occurrence again."""
        asked = Retry(self.occurrence(n), attempts, self.stage.at(), fresh(self.stage))
        return await self.acts.retry(asked, self.stage.lease)
