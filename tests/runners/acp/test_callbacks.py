"""What an agent asks of the host: files and terminals within the session's folder, and what is refused it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from acp import RequestError
from acp.helpers import text_block

from tenure.runners.acp.connection import AT_ONCE
from tenure.runners.acp.link import Link, Person
from tenure.runners.acp.pool import Pool
from tenure.runners.acp.workspace import MOST_BYTES, read_text, write_text
from tests.runners.acp.processes import Watcher, a_launch, a_mark, asked, marked, texts_of, turn, until

pytestmark = pytest.mark.anyio

ANN = Person("t", "ann")
SHELL = "/bin/sh"


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(tmp_path / "folder")


@pytest.fixture
def mark() -> str:
    return a_mark()


@pytest.fixture
async def link(tmp_path: Path, mark: str) -> AsyncGenerator[Link]:
    pool = Pool(a_launch(tmp_path, mark=mark))
    async with pool.use(ANN) as link:
        yield link
    await pool.close()
    assert marked(mark) == []


# files


async def test_an_agent_writes_and_reads_files_of_its_session(link: Link, watcher: Watcher) -> None:
    path = str(watcher.folder / "new" / "a.txt")
    assert await asked(link, watcher, "fs/write_text_file", path=path, content="one\ntwo\nthree\n") == {}
    assert await asked(link, watcher, "fs/read_text_file", path=path) == {"content": "one\ntwo\nthree\n"}
    part = await asked(link, watcher, "fs/read_text_file", path=path, line=2, limit=1)
    assert part == {"content": "two\n"}


async def test_files_are_read_a_few_at_a_time_however_many_are_asked_for(
    link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, most = set[int](), 0

    def read(folder: Path, path: str, line: int | None, limit: int | None) -> str:
        nonlocal most
        now.add(id(path))
        most = max(most, len(now))
        text = read_text(folder, path, line, limit)
        now.discard(id(path))
        return text

    monkeypatch.setattr("tenure.runners.acp.connection.read_text", read)
    watchers = [Watcher(tmp_path / str(number)) for number in range(12)]
    for watcher in watchers:
        (watcher.folder / "a").write_text("x" * 100_000)
    answers = await asyncio.gather(*(asked(link, one, "fs/read_text_file", path="a") for one in watchers))
    assert answers == [{"content": "x" * 100_000}] * 12
    assert most <= AT_ONCE


async def test_requests_that_are_too_much_together_are_refused(
    link: Link, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.runners.acp.connection.MOST_WAITING", 1_000)
    refused = await asked(link, watcher, "fs/write_text_file", path="a", content="x" * 2_000)
    assert refused == {"code": -32603, "message": "Too many requests wait for an answer."}
    assert await asked(link, watcher, "fs/write_text_file", path="a", content="x") == {}


async def test_a_shorter_text_takes_the_place_of_a_longer_one(tmp_path: Path) -> None:
    write_text(tmp_path, "a", "a long text")
    os.chmod(tmp_path / "a", 0o600)
    write_text(tmp_path, "a", "short")
    assert (tmp_path / "a").read_text() == "short"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../beside",
        "sub/../../beside",
        "/proc/self/root/etc/passwd",
        "out/beside",
        "beside-link",
    ],
)
def test_no_way_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "beside").write_text("secret")
    (folder / "out").symlink_to(tmp_path)
    (folder / "beside-link").symlink_to(tmp_path / "beside")
    for act in (lambda: read_text(folder, path), lambda: write_text(folder, path, "x")):
        with pytest.raises(RequestError, match="is outside of the session's folder"):
            act()
    assert (tmp_path / "beside").read_text() == "secret"


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").symlink_to("a")
    assert read_text(tmp_path, "b") == "text"


def test_a_folder_that_was_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_text("secret")
    (tmp_path / "folder").symlink_to(tmp_path / "other")
    with pytest.raises(RequestError):
        read_text(tmp_path / "folder", "a")


def test_a_part_swapped_for_a_link_after_the_check_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "a").write_text("secret")
    resolve = os.path.realpath

    def resolved(path: str) -> str:
        found = resolve(path)
        if str(path).endswith("sub/a"):
            (folder / "sub").rmdir()
            (folder / "sub").symlink_to(tmp_path)
        return found

    monkeypatch.setattr(os.path, "realpath", resolved)
    with pytest.raises(RequestError, match="leads through a link"):
        read_text(folder, "sub/a")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("none", "Resource not found: none."),
        ("sub", "sub: Is a directory."),
        (".", ". is a folder, not a file."),
        ("pipe", "pipe is no regular file."),
        ("a\0b", "'a\\x00b' is no path."),
        ("file/below", "file/below leads through a link or through what is no folder."),
        ("large", "large is too large to be read so. Ask for fewer lines: line, limit."),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    os.truncate(os.open(tmp_path / "large", os.O_CREAT | os.O_WRONLY), MOST_BYTES + 1)
    with pytest.raises(RequestError) as refusal:
        read_text(tmp_path, path)
    assert str(refusal.value) == text


def test_what_is_no_text_is_read_with_signs_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xe9\r\n")
    assert read_text(tmp_path, "a") == "caf\ufffd\r\n"


# terminals


async def test_a_command_runs_in_the_folder_with_the_environment_of_the_agent(
    link: Link, watcher: Watcher, mark: str
) -> None:
    told = await turn(link, watcher, 'TERMINAL ["sh", "-c", "echo $MARK; pwd; echo e >&2; exit 3"]')
    ended, output = told.said.split("}", 1)
    assert json.loads(ended + "}") == {"exitCode": 3}
    assert json.loads(output) == {
        "output": f"{mark}\n{watcher.folder}\ne\n",
        "truncated": False,
        "exitStatus": {"exitCode": 3},
    }


class Terminal:
    """An agent's turn that stays open, so that terminals live in it."""

    def __init__(self, link: Link, watcher: Watcher) -> None:
        self.link = link
        self.watcher = watcher

    async def __call__(self, *lines: str) -> list[dict[str, object]]:
        """What the agent is answered, line by line."""
        before = len(self.watcher.heard)
        await turn(self.link, self.watcher, "\n".join(f"ASK terminal/{line}" for line in lines))
        return [json.loads(text) for text in texts_of(self.watcher.heard[before:])]


