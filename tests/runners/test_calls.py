"""How agent code calls tools: by a run's `tools`, in a rehearsal and behind the port."""

from collections.abc import AsyncIterator

import pytest

import tenure
from tenure.core.tool import ToolInfo
from tenure.errors import Code, TenureError
from tenure.runners.rehearsed_tools import Made
from tenure.testing import FakeRun, rehearse, spoken

pytestmark = pytest.mark.anyio


@tenure.agent("clerk")
async def clerk(run: tenure.Run) -> AsyncIterator[str]:
    yield f"{await run.tools.call('add', one=1, other=2.0)} "
    for key in ("k", "k", None):
        yield f"{await run.tools.call_with('add', {'one': 3, 'other': 4}, key=key)} "
    yield ", ".join(info.name for info in run.tools.infos())


async def add(one: int, other: int) -> int:
    """The sum of two numbers."""
    return one + other


async def test_a_rehearsed_run_calls_plain_functions() -> None:
    run = FakeRun(tools={"add": add})

    assert spoken(await rehearse(clerk, run)) == "3 7 7 7 add"
    assert run.tools.made == [
        Made("add", {"one": 1, "other": 2}),
        Made("add", {"one": 3, "other": 4}),
        Made("add", {"one": 3, "other": 4}),
    ]
    assert run.tools.infos() == (
        ToolInfo(name="add", description="The sum of two numbers.", parameters={"type": "object"}),
    )
    assert [terms.name for terms in run.grant.tools] == ["add"]


async def test_a_rehearsed_run_refuses_tools_that_it_was_not_given() -> None:
    with pytest.raises(TenureError, match="its grant holds: look") as caught:
        await rehearse(clerk, FakeRun(tools={"look": lambda: 1}))

    assert caught.value.code is Code.FORBIDDEN


async def test_one_key_is_one_call_with_one_set_of_arguments() -> None:
    @tenure.agent("hasty")
    async def hasty(run: tenure.Run) -> None:
        await run.tools.call_with("add", {"one": 1, "other": 1}, key="k")
        await run.tools.call_with("add", {"one": 1, "other": 2}, key="k")

    with pytest.raises(TenureError) as caught:
        await rehearse(hasty, FakeRun(tools={"add": add}))

    assert caught.value.code is Code.EFFECT_CONFLICT


async def test_a_function_may_stand_for_a_person_who_says_no() -> None:
    def refuse(**_: object) -> None:
        raise TenureError(Code.DENIED, "Not today.")

    @tenure.agent("polite")
    async def polite(run: tenure.Run) -> str:
        try:
            await run.tools.call("add", one=1)
        except TenureError as no:
            return f"I won't: {no.detail}"
        return "done"

    assert spoken(await rehearse(polite, FakeRun(tools={"add": refuse}))) == "I won't: Not today."
