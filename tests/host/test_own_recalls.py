"""What runs have said later: in their own session, in their author's name, once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from tenure.core.command import CreateKey
from tenure.core.effect import CallStatus
from tenure.core.entry import Recorded
from tenure.core.event import (
    MessageDelta,
    RecallChanged,
    RecallFired,
    RecallScheduled,
    RunFinished,
    RunRetried,
    RunStarted,
)
from tenure.core.grant import HISTORY, RECALLS, Capabilities, Descriptor, Policy
from tenure.core.history import UndoTurns
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.output import Output, Text, completed
from tenure.core.principal import Principal, Role
from tenure.core.scheduling import CreateSchedule, Preview, Recall, ScheduleInfo
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.host.rooms import BEN, ROOT, UNHURRIED, Rooms, Talk, Work, agent, in_virtual_time, said
from tests.host.workshop import Bench, FakeTool, asked, decide
from tests.simulation.world import EPOCH

BOTH = (HISTORY, RECALLS)
Deed = Callable[[RunContext], Awaitable[object]]


def doing(*deeds: Deed) -> tuple[Work, list[object]]:
    """An agent that does one thing after the other when somebody speaks; and what came of each."""
    came: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        if run.origin.recall is not None:
            yield Text(f"recalled: {run.message.text}")
        else:
            yield Text("let me see ")
            for deed in deeds:
                try:
                    came.append(await deed(run))
                except TenureError as refusal:
                    came.append(refusal.code)
        yield completed()

    return work, came


async def talk_to(rooms: Rooms, work: Work, policy: Policy = UNHURRIED) -> Talk:
    """A session with an agent that asks for the right."""
    await rooms.up(agent(work, policy, permissions=BOTH))
    return await rooms.open()


def scheduling(recall: Recall) -> Deed:
    """Have it said later."""
    return lambda run: run.recalls.schedule(recall)


SOON = Recall(message="Look again", in_s=60)
DAILY = Recall(message="Look again", cron="0 8 * * *", timezone="Europe/Berlin", name="daily")


def made(came: list[object]) -> list[ScheduleInfo]:
    """The schedules that were made."""
    assert all(isinstance(each, ScheduleInfo) for each in came), came
    return [each for each in came if isinstance(each, ScheduleInfo)]


async def recalled(talk: Talk, count: int = 1) -> list[Recorded]:
    """The journal, once so many runs of recalls have ended."""
    while True:
        journal = await talk.journal()
        runs = {
            e.run_id for e in journal if isinstance(e.event, RunStarted) and e.event.trigger.kind == "recall"
        }
        ended = [e for e in journal if isinstance(e.event, RunFinished) and e.run_id in runs]
        if len(ended) >= count:
            return journal
        await talk.until(RunFinished, after=journal[-1].seq)


async def by_people(talk: Talk, ask: CreateSchedule) -> ScheduleInfo:
    """A schedule that the user made who talks."""
    rooms = talk.rooms
    return (await rooms.there(rooms.host.scheduling.create(talk.by, ask, None))).value


# making them


@pytest.mark.sources("N14", "P10")
@in_virtual_time
async def test_a_run_has_something_said_later_in_its_session_as_its_author(rooms: Rooms) -> None:
    work, came = doing(scheduling(SOON))
    talk = await talk_to(rooms, work)

    first = await talk.say()
    (schedule,) = made(came)
    journal = await recalled(talk)

    told = [type(e.event) for e in first if isinstance(e.event, MessageDelta | RecallScheduled)]
    assert told == [MessageDelta, RecallScheduled]
    assert (schedule.session_id, schedule.owner) == (talk.session_id, "ada")
    assert schedule.made_by == first[0].run_id
    (fired,) = [e for e in journal if isinstance(e.event, RecallFired)]
    assert (fired.at - first[0].at) / SECOND == pytest.approx(60, abs=0.1)
    assert said(e for e in journal if e.run_id != first[0].run_id) == "recalled: Look again"


@in_virtual_time
async def test_an_undo_says_that_what_was_scheduled_stays_and_it_comes(rooms: Rooms) -> None:
    work, came = doing(scheduling(SOON))
    talk = await talk_to(rooms, work)
    await talk.say()

    undoing = rooms.host.histories.undo(talk.by, talk.session_id, UndoTurns(), None)
    undone = (await rooms.there(undoing)).value
    (schedule,) = made(came)
    journal = await recalled(talk)

    assert undone.kept == (f"schedule {schedule.id}",)
    assert [e.event.schedule_id for e in journal if isinstance(e.event, RecallFired)] == [schedule.id]


@in_virtual_time
async def test_an_agent_recalls_itself_from_its_own_recalls_but_only_so_deep(rooms: Rooms) -> None:
    came: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        try:
            made = await run.recalls.schedule(Recall(message="again", in_s=10))
            yield Text(made.id)
        except TenureError as refusal:
            came.append((refusal.code, refusal.facts["limit"], "recurring" in refusal.detail))
        yield completed()

    talk = await talk_to(rooms, work)
    await talk.say()
    await recalled(talk, 3)
    await asyncio.sleep(60)

    assert came == [(Code.CAPACITY, 3, True)]


@in_virtual_time
async def test_what_cannot_be_is_refused_with_the_reason(rooms: Rooms) -> None:
    work, came = doing(
        scheduling(Recall(message="x")),
        scheduling(Recall(message="x", in_s=1, every_s=2)),
        scheduling(Recall(message="x", cron="0 8 * * *", timezone="Europe/Atlantis")),
        scheduling(Recall(message="x", at="2020-01-01T00:00:00Z")),
        lambda run: run.recalls.preview(SOON, 0),
        lambda run: run.recalls.cancel("sch_" + "0" * 32),
    )
    talk = await talk_to(rooms, work)
    await talk.say()

    assert came == [*[Code.INVALID] * 5, Code.NOT_FOUND]


@in_virtual_time
async def test_a_preview_tells_what_comes_and_makes_nothing(rooms: Rooms) -> None:
    work, came = doing(lambda run: run.recalls.preview(DAILY, 2), lambda run: run.recalls.entries())
    talk = await talk_to(rooms, work)
    await talk.say()

    preview, entries = came
    assert isinstance(preview, Preview)
    assert [text[10:] for text in preview.next] in (
        ["T08:00:00+01:00", "T08:00:00+01:00"],
        ["T08:00:00.000000+01:00", "T08:00:00.000000+01:00"],
    )
    assert entries == []


# whose right it is


EVERY_USE: tuple[Deed, ...] = (
    scheduling(SOON),
    lambda run: run.recalls.preview(SOON),
    lambda run: run.recalls.entries(),
    lambda run: run.recalls.pause("sch_1"),
    lambda run: run.recalls.resume("sch_1"),
    lambda run: run.recalls.cancel("sch_1"),
)


@pytest.mark.sources("P3")
@in_virtual_time
async def test_a_run_that_did_not_ask_for_the_right_is_refused_everything(rooms: Rooms) -> None:
    work, came = doing(*EVERY_USE)
    await rooms.up(agent(work))
    talk = await rooms.open()
    await talk.say()

    assert came == [Code.FORBIDDEN] * len(EVERY_USE)


@pytest.mark.sources("P3")
@in_virtual_time
async def test_an_operator_who_does_not_allow_it_has_it_refused(rooms: Rooms) -> None:
    work, came = doing(*EVERY_USE)
    talk = await talk_to(rooms, work, Policy(deadline_s=None, apis=(HISTORY,)))
    await talk.say()

    assert came == [Code.FORBIDDEN] * len(EVERY_USE)


@in_virtual_time
async def test_an_attempt_that_is_over_schedules_nothing(rooms: Rooms) -> None:
    came: list[object] = []
    left: list[asyncio.Task[None]] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        async def later() -> None:
            await asyncio.sleep(1)
            for deed in (run.recalls.schedule(SOON), run.recalls.cancel("sch_1")):
                with pytest.raises(TenureError) as caught:
                    await deed
                came.append(caught.value.code)

        left.append(asyncio.create_task(later()))
        yield completed()

    talk = await talk_to(rooms, work)
    await talk.say()
    await asyncio.sleep(2)
    await left[0]

    assert came == [Code.FENCED] * 2


# once, however often it starts over


@pytest.mark.sources("P10", "P8")
@in_virtual_time
async def test_an_attempt_that_starts_over_finds_what_was_made_even_when_its_time_has_passed(
    rooms: Rooms,
) -> None:
    soon = timestamp(Micros(EPOCH + 5 * SECOND))
    came: list[tuple[int, str]] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        if run.origin.recall is None:
            for recall in (SOON, SOON, Recall(message="at", at=soon)):
                came.append((run.attempt, (await run.recalls.schedule(recall)).id))
            yield Text("planned ")
            await asyncio.sleep(20 if run.attempt == 1 else 0)
        yield completed()

    hosted = agent(work, permissions=BOTH)
    await rooms.up(hosted)
    talk = await rooms.open()
    await talk.send()
    await talk.until(MessageDelta)
    await asyncio.sleep(10)
    rooms.crash()
    await rooms.up(hosted)
    await talk.until(RunRetried)
    journal = await recalled(talk, 3)

    first, second = ([made_id for attempt, made_id in came if attempt == n] for n in (1, 2))
    assert first == second
    assert len(set(first)) == 3
    assert len([e for e in journal if isinstance(e.event, RecallScheduled)]) == 3
    assert len([e for e in journal if isinstance(e.event, RecallFired)]) == 3


class Planning:
    """A runner that plans, goes on from its checkpoint after an answer, and plans the same once more."""

    descriptor = Descriptor(
        runner="planning", capabilities=Capabilities(tools=True, resume=True), permissions=BOTH
    )

    def __init__(self) -> None:
        self.came: list[str] = []

    async def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Plan, ask, plan."""
        if not context.resumed:
            self.came.append((await context.recalls.schedule(DAILY)).id)
            yield Text("planned ")
            await context.checkpoints.save(b"planned")
        permit = await context.own.ask("delete", {"path": "a.txt"})
        await context.own.settle(permit.call_id, CallStatus.OK, None)
        self.came.append((await context.recalls.schedule(DAILY)).id)
        yield completed()


