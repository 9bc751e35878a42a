"""Programs on a leash: how they start, what is heard of them, and that nothing of them is left behind."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tenure.errors import Code, TenureError
from tenure.runners.acp.launch import Launch
from tenure.runners.acp.process import LEASH, MOST_LAST_WORDS, MOST_LINE, Program
from tests.runners.acp.processes import PYTHON, a_mark, marked, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed by /proc"),
]

FAMILY = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "300"])
subprocess.Popen(["sleep", "301"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "302"])
    os._exit(0)
os.wait()
print("ready", flush=True)
"""
"""A program that has a child, a child of another session, and a daemon."""

STUBBORN = "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n"


@asynccontextmanager
async def started(
    code: str, folder: Path, env: Mapping[str, str] | None = None, masked: str = "-"
) -> AsyncGenerator[Program]:
    """A program of Python code; it is gone afterwards."""
    program = await Program.start(
        (*PYTHON, code), env or {}, folder, "x", lambda text: text.replace(masked, "[…]")
    )
    try:
        yield program
    finally:
        await program.kill()


def sleepers(mark: str) -> list[str]:
    return sorted(line.strip() for line in marked(mark) if line.startswith("sleep"))


# nothing is left behind


async def test_all_that_a_program_started_is_gone_when_it_is_let_go_of(tmp_path: Path) -> None:
    mark = a_mark()
    async with started(FAMILY + "time.sleep(300)", tmp_path, {"MARK": mark, **os.environ}) as program:
        assert await program.hear() == b"ready\n"
        await until(lambda: sleepers(mark) == ["sleep 300", "sleep 301", "sleep 302"])
        await program.kill()
        assert marked(mark) == []
        assert program.last_words == "It was ended by signal SIGKILL."


async def test_what_a_program_leaves_behind_when_it_ends_is_gone_as_well(tmp_path: Path) -> None:
    mark = a_mark()
    async with started(FAMILY, tmp_path, {"MARK": mark, **os.environ}) as program:
        assert await program.hear() == b"ready\n"
        assert await program.hear() is None
        assert program.last_words == "It ended with exit status 0."
        assert marked(mark) == []


