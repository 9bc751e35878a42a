"""Runs that wait for people, on a real host: they go on where they waited, and nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import ApprovalRequired, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset

from tenure.core.command import Answering, SendMessage
from tenure.core.entry import Recorded
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    RunResumed,
    RunRetried,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.grant import Budget, Policy
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.runners.pydantic_ai.own_tools import OwnTools
from tests.host.mails import modes
from tests.host.rooms import Rooms, Talk, end, in_virtual_time, said
from tests.host.workshop import TOOLED, Bench, FakeTool, approvals, asked, asking, decide, kinds
from tests.runners.pydantic_ai.acting import Delta, agent, call, calls, prompts, runner, script

BRIEF = Limits(hold_s=1)
"""A host that lets a waiting run go after a second."""


class Shop:
    """An agent with tools of its own: `wipe` needs a person, `spend` above 10, `look` nobody."""

    def __init__(self, *answers: Any) -> None:
        self.made: list[tuple[str, object]] = []
        self._speaks = script(*answers)

    def agent(self) -> PydanticAgent[Any, Any]:
        owner = agent(self._speaks)
        owner.tool_plain(requires_approval=True)(self.wipe)
        owner.tool(self.spend)
        owner.tool_plain(self.look)
        return owner

    async def wipe(self, path: str) -> str:
        self.made.append(("wipe", path))
        return f"wiped {path}"

    async def spend(self, context: RunContext[None], amount: int) -> str:
        if amount > 10 and not context.tool_call_approved:
            raise ApprovalRequired
        self.made.append(("spend", amount))
        return f"spent {amount}"

    async def look(self, at: str) -> str:
        self.made.append(("look", at))
        return f"saw {at}"


def hosted(owner: PydanticAgent[Any, Any], policy: Policy = TOOLED) -> Agent:
    """The agent as a host has it."""
    return Agent(name="agent", runner=runner(owner), policy=policy, check=OwnTools(owner).check)


async def open_shop(rooms: Rooms, shop: Shop, limits: Limits | None = None) -> Talk:
    """A session with the agent of a shop."""
    await rooms.up(hosted(shop.agent()), limits=limits)
    return await rooms.open()


def own(events: list[Recorded]) -> list[tuple[str, bool]]:
    """About which tools people were asked, and whether those are the agent's own."""
    return [(e.event.tool, e.event.own) for e in events if isinstance(e.event, ApprovalRequested)]


def ends(events: list[Recorded]) -> list[tuple[str, object]]:
    """How calls ended. What the ledger tells once more isn't counted."""
    return [
        (e.event.status, e.event.result)
        for e in events
        if isinstance(e.event, ToolCallCompleted) and not e.event.replayed
    ]


def starts(events: list[Recorded]) -> list[str]:
    """Which calls began."""
    begun = {e.event.call_id: e.event.tool for e in events if isinstance(e.event, ToolCallStarted)}
    return sorted(begun.values())


@in_virtual_time
async def test_an_own_call_waits_for_a_person_and_is_made_as_approved(rooms: Rooms) -> None:
    shop = Shop(["First ", call("wipe", {"path": "old"}, index=1)], "done")
    talk = await open_shop(rooms, shop)
    receipt = await talk.send()
    question = await asked(talk)
    assert shop.made == []
    await decide(talk, question.approval_id, arguments={"path": "older"})
    events = await talk.answer(receipt)

    assert (own(events), modes(events)) == ([("wipe", True)], [(1, "held")])
    assert (shop.made, ends(events)) == ([("wipe", "older")], [("ok", "wiped older")])
    assert starts(events) == ["wipe"]
    assert [line for _, line, _ in await talk.lines()] == ["go", "First ", "done"]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_a_call_whose_id_was_used_before_for_an_approved_one_is_told_too(rooms: Rooms) -> None:
    shop = Shop(
        call("wipe", {"path": "old"}, name="call_1"), call("look", {"at": "it"}, name="call_1"), "done"
    )
    talk = await open_shop(rooms, shop)
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)
    events = await talk.answer(receipt)

    assert ends(events) == [("ok", "wiped old"), ("ok", "saw it")]
    assert starts(events) == ["look", "wipe"]