@in_virtual_time
async def test_a_runner_that_goes_on_from_its_checkpoint_may_plan_the_same_once_more(rooms: Rooms) -> None:
    planning = Planning()
    await rooms.up(Agent(name="agent", runner=planning, policy=UNHURRIED), limits=Limits(hold_s=1))
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id)
    await talk.answer(receipt)

    assert len(planning.came) == 2
    assert len(set(planning.came)) == 2


# what runs may change


@in_virtual_time
async def test_a_run_lists_rests_and_ends_what_runs_of_its_session_made(rooms: Rooms) -> None:
    entries: list[list[tuple[str | None, str]]] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        one = await run.recalls.schedule(DAILY)
        for turn in (run.recalls.pause, run.recalls.resume, run.recalls.cancel):
            await turn(one.id)
            entries.append([(each.name, each.status) for each in await run.recalls.entries()])
        yield completed()

    talk = await talk_to(rooms, work)
    events = await talk.say()
    journal = await talk.journal()

    assert entries == [[("daily", "paused")], [("daily", "active")], []]
    changes = [(e.event.status, e.event.by) for e in journal if isinstance(e.event, RecallChanged)]
    assert changes == [("paused", "ada"), ("active", "ada"), ("cancelled", "ada")]
    assert isinstance(events[-1].event, RunFinished)


