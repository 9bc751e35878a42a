"""The programs of one agent, shared by the sessions of a person, ended when nobody needs them.

Implements `link.Links` for the runner and `Residence` for the host. Nothing here polls: a program that is
idle has one timer, and one that ends by itself is noticed by its end.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from acp import RequestError
from pydantic import ValidationError

from tenure.errors import Code, TenureError
from tenure.runners.acp.connection import Connection
from tenure.runners.acp.greeting import greet
from tenure.runners.acp.launch import Launch
from tenure.runners.acp.link import Link, Person
from tenure.runners.acp.sandbox import bubblewrap
from tenure.runners.acp.surroundings import Surroundings

log = logging.getLogger("tenure.acp")

MOST_CRASHES = 6
"""After how many crashes and failed starts within `CRASH_SPAN_S` no other start is tried."""

CRASH_SPAN_S = 60.0
"""For how long a crash is held against the command, in seconds."""

CLOSE_S = 10.0
"""How long all programs together may take to end, in seconds. What can't be killed is left alone then."""

FAREWELL_S = 2.0
"""How long an agent may take to close a session, in seconds."""


class Key(NamedTuple):
    """Whose a program is. One in a sandbox is for the session of one folder."""

    person: Person
    folder: Path | None


class Slot:
    """The place of one program, from the wish to have it until it is gone."""

    def __init__(self, key: Key, starting: "asyncio.Task[Connection]") -> None:
        self.key = key
        self.starting = starting
        self.users = 0
        self.idle_since = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.left = False
        """Whether a session was closed or deleted that it served."""

    @property
    def connection(self) -> Connection | None:
        """The program, once it shook hands."""
        if not self.starting.done() or self.starting.cancelled() or self.starting.exception() is not None:
            return None
        return self.starting.result()

    @property
    def usable(self) -> bool:
        """Whether it starts, or can be talked to."""
        return not self.starting.done() or ((found := self.connection) is not None and found.fit)

    @property
    def needed(self) -> bool:
        """Whether anyone uses it, or a session has its memory in it."""
        return self.users > 0 or ((found := self.connection) is not None and bool(found.sessions))