@pytest.mark.sources("P7")
@in_virtual_time
async def test_a_run_that_was_let_go_goes_on_after_the_answer_and_repeats_nothing(rooms: Rooms) -> None:
    shop = Shop(
        ["First ", *calls(("look", {"at": "it"}), ("wipe", {"path": "old"}), ("spend", {"amount": 12}))],
        "then done",
    )
    talk = await open_shop(rooms, shop, BRIEF)
    receipt = await talk.send()
    await asked(talk)
    await asyncio.sleep(5)
    for question in await approvals(talk):
        await decide(talk, question.id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume")]
    assert not [e for e in events if isinstance(e.event, RunRetried)]
    assert sorted(own(events)) == [("spend", True), ("wipe", True)]
    assert sorted(shop.made, key=str) == [("look", "it"), ("spend", 12), ("wipe", "old")]
    assert said(events) == "First then done"
    assert [line for _, line, _ in await talk.lines()] == ["go", "First ", "then done"]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_an_answer_given_while_the_host_was_stopped_is_carried_out_once(rooms: Rooms) -> None:
    shop = Shop(calls(("wipe", {"path": "old"})), calls(("wipe", {"path": "new"})), "done")
    talk = await open_shop(rooms, shop)
    receipt = await talk.send()
    first = await asked(talk)
    assert await rooms.stop() < 1.0
    await rooms.up(hosted(shop.agent()))
    await decide(talk, first.approval_id)
    second = (await talk.until(lambda e: is_about(e, "new"))).event
    assert isinstance(second, ApprovalRequested)
    rooms.crash()
    await rooms.up(hosted(shop.agent()))
    await decide(talk, second.approval_id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume"), (3, "resume")]
    assert shop.made == [("wipe", "old"), ("wipe", "new")]
    assert ends(events) == [("ok", "wiped old"), ("ok", "wiped new")]
    assert end(events) == ("completed", "")


def is_about(event: Recorded, path: str) -> bool:
    """Whether a person is asked about wiping `path`."""
    return isinstance(event.event, ApprovalRequested) and event.event.arguments == {"path": path}


@in_virtual_time
async def test_a_denied_call_is_not_made_and_the_model_reads_why(rooms: Rooms) -> None:
    shop = Shop(calls(("wipe", {"path": "old"}), ("look", {"at": "it"})), "as you like")
    talk = await open_shop(rooms, shop, BRIEF)
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id, Answering.DENY, note="keep it")
    events = await talk.answer(receipt)

    assert shop.made == [("look", "it")]
    assert [status for status, _ in ends(events)] == ["ok", "denied"]
    assert said(events) == "as you like"


@in_virtual_time
async def test_arguments_that_dont_fit_the_own_tool_are_refused_and_the_question_stays(rooms: Rooms) -> None:
    shop = Shop(calls(("spend", {"amount": 12})), "done")
    talk = await open_shop(rooms, shop)
    receipt = await talk.send()
    question = await asked(talk)
    with pytest.raises(TenureError) as caught:
        await decide(talk, question.approval_id, arguments={"amount": "much"})
    assert (caught.value.code, "amount" in caught.value.detail) == (Code.INVALID, True)
    await decide(talk, question.approval_id, arguments={"amount": 11})
    await talk.answer(receipt)

    assert shop.made == [("spend", 11)]


@in_virtual_time
async def test_a_call_that_others_carry_out_results_in_what_was_approved(rooms: Rooms) -> None:
    outside = ToolDefinition(name="ship", parameters_json_schema={"type": "object"})
    external = agent(script(calls(("ship", {"to": "bob"})), "sent"), toolsets=[ExternalToolset([outside])])
    await rooms.up(hosted(external))
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await decide(talk, question.approval_id, arguments={"to": "eve"})
    events = await talk.answer(receipt)

    assert ends(events) == [("ok", {"approved": True, "arguments": {"to": "eve"}})]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_a_host_tool_that_waits_beside_own_calls_repeats_none_of_them(rooms: Rooms) -> None:
    shop = Shop(
        calls(("look", {"at": "it"}), ("mail", {"to": "bob"}), ("quick", {}), ("spend", {"amount": 3})),
        "done",
    )
    mail, quick = asking(), FakeTool("quick")
    rooms.tools = Bench(mail, quick)
    talk = await open_shop(rooms, shop, BRIEF)
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume")]
    assert (mail.made, quick.made) == ([{"to": "bob"}], [{}])
    assert sorted(shop.made) == [("look", "it"), ("spend", 3)]
    assert starts(events) == ["look", "mail", "quick", "spend"]
    assert (said(events), end(events)) == ("done", ("completed", ""))


@pytest.mark.sources("P7")
@in_virtual_time
async def test_an_own_call_whose_turn_to_be_asked_about_never_came_is_asked_about_after_the_wait(
    rooms: Rooms,
) -> None:
    step = calls(("look", {"at": "it"}), ("mail", {"to": "bob"}), ("wipe", {"path": "old"}))
    shop, mail = Shop(step, "done"), asking()
    rooms.tools = Bench(mail)
    talk = await open_shop(rooms, shop, BRIEF)
    receipt = await talk.send()
    about_mail = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, about_mail.approval_id)
    about_wipe = (await talk.until(lambda e: asks_for(e, "wipe"))).event
    assert isinstance(about_wipe, ApprovalRequested)
    assert shop.made == [("look", "it")]
    await asyncio.sleep(5)
    await decide(talk, about_wipe.approval_id, arguments={"path": "older"})
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume"), (3, "resume")]
    assert (shop.made, mail.made) == ([("look", "it"), ("wipe", "older")], [{"to": "bob"}])
    assert (said(events), end(events)) == ("done", ("completed", ""))


