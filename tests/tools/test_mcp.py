"""Servers of tools: what they offer, what becomes of calls, and that nothing of them is left behind."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp_types import Tool as Offer

from tenure.core.principal import Role
from tenure.core.tool import ALWAYS, Replay
from tenure.errors import Code, TenureError
from tenure.ports.tool import Outcome, Tool, Verified
from tenure.tools.mcp import McpServer
from tenure.tools.offers import ServedTool
from tenure.tools.registry import Registry
from tenure.tools.servers import TALKATIVE, Endpoint, Program, ServerTable
from tests.tools.calls import a_call

pytestmark = pytest.mark.anyio

PROGRAM = (sys.executable, str(Path(__file__).with_name("toolserver.py")))
NAMES = ["add", "die", "environment", "fail", "grow", "linger", "shout"]


class Connected:
    """A registry over one server, and the news of it."""

    def __init__(self, table: ServerTable) -> None:
        self.server = McpServer(table, "test")
        self.registry = Registry(servers=[self.server])
        self.news = asyncio.Event()
        self.registry.on_change(self.news.set)

    @property
    def names(self) -> list[str]:
        """The tools that are there, by their own names."""
        return [tool.info.name.removeprefix("mcp:t/") for tool in self.registry.all()]

    def tool(self, name: str) -> Tool:
        """One of its tools."""
        tool = self.registry.get(f"mcp:t/{name}")
        assert tool is not None
        return tool

    async def call(self, name: str, **arguments: object) -> object:
        """What one call comes to."""
        return await self.tool(name).call(a_call(arguments))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a fact holds that news of the tools bring."""
        async with asyncio.timeout(20):
            while not holds():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def connected(
    reach: Program | Endpoint | None = None, timeout_s: float = 20.0, **replay: Replay
) -> AsyncGenerator[Connected, None]:
    """A registry that is connected to the program, or to what `reach` says."""
    table = ServerTable(name="t", reach=reach or Program(command=PROGRAM), replay=replay, timeout_s=timeout_s)
    there = Connected(table)
    await there.registry.start()
    try:
        yield there
    finally:
        await there.registry.stop()


