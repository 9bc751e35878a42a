"""Calls the functions under `tool`, behind the tool port.

The wiring makes one per definition. An async function runs in the loop, any other in a thread of its own.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

import msgspec

from tenure.core.principal import Role
from tenure.core.tool import ApprovalRule, Arguments, Replay, ToolInfo
from tenure.ports.tool import Outcome, ToolCall, Verified
from tenure.tools.arguments import converted
from tenure.tools.function import AnyTool
from tenure.tools.results import plain
from tenure.tools.threads import in_thread

_OUTCOMES = {True: Outcome.DONE, False: Outcome.NOT_DONE, None: Outcome.UNKNOWN}


class FunctionTool:
    """The tool of one definition. It keeps nothing between calls."""

    def __init__(self, definition: AnyTool) -> None:
        self._definition = definition

    @property
    def info(self) -> ToolInfo:
        """Its name, its description, the schema of its arguments."""
        return self._definition.info

    @property
    def source(self) -> str:
        """The function, as `python:module:name`."""
        return self._definition.source

    @property
    def approval(self) -> ApprovalRule:
        """When a person is asked."""
        return self._definition.approval

    @property
    def replay(self) -> Replay:
        """What may be done about a call whose outcome is unknown."""
        return self._definition.replay

    @property
    def role(self) -> Role:
        """The weakest role whose runs may use it."""
        return self._definition.role

    def check(self, arguments: Arguments) -> None:
        """Raise TenureError `invalid` that names the argument and its value if they don't fit."""
        self._definition.check(arguments)

    async def call(self, call: ToolCall) -> object:
        """Do it. The result is plain JSON."""
        made = self._definition
        given = msgspec.structs.asdict(converted(made.name, call.arguments, made.fields))
        first = (call,) if made.takes_call else ()
        return plain(made.name, await _done(made.name, partial(made.function, *first, **given)))

    async def verify(self, call: ToolCall) -> Verified:
        """Ask the `verify` function whether the call was done."""
        made = self._definition
        if made.verifier is None:
            return Verified(outcome=Outcome.UNKNOWN)
        answer = await _done(made.name, partial(made.verifier, call))
        if isinstance(answer, Verified):
            return Verified(outcome=Outcome(answer.outcome), result=plain(made.name, answer.result))
        if answer is not None and not isinstance(answer, bool):
            raise TypeError(
                f"The verify function of {made.name} returned {answer!r}. Let it return True, False, None or "
                "tenure.Verified."
            )
        return Verified(outcome=_OUTCOMES[answer])


async def _done(name: str, work: Callable[[], object]) -> object:
    """What `work` comes to. Whatever it raises to leave the program ends this call and nothing else."""
    try:
        answer = work() if inspect.iscoroutinefunction(work) else await in_thread(work)
        return await cast("Awaitable[object]", answer) if inspect.isawaitable(answer) else answer
    except (KeyboardInterrupt, SystemExit) as left:
        raise RuntimeError(f"The tool {name} raised {type(left).__name__}: {left}") from left
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling() > 0:
            raise
        raise RuntimeError(f"The tool {name} waited for something that was cancelled.") from None