@pytest.mark.sources("P3")
@in_virtual_time
async def test_a_run_may_not_touch_what_people_made_nor_see_other_sessions(rooms: Rooms) -> None:
    work, came = doing()
    talk = await talk_to(rooms, work)
    other = await rooms.open()
    ask = CreateSchedule(message="x", every_s=3_600)
    here = await by_people(talk, msgspec.structs.replace(ask, session_id=talk.session_id))
    there = await by_people(talk, msgspec.structs.replace(ask, session_id=other.session_id))
    await rooms.stop()
    work, came = doing(
        lambda run: run.recalls.cancel(here.id),
        lambda run: run.recalls.pause(here.id),
        lambda run: run.recalls.cancel(there.id),
        lambda run: run.recalls.entries(),
    )
    await rooms.up(agent(work, permissions=BOTH))
    await talk.say()

    *refusals, entries = came
    assert refusals == [Code.FORBIDDEN, Code.FORBIDDEN, Code.NOT_FOUND]
    assert entries == [here]
    assert here.made_by is None


# what its runs may touch


DEE = Principal(tenant="acme", user="dee", role=Role.OPERATOR, key_id="key_dee")


@pytest.mark.sources("P3", "P10")
@in_virtual_time
async def test_a_recall_may_touch_what_its_maker_could_and_what_its_author_still_may(rooms: Rooms) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        trigger = "message" if run.origin.recall is None else "recall"
        seen.append((trigger, [tool.name for tool in run.grant.tools]))
        if trigger == "message":
            await run.recalls.schedule(Recall(message="again", every_s=60))
        yield completed()

    one, two, three = FakeTool("one"), FakeTool("two"), FakeTool("three")
    two.role = Role.OPERATOR
    rooms.tools = Bench(one, two, three)
    narrow = Policy(deadline_s=None, tools=("one", "two"))
    await rooms.up(agent(work, narrow, permissions=BOTH))
    key = await give_key(rooms, Role.OPERATOR)
    talk = await rooms.open(by=DEE)
    await talk.say()
    await recalled(talk, 1)
    await rooms.stop()
    await rooms.up(agent(work, msgspec.structs.replace(narrow, tools=("*",)), permissions=BOTH))
    await recalled(talk, 2)
    await give_key(rooms, Role.MEMBER)
    await rooms.there(rooms.host.commands.revoke_key(ROOT, key))
    await recalled(talk, 3)

    assert seen == [
        ("message", ["one", "two"]),
        ("recall", ["one", "two"]),
        ("recall", ["one", "two"]),
        ("recall", ["one"]),
    ]


