"""Known agents are found on a machine, without being started."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from tenure.runners.acp import detect as detecting
from tenure.runners.acp.detect import Detected, SetVariable, detect
from tenure.runners.acp.known import KNOWN
from tests.agents.served import left_of

Put: TypeAlias = Callable[[str, str], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Puts a program into a folder, written for the shell."""

    def put(name: str, script: str) -> Path:
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return put


def looked(tmp_path: Path, agent: str, **environ: str) -> Detected:
    """What is found of one agent, with `bin` on the PATH, from the folder `project/inner`."""
    folder = tmp_path / "project" / "inner"
    folder.mkdir(parents=True, exist_ok=True)
    found = detect({"PATH": f"{tmp_path / 'bin'}:/bin:/usr/bin", **environ}, folder)
    return next(one for one in found if one.agent == agent)


def test_agent_on_the_path_is_found_with_its_version_and_table(put: Put, tmp_path: Path) -> None:
    program = put("bin/gemini", 'echo "gemini-cli 9.8.7-beta.1 (node 22)"')

    assert looked(tmp_path, "gemini", GEMINI_API_KEY="canary", GEMINI_MODEL="") == Detected(
        agent="gemini",
        title="Gemini CLI",
        path=str(program),
        version="9.8.7-beta.1",
        tried_version=KNOWN["gemini"].version,
        variables=(
            SetVariable(name="GEMINI_API_KEY", meaning="API key", key=True, is_set=True),
            SetVariable(
                name="GOOGLE_GEMINI_BASE_URL", meaning="address of the model server", key=False, is_set=False
            ),
            SetVariable(
                name="GEMINI_MODEL",
                meaning="model; without it a small model chooses one",
                key=False,
                is_set=False,
            ),
        ),
        lacking=(),
        install="npm install -g @google/gemini-cli",
        toml='[agents.gemini]\nrunner = "acp"\nagent = "gemini"\ninherit = ["GEMINI_API_KEY"]',
    )


def test_agent_of_a_project_is_found_and_its_table_says_where_it_lies(put: Put, tmp_path: Path) -> None:
    program = put("project/node_modules/.bin/opencode", "echo 1.2.3")
    found = looked(tmp_path, "opencode")

    assert (found.path, found.version) == (str(program), "1.2.3")
    assert found.lacking == ("Set ANTHROPIC_API_KEY or OPENAI_API_KEY or OPENCODE_API_KEY",)
    assert found.toml == (
        '[agents.opencode]\nrunner = "acp"\nagent = "opencode"\n'
        f'command = ["{program}", "acp"]\ninherit = ["ANTHROPIC_API_KEY"]'
    )


def test_agent_that_is_not_there_is_told_how_to_install(tmp_path: Path) -> None:
    found = looked(tmp_path, "vibe")

    assert (found.path, found.version) == (None, None)
    assert found.lacking == ("Install it: uv tool install mistral-vibe", "Set MISTRAL_API_KEY")


def test_no_value_of_a_variable_is_kept(put: Put, tmp_path: Path) -> None:
    put("bin/codex-acp", 'echo "1.0 $OPENAI_API_KEY"')

    assert "canary" not in str(msgspec.json.encode(looked(tmp_path, "codex", OPENAI_API_KEY="canary")))


def test_program_that_does_not_answer_is_ended_with_all_that_it_started(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detecting, "VERSION_S", 0.3)
    put("bin/qwen", f"sleep 600 & echo $! > {tmp_path / 'pid'}; wait")
    found = looked(tmp_path, "qwen-code", OPENAI_API_KEY="k")

    assert found.version is None
    assert found.lacking == (f"{tmp_path / 'bin/qwen'} --version says nothing usable: is it Qwen Code?",)
    assert left_of([int((tmp_path / "pid").read_text())]) == []


def test_program_leaves_nothing_in_the_readers_home(put: Put, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    put("bin/gemini", 'touch "$HOME/left"; echo 1.0')
    found = looked(tmp_path, "gemini", HOME=str(home))

    assert (found.version, os.listdir(home)) == ("1.0", [])
