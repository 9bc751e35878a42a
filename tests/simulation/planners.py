"""Clients who schedule: once, on a grid, by cron; and pause, resume, edit, trigger and delete it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tenure.core.command import OpenSession
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.principal import Principal, Role
from tenure.core.recall import Missed, Overlap, RecallKind
from tenure.core.scheduling import CreateSchedule, ScheduleInfo, UpdateSchedule
from tenure.errors import TenureError
from tenure.ports.schedules import ScheduleFilter
from tests.simulation.almanac import CRONS, OFFSETS, Plan
from tests.simulation.everyone import Everyone
from tests.simulation.workers import WORKERS
from tests.simulation.world import ROOT, Life, Unreachable, World

ROBOT = Principal(tenant="acme", user="robot", role=Role.MEMBER, key_id="key_robot")
"""Somebody whose key is taken away now and then."""
_ALL = ScheduleFilter(None, None)


def admitted(world: World, schedule_id: str) -> tuple[str, ...]:
    """The occurrences of a schedule that nobody asked for and that are messages now, on disk."""
    query = (
        "SELECT o.id FROM occurrence o JOIN schedule s ON s.no = o.schedule_no "
        "WHERE s.id = ? AND o.state = 'admitted' AND o.manual = 0 ORDER BY o.no"
    )
    return tuple(str(row[0]) for row in world.disk.db.execute(query, (schedule_id,)))


class Planner(Everyone):
    """A client who has others remember for it."""

    async def act(self, steps: int) -> None:
        """Do `steps` things, with pauses between them; now and then nothing for a long time."""
        for _ in range(steps * 2):
            await asyncio.sleep(self.draw.choice((0, 0.001, 0.3, 1.0, 2.0, 5.0, 20.0, 61.0)))
            if not self.sessions:
                await self.open()
            (habit,) = self.draw.choices(_OWN, weights=[weight for _, weight in _OWN])
            await habit[0](self)

    async def usual(self) -> None:
        """What everyone does."""
        if self.sessions:
            await self.draw.choice(_USUAL)(self)

    async def open(self) -> None:
        wish = OpenSession(
            agent=self.draw.choice(
                (*WORKERS, "scripted", "scripted", "remembering", "remembering", "remembering")
            ),
            title=f"of {self.name}",
        )
        answer = await self.command(
            "open", lambda life, idem: life.host.commands.open_session(self.user, wish, idem)
        )
        if answer is not None:
            self.sessions.append(answer.value.id)
            self.note(answer.value.id, 1, "session.created")

    # --- schedules

    async def schedule(self) -> None:
        """Have something said later."""
        by = self.user if self.draw.random() < 0.8 else ROBOT
        ask = self._wish()
        answer = await self.command("schedule", lambda life, idem: life.host.scheduling.create(by, ask, idem))
        if answer is not None:
            self.world.almanac.made(ask, answer.value)
            if ask.session_id is not None:
                self.note(ask.session_id, None, "recall.scheduled", answer.value.id)

    def _wish(self) -> CreateSchedule:
        draw = self.draw
        inside = bool(self.sessions) and draw.random() < 0.75
        return CreateSchedule(
            session_id=self.pick() if inside else None,
            agent=None if inside else "scripted",
            name=draw.choice((None, f"of {self.name}")),
            message=self._words(),
            kind=RecallKind.REMINDER if draw.random() < 0.2 else RecallKind.TASK,
            missed=draw.choice(tuple(Missed)),
            missed_max=draw.choice((1, 2, 5)),
            overlap=draw.choice(tuple(Overlap)),
            jitter_s=draw.choice((0, 0, 0, 0.5, 1.0)),
            max_runs=draw.choice((None, None, 1, 3)),
            ends_at=timestamp(self._soon(draw.choice((40, 400)))) if draw.random() < 0.15 else None,
            retries=draw.choice((0, 0, 1, 3)),
            backoff_s=draw.choice((0.1, 2.0, 10.0)),
            pause_after_failures=draw.choice((0, 1, 2, 5)),
            **self._when(),
        )

    def _words(self) -> str:
        """What doesn't take long: it comes again and again."""
        return f"{self.draw.choice(_WORDS)}\n@ {self.name}.{self.asked}"

    def _soon(self, seconds: float) -> Micros:
        """So many seconds from now, as far as the host that is up tells the time."""
        life = self.world.life
        now = self.world.date() if life is None else life.host.clock.now()
        return Micros(now + round(seconds * SECOND))

    def _when(self) -> dict[str, Any]:
        draw = self.draw
        kind = draw.random()
        if kind < 0.15:
            return {"in_s": draw.choice((0.5, 3.0, 30.0))}
        if kind < 0.25:
            return {"at": timestamp(self._soon(draw.choice((1.0, 5.0, 60.0))))}
        if kind < 0.7:
            anchor = timestamp(self._soon(-draw.choice((0.3, 7, 5_000)))) if draw.random() < 0.4 else None
            return {"every_s": draw.choice((1, 2.5, 7, 7, 30, 600)), "anchor": anchor}
        return {"cron": draw.choice(tuple(CRONS)), "timezone": draw.choice(tuple(OFFSETS))}

    def _plan(self) -> Plan | None:
        plans = [plan for plan in self.world.almanac.plans.values() if plan.ended is None]
        return self.draw.choice(plans) if plans else None

    async def edit_plan(self) -> None:
        """Say something else, or at other times."""
        plan = self._plan()
        if plan is None:
            return
        retimed = self.draw.random() < 0.4
        ask = UpdateSchedule(**self._when()) if retimed else self._revision()
        if not retimed:
            await self._edit(plan, ask)
            return
        plan.editing += 1
        edits = plan.edits
        info = await self._edit(plan, ask)
        if info is None or plan.editing > 1 or plan.edits != edits + 1:
            plan.loose = True
        else:
            self.world.almanac.retimed(plan, ask, info)
        plan.editing -= 1

    def _revision(self) -> UpdateSchedule:
        if self.draw.random() < 0.5:
            return UpdateSchedule(message=self._words())
        return UpdateSchedule(missed=self.draw.choice(tuple(Missed)), missed_max=self.draw.choice((1, 3)))

    async def _edit(self, plan: Plan, ask: UpdateSchedule) -> ScheduleInfo | None:
        if isinstance(ask.missed, Missed) and isinstance(ask.missed_max, int):
            plan.missed.add((ask.missed, ask.missed_max))

        def edit(life: Life, _: object) -> Awaitable[ScheduleInfo]:
            plan.edits += 1
            return life.host.scheduling.update(self.user, plan.id, ask)

        return await self.command(f"edit {plan.id[-4:]}", edit)

    async def pause(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        resumed = plan.resuming
        info = await self.command(
            f"pause {plan.id[-4:]}", lambda life, _: life.host.scheduling.pause(self.user, plan.id)
        )
        if info is not None and info.status == "paused" and resumed == plan.resuming == 0:
            plan.rested = admitted(self.world, plan.id)

    async def resume(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        rests(self.world, plan)
        plan.rested = None
        plan.resuming += 1
        answers: list[bool] = []

        async def resume(life: Life, _: object) -> ScheduleInfo:
            answers.append(False)
            try:
                return await life.host.scheduling.resume(self.user, plan.id)
            finally:
                answers[-1] = True

        await self.command(f"resume {plan.id[-4:]}", resume)
        # One that nobody heard of again may yet be carried out.
        plan.resuming -= all(answers)

    async def cancel(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        info = await self.command(
            f"cancel {plan.id[-4:]}", lambda life, _: life.host.scheduling.cancel(self.user, plan.id)
        )
        if info is not None and plan.ended is None:
            plan.ended = admitted(self.world, plan.id)

    async def trigger(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        answer = await self.command(
            f"trigger {plan.id[-4:]}",
            lambda life, idem: life.host.scheduling.trigger(self.user, plan.id, idem),
        )
        if answer is not None:
            plan.manual.add(answer.value.id)

    async def set_clock(self) -> None:
        """Somebody sets the host's clock, an hour at most from what is right."""
        life = await self.world.living()
        off = self.draw.choice((-3_600, -30, 0, 30, 3_600))
        self.world.say(f"clock {off}")
        life.clock.set(off)

    async def lose_key(self) -> None:
        """The robot's keys are taken away; sometimes it gets another one."""
        try:
            await self.world.ask(_revoke)
            if self.draw.random() < 0.6:
                await self.world.welcome([ROBOT])
        except (TenureError, Unreachable):
            return


def rests(world: World, plan: Plan) -> None:
    """Nothing was admitted while it rested."""
    if plan.rested is not None and plan.id and admitted(world, plan.id) not in (plan.rested, ()):
        world.fault(f"{plan.id} fired while it rested: {admitted(world, plan.id)} after {plan.rested}")


async def _revoke(life: Life) -> None:
    page = await life.store.keys(None, None, 1_000)
    for key in page.data:
        if key.user == ROBOT.user:
            await life.host.commands.revoke_key(ROOT, key.id)


async def rest_all(world: World) -> None:
    """The operator lets every schedule rest, so that the story ends."""
    while True:
        life = await world.living()
        page = await life.store.schedules.page(_ALL, None, 1_000)
        active = [info.id for info in page.data if info.status == "active"]
        if not active:
            return
        for schedule_id in active:
            try:
                await world.ask(lambda life, i=schedule_id: life.host.scheduling.pause(ROOT, i))
            except (TenureError, Unreachable):
                continue
            plan = world.almanac.plans.get(schedule_id)
            if plan is not None and not plan.resuming:
                plan.rested = admitted(world, schedule_id)


_WORDS = (
    "SAY up",
    "SAY well",
    "SLOW 3 400",
    "SLOW 9 300",
    "FAIL drawn",
    "CRASH",
    "VANISH",
    "SAY so",
    "SAY so",
)
_USUAL: tuple[Callable[[Planner], Awaitable[None]], ...] = (
    Planner.send,
    Planner.send,
    Planner.send_and_stop,
    Planner.interrupt,
    Planner.close,
    Planner.reopen,
    Planner.reopen,
    Planner.delete,
    Planner.fork,
    Planner.undo,
    Planner.redo,
    Planner.follow,
    Planner.look,
    Planner.withdraw,
    Planner.promote,
    Planner.retry,
    Planner.decide_all,
)
_OWN: tuple[tuple[Callable[[Planner], Awaitable[None]], int], ...] = (
    (Planner.usual, 30),
    (Planner.schedule, 24),
    (Planner.edit_plan, 6),
    (Planner.pause, 5),
    (Planner.resume, 7),
    (Planner.cancel, 3),
    (Planner.trigger, 5),
    (Planner.set_clock, 4),
    (Planner.lose_key, 2),
)