@in_virtual_time
async def test_an_own_call_that_ends_while_a_host_tool_waits_isnt_made_again(rooms: Rooms) -> None:
    shop = Shop(["First ", *calls(("nap", {}), ("mail", {"to": "bob"}), ("look", {"at": "it"}))], "done")
    owner = shop.agent()

    async def nap() -> str:
        await asyncio.sleep(0.5)
        shop.made.append(("nap", None))
        return "slept"

    owner.tool_plain(nap)
    mail = asking()
    rooms.tools = Bench(mail)
    await rooms.up(hosted(owner), limits=BRIEF)
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume")]
    assert (sorted(shop.made, key=str), mail.made) == ([("look", "it"), ("nap", None)], [{"to": "bob"}])
    assert (said(events), end(events)) == ("First done", ("completed", ""))
    order = kinds(events)
    assert order.index("MessageDelta") < order.index("ToolCallStarted")


@pytest.mark.sources("P4")
@in_virtual_time
async def test_a_call_that_was_under_way_when_the_host_died_is_asked_about_anew(rooms: Rooms) -> None:
    shop = Shop(call("burn", {"what": "letters"}), "done")
    owner = shop.agent()

    async def burn(what: str) -> str:
        shop.made.append(("burn", what))
        if len(shop.made) == 1:
            await asyncio.Event().wait()
        return "burnt"

    owner.tool_plain(requires_approval=True)(burn)
    await rooms.up(hosted(owner))
    talk = await rooms.open()
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)
    resumed = await talk.until(RunResumed)
    await asyncio.sleep(1)
    assert shop.made == [("burn", "letters")]
    rooms.crash()
    await rooms.up(hosted(owner))
    again = await asked(talk, resumed.seq)
    assert (again.reason, len(shop.made)) == ("changed_after_retry", 1)
    await decide(talk, again.approval_id, Answering.DENY)
    events = await talk.answer(receipt)

    assert shop.made == [("burn", "letters")]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_a_budget_of_calls_is_asked_about_before_the_call_that_meets_it_is_made(rooms: Rooms) -> None:
    budget = Budget(tool_calls=4, ask_at=0.5)
    shop = Shop(*[calls(("look", {"at": f"{n}"})) for n in range(3)], "done")
    await rooms.up(hosted(shop.agent(), Policy(deadline_s=None, budget=budget)), limits=BRIEF)
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    before = len(shop.made)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert (before, modes(events)) == (1, [(2, "resume")])
    assert shop.made == [("look", "0"), ("look", "1"), ("look", "2")]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_a_run_that_had_said_all_when_its_budget_was_asked_about_says_nothing_more(
    rooms: Rooms,
) -> None:
    budget = Budget(tokens=200, ask_at=0.1)
    await rooms.up(hosted(Shop("all of it").agent(), Policy(deadline_s=None, budget=budget)), limits=BRIEF)
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == ("all of it", ("completed", ""))