@pytest.fixture
def terminal(link: Link, watcher: Watcher) -> Terminal:
    return Terminal(link, watcher)


ONE = '{"terminalId": "term_1"}'


async def test_a_terminal_is_killed_and_still_tells_its_output(terminal: Terminal) -> None:
    answers = await terminal(
        'create {"command": "sleep 300"}', f"output {ONE}", f"kill {ONE}", f"wait_for_exit {ONE}",
        f"output {ONE}", f"release {ONE}", f"output {ONE}",
    )  # fmt: skip
    killed = {"signal": "SIGKILL"}
    assert answers == [
        {"terminalId": "term_1"},
        {"output": "", "truncated": False},
        {},
        killed,
        {"output": "", "truncated": False, "exitStatus": killed},
        {},
        {"code": -32002, "message": "There is no terminal term_1."},
    ]


async def test_long_output_is_cut_at_the_beginning_between_characters(terminal: Terminal) -> None:
    script = f"{sys.executable} -c 'print(chr(8364) * 100000)'"
    create = json.dumps(
        {"command": script, "outputByteLimit": 10, "env": [{"name": "PYTHONIOENCODING", "value": "utf-8"}]}
    )
    answers = await terminal(f"create {create}", f"wait_for_exit {ONE}", f"output {ONE}")
    assert answers[2] == {"output": "€€€\n", "truncated": True, "exitStatus": {"exitCode": 0}}


async def test_a_command_that_is_not_there_ends_as_in_a_shell(terminal: Terminal) -> None:
    answers = await terminal('create {"command": "nowhere"}', f"wait_for_exit {ONE}", f"output {ONE}")
    assert answers[1:] == [
        {"exitCode": 127},
        {
            "output": "nowhere: No such file or directory\n",
            "truncated": False,
            "exitStatus": {"exitCode": 127},
        },
    ]


async def test_a_terminal_does_not_start_outside_of_the_folder(terminal: Terminal) -> None:
    answers = await terminal(
        'create {"command": "ls", "cwd": "/"}', 'create {"command": "ls", "cwd": "none"}'
    )
    assert answers == [
        {"code": -32602, "message": f"/ is outside of the session's folder, {terminal.watcher.folder}."},
        {"code": -32002, "message": "none is no folder."},
    ]


