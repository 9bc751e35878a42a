"""What a sandbox shows of the machine, and that it is refused where there is none."""

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tenure.errors import ConfigError
from tenure.runners.acp.link import Person
from tenure.runners.acp.pool import Pool
from tenure.runners.acp.sandbox import APART, SETTINGS, SYSTEM, confined, package_of
from tests.runners.acp.processes import AGENT, Watcher, a_launch, a_mark, asked, marked, turn, until

pytestmark = pytest.mark.anyio

ANN = Person("t", "ann")


def confines() -> bool:
    """Whether bubblewrap is here, and may make namespaces."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return False
    tried = [bwrap, *APART, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


needs_bubblewrap = pytest.mark.skipif(
    not confines(), reason="NOT CHECKED: the sandbox itself. bwrap isn't installed or may not make namespaces"
)


def test_the_command_line_shows_the_system_and_what_is_written_to(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    line = confined("/usr/bin/bwrap", ("/opt/a/agent", "--acp"), home, [home, folder], [Path("/data")])
    shown = [*SYSTEM, *SETTINGS, "/data"]
    assert line == (
        *("/usr/bin/bwrap", "--unshare-all", "--share-net", "--die-with-parent", "--new-session"),
        *("--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *(word for path in shown for word in ("--ro-bind-try", path, path)),
        *("--bind", str(home), str(home), "--bind", str(folder), str(folder)),
        *("--chdir", str(home), "--", "/opt/a/agent", "--acp"),
    )


def test_a_package_is_shown_as_a_whole(tmp_path: Path) -> None:
    modules, venv, tools = tmp_path / "node_modules", tmp_path / "venv", tmp_path / "tools"
    python = tmp_path / "python"
    script = modules / "agent" / "node_modules" / "deep" / "main.js"
    for folder in (script.parent, modules / ".bin", venv / "bin", tools, python / "bin", python / "lib"):
        folder.mkdir(parents=True)
    script.touch()
    (modules / ".bin" / "agent").symlink_to(script)
    (venv / "pyvenv.cfg").touch()
    (tools / "agent").symlink_to(script)
    assert package_of(str(modules / ".bin" / "agent")) == (modules,)
    (python / "bin" / "python3").touch()
    (venv / "bin" / "python").symlink_to(python / "bin" / "python3")
    assert package_of(str(venv / "bin" / "agent")) == (venv, python)
    assert package_of(str(tools / "agent")) == (tools, modules)


def test_a_sandbox_that_is_not_there_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as refusal:
        Pool(a_launch(tmp_path, sandbox="bubblewrap"))
    assert str(refusal.value) == (
        'agents.scripted.sandbox is "bubblewrap", but there is no program bwrap. Install it (apt-get install '
        'bubblewrap, dnf install bubblewrap), or set sandbox = "none".'
    )


@pytest.fixture
def mark() -> str:
    return a_mark()


@pytest.fixture
async def pool(tmp_path: Path, mark: str) -> AsyncGenerator[Pool]:
    reads = (Path(sys.prefix), Path(sys.base_prefix), Path(AGENT).parent)
    pool = Pool(a_launch(tmp_path, sandbox="bubblewrap", reads=reads, mark=mark))
    yield pool
    await pool.close()
    assert marked(mark) == []


@needs_bubblewrap
async def test_a_confined_agent_sees_its_session_and_its_home_alone(tmp_path: Path, pool: Pool) -> None:
    watcher, other = Watcher(tmp_path / "folder"), Watcher(tmp_path / "other")
    (other.folder / "a").write_text("secret")
    script = 'echo 1 > a; echo 2 > "$HOME/b"; ls -A .. "$HOME"; touch /usr/x; cat ../other/a'
    async with pool.use(ANN, watcher.folder) as link:
        told = await turn(link, watcher, f"TERMINAL {json.dumps(['sh', '-c', script])}")
    output = json.loads(told.said.split("}", 1)[1])["output"].splitlines()
    assert (watcher.folder / "a").read_text() == "1\n"
    assert {"..:", "agents", "folder", "b"} <= set(output)
    assert "other" not in output and "secret" not in output
    assert [line.split(": ", 2)[-1] for line in output if ":" in line and line[-1] != ":"] == [
        "Read-only file system",
        "No such file or directory",
    ]


@needs_bubblewrap
async def test_environment_that_an_agent_gives_a_command_loads_nothing_outside_of_the_sandbox(
    tmp_path: Path, pool: Pool
) -> None:
    watcher, trace = Watcher(tmp_path / "folder"), tmp_path / "trace"
    # The loader of whatever runs with this outside of the sandbox would leave a file there.
    env = {"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(trace), "WORD": "a b"}
    given = [{"name": name, "value": value} for name, value in env.items()]
    create = {"command": "printenv", "args": ["WORD", "LD_DEBUG"], "env": given}
    lines = (
        f"ASK terminal/create {json.dumps(create)}",
        'ASK terminal/wait_for_exit {"terminalId": "term_1"}',
        'ASK terminal/output {"terminalId": "term_1"}',
    )
    async with pool.use(ANN, watcher.folder) as link:
        told = await turn(link, watcher, "\n".join(lines))
    assert "a b\\nfiles\\n" in told.said
    assert [path.name for path in tmp_path.glob("trace*")] == []


@needs_bubblewrap
async def test_sessions_in_a_sandbox_have_programs_of_their_own(tmp_path: Path, pool: Pool) -> None:
    one, two = Watcher(tmp_path / "one"), Watcher(tmp_path / "two")
    async with pool.use(ANN, one.folder) as first, pool.use(ANN, two.folder) as second:
        assert first is not second
        assert await asked(first, one, "fs/write_text_file", path="a", content="1") == {}
        async with pool.use(ANN, one.folder) as again:
            assert again is first


@needs_bubblewrap
async def test_what_a_confined_agent_leaves_behind_is_gone_with_it(
    tmp_path: Path, pool: Pool, mark: str
) -> None:
    watcher = Watcher(tmp_path / "folder")
    async with pool.use(ANN, watcher.folder) as link:
        await turn(link, watcher, "DETACH")
        await until(lambda: any("sleep 300" in line for line in marked(mark)))
        await pool.drop(link)
    assert marked(mark) == []
