"""Runs any agent that speaks the Agent Client Protocol, version 1, behind the runner port.

A run is one prompt turn of the agent's own session. The wiring makes one runner per agent; it keeps
nothing between runs, but the programs behind its links do.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, TypeVar

from tenure.core.grant import HISTORY, RECALLS, Capabilities, Descriptor
from tenure.core.output import Output, failed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tenure.runners.acp.link import Link, Links, Person
from tenure.runners.acp.memory import Found, Memory, Setup, find, remember
from tenure.runners.acp.prompts import CUT_OFF, Blocks, blocks_of, retold, said
from tenure.runners.acp.turn import STOPPED, Turn

ACP = "acp"
"""The runner, as descriptors and journals name it."""

WIND_DOWN_S = 3.0
"""How long a run waits for the one before it to leave the agent, in seconds."""

T = TypeVar("T")


class AcpRunner:
    """The runner of one agent."""

    def __init__(
        self, links: Links, setup: Setup, *, description: str = "", multimodal: bool = False
    ) -> None:
        self._links = links
        self._setup = setup
        self._live: dict[str, asyncio.Event] = {}
        self._descriptor = Descriptor(
            runner=ACP,
            capabilities=Capabilities(
                tools=True,
                steering=setup.steering,
                approvals=True,
                undo=False,
                attachments=True,
                multimodal=multimodal,
            ),
            permissions=(HISTORY, RECALLS),
            description=description,
        )

    @property
    def descriptor(self) -> Descriptor:
        """What the operator says of the agent. What was said stays in its own memory: there is no undo."""
        return self._descriptor

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """One attempt: find the agent's session, prompt, and read until the agent is idle."""
        if context.stopping:
            yield STOPPED
            return
        author = context.grant.author
        person = Person(author.tenant, author.user)
        started = False
        try:
            async with self._alone(context.session_id) as alone:
                async with self._links.use(person, context.files.folder) as link:
                    started = True
                    async with aclosing(self._visited(context, link, person, alone=alone)) as outputs:
                        async for output in outputs:
                            yield output
        except TenureError as refusal:
            if refusal.code not in (Code.RUNNER_UNAVAILABLE, Code.CAPACITY):
                raise
            way_out = "" if started or refusal.code is Code.CAPACITY else self._setup.way_out
            yield failed(f"{refusal.detail} {way_out}".strip(), retryable=True)

    @asynccontextmanager
    async def _alone(self, session_id: str) -> AsyncGenerator[bool, None]:
        """Wait until an earlier run of the session has wound down. False if it still holds the agent."""
        former = self._live.get(session_id)
        if former is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(WIND_DOWN_S):
                    await former.wait()
        alone, left = session_id not in self._live, asyncio.Event()
        if alone:
            self._live[session_id] = left
        try:
            yield alone
        finally:
            if alone:
                del self._live[session_id]
            left.set()

    async def _visited(
        self, context: RunContext, link: Link, person: Person, *, alone: bool
    ) -> AsyncGenerator[Output, None]:
        ready = await _unless_stopped(context, self._ready(context, link, person, alone=alone))
        if ready is None:
            yield STOPPED
            return
        found, blocks = ready
        turn = Turn(context, self._links, link, self._setup, found.session_id, found.cost)
        async with aclosing(turn.outputs(blocks)) as outputs:
            async for output in outputs:
                yield output
        if alone and turn.cost != found.cost:
            memory = Memory(
                session=found.session_id,
                program=self._setup.program,
                person=person,
                cost=turn.cost,
                place=found.place,
            )
            await remember(context, memory)
        yield turn.verdict

    async def _ready(
        self, context: RunContext, link: Link, person: Person, *, alone: bool
    ) -> tuple[Found, Blocks]:
        """The agent's session, and what it is prompted with there."""
        found = await find(link, context, self._setup, person, alone=alone)
        capabilities = link.hello.agent_capabilities
        takes = None if capabilities is None else capabilities.prompt_capabilities
        blocks = await blocks_of(context, context.message.content, takes)
        if found.knows:
            return found, ([said(CUT_OFF), *blocks] if context.attempt > 1 else blocks)
        before = await retold(context)
        if before is None:
            return found, blocks
        why = found.why or "this is a new session of the agent's"
        context.warn("context_rebuilt", f"The agent was told the transcript anew: {why}.")
        return found, [said(before), *blocks]


async def _unless_stopped(context: RunContext, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns; None, and no more of the work, if the run is asked to stop meanwhile."""
    working = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(context.stopped())
    try:
        await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        stopped.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait([working])