async def test_nothing_is_left_when_the_host_is_killed(tmp_path: Path) -> None:
    mark = a_mark()
    host = f"""
import asyncio, os
from pathlib import Path
from tenure.runners.acp.process import Program
async def main():
    program = await Program.start(({sys.executable!r}, "-S", "-c", {FAMILY + "time.sleep(300)"!r}),
        {{"MARK": {mark!r}, **os.environ}}, Path({str(tmp_path)!r}), "x", str)
    print((await program.hear()).decode(), flush=True)
    await asyncio.sleep(300)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", host, stdout=subprocess.PIPE)
    assert parent.stdout is not None and await parent.stdout.readline() == b"ready\n"
    await until(lambda: len(sleepers(mark)) == 3)
    parent.kill()
    await parent.wait()
    await until(lambda: marked(mark) == [])


async def test_a_program_whose_leash_is_killed_dies_with_it(tmp_path: Path) -> None:
    mark = a_mark()
    async with started("print(1, flush=True)\nwhile True: pass", tmp_path, {"MARK": mark}) as program:
        await program.hear()
        assert len(marked(mark)) == 2, "the leash, and what hangs on it"
        os.kill(program.pid, signal.SIGKILL)
        await program.ended.wait()
        await until(lambda: marked(mark) == [])


async def test_a_program_ends_by_itself_when_its_input_closes(tmp_path: Path) -> None:
    code = "import sys; print(1, flush=True); sys.stdin.read(); sys.exit(7)"
    async with started(code, tmp_path) as program:
        await program.hear()
        await program.end()
        assert program.status == 7


async def test_a_program_that_heeds_nothing_is_killed_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.runners.acp.process.GRACE_S", 0.05)
    async with started(STUBBORN + "print(1, flush=True)\nwhile True: time.sleep(300)", tmp_path) as program:
        await program.hear()
        await program.end()
        assert program.status == -signal.SIGKILL


async def test_a_program_that_closed_its_output_but_lives_on_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.runners.acp.process.GRACE_S", 0.05)
    async with started("import os, time; os.close(1); time.sleep(300)", tmp_path) as program:
        assert await program.hear() is None
        assert (program.silent, program.ended.is_set()) == (True, True)


async def test_a_program_that_is_told_to_end_hears_of_it(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(9)); print(1, flush=True)"
    async with started(code + "; time.sleep(300)", tmp_path) as program:
        await program.hear()
        program.tell(signal.SIGTERM)
        await program.ended.wait()
        assert program.status == 9


async def test_no_pipe_stays_open_after_programs(tmp_path: Path) -> None:
    async with started("print(1)", tmp_path) as program:
        await program.ended.wait()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        async with started("print(1)", tmp_path) as program:
            await program.ended.wait()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(FileNotFoundError):
        await Program.start(("x",), {}, tmp_path / "nowhere", "x", str)
    assert len(os.listdir("/proc/self/fd")) == before


# what is heard


async def test_a_program_gets_its_environment_and_nothing_else(tmp_path: Path) -> None:
    code = "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'), os.getcwd())"
    async with started(code, tmp_path, {"ONE": "1"}) as program:
        assert await program.hear() == f"['ONE'] {tmp_path}\n".encode()


async def test_how_a_program_ended_is_told_with_what_it_complained_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tenure.acp")
    code = "import sys; print('the key sesame is refused', file=sys.stderr); sys.exit(3)"
    async with started(code, tmp_path, masked="sesame") as program:
        await program.ended.wait()
        words = program.last_words
    assert words == 'It ended with exit status 3. It last said: "the key […] is refused".'
    assert caplog.messages == ["The agent x says: the key […] is refused"]


async def test_only_the_end_of_long_complaints_is_kept(tmp_path: Path) -> None:
    code = "import sys\nfor n in range(100_000): print('line', n, file=sys.stderr)"
    async with started(code, tmp_path) as program:
        await program.ended.wait()
        assert program.last_words.endswith('line 99999".')
        assert len(program.last_words) < MOST_LAST_WORDS + 100


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("import os; os._exit(250)", "It ended with exit status 250."),
        ("import os; os.kill(os.getpid(), 11)", "It was ended by signal SIGSEGV."),
        ("import os; os.kill(os.getpid(), 64)", "It was ended by signal SIGRTMAX."),
    ],
)
async def test_a_program_on_a_leash_ends_as_it_would_without(tmp_path: Path, code: str, ending: str) -> None:
    async with started(code, tmp_path) as program:
        await program.ended.wait()
        assert program.last_words == ending


async def test_what_cannot_be_executed_after_all_says_so(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/python\n")
    script.chmod(0o755)
    program = await Program.start((str(script),), {}, tmp_path, "x", str)
    await program.ended.wait()
    assert program.last_words == (
        f'It ended with exit status 127. It last said: "{script}: No such file or directory".'
    )


async def test_a_line_of_twenty_megabytes_is_heard_whole(tmp_path: Path) -> None:
    async with started("print('x' * 20_000_000)", tmp_path) as program:
        line = await program.hear()
        assert line is not None and len(line) == 20_000_001


async def test_a_line_that_is_too_long_is_left_out_and_the_next_is_heard(tmp_path: Path) -> None:
    code = f"import sys; print('x' * {MOST_LINE * 3}); print('next')"
    async with started(code, tmp_path) as program:
        heard: list[bytes] = []
        while (line := await program.hear()) is not None:
            heard.append(line)
        assert heard[-1] == b"next\n"
        assert all(len(line) <= MOST_LINE for line in heard)


async def test_writing_to_a_program_that_is_gone_is_a_broken_connection(tmp_path: Path) -> None:
    async with started("pass", tmp_path) as program:
        await program.ended.wait()
        with pytest.raises(ConnectionError):
            await program.say(b"x" * 100_000)


# the command


def a_launch(tmp_path: Path, *command: str, **env: str) -> Launch:
    return Launch(name="mine", command=command, homes=tmp_path / "agents", env=env)


def test_a_command_is_found_by_the_path_it_is_given(tmp_path: Path) -> None:
    program = tmp_path / "agent"
    program.touch(0o755)
    assert a_launch(tmp_path, "agent", "--acp", PATH=str(tmp_path)).resolved() == (str(program), "--acp")
    assert a_launch(tmp_path, "sh").resolved()[0].endswith("/sh")


def test_a_command_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TenureError) as refusal:
        a_launch(tmp_path, "agnt", PATH="/opt/x").resolved()
    assert refusal.value.code is Code.RUNNER_UNAVAILABLE
    assert refusal.value.detail == (
        "The agent mine can't be used. There is no program agnt. Install it, or give its whole path as the "
        "first word of agents.mine.command; it was looked for in /opt/x."
    )


def test_a_command_that_cannot_be_executed_says_what_to_do(tmp_path: Path) -> None:
    program = tmp_path / "agent"
    program.touch(0o644)
    with pytest.raises(TenureError) as refusal:
        a_launch(tmp_path, str(program)).resolved()
    assert refusal.value.detail == (
        f"The agent mine can't be used. {program} can't be executed. Make it executable: chmod +x {program}."
    )


def test_the_environment_is_what_the_operator_gave_with_three_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    launch = a_launch(tmp_path, "sh", KEY="k")
    assert launch.environment(tmp_path) == {
        "PATH": "/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "KEY": "k",
    }
    assert a_launch(tmp_path, "sh", HOME="/h", PATH="/p", LANG="C").environment(tmp_path) == {
        "PATH": "/p",
        "HOME": "/h",
        "LANG": "C",
    }


def test_people_have_homes_of_their_own_whatever_they_are_called(tmp_path: Path) -> None:
    launch = a_launch(tmp_path, "sh")
    people = [("t", "ann"), ("u", "ann"), ("t", "Ann/.."), ("t", "Ann_.."), ("t", ".."), ("t", "é" * 300)]
    homes = {launch.home_of(*person) for person in people}
    assert len(homes) == len(people)
    assert {home.parent for home in homes} == {tmp_path / "agents" / "mine"}
    assert all(len(home.name) <= 60 for home in homes)


def test_secrets_of_the_environment_are_left_out_of_what_is_shown(tmp_path: Path) -> None:
    launch = a_launch(tmp_path, "sh", KEY="sesame", BOTH="Basic sesame2", HOME="/home/x", SHORT="no")
    text = "sesame sesame2 /home/x no Authorization: Bearer abc.def"
    assert launch.masked(text) == "[…] […] /home/x no Authorization: Bearer […]"
    assert "sesame" not in repr(launch)


def test_keys_in_the_words_of_a_command_are_left_out_of_what_is_shown(tmp_path: Path) -> None:
    command = ("agent", "--api-key=sesame", "--token", "barley", "--use-key", "--acp", "--model", "rye")
    text = Launch(name="mine", command=command, homes=tmp_path).masked(" ".join(command))
    assert text == "agent --api-key=[…] --token […] --use-key --acp --model rye"


def test_the_leash_needs_nothing_but_the_standard_library() -> None:
    listed = [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({LEASH!r}, run_name='leash')"]
    assert subprocess.run(listed, capture_output=True, check=True).stderr == b""