async def test_there_are_only_so_many_terminals(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.runners.acp.terminals.MOST_TERMINALS", 1)
    answers = await terminal('create {"command": "true"}', 'create {"command": "true"}')
    assert answers[1] == {"code": -32603, "message": "There are 1 terminals already. Release some."}


async def test_no_command_outlives_the_turn_it_was_started_in(terminal: Terminal, mark: str) -> None:
    await terminal('create {"command": "sleep 300 & sleep 300"}')
    await until(lambda: not any("sleep" in line for line in marked(mark)))
    assert len(marked(mark)) > 0, "the agent itself lives on"


# what is no request, or nobody's


async def test_requests_that_mean_nothing_are_refused_and_the_agent_goes_on(
    link: Link, watcher: Watcher
) -> None:
    assert await asked(link, watcher, "fs/erase", path="x") == {
        "code": -32601,
        "message": "There is no fs/erase here.",
    }
    assert await asked(link, watcher, "fs/read_text_file", path=["x"]) == {
        "code": -32602,
        "message": "path: Input should be a valid string",
    }
    assert await asked(link, watcher, "_vendor/ask") == {
        "code": -32601,
        "message": "There is no _vendor/ask here.",
    }


async def test_a_request_of_a_session_without_a_turn_is_refused(link: Link, watcher: Watcher) -> None:
    assert await asked(link, watcher, "fs/read_text_file", path="x", sessionId="other") == {
        "code": -32602,
        "message": "Nobody attends to this session now: what is asked needs a turn that is under way.",
    }


async def test_no_line_of_an_agent_ends_the_connection(link: Link, watcher: Watcher) -> None:
    lines = [
        "garbage", "42", "[]", "null", '"text"', "{}", '{"id": [1], "result": 1}', '{"id": 999, "result": 1}',
        '{"id": 999, "error": "odd"}', '{"method": 7}', '{"method": "session/update"}',
        '{"method": "session/update", "params": {"sessionId": "none", "update": {}}}',
        '{"method": "_vendor/news", "params": [1]}', '{"method": "vendor/news"}', "[" * 100_000,
    ]  # fmt: skip
    await turn(link, watcher, "\n".join([*(f"LINE {line}" for line in lines), "SAY still here"]))
    assert (watcher.said, watcher.strays) == ("still here", [])


async def test_what_the_protocol_does_not_know_is_heard_as_it_came(link: Link, watcher: Watcher) -> None:
    odd = {"sessionUpdate": "weather", "sky": "blue"}
    broken = {"sessionUpdate": "tool_call", "toolCallId": 7}
    session = await link.agent.new_session(cwd=str(watcher.folder))
    news = {"sessionId": session.session_id, "new": 1}
    lines = [f"UPDATE {json.dumps(update)}" for update in (odd, broken)]
    lines += [f"NOTIFY {method} {json.dumps(news)}" for method in ("_v/news", "news")]
    with link.visit(session.session_id, watcher):
        await link.agent.prompt(prompt=[text_block("\n".join(lines))], session_id=session.session_id)
    assert watcher.heard == [odd, broken]
    assert watcher.strays == [("_v/news", news), ("news", news)]


async def test_half_a_character_is_heard_as_a_sign_in_its_place(link: Link, watcher: Watcher) -> None:
    session = await link.agent.new_session(cwd=str(watcher.folder))
    chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "a\ud83d"}}
    update = {"sessionId": session.session_id, "update": chunk}
    line = json.dumps({"method": "session/update", "params": update})
    with link.visit(session.session_id, watcher):
        await link.agent.prompt(prompt=[text_block(f"LINE {line}")], session_id=session.session_id)
    assert watcher.said == "a\ufffd"


async def test_an_agent_that_waits_for_a_person_is_told_when_the_turn_is_over(
    link: Link, watcher: Watcher
) -> None:
    watcher.leave.clear()
    session = await link.agent.new_session(cwd=str(watcher.folder))
    tool = json.dumps({"ask": ["allow_once"]})
    with link.visit(session.session_id, watcher):
        prompt = asyncio.create_task(
            link.agent.prompt(prompt=[text_block(f"TOOL {tool}")], session_id=session.session_id)
        )
        await watcher.asked.wait()
    assert (await prompt).stop_reason == "cancelled"


async def test_an_agent_that_asks_too_much_at_once_is_refused(
    link: Link, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.runners.acp.connection.MOST_ASKED", 1)
    waiting = Watcher(watcher.folder)
    waiting.leave.clear()
    first = asyncio.create_task(turn(link, waiting, 'TOOL {"ask": ["allow_once"]}'))
    await waiting.asked.wait()
    assert await asked(link, watcher, "fs/read_text_file", path="x") == {
        "code": -32603,
        "message": "Too many requests wait for an answer.",
    }
    waiting.leave.set()
    await first


async def test_an_error_of_an_agent_shows_no_secret(tmp_path: Path, watcher: Watcher) -> None:
    pool = Pool(a_launch(tmp_path, env={"API_KEY": "sesame"}))
    async with pool.use(ANN) as link:
        with pytest.raises(RequestError) as refusal:
            await turn(link, watcher, "ERROR -32603 Incorrect API key: sesame")
    await pool.close()
    assert (refusal.value.code, str(refusal.value)) == (-32603, "Incorrect API key: […]")
