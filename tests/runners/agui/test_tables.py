"""Tables of AG-UI agents: what becomes of a good one, and what is said of a bad one."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tenure.agent_tables import AguiAgent
from tenure.config import Settings
from tenure.core.grant import Capabilities
from tenure.errors import ConfigError
from tenure.wiring import agents


def table(**given: Any) -> AguiAgent:
    return AguiAgent.model_validate({"runner": "agui", "url": "https://there.example/agent", **given})


def hosted(home: Path, one: AguiAgent) -> Any:
    """The agent of a table, as a server hosts it."""
    [agent] = agents(Settings(home=home, entry_points=False, agents={"remote": one}))
    return agent


def test_a_table_is_an_agent_with_a_policy_a_residence_and_what_ag_ui_can_do(tmp_path: Path) -> None:
    agent = hosted(tmp_path, table(tools=["send_mail"], deadline_s=5, idle_s=2))

    assert (agent.policy.tools, agent.policy.deadline_s, agent.policy.idle_s) == (("send_mail",), 5, 2)
    assert agent.residence.fault is None
    assert agent.runner.descriptor.description == "The agent at https://there.example/agent."
    assert agent.runner.descriptor.capabilities == Capabilities(
        streaming=True,
        tools=True,
        steering=False,
        interrupt=True,
        approvals=True,
        resume=True,
        undo=True,
        attachments=True,
        multimodal=True,
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"headers": {"X-Key": "schlüssel"}}, "agents.remote.headers.'X-Key' holds what no header can. Use"),
        ({"headers": {"X-Key": "a\r\nb: c"}}, "agents.remote.headers.'X-Key' holds what no header can. Use"),
        ({"url": "http://:80/x"}, "agents.remote.url names no host. Write http://HOST:PORT/PATH."),
        ({"url": "http://there:port/"}, "agents.remote.url can't be read: Invalid port: 'port'. Correct it."),
    ],
)
def test_what_http_cant_carry_is_refused_and_not_shown(
    tmp_path: Path, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        hosted(tmp_path, table(**given))

    assert str(refused.value).startswith(sentence)
    assert "schlüssel" not in str(refused.value)


@pytest.mark.parametrize(
    "given", [{"url": "ftp://there"}, {"connect_s": 0}, {"wrong": 1}, {"headers": {"a": 1}}]
)
def test_a_table_that_doesnt_fit_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        table(**given)


def test_keys_of_a_table_arent_shown() -> None:
    assert "hush" not in repr(table(headers={"Authorization": "hush"}))
