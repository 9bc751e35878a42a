"""A runner against the port that does what an `@tenure.agent` can't: ask for own calls, keep, go on."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from tenure.core.content import file_ids_of
from tenure.core.effect import CallStatus
from tenure.core.grant import Capabilities, Descriptor
from tenure.core.output import Output, Text, completed, failed
from tenure.core.tool import Arguments
from tenure.ports.runner import RunContext
from tenure.runners.contract import AFTER, BEFORE, OWN_ARGUMENTS, OWN_TOOL, REASON, REMEMBERED

Deed = Callable[["Performer", RunContext], AsyncGenerator[Output, None]]

ABLE = Capabilities(approvals=True, resume=True, attachments=True, multimodal=True)


class Performer:
    """Does one deed, and counts how often its own tool was called."""

    def __init__(self, deed: Deed, can: Capabilities = ABLE) -> None:
        self.made: list[Arguments] = []
        self._deed = deed
        self._can = can

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(runner="performer", capabilities=self._can)

    def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        return self._deed(self, context)

    async def ask(self, context: RunContext) -> None:
        """Ask about the own tool, and call it if somebody says yes."""
        permit = await context.own.ask(OWN_TOOL, OWN_ARGUMENTS)
        if permit.granted:
            self.made.append(permit.arguments)
            await context.own.settle(permit.call_id, CallStatus.OK, None)


async def ask(me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    await me.ask(context)
    yield completed()


async def resume(me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    if not context.resumed:
        yield Text(BEFORE)
        await context.checkpoints.save(b"asked")
    assert await context.checkpoints.load() == b"asked"
    await me.ask(context)
    yield Text(AFTER)
    yield completed()


async def remember(_me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    if await context.checkpoints.latest() is not None:
        yield Text(REMEMBERED)
    await context.checkpoints.save(b"seen")
    yield completed()


async def read_file(_me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    [file_id] = file_ids_of(context.message.content)
    yield Text((await context.files.read(file_id)).decode())
    yield completed()


async def count_file(_me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    [info] = await context.files.infos()
    yield Text(str((context.files.folder / info.name).stat().st_size))
    yield completed()


async def careless(me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    """Makes the call first, and asks then."""
    me.made.append(OWN_ARGUMENTS)
    await me.ask(context)
    yield completed()


async def deaf(me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    """Makes what it asked for, whatever people approve."""
    permit = await context.own.ask(OWN_TOOL, OWN_ARGUMENTS)
    me.made.append(OWN_ARGUMENTS)
    await context.own.settle(permit.call_id, CallStatus.OK, None)
    yield completed()


async def forgetful(me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    """Starts over although it goes on."""
    yield Text(BEFORE)
    await context.checkpoints.save(b"asked")
    await me.ask(context)
    yield Text(AFTER)
    yield completed()


async def late(me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    """Keeps its checkpoint while people are asked already."""
    asking = asyncio.create_task(me.ask(context))
    await asyncio.sleep(0)
    await context.checkpoints.save(b"asked")
    await asking
    yield completed()


async def talkative(_me: Performer, context: RunContext) -> AsyncGenerator[Output, None]:
    """Fails, and says something more, and that it completed."""
    yield failed(REASON)
    yield Text(AFTER)
    yield completed()


class Leaky(Performer):
    """Leaves a task behind when it is cancelled."""

    def __init__(self) -> None:
        super().__init__(ask, ABLE)
        self.left: list[asyncio.Task[bool]] = []

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        self.left.append(asyncio.create_task(asyncio.Event().wait()))
        yield Text("waiting")
        await asyncio.Event().wait()


class Keeper:
    """A runner with a process for each session, which it keeps until it is told to let go."""

    def __init__(self, *, leaks: bool = False) -> None:
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self._leaks = leaks

    descriptor = Descriptor(runner="keeper", capabilities=Capabilities(interrupt=False, undo=False))
    fault: str | None = None

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        process = self.processes.get(context.session_id) or await self._started(context.session_id)
        yield Text("working")
        await process.wait()

    async def _started(self, session_id: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1, stdout=-3)
        self.processes[session_id] = process
        return process

    def kept(self) -> Iterable[str]:
        return list(self.processes)

    async def forget(self, session_id: str) -> None:
        process = self.processes.pop(session_id, None)
        if process is not None:
            await stopped(process)

    async def close(self) -> None:
        if not self._leaks:
            await asyncio.gather(*(self.forget(session_id) for session_id in [*self.processes]))

    def left(self) -> int:
        return sum(process.returncode is None for process in self.processes.values())


async def stopped(process: asyncio.subprocess.Process) -> None:
    """End a process and wait until it is gone."""
    process.kill()
    assert process.stdin is not None
    process.stdin.close()
    waiting: Awaitable[int] = process.wait()
    await waiting
