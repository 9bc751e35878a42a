"""The runner of one pydantic-ai agent, behind the runner port. One agent object serves all runs at once.

The run itself goes on in a task of its own, because pydantic-ai stops a run by cancelling its task, and that
must not be the host's.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from typing import Any

from pydantic_ai.agent import AbstractAgent

from tenure.core.grant import HISTORY, RECALLS, Capabilities, Descriptor
from tenure.core.output import Output
from tenure.ports.runner import RunContext
from tenure.runners.agent import Run
from tenure.runners.pydantic_ai.clients import Clients
from tenure.runners.pydantic_ai.drive import Drive, Terms
from tenure.runners.pydantic_ai.outlet import Outlet

PYDANTIC_AI = "pydantic-ai"
"""The runner's name, as descriptors and journals have it."""

_USUAL = Terms()

MakeDeps = Callable[[Run], object]
"""Makes the dependencies of a run; may be async."""


def no_deps(run: Run) -> object:
    """The dependencies of agents that need none."""
    return None


class PydanticAIRunner:
    """Runs one agent. Between runs it keeps `clients`, the connections to its model."""

    def __init__(
        self, agent: AbstractAgent[Any, Any], terms: Terms = _USUAL, deps: MakeDeps = no_deps
    ) -> None:
        self._agent = agent
        self._terms = terms
        self._deps = deps
        self.clients = Clients(agent)
        self._descriptor = Descriptor(
            runner=PYDANTIC_AI,
            capabilities=Capabilities(
                tools=True, steering=True, approvals=True, resume=True, attachments=True, multimodal=True
            ),
            permissions=(HISTORY, RECALLS),
            description=terms.description,
        )

    @property
    def descriptor(self) -> Descriptor:
        """What it can do. Which files are understood is up to the model."""
        return self._descriptor

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """One attempt. What the agent's own code raises is raised here."""
        outlet = Outlet()
        work = asyncio.create_task(self._work(context, outlet))
        work.add_done_callback(lambda _: outlet.close())
        try:
            async for output in outlet.outputs():
                yield output
            await work
        finally:
            await _ended(work)

    async def _work(self, context: RunContext, outlet: Outlet) -> None:
        await self.clients.open()
        deps = self._deps(Run(context))
        if inspect.isawaitable(deps):
            deps = await deps
        await Drive(self._agent, self._terms, context, outlet).go(deps)


async def _ended(work: asyncio.Task[None]) -> None:
    """Cancel what is left of the work, and wait for its end. What it raises then is nobody's any more."""
    work.cancel()
    await asyncio.wait([work])
    if not work.cancelled():
        work.exception()