class Pool:
    """Implements `link.Links` and `ports.runner.Residence`."""

    def __init__(self, launch: Launch) -> None:
        """Starts nothing. Raises ConfigError if the sandbox that was asked for isn't there."""
        self._launch = launch
        self._bwrap = bubblewrap(launch.name) if launch.sandbox == "bubblewrap" else None
        self._slots: dict[Key, Slot] = {}
        self._alive: set[Connection] = set()
        self._crashes: defaultdict[Key, deque[float]] = defaultdict(deque)
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: str | None = None
        self._closed = False

    @property
    def fault(self) -> str | None:
        """Why the last start failed, until one works."""
        return self._fault

    @property
    def _why(self) -> str:
        return (self._fault or "").removeprefix(self._launch.refusal)

    @property
    def programs(self) -> int:
        """How many programs there are, those that start or end included."""
        return len(self._alive) + sum(slot.connection is None for slot in self._slots.values())

    @asynccontextmanager
    async def use(self, person: Person, folder: Path | None = None) -> AsyncGenerator[Link]:
        """The program of a person (`link.Links.use`), started once for all who want it at the same time.

        Raises TenureError `runner_unavailable`, and `capacity` if all of `max_programs` are in use.
        """
        slot = self._taken(Key(person, folder if self._bwrap else None))
        try:
            yield await self._begun(slot)
        finally:
            self._give_back(slot)

    async def drop(self, link: Link) -> None:
        """Kill a program (`link.Links.drop`). One that is gone already is no matter."""
        for slot in (*self._slots.values(),):
            if (found := slot.connection) is not None and found is link:
                self._remove(slot)
                await self._kill(found)

    def kept(self) -> Iterable[str]:
        """The sessions whose memory a program holds."""
        links = (slot.connection for slot in self._slots.values())
        return [session_id for link in links if link is not None for session_id in link.sessions]

    async def forget(self, session_id: str) -> None:
        """Let go of a session: the agent is told, and a program that nothing else needs is ended."""
        for slot in (*self._slots.values(),):
            if (found := slot.connection) is None or session_id not in found.sessions:
                continue
            slot.left = True
            await self._say_farewell(found, found.sessions.pop(session_id))
            if not slot.needed and self._remove(slot):
                await self._end(found)

    async def close(self) -> None:
        """End all programs and start no more. Takes seconds at most."""
        self._closed = True
        for slot in (*self._slots.values(),):
            self._retire(slot)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)
        for task in self._tasks:
            task.cancel()

    async def _begun(self, slot: Slot) -> Connection:
        """The program of a slot. Whoever stops waiting leaves the start to the others."""
        await asyncio.wait([slot.starting])
        if slot.starting.cancelled():
            raise self._stopping()
        return slot.starting.result()

    def _stopping(self) -> TenureError:
        return self._launch.unavailable("The host is stopping; try again in a moment.")

    def _taken(self, key: Key) -> Slot:
        slot = self._slots.get(key)
        if slot is None or not slot.usable:
            slot = self._opened(key)
        slot.users += 1
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None
        return slot

    def _opened(self, key: Key) -> Slot:
        if self._closed:
            raise self._stopping()
        self._check_crashes(key)
        self._make_room(key)
        slot = Slot(key, asyncio.create_task(self._start(key), name=f"start of {self._launch.name}"))
        slot.starting.add_done_callback(lambda _: self._started(slot))
        self._slots[key] = slot
        return slot

    def _check_crashes(self, key: Key) -> None:
        """Refuse to start what crashes again and again. What lies long back is forgotten."""
        since = asyncio.get_running_loop().time() - CRASH_SPAN_S
        for other in (*self._crashes,):
            while self._crashes[other] and self._crashes[other][0] < since:
                self._crashes[other].popleft()
            if not self._crashes[other]:
                del self._crashes[other]
        if key in self._crashes and len(self._crashes[key]) >= MOST_CRASHES:
            raise self._launch.unavailable(
                f"It ended unasked {MOST_CRASHES} times within {CRASH_SPAN_S:g} s, so it isn't started again "
                f"for now. {self._why}".rstrip()
            )

    def _make_room(self, key: Key) -> None:
        """End the program that was idle for longest if there are as many as there may be."""
        former = self._slots.pop(key, None)
        if former is not None or len(self._slots) < self._launch.max_programs:
            return
        idle = [slot for slot in self._slots.values() if slot.users == 0 and slot.connection is not None]
        if not idle:
            raise TenureError(
                Code.CAPACITY,
                f"All {self._launch.max_programs} programs of the agent {self._launch.name} are in use. Try "
                f"again when a run has ended, or raise agents.{self._launch.name}.max_programs.",
                scope="programs",
                limit=self._launch.max_programs,
                current=len(self._slots),
            )
        self._retire(min(idle, key=lambda slot: slot.idle_since))

    def _give_back(self, slot: Slot) -> None:
        slot.users -= 1
        if slot.users or self._slots.get(slot.key) is not slot:
            return
        if slot.left and not slot.needed:
            self._retire(slot)
            return
        loop = asyncio.get_running_loop()
        slot.idle_since = loop.time()
        slot.timer = loop.call_later(self._launch.keep_s, self._retire, slot)

    def _retire(self, slot: Slot) -> None:
        """Have a program ended, or its start given up, while others go on."""
        if not self._remove(slot):
            return
        if (found := slot.connection) is not None:
            self._spawn(self._end(found))
        elif not slot.starting.done():
            slot.starting.cancel()
            self._spawn(_settled(slot.starting))

    def _remove(self, slot: Slot) -> bool:
        """Give a slot's place away. False if that was done before."""
        if slot.timer is not None:
            slot.timer.cancel()
        if self._slots.get(slot.key) is not slot:
            return False
        del self._slots[slot.key]
        return True

    async def _start(self, key: Key) -> Connection:
        launch = self._launch
        try:
            around = await asyncio.to_thread(Surroundings.of, launch, *key.person, self._bwrap)
            program = await around.start(key.folder)
        except OSError as fault:
            raise launch.unavailable(f"{launch.command[0]} can't be started: {fault}.") from fault
        connection = Connection(program, launch, around.run)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._kill, connection)
            connection.hello = await greet(connection.agent, launch, program, connection.wire)
            undo.pop_all()
        return connection

    def _started(self, slot: Slot) -> None:
        """A start came to its end: watch over what came of it, or keep in mind what went wrong."""
        if slot.starting.cancelled():
            return
        fault = slot.starting.exception()
        if fault is None:
            self._fault = None
            self._alive.add(slot.starting.result())
            self._spawn(self._watch(slot, slot.starting.result()))
            return
        self._fault = fault.detail if isinstance(fault, TenureError) else str(fault)
        self._note_crash(slot)
        self._remove(slot)

    async def _watch(self, slot: Slot, connection: Connection) -> None:
        """Clear up after a program that ends."""
        await connection.ended.wait()
        if self._remove(slot):
            log.warning("The agent %s ended unasked. %s", self._launch.name, connection.last_words)
            self._note_crash(slot)
        await connection.close()
        self._alive.discard(connection)

    def _note_crash(self, slot: Slot) -> None:
        self._crashes[slot.key].append(asyncio.get_running_loop().time())

    async def _end(self, connection: Connection) -> None:
        await connection.program.end()
        await connection.close()

    async def _kill(self, connection: Connection) -> None:
        await connection.program.kill()
        await connection.close()

    async def _say_farewell(self, connection: Connection, acp_session_id: str) -> None:
        """Have the agent close a session, if it knows how. It is forgotten here whatever comes of it."""
        capabilities = connection.hello.agent_capabilities
        sessions = capabilities.session_capabilities if capabilities else None
        if sessions is None or sessions.close is None or not connection.fit:
            return
        with suppress(TimeoutError, ConnectionError, RequestError, ValidationError):
            async with asyncio.timeout(FAREWELL_S):
                await connection.agent.close_session(acp_session_id)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _settled(task: "asyncio.Task[Connection]") -> None:
    """Wait for the end of a start that was given up."""
    await asyncio.wait([task])
