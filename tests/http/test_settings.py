"""Settings that can't be used, and what the log says: where an operator looks first."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.agent_tables import PythonAgent
from tenure.config import LimitSettings, Settings, load
from tenure.errors import ConfigError
from tenure.wiring import agents, set_up_logging

GREETER = """
import tenure


@tenure.agent("greeter")
async def greeter(run: tenure.Run):
    yield "Hello"
"""


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_list_in_the_environment_that_is_no_json_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENURE_ALLOWED_HOSTS", "one.example,two.example")

    with pytest.raises(ConfigError, match=r'allowed_hosts.*write lists and tables as JSON, such as \["one"'):
        load({"home": tmp_path})


def test_the_log_for_programs_has_the_traceback_of_an_error(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    set_up_logging(Settings(log_json=True))

    try:
        raise ValueError("spoilt")
    except ValueError:
        logging.getLogger("tenure.tests").exception("It went wrong.")

    said = json.loads(written.getvalue())
    assert said["event"] == "It went wrong."
    assert "Traceback" in said["exception"] and "ValueError: spoilt" in said["exception"]


def test_a_refused_socket_is_no_error_in_the_log(root: logging.Logger) -> None:
    set_up_logging(Settings())
    log = logging.getLogger("uvicorn.error")
    texts = ("ASGI callable returned without completing handshake.", "Something else.")

    told = [
        text for text in texts if log.filter(log.makeRecord(log.name, logging.ERROR, "", 0, text, (), None))
    ]

    assert told == ["Something else."]


def test_attempts_are_the_hosts_unless_the_agents_table_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "attempts_of_greeter.py"
    path.write_text(GREETER)
    target = f"{path}:greeter"
    settings = Settings(
        home=tmp_path,
        demo=True,
        entry_points=False,
        modules=(str(path),),
        limits=LimitSettings(max_attempts=2),
        agents={
            "usual": PythonAgent(target=target),
            "patient": PythonAgent(target=target, max_attempts=9),
        },
    )

    attempts = {agent.name: agent.policy.max_attempts for agent in agents(settings)}

    usual = ("greeter", "concierge", "longhaul", "reporter", "scripted", "usual")
    assert attempts == {**dict.fromkeys(usual, 2), "patient": 9}


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('runner = "foo"', "agents.x: runner is none of python, pydantic-ai, acp and agui."),
        ('runner = "acp"\ncomand = ["a"]', "agents.x.comand: Extra inputs are not permitted (given: ['a'])"),
        ('runner = "acp"', "agents.x: Value error, give command"),
        ('runner = "pydantic-ai"', "agents.x: Value error, give either target"),
        ('runner = "agui"\nurl = "ftp://a"', "agents.x: Value error, the url begins with neither"),
    ],
)
def test_a_wrong_table_of_an_agent_is_refused_by_its_name(tmp_path: Path, table: str, fault: str) -> None:
    (tmp_path / "tenure.toml").write_text(f"[agents.x]\n{table}\n")
    with pytest.raises(ConfigError) as refused:
        load({"home": tmp_path})

    assert fault in str(refused.value)


@pytest.mark.parametrize(
    "table",
    [
        'runner = "acp"\ncommand = ["a"]\nenv = { KEY = "sekrit", OTHER = 5 }',
        'runner = "acp"\ncommand = ["a"]\nenv = ["sekrit"]',
        'runner = "pydantic-ai"\nmodel = "m"\napi_key = ["sekrit"]',
        'runner = "agui"\nurl = "https://a"\nheaders = { Authorization = ["sekrit"] }',
    ],
)
def test_a_secret_of_an_agents_table_is_never_told(tmp_path: Path, table: str) -> None:
    (tmp_path / "tenure.toml").write_text(f"[agents.x]\n{table}\n")
    with pytest.raises(ConfigError) as refused:
        load({"home": tmp_path})

    assert "sekrit" not in str(refused.value)