@pytest.mark.parametrize(
    "before", [[], [("look", {"at": "it"})]], ids=["alone", "beside a call that is done"]
)
@in_virtual_time
async def test_a_call_that_asks_when_it_runs_is_asked_about_though_the_step_was_broken_off(
    rooms: Rooms, before: list[tuple[str, dict[str, object]]]
) -> None:
    step = calls(*before, ("mail", {}), ("spend", {"amount": 50}))
    shop = Shop(step, calls(("spend", {"amount": 50})) if before else "done", "done")
    rooms.tools = Bench(asking())
    talk = await open_shop(rooms, shop, BRIEF)
    receipt = await talk.send()
    mail = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, mail.approval_id)
    spend = (await talk.until(lambda e: asks_for(e, "spend"))).event
    assert isinstance(spend, ApprovalRequested)
    assert shop.made == [(name, arguments["at"]) for name, arguments in before]
    await decide(talk, spend.approval_id)
    events = await talk.answer(receipt)

    assert shop.made[len(before) :] == [("spend", 50)]
    assert end(events) == ("completed", "")


def asks_for(event: Recorded, tool: str) -> bool:
    """Whether a person is asked about a tool."""
    return isinstance(event.event, ApprovalRequested) and event.event.tool == tool


@in_virtual_time
async def test_steering_taken_before_the_wait_is_not_given_to_the_model_again(rooms: Rooms) -> None:
    seen: list[list[str]] = []
    shop = Shop("unused")
    gate = asyncio.Event()
    answers = calls(("pause", {})), calls(("wipe", {"path": "old"})), "done"

    async def pause() -> str:
        await gate.wait()
        return "rested"

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        seen.append(prompts(messages))
        for delta in answers[sum(isinstance(message, ModelResponse) for message in messages)]:
            yield delta

    owner = agent(speaks)
    owner.tool_plain(pause)
    owner.tool_plain(requires_approval=True)(shop.wipe)
    await rooms.up(hosted(owner), limits=BRIEF)
    talk = await rooms.open()
    receipt = await talk.send()
    await talk.until(ToolCallStarted)
    await talk.send(SendMessage(content="left", when_busy=BusyPolicy.STEER))
    gate.set()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume")]
    assert seen == [["go"], ["go", "left"], ["go", "left"]]
    assert shop.made == [("wipe", "old")]


@in_virtual_time
async def test_a_budget_that_people_are_asked_about_breaks_nothing_off(rooms: Rooms) -> None:
    budget = Budget(tokens=200, ask_at=0.1)
    shop = Shop(["First ", *calls(("look", {"at": "it"}))], "then done")
    await rooms.up(hosted(shop.agent(), Policy(deadline_s=None, budget=budget)), limits=BRIEF)
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume")]
    assert (said(events), shop.made) == ("First then done", [("look", "it")])
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_a_run_whose_host_died_starts_over_and_its_earlier_words_are_superseded(rooms: Rooms) -> None:
    gate = asyncio.Event()
    shop = Shop(["First ", *calls(("slow", {}))], "done")
    owner = shop.agent()

    async def slow() -> str:
        await gate.wait()
        return "slept"

    owner.tool_plain(slow)
    await rooms.up(hosted(owner))
    talk = await rooms.open()
    receipt = await talk.send()
    await talk.until(ToolCallStarted)
    rooms.crash()
    gate = asyncio.Event()
    gate.set()
    await rooms.up(hosted(owner))
    events = await talk.answer(receipt)

    assert [e.event.attempt for e in events if isinstance(e.event, RunRetried)] == [2]
    assert [line for _, line, _ in await talk.lines()] == ["go", "First ", "done"]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_an_interrupt_withdraws_own_questions_and_nothing_is_made(rooms: Rooms) -> None:
    shop = Shop(calls(("wipe", {"path": "a"}), ("spend", {"amount": 99})), "done")
    talk = await open_shop(rooms, shop)
    receipt = await talk.send()
    await asked(talk)
    await talk.stop()
    events = await talk.answer(receipt)

    resolved = [e.event.decision for e in events if isinstance(e.event, ApprovalResolved)]
    assert (resolved, shop.made) == (["withdrawn", "withdrawn"], [])
    assert end(events) == ("cancelled", "interrupted")
