"""Runs `@tenure.agent` functions in the server's own process, behind the runner port.

The wiring makes one per agent. It turns text into outputs and the end of the function into a
verdict. It judges nothing else: an exception goes on to the host, which makes it a failure, and so
does an object that isn't an output, which the host warns of.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from inspect import isasyncgen

from tenure.core.grant import Descriptor
from tenure.core.output import Output, Text, Verdict, completed, failed
from tenure.core.run import RunState
from tenure.ports.runner import RunContext
from tenure.runners.agent import AnyAgent, Returned, Run

MAX_REASON = 1_000
STOPPED = Verdict(status=RunState.CANCELLED, reason="interrupted")


class InProcessRunner:
    """The runner of one agent definition. It keeps nothing between runs."""

    def __init__(self, definition: AnyAgent) -> None:
        self._definition = definition

    @property
    def descriptor(self) -> Descriptor:
        """What the definition says of itself."""
        return self._definition.descriptor

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """One attempt. Closing or cancelling it runs the `finally` blocks of the agent."""
        judged = False
        try:
            async with aclosing(self._begin(context)) as outputs:
                async for output in outputs:
                    judged = judged or isinstance(output, Verdict)
                    yield Text(_plain(output)) if isinstance(output, str) else output
        except (KeyboardInterrupt, SystemExit) as left:
            # They would end the server, but an agent that leaves has only ended its own run.
            yield failed(f"{type(left).__name__}: {left}"[:MAX_REASON])
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            yield failed("CancelledError: something that the agent waited for was cancelled")
        else:
            if not judged:
                yield _verdict(context)

    def _begin(self, context: RunContext) -> AsyncGenerator[str | Output, None]:
        work = self._definition(Run(context))
        if isinstance(work, Awaitable):
            return _answer(work)
        assert isasyncgen(work)  # the decorator takes no other function
        return work


async def _answer(work: Returned) -> AsyncGenerator[str | Output, None]:
    answer = await work
    if answer is not None:
        yield answer


def _plain(text: str) -> str:
    """The characters of `text` without whatever a subclass of str adds, which JSON couldn't hold."""
    return text if type(text) is str else str.__str__(text)


def _verdict(context: RunContext) -> Verdict:
    """What returning without a verdict means."""
    return STOPPED if context.stopping else completed()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
