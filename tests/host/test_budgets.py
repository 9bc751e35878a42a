"""Budgets: what a run may spend is judged before it begins, before each call, and after each model call."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tenure.core.command import Answering
from tenure.core.event import RunFinished, ToolCallStarted, UsageRecorded
from tenure.core.grant import Budget, BudgetScope
from tenure.core.output import Output, Spent, Text, ToolCompleted, ToolStarted, Usage, completed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import BEN, UNHURRIED, Rooms, Talk, Work, agent, end, facts, in_virtual_time, said
from tests.host.workshop import TOOLED, Bench, FakeTool, asked, decide, kinds

SPENT = ("failed", "budget_exhausted")


def usage(tokens: int, cost: float | None = None) -> Spent:
    """One model call."""
    return Spent(Usage(model="m", input_tokens=tokens, cost=cost))


async def hosted(rooms: Rooms, work: Work, budget: Budget, *tools: FakeTool) -> Talk:
    """A session with an agent on a budget, which may call these tools."""
    rooms.tools = Bench(*tools)
    await rooms.up(agent(work, replace(TOOLED, budget=budget)))
    return await rooms.open()


async def spender(run: RunContext) -> AsyncIterator[Output]:
    """Says how many calls it made, after each of three."""
    for n in range(1, 4):
        yield usage(60, 0.6)
        yield Text(f"{n} ")
    yield completed()


@pytest.mark.sources("P11")
@pytest.mark.parametrize("budget", [Budget(tokens=100), Budget(cost=1.0), Budget(tokens=120)], ids=str)
@in_virtual_time
async def test_a_run_ends_with_the_call_that_spends_the_rest_and_what_was_said_stays(
    rooms: Rooms, budget: Budget
) -> None:
    talk = await hosted(rooms, spender, budget)
    events = await talk.say()

    assert (end(events), said(events)) == (SPENT, "1 ")
    assert [e.event for e in events if isinstance(e.event, UsageRecorded)] == [
        UsageRecorded(model="m", input_tokens=60, output_tokens=0, cost=0.6)
    ] * 2
    assert await talk.lines() == [("user", "go", "settled"), ("assistant", "1 ", "partial")]


@in_virtual_time
async def test_a_run_within_its_budget_is_left_alone(rooms: Rooms) -> None:
    talk = await hosted(rooms, spender, Budget(tokens=181, cost=1.9, tool_calls=0))
    events = await talk.say()

    assert (end(events), said(events)) == (("completed", ""), "1 2 3 ")


@in_virtual_time
async def test_a_cost_that_nobody_tells_is_not_held_against_a_budget(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield usage(1_000_000)
        yield completed()

    talk = await hosted(rooms, work, Budget(cost=0.01))

    assert end(await talk.say()) == ("completed", "")


@pytest.mark.parametrize("scope", [BudgetScope.SESSION, BudgetScope.USER_DAY])
@in_virtual_time
async def test_a_run_whose_budget_is_spent_fails_before_its_runner_is_called(
    rooms: Rooms, scope: BudgetScope
) -> None:
    called: list[str] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        called.append(run.run_id)
        yield usage(100)
        yield completed()

    talk = await hosted(rooms, work, Budget(tokens=100, scope=scope))
    first = await talk.say()
    second = await talk.say()

    assert [end(first), end(second)] == [SPENT, SPENT]
    assert facts(second) == [RunFinished(status="failed", reason="budget_exhausted")]
    assert called == [first[0].run_id]


@in_virtual_time
async def test_a_daily_budget_is_one_for_all_sessions_of_a_user(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield usage(100)
        yield completed()

    talk = await hosted(rooms, work, Budget(tokens=150, scope=BudgetScope.USER_DAY))
    ends = [end(await talk.say()), end(await talk.say())]
    elsewhere = await rooms.open()
    ends.append(end(await elsewhere.say()))
    ends.append(end(await (await rooms.open(by=BEN)).say()))

    assert ends == [("completed", ""), SPENT, SPENT, ("completed", "")]


@in_virtual_time
async def test_a_run_stops_when_another_of_its_user_spends_the_rest_of_the_day(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        if run.message.text == "spend":
            yield usage(100)
            yield completed()
        yield Text("waiting")
        await run.stopped()
        yield completed()

    talk = await hosted(rooms, work, Budget(tokens=100, scope=BudgetScope.USER_DAY))
    idle = await talk.send("wait")
    others = await (await rooms.open(by=BEN)).send("wait")
    await (await rooms.open()).say("spend")
    events = await talk.answer(idle)

    assert (end(events), said(events)) == (SPENT, "waiting")
    assert await rooms.host.store.run(others.run_id or "") is not None
    assert (await talk.run(others)).status == "running"


@pytest.mark.sources("P11")
@in_virtual_time
async def test_one_call_too_many_is_refused_and_ends_the_run_even_if_the_agent_would_go_on(
    rooms: Rooms,
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for _ in range(3):
            try:
                await run.tools.call("look", {})
            except TenureError as refusal:
                refusals.append((refusal.code, refusal.facts["reason"]))
            yield Text("looked ")
        yield completed()

    refusals: list[tuple[Code, object]] = []
    look = FakeTool("look")
    talk = await hosted(rooms, work, Budget(tool_calls=2), look)
    events = await talk.say()

    assert (end(events), said(events), len(look.calls)) == (SPENT, "looked looked ", 2)
    assert refusals == [(Code.CAPACITY, "budget_exhausted")]
    assert len([e for e in events if isinstance(e.event, ToolCallStarted)]) == 2


@in_virtual_time
async def test_tools_of_the_agents_own_count_too(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for n in range(3):
            yield ToolStarted(call_id=f"c{n}", tool="own")
            yield ToolCompleted(call_id=f"c{n}", status="ok")
            yield Text(f"{n} ")
        yield completed()

    talk = await hosted(rooms, work, Budget(tool_calls=2))
    events = await talk.say()

    assert (end(events), said(events)) == (SPENT, "0 1 ")


@in_virtual_time
async def test_a_run_that_starts_over_has_what_its_earlier_attempts_left(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield usage(60)
        yield Text(f"{run.attempt} ")
        if run.attempt == 1:
            await run.stopped()
        yield completed()

    budgeted = agent(work, replace(UNHURRIED, budget=Budget(tokens=100)))
    await rooms.up(budgeted)
    talk = await rooms.open()
    receipt = await talk.send()
    await talk.until(lambda e: said([e]) == "1 ")
    rooms.crash()
    await rooms.up(budgeted)
    events = await talk.answer(receipt)

    assert (end(events), said(events)) == (SPENT, "1 ")


ASKING = Budget(tokens=100, ask_at=0.5)


@in_virtual_time
async def test_a_person_who_approves_lets_the_run_go_on_to_the_hard_stop(rooms: Rooms) -> None:
    talk = await hosted(rooms, spender, ASKING)
    receipt = await talk.send()
    question = await asked(talk)
    before = said(await talk.journal())
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert (question.tool, question.arguments) == (
        "budget",
        {"scope": "run", "limit_of": "tokens", "spent": 60, "limit": 100},
    )
    assert (before, said(events), end(events)) == ("", "1 ", SPENT)
    assert kinds(events).count("ApprovalRequested") == 1


@in_virtual_time
async def test_a_person_who_approves_is_asked_once_for_a_run(rooms: Rooms) -> None:
    talk = await hosted(rooms, spender, Budget(tokens=1_000, ask_at=0.05))
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == ("1 2 3 ", ("completed", ""))
    assert kinds(events).count("ApprovalRequested") == 1


@in_virtual_time
async def test_the_question_counts_as_no_call(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield usage(60)
        await run.tools.call("look", {})
        yield completed()

    talk = await hosted(rooms, work, Budget(tokens=100, tool_calls=1, ask_at=0.5), FakeTool("look"))
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)

    assert end(await talk.answer(receipt)) == ("completed", "")


@in_virtual_time
async def test_a_person_is_asked_before_the_call_that_follows_the_share(rooms: Rooms) -> None:
    look = FakeTool("look")

    async def work(run: RunContext) -> AsyncIterator[Output]:
        for n in range(3):
            await run.tools.call("look", {})
            yield Text(f"{n} ")
        yield completed()

    talk = await hosted(rooms, work, Budget(tool_calls=4, ask_at=0.5), look)
    receipt = await talk.send()
    question = await asked(talk)
    before = len(look.calls)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert (question.tool, question.arguments) == (
        "budget",
        {"scope": "run", "limit_of": "tool_calls", "spent": 2, "limit": 4},
    )
    assert (before, said(events), end(events)) == (2, "0 1 2 ", ("completed", ""))
    assert kinds(events).count("ApprovalRequested") == 1


@in_virtual_time
async def test_calls_side_by_side_put_one_question(rooms: Rooms) -> None:
    look, read = FakeTool("look"), FakeTool("read")

    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.tools.call("look", {})
        await asyncio.gather(*(run.tools.call(name, {}) for name in ("look", "read", "look")))
        yield completed()

    talk = await hosted(rooms, work, Budget(tool_calls=4, ask_at=0.25), look, read)
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)
    events = await talk.answer(receipt)

    assert (end(events), len(look.calls), len(read.calls)) == (("completed", ""), 3, 1)
    assert kinds(events).count("ApprovalRequested") == 1


@in_virtual_time
async def test_a_person_who_denies_another_call_ends_the_run(rooms: Rooms) -> None:
    look = FakeTool("look")

    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.tools.call("look", {})
        yield Text("1 ")
        await run.tools.call("look", {})
        yield Text("2 ")
        yield completed()

    talk = await hosted(rooms, work, Budget(tool_calls=2, ask_at=0.5), look)
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id, Answering.DENY)
    events = await talk.answer(receipt)

    assert (said(events), end(events), len(look.calls)) == ("1 ", SPENT, 1)


@in_virtual_time
async def test_a_person_who_denies_ends_the_run(rooms: Rooms) -> None:
    talk = await hosted(rooms, spender, ASKING)
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id, Answering.DENY)
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == ("", SPENT)


@in_virtual_time
async def test_an_answer_to_the_question_survives_a_restart(rooms: Rooms) -> None:
    budgeted = agent(spender, replace(UNHURRIED, budget=Budget(tokens=1_000, ask_at=0.05)))
    await rooms.up(budgeted)
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    rooms.crash()
    await rooms.up(budgeted)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert end(events) == ("completed", "")
    assert kinds(events).count("ApprovalRequested") == 1


@in_virtual_time
async def test_the_books_show_each_model_call_once(rooms: Rooms) -> None:
    talk = await hosted(rooms, spender, Budget(tokens=1_000))
    await talk.say()
    spent = await rooms.host.store.session(talk.session_id)

    assert spent is not None
    assert (spent.usage.input_tokens, spent.usage.cost) == (180, pytest.approx(1.8))


@in_virtual_time
async def test_a_full_disk_puts_the_judgement_off_and_ends_no_run(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        rooms.lane.full = True
        rooms.loop.call_later(5, free)
        yield usage(60)
        yield Text("1 ")
        await asyncio.sleep(10)
        yield usage(60)
        yield Text("2 ")
        yield completed()

    def free() -> None:
        rooms.lane.full = False

    talk = await hosted(rooms, work, Budget(tokens=100))
    events = await talk.say()

    assert (end(events), said(events)) == (SPENT, "1 ")
