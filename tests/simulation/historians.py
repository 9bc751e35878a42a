"""Clients who also undo, redo, compact and fork, among everything that other clients do."""

import asyncio
from collections.abc import Awaitable, Callable

from tenure.core.history import CompactSession, ForkSession, RedoTurns, UndoTurns
from tests.simulation.people import HABITS, Client


class Historian(Client):
    """A client who can't leave the history of a session alone."""

    async def act(self, steps: int) -> None:
        """Do `steps` things, with pauses between them."""
        for _ in range(steps * 2):
            await asyncio.sleep(self.draw.choice((0, 0, 0.001, 0.05, 0.3, 2.0)))
            if not self.sessions:
                await self.open()
            elif self.draw.random() < 0.5:
                (habit,) = self.draw.choices(HABITS, weights=[weight for _, weight in HABITS])
                await habit[0](self)
            else:
                await self.draw.choice(_OWN)(self)

    async def undo(self) -> None:
        session_id = self.pick()
        wish = UndoTurns(
            turns=self.draw.choice((None, 1, 2, 5)),
            interrupt=self.draw.random() < 0.6,
            dry_run=self.draw.random() < 0.1,
        )
        answer = await self.command(
            f"undo {session_id[-4:]}",
            lambda life, idem: life.host.histories.undo(self.user, session_id, wish, idem),
        )
        if answer is not None and not wish.dry_run and answer.value.message_ids:
            kind = "run.interrupting" if answer.value.pending else "transcript.undone"
            if answer.value.pending or answer.value.to_seq < answer.value.seq - 1:
                self.note(session_id, None, kind)

    async def redo(self) -> None:
        session_id = self.pick()
        answer = await self.command(
            f"redo {session_id[-4:]}",
            lambda life, idem: life.host.histories.redo(self.user, session_id, RedoTurns(), idem),
        )
        if answer is not None:
            self.note(session_id, answer.value.seq, "transcript.redone", answer.value.run_ids[-1])

    async def compact(self) -> None:
        session_id = self.pick()
        wish = CompactSession(instructions=f"# {self.name}.{self.asked}")
        answer = await self.command(
            f"compact {session_id[-4:]}",
            lambda life, idem: life.host.histories.compact(self.user, session_id, wish, idem),
        )
        if answer is not None:
            self.note(session_id, answer.value.seq, "message.admitted", answer.value.message_id)

    async def fork(self) -> None:
        session_id = self.pick()
        wish = ForkSession(at_seq=self.draw.choice((None, None, 1, 3, 8, 20)))
        answer = await self.command(
            f"fork {session_id[-4:]}",
            lambda life, idem: life.host.histories.fork(self.user, session_id, wish, idem),
        )
        if answer is not None:
            self.sessions.append(answer.value.id)
            self.note(answer.value.id, None, "session.created", session_id)
            self.note(session_id, None, "session.forked", answer.value.id)


_OWN: tuple[Callable[[Historian], Awaitable[None]], ...] = (
    Historian.undo,
    Historian.undo,
    Historian.redo,
    Historian.compact,
    Historian.fork,
)