@pytest.fixture
def address() -> Iterator[str]:
    """The same server behind HTTP; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen([*PROGRAM, "http", str(port)], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pids: list[int]) -> None:
    """Wait until processes are gone."""
    async with asyncio.timeout(20):
        while any(alive(pid) for pid in pids):  # noqa: ASYNC110 (processes of others tell nobody)
            await asyncio.sleep(0.01)


# what is offered


async def test_tools_of_a_program_have_its_name_schema_and_the_careful_terms() -> None:
    async with connected() as there:
        add = there.tool("add")

        assert there.names == NAMES
        assert add.info.name == "mcp:t/add"
        assert add.info.description == "Add two numbers."
        assert add.info.parameters["required"] == ["a", "b"]
        assert (add.approval, add.replay, add.role) == (ALWAYS, Replay.NEVER, Role.VIEWER)


@pytest.mark.sources("R20")
async def test_hints_of_a_server_never_loosen_anything_but_the_operators_word_does() -> None:
    async with connected(add=Replay.SAFE) as there:
        assert there.tool("add").replay is Replay.SAFE
        assert there.tool("shout").replay is Replay.NEVER


def test_replay_goes_by_the_most_exact_pattern_of_either_name() -> None:
    safe, never = Replay.SAFE, Replay.NEVER
    table = ServerTable(
        name="t",
        reach=Program(command=PROGRAM),
        replay={"list_*": safe, "list_secret": never, "mcp:t/get": safe},
    )

    assert [table.replay_of(name) for name in ("list_all", "list_secret", "get", "put")] == [
        safe,
        never,
        safe,
        never,
    ]


@pytest.mark.sources("R20")
def test_source_changes_with_program_address_and_schema_but_not_with_secrets() -> None:
    def source(reach: Program | Endpoint, schema: dict[str, object] | None = None) -> str:
        return ServerTable(name="t", reach=reach).source_of(schema or {"type": "object"})

    one = source(Program(command=("a",), env={"KEY": "1"}))

    assert one == source(Program(command=("a",), env={"KEY": "2"}))
    assert one != source(Program(command=("b",)))
    assert one != source(Program(command=("a",)), {"type": "object", "required": ["x"]})
    assert source(Endpoint(url="http://a/mcp?key=1")) == source(Endpoint(url="http://a/mcp?key=2"))
    assert source(Endpoint(url="http://a/mcp")) != source(Endpoint(url="http://b/mcp"))


async def test_a_list_that_grows_is_news() -> None:
    async with connected() as there:
        assert await there.call("grow") == {"result": "grown"}
        await there.until(lambda: "late" in there.names)

        assert await there.call("late", x=4) == {"result": 4}


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"properties": {"a": 5}}], ids=["no such type", "no schema inside"]
)
def test_a_tool_whose_schema_isnt_one_is_refused(schema: dict[str, object]) -> None:
    table = ServerTable(name="t", reach=Program(command=PROGRAM))

    with pytest.raises(ValueError, match="its schema isn't one"):
        ServedTool(table, Offer(name="x", input_schema=schema), nobody)


async def test_no_server_can_say_whether_a_call_was_done() -> None:
    table = ServerTable(name="t", reach=Program(command=PROGRAM))
    tool = ServedTool(table, Offer(name="x", input_schema={"type": "object"}), nobody)

    assert await tool.verify(a_call({})) == Verified(outcome=Outcome.UNKNOWN)


def test_what_a_schema_refers_to_by_address_is_never_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        schema: dict[str, object] = {
            "type": "object",
            "properties": {"a": {"$ref": f"http://127.0.0.1:{listener.getsockname()[1]}/schema"}},
        }
        table = ServerTable(name="t", reach=Program(command=PROGRAM))
        tool = ServedTool(table, Offer(name="x", input_schema=schema), nobody)

        with pytest.raises(TenureError, match="The schema of the tool mcp:t/x can't be used"):
            tool.check({"a": 1})
        with pytest.raises(BlockingIOError):
            listener.accept()


async def nobody(tool: str, call: object) -> object:
    """A connection that nobody may use."""
    raise AssertionError(tool)


# what is checked


async def test_arguments_that_dont_fit_are_refused_with_field_and_value() -> None:
    wrong: list[tuple[dict[str, object], str, str]] = [
        ({"a": "x", "b": 1}, "a", "'x'"),
        ({"a": 1}, "arguments", "{'a': 1}"),
        ({"a": 1.5, "b": 2}, "a", "1.5"),
    ]
    async with connected() as there:
        there.tool("add").check({"a": 1.0, "b": 2})
        for arguments, field, value in wrong:
            with pytest.raises(TenureError) as refusal:
                there.tool("add").check(arguments)

            assert (refusal.value.code, refusal.value.facts["field"]) == (Code.INVALID, field)
            assert f"can't take {value} as {field}" in refusal.value.detail


# calls


async def test_calls_answer_with_structured_content_else_with_text() -> None:
    async with connected() as there:
        assert await there.call("add", a=1, b=2) == {"result": 3}
        assert await there.call("shout", text="hello") == "HELLO"


async def test_a_tool_that_fails_is_an_error_with_its_own_words() -> None:
    async with connected(Program(command=PROGRAM, env={"TOKEN": "hunter22"})) as there:
        with pytest.raises(TenureError) as refusal:
            await there.call("fail", why="no such account: hunter22")

    assert refusal.value.code is Code.INTERNAL
    assert "no such account: […]" in refusal.value.detail


@pytest.mark.sources("P4")
async def test_a_call_that_isnt_answered_in_time_has_an_unknown_outcome() -> None:
    async with connected(timeout_s=0.3) as there:
        with pytest.raises(TenureError, match="didn't answer in time") as refusal:
            await there.call("linger", seconds=60)

    assert refusal.value.code is Code.OUTCOME_UNKNOWN


@pytest.mark.sources("P4")
async def test_a_call_in_which_the_server_dies_has_an_unknown_outcome_and_the_next_one_works() -> None:
    async with connected() as there:
        with pytest.raises(TenureError, match="went away during the call") as refusal:
            await there.call("die")

        assert refusal.value.code is Code.OUTCOME_UNKNOWN
        assert there.names == NAMES
        assert await there.call("add", a=1, b=2) == {"result": 3}


async def test_a_program_gets_its_own_environment_and_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TENURE_ADMIN_KEY", "tnr_secret")
    async with connected(Program(command=PROGRAM, env={"TOKEN": "hunter22"})) as there:
        environment = await there.call("environment")

    assert isinstance(environment, dict)
    assert environment["TOKEN"] == "hunter22"
    assert "TENURE_ADMIN_KEY" not in environment


# coming and going


async def test_secrets_of_a_server_never_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for library in TALKATIVE:  # as the server sets them, whatever level its operator asks for
        caplog.set_level(logging.WARNING, library)
    async with connected(Program(command=PROGRAM, env={"TOKEN": "Bearer hunter22"})) as there:
        await there.call("add", a=1, b=2)
    async with connected(Endpoint(url="http://127.0.0.1:9/mcp?key=hunter22", headers={"X-Key": "hunter22"})):
        pass

    assert "The server of tools t isn't there" in caplog.text
    assert "hunter22" not in caplog.text


async def test_no_process_is_left_when_the_host_stops(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    async with connected(Program(command=PROGRAM, env={"TRACE": str(trace)})) as there:
        await there.call("add", a=1, b=2)
        pids = [int(pid) for pid in trace.read_text().split()]
        assert all(alive(pid) for pid in pids)

    await gone(pids)


async def test_what_a_dead_program_left_behind_is_ended_too(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    async with connected(Program(command=PROGRAM, env={"TRACE": str(trace)})) as there:
        pids = [int(pid) for pid in trace.read_text().split()]
        with pytest.raises(TenureError):
            await there.call("die")
        await there.call("add", a=1, b=2)

        await gone(pids)


async def test_a_program_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    trace = tmp_path / "pid"
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(trace)!r}, 'w').write(str(os.getpid()))\n"
        "while True: signal.pause()\n"
    )
    there = Connected(ServerTable(name="t", reach=Program(command=(sys.executable, str(stubborn)))))
    starting = asyncio.ensure_future(there.registry.start())
    async with asyncio.timeout(20):
        while not trace.exists() or not trace.read_text():  # noqa: ASYNC110 (a program writes it)
            await asyncio.sleep(0.01)
    await there.registry.stop()
    await starting

    await gone([int(trace.read_text())])


async def test_a_start_goes_on_without_a_server_that_isnt_there(caplog: pytest.LogCaptureFixture) -> None:
    async with connected(Program(command=("/no/such/program",))) as there:
        assert there.names == []

    assert "The server of tools t isn't there: FileNotFoundError" in caplog.text


async def test_a_server_that_comes_later_is_connected_by_itself(tmp_path: Path) -> None:
    late = tmp_path / "late"
    async with connected(Program(command=(str(late),))) as there:
        assert there.names == []
        late.write_text(f"#!/bin/sh\nexec {' '.join(PROGRAM)}\n")
        os.chmod(late, 0o700)
        await there.until(lambda: there.names == NAMES)

        assert await there.call("add", a=1, b=2) == {"result": 3}


async def test_a_server_that_is_cancelled_with_its_loop_ends(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    there = Connected(ServerTable(name="t", reach=Program(command=PROGRAM, env={"TRACE": str(trace)})))
    await there.registry.start()
    task = next(task for task in asyncio.all_tasks() if task.get_name() == "mcp t")
    task.cancel()
    await asyncio.wait([task], timeout=20)

    assert task.done()
    await gone([int(pid) for pid in trace.read_text().split()])


# over HTTP


async def test_a_server_behind_http_is_the_same(address: str) -> None:
    async with connected(Endpoint(url=address, headers={"X-Key": "1"})) as there:
        await there.until(lambda: there.names == NAMES)

        assert await there.call("add", a=1, b=2) == {"result": 3}
        await there.call("grow")
        await there.until(lambda: "late" in there.names)


@pytest.mark.sources("P4")
async def test_a_server_behind_http_that_dies_in_a_call_leaves_an_unknown_outcome(address: str) -> None:
    async with connected(Endpoint(url=address)) as there:
        await there.until(lambda: there.names == NAMES)
        with pytest.raises(TenureError) as refusal:
            await there.call("die")

    assert refusal.value.code is Code.OUTCOME_UNKNOWN
