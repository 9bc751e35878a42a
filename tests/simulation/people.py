"""Clients in simulation: they command, follow, cut, resume and repeat, and note what they are told."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenure.core.command import (
    CloseSession,
    InterruptRun,
    OpenSession,
    SendMessage,
    UpdateSession,
    Waiting,
)
from tenure.core.evidence import Acknowledged
from tenure.core.message import BusyPolicy
from tenure.core.principal import Principal
from tenure.core.run import RUN, RunState
from tenure.errors import Code, TenureError
from tenure.host.fanout import Delivery, Ended, Follower, Gap, UpToDate
from tenure.ports.store import Idempotency
from tests.simulation.agents import script
from tests.simulation.world import Life, Unreachable, World

T = TypeVar("T")

REFUSALS = {
    Code.ALREADY_RESOLVED,
    Code.BUSY,
    Code.CONFLICT,
    Code.FORBIDDEN,
    Code.INVALID,
    Code.CAPACITY,
    Code.NOT_FOUND,
    Code.NOT_RUNNING,
    Code.PRECONDITION_FAILED,
    Code.SESSION_CLOSED,
    Code.STORE_FULL,
    Code.DRAINING,
    Code.ALREADY_RESOLVED,
    Code.NOT_WAITING,
    Code.STALE,
    Code.UNSUPPORTED,
    Code.RETIRED,
}


class Client:
    """One client of one user. It does `steps` drawn things, then lets go."""

    def __init__(self, world: World, user: Principal, number: int, seed: int) -> None:
        self.world = world
        self.user = user
        self.name = f"client{number}"
        self.draw = random.Random(f"{self.name} {seed}")
        self.sessions: list[str] = []
        self.readers: list[Reader] = []
        self.asked = 0

    async def act(self, steps: int) -> None:
        """Do `steps` things, with pauses between them."""
        for _ in range(steps):
            await asyncio.sleep(self.draw.choice((0, 0, 0.001, 0.05, 0.3, 2.0)))
            if not self.sessions:
                await self.open()
                continue
            (habit,) = self.draw.choices(HABITS, weights=[weight for _, weight in HABITS])
            await habit[0](self)

    # --- commands

    async def command(self, what: str, act: Callable[[Life, Idempotency], Awaitable[T]]) -> T | None:
        """Ask for something; after a lost answer, ask again under the same key. None if it was refused."""
        self.asked += 1
        idem = Idempotency(f"{self.name}-{self.asked}", what)
        for _ in range(self.draw.choice((1, 2, 4, 8))):
            try:
                answer = await self.world.ask(lambda life: act(life, idem))
            except Unreachable:
                self.world.say(f"{what}: no answer")
                continue
            except TenureError as refusal:
                self.world.say(f"{what}: refused, {refusal.code}")
                if refusal.code not in REFUSALS:
                    self.world.fault(f"{what} was refused with {refusal.code}: {refusal.detail}")
                return None
            self.world.say(f"{what}: ok")
            return answer
        return None

    def note(self, session_id: str, seq: int | None, type_: str, subject: str = "") -> None:
        """Write down what the host acknowledged. It must be durable by now."""
        self.world.notes_of(session_id).acknowledged.append(Acknowledged(seq, type_, subject))

    def pick(self) -> str:
        """One of the sessions that this client knows."""
        return self.draw.choice(self.sessions)

    async def open(self) -> None:
        agent = self.draw.choice(("scripted", "scripted", "quirky"))
        wish = OpenSession(agent=agent, title=f"of {self.name}")
        answer = await self.command(
            "open", lambda life, idem: life.host.commands.open_session(self.user, wish, idem)
        )
        if answer is not None:
            self.sessions.append(answer.value.id)
            self.note(answer.value.id, 1, "session.created")

    async def send(self) -> None:
        session_id = self.pick()
        words = f"{script(self.draw)}\n# {self.name}.{self.asked}"
        wish = SendMessage(
            content=words,
            when_busy=self.draw.choice((BusyPolicy.QUEUE, BusyPolicy.QUEUE, BusyPolicy.REJECT)),
            deadline_s=self.draw.choice((None, None, None, 1.0, 3.0)),
            if_idle=self.draw.random() < 0.1,
        )
        answer = await self.command(
            f"send {session_id[-4:]}",
            lambda life, idem: life.host.commands.send(self.user, session_id, wish, idem),
        )
        if answer is not None:
            self.note(session_id, answer.value.seq, "message.admitted", answer.value.message_id)

    async def burst(self) -> None:
        for _ in range(self.draw.randint(2, 4)):
            await self.send()

    async def send_and_stop(self) -> None:
        """Stop a run just as it starts, speaks or ends."""
        await self.send()
        await asyncio.sleep(self.draw.choice((0, 0, 0.001, 0.02, 0.1, 0.4)))
        await self.interrupt()

    async def rush(self) -> None:
        """Several commands at once, so that one transaction decides on them all."""
        hurry = self.draw.choices(_RUSH, k=self.draw.randint(2, 4))
        await asyncio.gather(*(command(self) for command in hurry))

    async def interrupt(self, session_id: str | None = None) -> None:
        session_id = session_id or self.pick()
        wish = InterruptRun(force=self.draw.random() < 0.2, waiting=self.draw.choice(tuple(Waiting)))
        answer = await self.command(
            f"interrupt {session_id[-4:]} {wish.waiting}",
            lambda life, idem: life.host.commands.interrupt(self.user, session_id, wish, idem),
        )
        if answer is None or answer.value.run_id is None:
            return
        stopped = answer.value.status == RunState.INTERRUPTING
        kind = "run.interrupting" if stopped else "run.finished"
        self.note(session_id, None, kind, answer.value.run_id)
        if stopped and not answer.replayed:
            self.world.loop.spawn("watch", self._expect_end(session_id, answer.value.run_id))

    async def _expect_end(self, session_id: str, run_id: str) -> None:
        """A stopped run is over soon, unless its host died or its disk was full meanwhile."""
        era, patience = self.world.era(run_id), self.world.stop_s
        await asyncio.sleep(patience)
        if era is None or self.world.era(run_id) != era:
            return
        run = await (await self.world.living()).store.run(run_id)
        if run is not None and RunState(run.status) not in RUN.terminal:
            self.world.fault(f"the run {run_id} of {session_id} is {run.status} {patience} s after its stop")

    async def update(self) -> None:
        session_id = self.pick()
        title = f"title {self.asked}"
        wish = UpdateSession(title=title)
        answer = await self.command(
            f"update {session_id[-4:]}",
            lambda life, _: life.host.commands.update_session(self.user, session_id, wish),
        )
        if answer is not None:
            self.note(session_id, answer.as_of_seq, "session.updated", title)

    async def close(self) -> None:
        session_id = self.pick()
        answer = await self.command(
            f"close {session_id[-4:]}",
            lambda life, idem: life.host.commands.close_session(self.user, session_id, CloseSession(), idem),
        )
        if answer is not None:
            self.note(session_id, None, "session.closed")

    async def reopen(self) -> None:
        session_id = self.pick()
        await self.command(
            f"reopen {session_id[-4:]}",
            lambda life, idem: life.host.commands.reopen_session(self.user, session_id, idem),
        )

    async def delete(self) -> None:
        session_id = self.pick()
        self.world.notes_of(session_id).deletion_asked = True
        await self.command(
            f"delete {session_id[-4:]}",
            lambda life, _: life.host.commands.delete_session(self.user, session_id),
        )
        # Two may delete one at the same time.
        if len(self.sessions) > 1 and session_id in self.sessions:
            self.sessions.remove(session_id)

    async def look(self) -> None:
        """Read the transcript; it is compared with the journal later."""
        session_id = self.pick()
        try:
            page = await self.world.ask(lambda life: life.store.transcript(session_id, None, 1_000))
        except (TenureError, Unreachable):
            return
        if page.as_of_seq:
            self.world.notes_of(session_id).transcripts.append(page)

    async def follow(self) -> None:
        """Begin to follow a session; the reader goes on in the background."""
        reader = Reader(self.world, self.pick(), self.draw.getrandbits(32))
        self.readers.append(reader)
        reader.task = self.world.loop.spawn(self.name, reader.read())


_RUSH = (Client.send, Client.send, Client.interrupt, Client.interrupt, Client.close, Client.update)
HABITS: tuple[tuple[Callable[[Client], Awaitable[None]], int], ...] = (
    (Client.send, 30),
    (Client.rush, 10),
    (Client.burst, 6),
    (Client.interrupt, 6),
    (Client.send_and_stop, 10),
    (Client.follow, 12),
    (Client.look, 10),
    (Client.update, 4),
    (Client.open, 6),
    (Client.close, 2),
    (Client.reopen, 4),
    (Client.delete, 2),
)


class Pipe:
    """A connection's way down: what the host sent and the client hasn't read yet."""

    def __init__(self) -> None:
        self.parcels: deque[list[bytes] | str] = deque()
        self.arrived = asyncio.Event()
        self.cut = False
        self.follower: Follower | None = None

    def send(self, parcel: list[bytes] | str) -> None:
        self.parcels.append(parcel)
        self.arrived.set()


class Reader:
    """Follows one session from its beginning, over cuts and crashes, until it is told to finish."""

    def __init__(self, world: World, session_id: str, seed: int) -> None:
        self.world = world
        self.session_id = session_id
        self.draw = random.Random(seed)
        self.at = 0
        self.done = False
        self.finishing = False
        self.task: asyncio.Task[None] | None = None
        self._connections: list[tuple[int, list[bytes]]] = []
        world.notes_of(session_id).readers.append(self._connections)

    async def read(self) -> None:
        """Connect again and again."""
        while not self.done:
            life = await self.host()
            frames: list[bytes] = []
            self._connections.append((self.at, frames))
            pipe = Pipe()
            serving = self.world.loop.spawn(life.node, self._serve(life, pipe))
            patience = self.draw.choice((0.01, 0.5, 3.0, 30.0, 300.0))
            try:
                await self._drain(life, pipe, frames, patience)
            finally:
                pipe.cut = True
                self._hang_up(life, pipe, serving)
            await asyncio.sleep(self.draw.choice((0, 0.01, 0.5)))

    async def host(self) -> Life:
        """Where it connects to."""
        return await self.world.living()

    def _hang_up(self, life: Life, pipe: Pipe, serving: asyncio.Task[None]) -> None:
        """The host notices in either of two ways that a client is gone."""
        if life.over.done() or serving.done():
            return
        if pipe.follower is not None and self.draw.random() < 0.5:
            pipe.follower.wake()
        else:
            serving.cancel()

    async def _drain(self, life: Life, pipe: Pipe, frames: list[bytes], patience: float) -> None:
        until = self.world.loop.time() + patience
        while not pipe.cut:
            while pipe.parcels:
                self._take(pipe, pipe.parcels.popleft(), frames)
            pipe.arrived.clear()
            left = until - self.world.loop.time()
            if pipe.cut or life.over.done() or (left <= 0 and not self.finishing):
                return
            # A reader that finishes doesn't connect anew: what it still lacks must come by itself.
            waiter = asyncio.ensure_future(pipe.arrived.wait())
            timeout = None if self.finishing else left
            await asyncio.wait([waiter, life.over], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()

    def _take(self, pipe: Pipe, parcel: list[bytes] | str, frames: list[bytes]) -> None:
        if isinstance(parcel, str):
            pipe.cut = True
            self.done = parcel in ("deleted", "not_found")
            return
        frames += parcel
        self.at += len(parcel)

    async def _serve(self, life: Life, pipe: Pipe) -> None:
        """The host's side of the connection. As at the front door, a session that is gone is not found."""
        try:
            if await life.store.ground(self.session_id) is None:
                pipe.send("not_found")
                return
            follower = await life.host.fanout.follow(self.session_id, self.at)
        except TenureError as refusal:
            if refusal.code is Code.STORE_UNAVAILABLE:
                pipe.send("unavailable")
                return
            self.world.fault(f"following {self.session_id} after {self.at}: {refusal.detail}")
            pipe.send("not_found")
            return
        pipe.follower = follower
        with follower:
            await self._pump(follower, pipe)

    async def _pump(self, follower: Follower, pipe: Pipe) -> None:
        while not pipe.cut:
            step = await follower.next()
            match step:
                case Delivery():
                    self._check_durable(step.last)
                    pipe.send(step.envelopes())
                    await asyncio.sleep(self.world.latency())
                case UpToDate(head_seq):
                    self._check_durable(head_seq)
                case Ended(reason):
                    pipe.send(reason)
                    return
                case Gap():
                    self.world.fault(f"a gap in {self.session_id}: {step}")
                case None:
                    pass

    def _check_durable(self, seq: int) -> None:
        """Nothing is shown before it is on disk."""
        head = self.world.disk.head(self.session_id)
        if head is not None and head < seq:
            self.world.fault(f"entry {seq} of {self.session_id} was shown before it was durable")
