"""Grants: whoever holds one, or gave what it was made of, can't make it allow more."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from tenure.core.event import RunStarted
from tenure.core.grant import Descriptor, Grant, Policy, grant_digest
from tenure.core.output import Output, Text, completed
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, Work, in_virtual_time, said


class Asking:
    """A runner that asks for models and storage, made of a function."""

    descriptor = Descriptor(
        runner="asking", resources={"model": ("*",), "knowledge_base": ("kb1",)}, storage=("plugin",)
    )

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """One attempt."""
        return self._work(context)


def more_models(grant: Grant) -> None:
    """Try to have one more model."""
    grant.resources["model"] = ("small", "big")


def more_storage(grant: Grant) -> None:
    """Try to have one more storage area."""
    setattr(grant, "storage", ("plugin", "workspace"))  # noqa: B010 (a type checker refuses the plain form)


def other_author(grant: Grant) -> None:
    """Try to be somebody else."""
    setattr(grant.author, "user", "root")  # noqa: B010 (as above)


@pytest.mark.sources("D-R2", "R04", "A11")
@pytest.mark.parametrize("tamper", [more_models, more_storage, other_author])
@in_virtual_time
async def test_runner_that_tampers_with_its_grant_has_no_more_than_before(
    rooms: Rooms, tamper: Callable[[Grant], None]
) -> None:
    async def greedy(run: RunContext) -> AsyncIterator[Output]:
        with suppress(AttributeError, TypeError):
            tamper(run.grant)
        mine = run.grant
        rights = (mine.allows_resource("model", "big"), mine.allows_resource("storage", "workspace"))
        yield Text(f"{rights} {mine.author.user}")
        yield completed()

    policy = Policy(deadline_s=None, resources={"model": ("small",)}, storage=("plugin",))
    await rooms.up(Agent(name="agent", runner=Asking(greedy), policy=policy))
    talk = await rooms.open()
    receipt = await talk.send()
    events = await talk.answer(receipt)
    started = next(event.event for event in events if isinstance(event.event, RunStarted))

    assert said(events) == "(False, False) ada"
    found = await talk.run(receipt)
    assert grant_digest(found.grant) == found.grant_digest == started.grant_digest


@pytest.mark.sources("R05", "R03")
@in_virtual_time
async def test_grant_of_a_run_stays_when_what_it_was_made_of_is_changed(rooms: Rooms) -> None:
    given: dict[str, tuple[str, ...]] = {"model": ("small",), "knowledge_base": ("kb1", "kb2")}

    async def work(run: RunContext) -> AsyncIterator[Output]:
        given["model"] = ("small", "big")
        yield Text(str(run.grant.allows_resource("model", "big")))
        yield completed()

    policy = Policy(deadline_s=None, resources=given, storage=("plugin", "workspace"))
    await rooms.up(Agent(name="agent", runner=Asking(work), policy=policy))
    talk = await rooms.open()
    receipt = await talk.send()
    events = await talk.answer(receipt)
    grant = (await talk.run(receipt)).grant

    assert said(events) == "False"
    assert (grant.resources, grant.storage) == (
        {"knowledge_base": ("kb1",), "model": ("small",)},
        ("plugin",),
    )


@pytest.mark.sources("R07", "R16", "D-R3", "A11")
@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        ("model", "small", True),
        ("model", "big", False),
        ("model", "", False),
        ("model", None, False),
        ("knowledge_base", "kb1", True),
        ("knowledge_base", "kb2", False),
        ("skill", "small", False),
        ("file", "f", False),
        ("tool", "send_mail", False),
        ("storage", "plugin", True),
        ("storage", "workspace", False),
        ("storage", "elsewhere", False),
        ("unheard-of", "x", False),
        ("", "", False),
    ],
)
@in_virtual_time
async def test_one_question_answers_for_any_kind_of_resource(
    rooms: Rooms, kind: str, name: str | None, allowed: bool
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text(str(run.grant.allows_resource(kind, name)))
        yield completed()

    resources = {"model": ("small", ""), "knowledge_base": ("kb1", "kb2")}
    policy = Policy(deadline_s=None, resources=resources, storage=("plugin",))
    await rooms.up(Agent(name="agent", runner=Asking(work), policy=policy))

    assert said(await (await rooms.open()).say()) == str(allowed)
