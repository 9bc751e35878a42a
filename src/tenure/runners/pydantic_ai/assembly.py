"""From an agent's table to its runner: an agent object by reference, or one made of a model."""

from collections.abc import Callable
from typing import Any, cast

from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent

from tenure.agent_tables import PydanticAIAgent
from tenure.errors import ConfigError
from tenure.ports.made import Made
from tenure.runners.agent import Run
from tenure.runners.loader import load_named
from tenure.runners.pydantic_ai.drive import Terms
from tenure.runners.pydantic_ai.models import model_of
from tenure.runners.pydantic_ai.own_tools import OwnTools
from tenure.runners.pydantic_ai.runner import MakeDeps, PydanticAIRunner, no_deps
from tenure.runners.pydantic_ai.summaries import ModelSummary

AnyPydanticAgent = AbstractAgent[Any, Any]


def pydantic_ai_agent(name: str, table: PydanticAIAgent) -> Made:
    """The runner of one table. Raises ConfigError that says what is wrong with it, and the way out."""
    agent = _named(name, table.target) if table.target is not None else _made(name, table)
    secrets = () if table.api_key is None else (table.api_key.get_secret_value(),)
    terms = Terms(
        name=name,
        description=_description(agent, table),
        retries=table.retries,
        request_limit=table.request_limit,
        instructions=table.instructions if table.target is not None else None,
        secrets=secrets,
    )
    runner = PydanticAIRunner(agent, terms, _deps(name, table.deps))
    return Made(
        runner=runner,
        residence=runner.clients,
        summarize=ModelSummary(agent, terms, runner.clients),
        check=OwnTools(agent).check,
    )


def _made(name: str, table: PydanticAIAgent) -> AnyPydanticAgent:
    return Agent(model_of(name, table), name=name, instructions=table.instructions)


def _named(name: str, target: str) -> AnyPydanticAgent:
    thing = load_named(target)
    if not isinstance(thing, AbstractAgent):
        raise ConfigError(
            f"agents.{name}.target is {target!r}, which is {_kind(thing)} and no pydantic-ai agent. Name a "
            "pydantic_ai.Agent as module:attribute."
        )
    return cast("AnyPydanticAgent", thing)


def _deps(name: str, target: str | None) -> MakeDeps:
    """What makes the dependencies of a run: a function of the run, or one value for all."""
    if target is None:
        return no_deps
    thing = load_named(target)
    if not callable(thing):
        return lambda run: thing
    return cast("Callable[[Run], object]", thing)


def _description(agent: AnyPydanticAgent, table: PydanticAIAgent) -> str:
    return str(agent.description or table.model or "")


def _kind(thing: object) -> str:
    return f"an object of the class {type(thing).__name__}"
