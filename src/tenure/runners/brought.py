"""Runners that users bring: objects of the runner port in their own code. The loader finds them."""

import inspect
from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

from tenure.core.grant import ANY, Descriptor, Policy
from tenure.errors import ConfigError
from tenure.ports.made import Made
from tenure.ports.runner import Runner


@runtime_checkable
class _Shape(Protocol):
    """What tells a runner from any other object."""

    @property
    def descriptor(self) -> object: ...
    @property
    def run(self) -> object: ...


def made_of(thing: object, source: str) -> Made | None:
    """The runner that `thing` is, with what goes with it; None if it is none.

    A class of runners is called without arguments. Raises ConfigError for one that has the parts of a runner
    and isn't one, and whatever its constructor raises.
    """
    if isinstance(thing, Made):
        return thing
    if inspect.isclass(thing) and {"descriptor", "run"} <= set(dir(thing)):
        thing = cast("Callable[[], object]", thing)()
    if not isinstance(thing, _Shape) or inspect.ismodule(thing):
        return None
    asked, run = thing.descriptor, thing.run
    if not isinstance(asked, Descriptor):
        raise ConfigError(
            f"{source} has a descriptor that is a {type(asked).__name__}. Return a Descriptor of "
            "tenure.core.grant from it."
        )
    if not callable(run) or inspect.iscoroutinefunction(run):
        raise ConfigError(
            f"{source} has a run that gives no outputs. Make it an `async def` that yields them: "
            "`async def run(self, context)`."
        )
    return Made(runner=cast("Runner", thing), policy=_policy(asked))


def _policy(asked: Descriptor) -> Policy:
    """What its runs may do unless an operator says otherwise: what it asks for by name."""
    tools = () if asked.tools == ANY else asked.tools
    return Policy(tools=tools, resources=asked.resources, storage=asked.storage)
