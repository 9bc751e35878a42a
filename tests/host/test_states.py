"""State as runs use it: what they see when they begin, what they keep, and what is refused them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.command import Conversation, OpenSession, SendMessage
from tenure.core.event import (
    MessageCompleted,
    MessageDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    StateUpdated,
)
from tenure.core.grant import Policy, StatePolicy
from tenure.core.output import Output, StateUpdate, Text, completed
from tenure.core.scope import EXTERNAL_ID, SCOPES, Scope
from tenure.core.state import SetState, StateValue
from tenure.errors import Code, TenureError
from tenure.host.states import Addressed
from tenure.ports.runner import RunContext
from tests.host.rooms import (
    ADA,
    BEN,
    CY,
    Rooms,
    Talk,
    agent,
    facts,
    in_virtual_time,
    said,
    talk_with,
    warnings,
)

ALL = Policy(deadline_s=None, state=StatePolicy(scopes=SCOPES))


async def keep(talk: Talk, scope: str, key: str, value: object) -> StateValue:
    """Keep a value by the API, as the user who talks."""
    host, about = talk.rooms.host, Addressed(session_id=talk.session_id, scope=scope)
    return (await talk.rooms.there(host.states.set(talk.by, about, key, SetState(value=value), None))).value


async def kept(talk: Talk, scope: str, key: str) -> object:
    """A value as the user who talks reads it by the API."""
    about = Addressed(session_id=talk.session_id, scope=scope)
    return (await talk.rooms.host.states.read(talk.by, about, key)).value


def refused(error: TenureError) -> tuple[Code, object]:
    return error.code, error.facts.get("reason")


@pytest.mark.sources("S01", "S10", "S24")
@in_virtual_time
async def test_run_begins_with_a_snapshot_of_what_is_kept_and_its_own_writes_show_in_get_only(
    rooms: Rooms,
) -> None:
    seen: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        seen.append({scope: dict(run.state.snapshot[scope]) for scope in run.state.snapshot})
        version = await run.state.set("actor", "visits", 2)
        found = await run.state.get("actor", "visits")
        assert found is not None
        seen.append((version, found.value, found.version, run.state.snapshot["actor"]["visits"]))
        yield completed()

    talk = await talk_with(rooms, work, ALL)
    await keep(talk, "actor", "visits", 1)
    await keep(talk, "conversation", "plan", {"steps": [1]})
    await talk.say()

    assert seen == [
        {"conversation": {"plan": {"steps": [1]}}, "actor": {"visits": 1}, "subject": {}, "runner": {}},
        (2, 2, 2, 1),
    ]


@pytest.mark.sources("D-S5", "A11")
@in_virtual_time
async def test_snapshot_stays_what_it_was_whatever_anybody_writes(rooms: Rooms) -> None:
    seen: list[object] = []
    goes_on = asyncio.Event()

    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("ready")
        await goes_on.wait()
        now = await run.state.get("conversation", "plan")
        seen.append((run.state.snapshot["conversation"]["plan"], now and now.value))
        yield completed()

    talk = await talk_with(rooms, work)
    await keep(talk, "conversation", "plan", "before")
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await keep(talk, "conversation", "plan", "after")
    goes_on.set()
    await talk.answer(receipt)

    assert seen == [("before", "after")]


@pytest.mark.sources("S01", "S12")
@in_virtual_time
async def test_update_that_is_yielded_stands_where_it_was_yielded(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("one ")
        yield StateUpdate("conversation", "plan", {"a": 1})
        yield Text("two ")
        await run.state.set("conversation", "plan", None)
        yield Text("three")
        yield completed()

    talk = await talk_with(rooms, work)
    events = await talk.say()

    (delta, first, more, second, last, whole, _) = facts(events)
    assert [type(e) for e in (delta, more, last)] == [MessageDelta] * 3
    assert (first, second) == (
        StateUpdated(scope="conversation", key="plan", version=1, value={"a": 1}),
        StateUpdated(scope="conversation", key="plan", version=2, value=None),
    )
    assert isinstance(whole, MessageCompleted) and whole.content == "one two three"


@pytest.mark.sources("S12", "S23", "D-S9")
@in_virtual_time
async def test_update_that_is_refused_is_a_warning_that_says_why(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield StateUpdate("nope", "k", 1)
        yield StateUpdate("runner", "k", 1)
        yield StateUpdate("conversation", "", 1)
        yield StateUpdate("conversation", "k", float("nan"))
        yield StateUpdate("conversation", "k", object())
        yield Text("still here")
        yield completed()

    talk = await talk_with(rooms, work)
    events = await talk.say()

    told = [fact for fact in facts(events) if isinstance(fact, RunnerWarning)]
    assert [fact.code for fact in told] == ["state_refused"] * 4 + ["payload_invalid"]
    assert [fact.detail.partition(".")[0] for fact in told[:3]] == [
        "There is no scope 'nope'",
        "This agent has no runner state; enabled are: conversation, actor",
        "The key has 0 characters",
    ]
    assert said(events) == "still here"


@pytest.mark.sources("S09", "S21", "S23", "D-S9")
@in_virtual_time
async def test_run_is_told_why_a_use_is_refused_the_first_reason_first(rooms: Rooms) -> None:
    asked: dict[str, list[tuple[Code, object]]] = {}

    async def work(run: RunContext) -> AsyncIterator[Output]:
        refusals = asked[run.grant.agent] = []
        for scope in ("nope", "subject", "conversation"):
            for use in (run.state.get(scope, ""), run.state.set(scope, "", 1), run.state.delete(scope, "")):
                with pytest.raises(TenureError) as caught:
                    await use
                refusals.append(refused(caught.value))
        yield completed()

    off = Policy(deadline_s=None, state=StatePolicy(enabled=False, scopes=SCOPES))
    some = Policy(deadline_s=None, state=StatePolicy(scopes=("conversation",)))
    agents = [agent(work, policy, name=name) for name, policy in (("off", off), ("some", some), ("all", ALL))]
    await rooms.up(*agents)
    for name in ("off", "some", "all"):
        await (await rooms.open(name)).say()

    unknown, bad_key = (Code.INVALID, "unknown_scope"), (Code.INVALID, "bad_key")
    assert asked == {
        "off": [(Code.FORBIDDEN, "state_disabled")] * 9,
        "some": [unknown] * 3 + [(Code.FORBIDDEN, "scope_not_enabled")] * 3 + [bad_key] * 3,
        "all": [unknown] * 3 + [(Code.INVALID, "identity_missing")] * 3 + [bad_key] * 3,
    }


@pytest.mark.sources("S21")
@in_virtual_time
async def test_policy_of_the_grant_counts_as_it_was_frozen(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield StateUpdate("conversation", "attempt", run.attempt)
        yield Text(f"{run.attempt}")
        await run.stopped()
        yield completed()

    talk = await talk_with(rooms, work)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    rooms.crash()
    off = Policy(deadline_s=None, state=StatePolicy(enabled=False))
    await rooms.up(agent(work, off))
    again = await talk.until(lambda e: isinstance(e.event, StateUpdated) and e.event.value == 2)
    await talk.stop()
    events = await talk.answer(receipt)

    assert again.run_id == receipt.run_id
    assert warnings(events) == []
    with pytest.raises(TenureError) as refusal:
        await kept(talk, "conversation", "attempt")
    assert refused(refusal.value) == (Code.FORBIDDEN, "state_disabled")


@pytest.mark.sources("S02")
@in_virtual_time
async def test_users_agents_and_tenants_have_state_of_their_own(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        before = run.state.snapshot["actor"].get("n", 0)
        assert isinstance(before, int)
        await run.state.set("actor", "n", before + 1)
        yield Text(f"{before + 1}")
        yield completed()

    await rooms.up(agent(work, name="one"), agent(work, name="two"))
    heard: list[str] = []
    for who, name in ((ADA, "one"), (ADA, "one"), (BEN, "one"), (CY, "one"), (ADA, "two")):
        heard.append(said(await (await rooms.open(name, by=who)).say()))

    assert heard == ["1", "2", "1", "1", "1"]


@pytest.mark.sources("S03", "S04", "S11", "S13", "D-S8")
@in_virtual_time
async def test_outside_id_is_seeded_until_something_is_kept_and_decides_nothing(rooms: Rooms) -> None:
    seen: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        seen.append(dict(run.state.snapshot["conversation"]))
        found = await run.state.get("conversation", EXTERNAL_ID)
        seen.append(found and found.value)
        await run.state.set("conversation", "conversation_id", [1])
        await run.state.set("conversation", "plan", 1)
        yield completed()

    await rooms.up(agent(work))
    ask = OpenSession(agent="agent", conversation=Conversation(bot_id="b", conversation_id="c"))

    async def another() -> Talk:
        opened = await rooms.there(rooms.host.commands.open_session(ADA, ask, None))
        return Talk(rooms, ADA, opened.value.id)

    first, again = await another(), await another()
    await first.say()
    await again.say()

    assert seen == [{EXTERNAL_ID: "c"}, "c", {EXTERNAL_ID: [1], "plan": 1}, [1]]
    info = await rooms.host.store.session(first.session_id)
    assert info is not None and info.conversation == {"bot_id": "b", "conversation_id": "c"}


@in_virtual_time
async def test_compare_and_set_between_a_run_and_a_person_has_one_winner(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        version = await run.state.set("conversation", "n", 1, if_version=0)
        yield Text("written")
        await run.stopped()
        with pytest.raises(TenureError) as late:
            await run.state.set("conversation", "n", 2, if_version=version)
        with pytest.raises(TenureError) as gone:
            await run.state.delete("conversation", "n", if_version=version)
        assert (late.value.code, gone.value.code) == (Code.STALE, Code.STALE)
        assert await run.state.delete("conversation", "n", if_version=2)
        assert not await run.state.delete("conversation", "n")
        yield completed()

    talk = await talk_with(rooms, work)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await keep(talk, "conversation", "n", "by a person")
    await talk.stop()
    events = await talk.answer(receipt)

    (finished,) = [e for e in facts(events) if isinstance(e, RunFinished)]
    assert finished.status == "completed"
    with pytest.raises(TenureError, match="There is no 'n'"):
        await kept(talk, "conversation", "n")


@pytest.mark.sources("S25")
@in_virtual_time
async def test_run_lists_what_is_kept_now(rooms: Rooms) -> None:
    seen: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.state.set("conversation", "long", "y" * 200_000)
        for n in range(8):
            await run.state.set("conversation", f"k{n}", "z" * 200_000)
        await run.state.delete("conversation", "k3")
        entries = await run.state.entries("conversation")
        seen.append([(key, entry.version) for key, entry in entries.items()])
        with pytest.raises(TenureError) as refusal:
            await run.state.entries("runner")
        seen.append(refused(refusal.value))
        yield completed()

    talk = await talk_with(rooms, work)
    await talk.say()

    assert seen == [
        [("long", 1), *((f"k{n}", 1) for n in range(8) if n != 3)],
        (Code.FORBIDDEN, "scope_not_enabled"),
    ]


@in_virtual_time
async def test_value_ends_after_its_time_to_live(rooms: Rooms) -> None:
    seen: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.state.set("conversation", "code", "1234", ttl_s=60.0)
        for _ in range(2):
            found = await run.state.get("conversation", "code")
            seen.append(found and found.value)
            await asyncio.sleep(60)
        yield completed()

    talk = await talk_with(rooms, work)
    await talk.say()

    assert seen == ["1234", None]


@in_virtual_time
async def test_abandoned_runner_can_write_nothing_any_more(rooms: Rooms) -> None:
    tried: list[Code] = []

    async def deaf(run: RunContext) -> AsyncIterator[Output]:
        yield Text("deaf")
        loop = asyncio.get_running_loop()
        abandoned = loop.time() + 12
        while loop.time() < abandoned:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(abandoned - loop.time())
        for use in (run.state.set("conversation", "n", 1), run.state.delete("conversation", "n")):
            with pytest.raises(TenureError) as refusal:
                await use
            tried.append(refusal.value.code)
        yield StateUpdate("conversation", "n", 2)

    talk = await talk_with(rooms, deaf)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await talk.stop()
    events = await talk.answer(receipt)
    late = await talk.until(lambda e: isinstance(e.event, RunnerWarning) and e.event.code == "late_result")

    assert tried == [Code.FENCED, Code.FENCED]
    assert late.run_id == receipt.run_id
    assert warnings(events) == ["abandoned"]
    assert [e for e in await talk.journal() if isinstance(e.event, StateUpdated)] == []


@in_virtual_time
async def test_state_written_by_an_attempt_that_was_lost_is_the_next_ones_to_read(rooms: Rooms) -> None:
    seen: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        seen.append((run.attempt, dict(run.state.snapshot["conversation"])))
        await run.state.set("conversation", "attempt", run.attempt)
        yield Text(f"{run.attempt}")
        if run.attempt == 1:
            await run.stopped()
        yield completed()

    talk = await talk_with(rooms, work)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    rooms.crash()
    await rooms.up(agent(work))
    await talk.answer(receipt)

    assert seen == [(1, {}), (2, {"attempt": 1})]


@in_virtual_time
async def test_state_counts_towards_the_output_limit(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for n in range(100):
            yield StateUpdate("conversation", "k", "x" * 1_000 + str(n))
        yield completed()

    policy = Policy(deadline_s=None, max_output_bytes=10_000)
    talk = await talk_with(rooms, work, policy)
    events = await talk.say()

    last = events[-1].event
    assert isinstance(last, RunFinished) and (last.status, last.reason) == ("failed", "output_limit")
    assert len([e for e in facts(events) if isinstance(e, StateUpdated)]) < 12


@in_virtual_time
async def test_stop_during_a_write_loses_neither(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        n = 0
        while not run.stopping:
            n += 1
            yield StateUpdate("conversation", "n", n)
        yield completed()

    talk = await talk_with(rooms, work)
    rooms.lane.delay = 0.01
    receipt = await talk.send(SendMessage(content="go"))
    await talk.until(lambda e: isinstance(e.event, StateUpdated) and e.event.version == 3)
    await talk.stop()
    await talk.until(RunInterrupting)
    events = await talk.answer(receipt)

    written = [e.value for e in facts(events) if isinstance(e, StateUpdated)]
    assert written == list(range(1, len(written) + 1))
    assert await kept(talk, Scope.CONVERSATION, "n") == len(written)
    assert isinstance(events[-1].event, RunFinished) and events[-1].event.status == "completed"


@in_virtual_time
async def test_full_disk_refuses_a_write_and_the_run_goes_on(rooms: Rooms) -> None:
    seen: list[object] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        rooms.lane.full = True
        with pytest.raises(TenureError) as refusal:
            await run.state.set("conversation", "n", 1)
        rooms.lane.full = False
        seen.append((refusal.value.code, await run.state.set("conversation", "n", 2)))
        yield completed()

    talk = await talk_with(rooms, work)
    await talk.say()

    assert seen == [(Code.STORE_FULL, 1)]


@in_virtual_time
async def test_agent_without_state_asks_the_store_for_nothing(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        assert {scope: dict(run.state.snapshot[scope]) for scope in SCOPES} == {s: {} for s in SCOPES}
        yield completed()

    talk = await talk_with(rooms, work, Policy(deadline_s=None, state=StatePolicy(enabled=False)))
    commits = rooms.host.store.commits().made
    await talk.say()

    assert rooms.host.store.commits().made - commits == 2


@pytest.mark.sources("D-S7", "D-S10")
@pytest.mark.parametrize("dies_after_s", [0.013, 0.05, 0.111, 0.2])
@in_virtual_time
async def test_host_that_dies_loses_no_increment_that_was_acknowledged_and_makes_none_twice(
    rooms: Rooms, dies_after_s: float
) -> None:
    acknowledged: list[int] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        for _ in range(5):
            now = await run.state.get("runner", "n")
            before, version = (0, 0) if now is None else (now.value, now.version)
            assert isinstance(before, int)
            await run.state.set("runner", "n", before + 1, if_version=version)
            acknowledged.append(before + 1)
        yield completed()

    await rooms.up(agent(work, ALL))
    rooms.lane.delay = 0.01
    talk = await rooms.open()
    receipt = await talk.send()
    await asyncio.sleep(dies_after_s)
    rooms.crash()
    await rooms.up(agent(work, ALL))
    events = await talk.answer(receipt)

    written = [e.event for e in await talk.journal() if isinstance(e.event, StateUpdated)]
    assert [(e.value, e.version) for e in written] == [(n, n) for n in range(1, len(written) + 1)]
    assert set(acknowledged) <= set(range(1, len(written) + 1))
    assert len(set(acknowledged)) == len(acknowledged)
    assert isinstance(events[-1].event, RunFinished) and events[-1].event.status == "completed"
