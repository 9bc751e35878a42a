"""An agent that sends a mail, which needs a person's approval, and what to ask of its journal."""

from collections.abc import AsyncIterator

import pytest

from tenure.core.command import Answering
from tenure.core.entry import Recorded
from tenure.core.event import (
    ApprovalResolved,
    RunResumed,
)
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, Talk, agent
from tests.host.workshop import TOOLED, Bench, FakeTool, Work, asking, decide


async def mailing(run: RunContext) -> AsyncIterator[Output]:
    """An agent that sends one mail and says what came of it."""
    try:
        result = await run.tools.call("mail", {"to": run.message.text})
        yield Text(f"{run.attempt}: {result}")
    except TenureError as error:
        yield Text(f"{run.attempt}: {error.code}: {error.detail}")
    yield completed()


async def hosted(rooms: Rooms, work: Work = mailing, *tools: FakeTool, limits: Limits | None = None) -> Talk:
    """A session with an agent that may call these tools; a mail always needs a person."""
    rooms.tools = Bench(*(tools or (asking(),)))
    await rooms.up(agent(work, TOOLED), limits=limits)
    return await rooms.open()


def mails(rooms: Rooms) -> FakeTool:
    """The tool that sends mails."""
    tool = rooms.tools.get("mail")
    assert isinstance(tool, FakeTool)
    return tool


def resolutions(events: list[Recorded]) -> list[tuple[str, str]]:
    """What was decided, and by whom."""
    return [(e.event.decision, e.event.by) for e in events if isinstance(e.event, ApprovalResolved)]


def modes(events: list[Recorded]) -> list[tuple[int, str]]:
    """How the run went on."""
    return [(e.event.attempt, e.event.mode) for e in events if isinstance(e.event, RunResumed)]


async def refused(talk: Talk, approval_id: str) -> dict[str, object]:
    """What a late answer is told."""
    with pytest.raises(TenureError) as caught:
        await decide(talk, approval_id, Answering.DENY)
    assert caught.value.code is Code.ALREADY_RESOLVED
    return dict(caught.value.facts)
