"""State in agent code: the face that an agent sees, rehearsed without a host and on a real one."""

from collections.abc import AsyncIterator
from typing import cast

import pytest

import tenure
from tenure.core.output import Output
from tenure.errors import Code, TenureError
from tenure.runners.demo.scripted import ScriptedRunner
from tenure.testing import FakeRun, hosting, rehearse, spoken

pytestmark = pytest.mark.anyio


@tenure.agent("visits")
async def visits(run: tenure.Run) -> AsyncIterator[str | Output]:
    """Counts how often somebody came."""
    before = await run.state.get("actor", "visits")
    count = 1 if before is None or not isinstance(before.value, int) else before.value + 1
    await run.state.set("actor", "visits", count, if_version=0 if before is None else before.version)
    yield f"visit {count}, mail {run.state['actor'].get('mail')}"


async def test_agent_reads_its_snapshot_and_writes_by_version() -> None:
    run = FakeRun(state={"actor": {"mail": "a@b", "visits": 2}})

    heard = spoken(await rehearse(visits, run))
    found = await run.state.get("actor", "visits")

    assert heard == "visit 3, mail a@b"
    assert found is not None
    assert (found.value, found.version) == (3, 2)
    assert run.state.snapshot["actor"]["visits"] == 2


async def test_agent_on_a_host_finds_what_an_earlier_run_kept() -> None:
    async with hosting(visits) as host:
        heard: list[str] = []
        for _ in range(3):
            session = await host.open("visits")
            await session.say("hi")
            heard.append(str((await session.transcript())[-1].content))

    assert heard == [f"visit {n}, mail None" for n in (1, 2, 3)]


@pytest.mark.sources("S01")
async def test_agent_may_yield_an_update() -> None:
    @tenure.agent("notes")
    async def notes(run: tenure.Run) -> AsyncIterator[str | Output]:
        yield tenure.StateUpdate("conversation", "note", run.message.text)
        yield f"{run.state.snapshot['conversation'].get('note')}"

    async with hosting(notes) as host:
        session = await host.open("notes")
        await session.say("milk")
        await session.say("bread")

        assert [item.content for item in await session.transcript()] == ["milk", "None", "bread", "milk"]


async def test_rehearsed_run_refuses_what_a_host_would() -> None:
    run = FakeRun()

    for work, code in (
        (run.state.set("runner", "k", 1), Code.FORBIDDEN),
        (run.state.set("nope", "k", 1), Code.INVALID),
        (run.state.set("actor", "", 1), Code.INVALID),
        (run.state.set("actor", "k", {1, 2}), Code.INVALID),
        (run.state.set("actor", "k", 1, if_version=3), Code.STALE),
        (run.state.delete("actor", "k", if_version=1), Code.STALE),
    ):
        with pytest.raises(TenureError) as refused:
            await work
        assert refused.value.code is code


async def test_rehearsed_versions_are_never_given_twice() -> None:
    state = FakeRun(state={"runner": {}}).state

    assert await state.set("runner", "k", 1) == 1
    assert await state.delete("runner", "k")
    assert not await state.delete("runner", "k")
    assert await state.get("runner", "k") is None
    assert await state.entries("runner") == {}
    assert await state.set("runner", "k", 2, if_version=0) == 3


@pytest.mark.sources("D-S5", "A11")
async def test_nothing_that_an_agent_does_to_what_it_read_changes_what_is_kept() -> None:
    given = {"actor": {"tags": ["a"]}}
    run = FakeRun(state=given)

    @tenure.agent("greedy")
    async def greedy(run: tenure.Run) -> AsyncIterator[str | Output]:
        cast("list[str]", run.state["actor"]["tags"]).append("b")
        found = await run.state.get("actor", "tags")
        assert found is not None
        cast("list[str]", found.value).append("c")
        again = await run.state.get("actor", "tags")
        assert again is not None and again.value == ["a"]
        yield f"{run.state['actor']['tags']}"

    assert spoken(await rehearse(greedy, run)) == "['a']"
    assert given == {"actor": {"tags": ["a"]}}


async def test_scripted_says_values_as_json_and_refusals_in_words() -> None:
    run = FakeRun(
        "SET actor n 1\nGET actor n\nGET actor none\nSET runner n 1\nGET actor", state={"actor": {}}
    )

    said = [output async for output in ScriptedRunner().run(run)]

    assert [
        text.text.partition(",")[0].partition(";")[0] for text in said if isinstance(text, tenure.Text)
    ] == [
        "1",
        "null",
        "This agent has no runner state",
        "GET needs a scope and a key",
    ]
