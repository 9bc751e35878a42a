"""What is known of agents, and what a table that names one becomes."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from tenure.agent_tables import AcpAgent
from tenure.errors import ConfigError
from tenure.runners.acp.defaults import completed, key_way_out, way_out
from tenure.runners.acp.known import KNOWN, KnownAgent, Registry
from tests.agents.install import IN_CI, LOCKS

every_agent = pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)


def table(**fields: object) -> AcpAgent:
    """A table of tenure.toml."""
    return AcpAgent.model_validate({"runner": "acp", **fields})


@every_agent
def test_a_known_agent_says_how_it_is_installed_and_let_in(known: KnownAgent) -> None:
    assert known.keys
    assert known.install.endswith(known.package)
    assert not set(known.env) & set(known.keys)


@every_agent
def test_the_version_that_is_known_is_the_one_that_is_tested(known: KnownAgent) -> None:
    assert locked(known) == known.version


def locked(known: KnownAgent) -> str:
    """The version in the lock."""
    match known.registry:
        case Registry.NPM:
            return json.loads((LOCKS / known.id / "package.json").read_text())["dependencies"][known.package]
        case Registry.PYPI:
            lines = (LOCKS / known.id / "requirements.txt").read_text().splitlines()
            return next(line.partition("==")[2] for line in lines if line.startswith(f"{known.package}=="))


def test_locks_name_no_address() -> None:
    files = [file for folder in LOCKS.iterdir() for file in folder.iterdir()]

    assert {folder.name for folder in LOCKS.iterdir()} == set(KNOWN) > set(IN_CI)
    assert [file for file in files if "://" in without_funding(file)] == []


def without_funding(file: Path) -> str:
    """A lock without the lines that say where to give money, which npm writes."""
    return "\n".join(line for line in file.read_text().splitlines() if '"url"' not in line)


def test_a_table_with_a_known_agent_gets_what_it_leaves_out() -> None:
    full = completed("coder", table(agent="gemini", env={"GEMINI_API_KEY": "k"}), {})

    assert full.command == ("gemini", "--acp")
    assert {name: value.get_secret_value() for name, value in full.env.items()} == {
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "GEMINI_API_KEY": "k",
    }
    assert (full.auth_method, full.mode) == ("gemini-api-key", "default")
    assert (full.steering, full.host_files) == (False, False)


def test_what_a_table_says_wins_over_what_is_known() -> None:
    given = table(
        agent="gemini",
        command=("/opt/gemini", "--acp", "--debug"),
        env={"GEMINI_CLI_TRUST_WORKSPACE": "false"},
        auth_method="vertex-ai",
        mode="plan",
        options={"model": "big"},
        steering=True,
        host_files=True,
    )

    assert completed("coder", given, {}) == given


def test_a_table_with_a_command_alone_is_left_as_it_is() -> None:
    given = table(command=("own-agent",), env={"A": "1"})

    assert completed("coder", given, {}) == given


def test_variables_are_taken_over_from_the_servers_environment_and_env_wins() -> None:
    given = table(command=("own-agent",), inherit=("KEY", "PLACE"), env={"PLACE": "own"})
    full = completed("coder", given, {"KEY": "secret", "PLACE": "server's", "OTHER": "not asked for"})

    assert full.env == {"KEY": SecretStr("secret"), "PLACE": SecretStr("own")}


def test_variables_that_are_not_set_are_refused_by_name() -> None:
    with pytest.raises(ConfigError) as caught:
        completed("coder", table(agent="codex", inherit=("KEY", "PLACE", "HERE")), {"HERE": "x"})

    assert str(caught.value) == (
        "agents.coder.inherit names KEY, PLACE, not set where the server was started. Set it there, or "
        "take it out."
    )


def test_an_agent_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError) as caught:
        completed("coder", table(agent="clod"), {})

    assert str(caught.value) == (
        "agents.coder.agent is 'clod', which isn't known. Known are claude-code, codex, gemini, opencode, "
        'qwen-code, vibe; any other program that speaks ACP is started by command = ["program", …].'
    )


def test_the_way_out_names_what_is_missing_and_no_value() -> None:
    without = completed("coder", table(agent="codex"), {})
    with_key = completed("coder", table(agent="codex", env={"OPENAI_API_KEY": "canary"}), {})

    assert way_out(without) == (
        "Is it installed (npm install -g @agentclientprotocol/codex-acp)? "
        "Give its table OPENAI_API_KEY or CODEX_API_KEY in env or inherit."
    )
    assert key_way_out(with_key) == "Is its key good?"
    assert way_out(completed("coder", table(command=("own-agent",)), {})) == ""
    assert "canary" not in f"{with_key!r} {with_key}"