@in_virtual_time
async def test_a_recall_may_do_no_more_with_a_resource_than_its_maker_could(rooms: Rooms) -> None:
    seen: list[bool] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        seen.append(run.grant.allows_resource("model", "small", "train"))
        if run.origin.recall is None:
            await run.recalls.schedule(Recall(message="again", in_s=60))
        yield completed()

    class Wanting:
        """Asks for a resource."""

        descriptor = Descriptor(runner="plain", permissions=BOTH, resources={"model": ("small",)})

        def run(self, context: RunContext) -> AsyncIterator[Output]:
            """One attempt."""
            return work(context)

    narrow = Policy(deadline_s=None, resources={"model": ("small",)}, operations={"model": ("use",)})
    await rooms.up(Agent(name="agent", runner=Wanting(), policy=narrow))
    talk = await rooms.open()
    await talk.say()
    await rooms.stop()
    await rooms.up(
        Agent(name="agent", runner=Wanting(), policy=msgspec.structs.replace(narrow, operations={}))
    )
    await recalled(talk)

    assert seen == [False, False]


async def give_key(rooms: Rooms, role: Role) -> str:
    """A key for Dee."""
    wish = CreateKey(user=DEE.user, role=role, tenant=DEE.tenant)
    return (await rooms.there(rooms.host.commands.create_key(ROOT, wish, None, str(role)))).value.id


@in_virtual_time
async def test_a_run_does_not_set_going_what_acts_as_somebody_else(rooms: Rooms) -> None:
    work, came = doing(scheduling(DAILY))
    talk = await talk_to(rooms, work)
    await talk.say()
    (daily,) = made(came)
    await rooms.stop()
    work, came = doing(
        lambda run: run.recalls.pause(daily.id),
        lambda run: run.recalls.resume(daily.id),
        lambda run: run.recalls.cancel(daily.id),
    )
    await rooms.up(agent(work, permissions=BOTH))
    bens = Talk(rooms, BEN, talk.session_id)
    await bens.say()

    paused, refusal, cancelled = came
    assert refusal is Code.FORBIDDEN
    assert [each.status for each in made([paused, cancelled])] == ["paused", "cancelled"]
