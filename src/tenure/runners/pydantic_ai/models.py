"""The model that an agent's table names, with its base URL and key."""

from collections.abc import Callable
from typing import Any, Protocol, cast

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class

from tenure.agent_tables import PydanticAIAgent
from tenure.errors import ConfigError


class _MakesProvider(Protocol):
    """A provider's class, of those that can be told where they are and which key to use."""

    def __call__(self, **how: str) -> Provider[Any]: ...


def model_of(name: str, table: PydanticAIAgent) -> Model:
    """The model. Raises ConfigError for one that is unknown, or lacks a key or a package."""
    assert table.model is not None  # the table holds a model or a target
    try:
        return infer_model(table.model, _provider(table))
    except ImportError as missing:
        provider = table.model.partition(":")[0]
        raise ConfigError(
            f"agents.{name}.model is {table.model!r}, whose package isn't installed ({missing}). Install "
            f"pydantic-ai-slim[{provider}]."
        ) from missing
    except TypeError as misfit:
        raise ConfigError(
            f"agents.{name}.model is {table.model!r}, whose provider doesn't take base_url or api_key. Leave "
            "them out, or give a target with a model made in code."
        ) from misfit
    except (UserError, ValueError) as fault:
        raise ConfigError(f"agents.{name}.model is {table.model!r}: {fault} {_way_out(table)}") from fault


def _provider(table: PydanticAIAgent) -> Callable[[str], Provider[Any]]:
    how: dict[str, str] = {}
    if table.base_url is not None:
        how["base_url"] = table.base_url
    if table.api_key is not None:
        how["api_key"] = table.api_key.get_secret_value()
    if not how:
        return infer_provider

    def make(provider: str) -> Provider[Any]:
        return cast("_MakesProvider", infer_provider_class(provider))(**how)

    return make


def _way_out(table: PydanticAIAgent) -> str:
    if table.api_key is None:
        return 'Write it as "provider:name", and give api_key or set that variable.'
    return 'Write it as "provider:name".'
