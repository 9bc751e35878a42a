"""The contract suite over the runner of ACP agents, with the scripted one behind it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tenure.core.output import Output
from tenure.core.tool import Arguments
from tenure.errors import TenureError
from tenure.ports.runner import GatewayAccess, RunContext, ToolCalls
from tenure.runners.contract import (
    ARGUMENTS,
    BULK,
    FLOOD,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    OWN_ARGUMENTS,
    OWN_TOOL,
    PIECES,
    REASON,
    THOUGHT,
    TOOL,
    Act,
    RunnerContract,
    Stage,
)
from tenure.runners.rehearsal import FakeRun
from tests.runners.acp.scene import Scene, made, tool

USED = {
    "totalTokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "inputTokens": INPUT_TOKENS,
    "outputTokens": OUTPUT_TOKENS,
}

MESSAGES: dict[Act, str] = {
    Act.SPEAK: "\n".join(f"SAY {piece}" for piece in PIECES),
    Act.THINK: f"THINK {THOUGHT}\nSAY done",
    Act.FAIL: f"SAY hm\nERROR -32603 {REASON}",
    Act.CRASH: "SAY hm\nDIE 1",
    Act.TALK: "SLOW 100000 10",
    Act.WAIT: "SAY waiting\nSLOW 100000 100",
    Act.TIDY: "SAY waiting\nSLOW 100000 100",
    Act.FLOOD: f"FLOOD {FLOOD}",
    Act.BULK: f"HUGE {BULK}",
    Act.ECHO: "SAY ",
    Act.REMEMBER: "MET",
    Act.SPEND: f"USAGE {json.dumps(USED)}",
    Act.ATTACH: "SAY it says\nBLOCKS",
    Act.SEE: "SAY it has\nBLOCKS",
    Act.STEER: "SAY ready\nAWAIT 2",
    Act.USE: f"MCP {TOOL} {json.dumps(ARGUMENTS)}",
    Act.ASK: tool(
        title=OWN_TOOL,
        kind="other",
        input=OWN_ARGUMENTS,
        ask=["allow_always", "allow_once", "reject_once"],
        append="made",
    ),
    Act.CLOSE: "SAY waiting\nSLOW 100000 100",
}


class TestAcp(RunnerContract):
    lacks: ClassVar[Mapping[Act, str]] = {
        Act.VANISH: "an agent whose program ends in the middle of a turn has failed",
        Act.NUMBER: "the protocol has no numbers for updates",
        Act.STRAY: "what isn't of the protocol never becomes an output",
        Act.READ: "it reads the transcript for an agent that doesn't know it; no agent reads it by itself",
        Act.RECALL: "its agents reach the tools for it by the run gateway, as tests/http shows",
        Act.UNDO: "the agent keeps what was said in a memory of its own",
        Act.EDIT: "a person says yes or no to what the agent shows",
        Act.RESUME: "an agent that was let go is prompted again",
    }

    @pytest.fixture(autouse=True)
    async def theatre(self, tmp_path: Path) -> AsyncGenerator[None]:
        self.place = tmp_path
        self.scenes: list[Scene] = []
        yield
        for scene in self.scenes:
            await scene.pool.close()

    def stage(self, act: Act) -> Stage:
        store, log = self.place / "store", self.place / "log"
        store.mkdir(exist_ok=True)
        flags = ("--sees", "--http", "--steering", "--store", str(store), "--log", str(log))
        scene = made(self.place, *flags, steering=True, multimodal=True)
        self.scenes.append(scene)
        content = MESSAGES[act].replace('"made"', json.dumps(str(self.place / "made")))
        return Stage(
            WithGateway(scene) if act is Act.USE else scene.runner,
            content,
            tidied=lambda: "session/cancel" in log.read_text(),
            made=self.made,
            residence=scene.pool,
            left=lambda: scene.pool.programs,
        )

    def made(self) -> list[Arguments]:
        """What its own tool was called with."""
        path = self.place / "made"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class WithGateway:
    """The runner, where a run's gateway can be reached."""

    def __init__(self, scene: Scene) -> None:
        self.descriptor = scene.runner.descriptor
        self._scene = scene

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        assert isinstance(context, FakeRun)
        async with gateway(context.tools) as context.gateway:
            async for output in self._scene.runner.run(context):
                yield output


@asynccontextmanager
async def gateway(tools: ToolCalls) -> AsyncGenerator[GatewayAccess]:
    """As much of an MCP server as the scripted agent needs to call one tool."""
    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert "authorization: bearer secret" in head
            size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = json.dumps(await called(tools, json.loads(await reader.readexactly(size)))).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    try:
        yield GatewayAccess(f"http://127.0.0.1:{port}/mcp/run", "secret")
    finally:
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)


async def called(tools: ToolCalls, message: dict[str, Any]) -> object:
    """The answer to one message of MCP."""
    if message["method"] != "tools/call":
        return {"result": {}}
    asked = message["params"]
    try:
        text, fault = str(await tools.call(asked["name"], asked["arguments"])), False
    except TenureError as refusal:
        text, fault = refusal.detail, True
    return {"result": {"content": [{"type": "text", "text": text}], "isError": fault}}
