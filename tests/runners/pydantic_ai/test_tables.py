"""Tables of pydantic-ai agents: what they make, and what they are refused for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from tenure.agent_tables import PydanticAIAgent
from tenure.config import Settings
from tenure.core.grant import HISTORY, RECALLS
from tenure.core.output import Text, completed
from tenure.errors import ConfigError
from tenure.ports.made import Made
from tenure.runners.pydantic_ai.assembly import pydantic_ai_agent
from tenure.testing import FakeRun
from tenure.wiring import agents

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_imports")]

MODULE = """
import tenure
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.test import TestModel

class Desk:
    def __init__(self, user):
        self.user = user

async def desk(run: tenure.Run) -> Desk:
    return Desk(run.message.user)

plain = Agent(TestModel(custom_output_text="hello"), description="Says hello.")
served = Agent(TestModel(), deps_type=Desk)
nobody = Agent()

@served.tool
async def who(context: RunContext[Desk]) -> str:
    return context.deps.user

@tenure.tool
async def look(at: str) -> str:
    "Looks."
    return at

number = 7
"""

Makes = Callable[..., Made]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Makes:
    """Makes an agent of a table, beside a module `desk_agents`."""
    (tmp_path / "desk_agents.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def make(**table: object) -> Made:
        return pydantic_ai_agent(
            "support", PydanticAIAgent.model_validate({"runner": "pydantic-ai", **table})
        )

    return make


async def said(made: Made) -> list[object]:
    return [output async for output in made.runner.run(FakeRun("hi"))]


async def test_an_agent_by_reference_is_run_as_it_is(made: Makes) -> None:
    plain = made(target="desk_agents:plain")
    outputs = await said(plain)

    assert "".join(output.text for output in outputs if isinstance(output, Text)) == "hello"
    assert outputs[-1] == completed()
    descriptor = plain.runner.descriptor
    assert (descriptor.runner, descriptor.description) == ("pydantic-ai", "Says hello.")
    assert (descriptor.permissions, descriptor.capabilities.resume) == ((HISTORY, RECALLS), True)


async def test_the_dependencies_of_a_run_may_be_made_of_it(made: Makes) -> None:
    outputs = await said(made(target="desk_agents.py:served", deps="desk_agents.py:desk"))

    assert "ada" in "".join(output.text for output in outputs if isinstance(output, Text))


@pytest.mark.parametrize(
    ("table", "tells"),
    [
        ({"target": "desk_agents:number"}, "no pydantic-ai agent"),
        ({"target": "desk_agents:absent"}, "has no absent"),
        ({"target": "desk_agents"}, "module:attribute"),
        ({"target": "no_such_module_here:agent"}, "no module"),
        ({"model": "openai:gpt-5"}, "OPENAI_API_KEY"),
        ({"model": "anthropic:claude"}, "ANTHROPIC_API_KEY"),
        ({"model": "gpt-5"}, "provider:name"),
        ({"model": "nobody:gpt-5"}, "nobody"),
        ({"model": "bedrock:x", "base_url": "http://127.0.0.1:9"}, "agents.support.model"),
        ({"model": "nobody:x", "base_url": "http://127.0.0.1:9"}, "agents.support.model"),
    ],
)
def test_what_cant_be_made_is_refused_with_the_way_out(
    made: Makes, table: dict[str, object], tells: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        made(**table)

    assert tells in str(caught.value)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"target": "a:b", "model": "openai:gpt-5"},
        {"target": "a:b", "api_key": "sk-secret"},
        {"model": "openai:gpt-5", "retries": -1},
        {"model": "openai:gpt-5", "request_limit": 0},
        {"model": "openai:gpt-5", "temprature": 1},
        {"model": "openai:gpt-5", "api_key": ""},
        {"model": "openai:gpt-5", "base_url": "127.0.0.1:9", "api_key": "sk-secret"},
    ],
)
def test_a_table_that_contradicts_itself_is_refused_and_shows_no_secret(
    made: Makes, table: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as caught:
        made(**table)

    assert "sk-secret" not in str(caught.value)


async def test_an_agent_without_a_model_fails_its_run_and_says_why(made: Makes) -> None:
    (verdict,) = await said(made(target="desk_agents:nobody"))

    assert "model" in str(verdict)


def test_a_key_is_shown_nowhere(made: Makes) -> None:
    table = PydanticAIAgent(runner="pydantic-ai", model="openai:gpt-5", api_key=SecretStr("sk-secret"))

    assert "sk-secret" not in repr(table) + repr(made(model="openai:gpt-5", api_key="sk-secret"))


def test_serving_a_module_that_holds_such_an_agent_says_how_to_configure_it(made: Makes) -> None:
    Path("only.py").write_text(
        "from pydantic_ai import Agent\nfrom pydantic_ai.models.test import TestModel\n"
        "support = Agent(TestModel())\n"
    )
    with pytest.raises(ConfigError) as caught:
        list(agents(Settings(modules=("only.py",), entry_points=False)))

    assert 'runner = "pydantic-ai"' in str(caught.value)
    assert 'target = "only.py:support"' in str(caught.value)
