"""`tenure agents`: those of a server with what is wrong with them, and those of this machine."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.agent_tables import AcpAgent
from tenure.client import Client
from tenure.runners.acp.known import KNOWN
from tests.cli.conftest import Ran, Run
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted

AGENT = Path(__file__).parents[1] / "runners" / "acp" / "agent.py"

TOML = """
[agents.coder]
runner = "acp"
command = {command}
env = {{ TOKEN = "canary-7c1e" }}
"""


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for besides the system's, from an empty folder."""
    for variable in (one.name for known in KNOWN.values() for one in known.variables):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.chdir(tmp_path)
    return folder


def installed(folder: Path, program: str) -> None:
    """Put a program there that tells a version."""
    (folder / program).write_text("#!/bin/sh\necho 1.2.3\n")
    (folder / program).chmod(0o755)


def test_detected_agents_are_shown_with_their_tables(
    tenure: Run, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(bin_folder, "claude-agent-acp")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-7c1e")
    ran = tenure("agents", "--detect", "--server", "http://127.0.0.1:1")

    heading, *lines = ran.out.splitlines()
    table = '[agents.claude-code]\nrunner = "acp"\nagent = "claude-code"\ninherit = ["ANTHROPIC_API_KEY"]'
    assert (ran.code, ran.err) == (0, "")
    assert heading.split() == ["AGENT", "FOUND", "VERSION", "TRIED", "KEY", "TO", "DO"]
    assert lines[0].split() == ["claude-code", "yes", "1.2.3", KNOWN["claude-code"].version, "yes", "-"]
    assert lines[5].split()[:5] == ["vibe", "no", "-", KNOWN["vibe"].version, "no"]
    assert ran.out.endswith(f"\nFor tenure.toml:\n\n{table}\n")
    assert "canary" not in ran.out


def test_detected_agents_as_json_are_one_a_line(tenure: Run, bin_folder: Path) -> None:
    installed(bin_folder, "opencode")
    values = tenure("agents", "--detect", "--json").values

    assert [(value["agent"], value["version"]) for value in values] == [
        (name, "1.2.3" if name == "opencode" else None) for name in KNOWN
    ]


def test_a_machine_without_agents_is_told_so(tenure: Run, bin_folder: Path) -> None:
    ran = tenure("agents", "--detect")

    assert ran.code == 0
    assert ran.out.endswith(
        "\nNone of them is on the PATH, or in node_modules or .venv here. Install one, and look again.\n"
    )


@pytest.fixture
def ill(tmp_path: Path) -> Iterator[Hosted]:
    """A server with an agent whose program isn't there."""
    table = AcpAgent(runner="acp", command=("/nowhere/agent",))
    hosted = Hosted(tmp_path / "home", {"coder": table}).start()
    yield hosted
    hosted.stop()


def test_agent_that_can_not_be_used_is_shown_with_the_reason_and_the_run_says_it(
    tenure: Run, ill: Hosted
) -> None:
    reason = (
        "The agent coder can't be used. There is no program /nowhere/agent. Install it, or give its whole "
        "path as the first word of agents.coder.command"
    )
    with Client(ill.url, ill.key) as client:
        session = client.open_session("coder").id
        client.send(session, "hello")
        events_of(client.follow(session, until=is_finished))
        (run,) = client.runs(session)
    ran = tenure("agents", "--home", str(ill.home))

    assert (run.status, run.reason.startswith(reason)) == ("failed", True)
    line = next(line for line in ran.out.splitlines() if line.startswith("coder"))
    assert line.split()[:3] == ["coder", "acp", "no"]
    assert f"\ncoder: {reason}" in ran.out


def checked(tenure: Run, home: Path, *command: str, name: str = "coder") -> Ran:
    """What `--check` says of an agent with a command."""
    home.mkdir()
    (home / "tenure.toml").write_text(TOML.format(command=json.dumps(command)))
    return tenure("agents", "--check", name, "--home", str(home), "--json")


def test_checked_agent_is_shown_with_what_it_says_of_itself(tenure: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    ran = checked(tenure, home, sys.executable, str(AGENT), "--http", "--steering")

    (value,) = ran.values
    assert (ran.code, value.pop("seconds")) == (0, pytest.approx(5, abs=5))
    assert value == {
        "agent": "coder",
        "name": "scripted",
        "version": "1",
        "loads": False,
        "images": False,
        "gateway": True,
        "steers": True,
        "sessions": ["close"],
        "auth_methods": [],
        "mode": None,
        "modes": [],
        "fault": None,
    }
    assert [path.name for path in home.iterdir()] == ["tenure.toml"]


def test_checked_agent_that_wants_a_key_says_so(tenure: Run, tmp_path: Path) -> None:
    ran = checked(tenure, tmp_path / "home", sys.executable, str(AGENT), "--auth")

    assert ran.code == 1
    assert ran.err == "The agent coder opens no session. Authentication required.\n"
    assert ran.values[0]["auth_methods"] == ["scripted-key"]


def test_checked_agent_that_does_not_start_says_why(tenure: Run, tmp_path: Path) -> None:
    ran = checked(tenure, tmp_path / "home", sys.executable, str(AGENT), "--exit")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("The agent coder can't be used. It did not shake hands.")
    assert "no licence found" in ran.err
    assert "canary" not in ran.err


def test_checked_agent_must_be_one_of_the_settings(tenure: Run, tmp_path: Path) -> None:
    ran = checked(tenure, tmp_path / "home", "true", name="other")

    assert ran.code == 2
    assert ran.err == (
        'There is no agents.other with runner = "acp" in tenure.toml, and only such agents can be checked. '
        "`tenure agents --detect` writes a table for those that are on this machine.\n"
    )
