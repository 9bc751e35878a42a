"""`run.history()`: what an agent tells its model of the conversation so far."""

from collections.abc import AsyncIterator

import pytest

import tenure
from tenure.core.content import TextPart
from tenure.core.view import TranscriptItem
from tenure.runners.rehearsal import FakeRun
from tenure.testing import hosting, rehearse

pytestmark = pytest.mark.anyio


@tenure.agent("historian", steering=True)
async def historian(run: tenure.Run) -> AsyncIterator[str]:
    """Says back the whole conversation."""
    yield " | ".join(f"{item.role}: {item.text}" for item in await run.history())


def item(number: int) -> TranscriptItem:
    """One of many things that were said."""
    return TranscriptItem(
        message_id=f"msg_{number}",
        role="user",
        content=(TextPart(f"{number}"),),
        run_id=None,
        status="settled",
        seq=number,
    )


async def test_history_ends_with_the_message_to_answer() -> None:
    async with hosting(historian) as small:
        session = await small.open("historian")
        await session.say("one")
        await session.say("two")
        said = [(item.role, item.text) for item in await session.transcript()]

    assert said[-1] == ("assistant", "user: one | assistant: user: one | user: two")


async def test_history_has_all_pages() -> None:
    run = FakeRun("now", said=[item(number) for number in range(250)])

    answer, *_ = await rehearse(historian, run)

    assert answer == tenure.Text(" | ".join(f"user: {number}" for number in range(250)))
