"""Clients who do whatever can be done: steer, change what waits, decide, undo, fork, retry, keep state."""

import asyncio
from collections.abc import Awaitable, Callable

from tenure.core.approval import ApprovalState
from tenure.core.artifact import Attachment
from tenure.core.command import (
    Answering,
    ChangeMessage,
    DecideApproval,
    OpenSession,
    Promotion,
    Remember,
    RetryRun,
    SendMessage,
)
from tenure.core.envelope import EventActor, EventEnvelope, EventInput
from tenure.core.message import BusyPolicy
from tenure.core.principal import Principal
from tenure.core.scope import Expected
from tenure.core.state import SetState, StateValue
from tenure.core.tool import Arguments
from tenure.core.view import ApprovalInfo, TranscriptItem, TranscriptPage
from tenure.errors import TenureError
from tenure.host.states import Addressed
from tenure.ports.approvals import ApprovalFilter
from tests.simulation.agents import script
from tests.simulation.historians import Historian
from tests.simulation.outside import Counted
from tests.simulation.people import HABITS
from tests.simulation.workers import COUNTER, WORKERS
from tests.simulation.world import Life, Unreachable

GOOD_FILE = Attachment(name="a.txt", content="aGVsbG8=")
BAD_FILE = Attachment(name="b.txt", content="this isn't base64")
PENDING = ApprovalFilter(None, None, ApprovalState.PENDING)
ANY = ApprovalFilter(None, None)


class Everyone(Historian):
    """A client who leaves nothing untried."""

    async def act(self, steps: int) -> None:
        """Do `steps` things, with pauses between them."""
        for _ in range(steps * 2):
            await asyncio.sleep(self.draw.choice((0, 0, 0.001, 0.05, 0.3, 2.0)))
            if not self.sessions:
                await self.open()
                continue
            (habit,) = self.draw.choices(_OWN, weights=[weight for _, weight in _OWN])
            await habit[0](self)

    async def usual(self) -> None:
        """What any client does."""
        (habit,) = self.draw.choices(HABITS, weights=[weight for _, weight in HABITS])
        await habit[0](self)

    async def open(self) -> None:
        wish = OpenSession(agent=self.draw.choice((*WORKERS, "scripted", "quirky")), title=f"of {self.name}")
        answer = await self.command(
            "open", lambda life, idem: life.host.commands.open_session(self.user, wish, idem)
        )
        if answer is not None:
            self.sessions.append(answer.value.id)
            self.note(answer.value.id, 1, "session.created")

    # --- messages

    async def send(self) -> None:
        await self._say(self.draw.choice(_POLICIES))

    async def steer(self) -> None:
        """A word to the run, and perhaps one to the next, all at once."""
        words = self.draw.choices((BusyPolicy.STEER, BusyPolicy.STEER, BusyPolicy.QUEUE), k=3)
        session_id = self.pick()
        await asyncio.gather(*(self._say(policy, session_id) for policy in words))

    async def _say(self, policy: BusyPolicy, session_id: str | None = None) -> None:
        session_id = session_id or self.pick()
        wish = SendMessage(
            content=f"{script(self.draw)}\n# {self.name}.{self.asked}",
            when_busy=policy,
            deadline_s=self.draw.choice((None, None, None, None, 2.0)),
            if_idle=self.draw.random() < 0.05,
        )
        answer = await self.command(
            f"{policy} {session_id[-4:]}",
            lambda life, idem: life.host.commands.send(self.user, session_id, wish, idem),
        )
        if answer is not None:
            self.note(session_id, answer.value.seq, "message.admitted", answer.value.message_id)

    async def _waiting(self, session_id: str) -> TranscriptItem | None:
        """One of the messages that wait, or that did a moment ago."""
        page = await self._page(session_id)
        return self.draw.choice(page.waiting) if page is not None and page.waiting else None

    async def _page(self, session_id: str) -> TranscriptPage | None:
        try:
            return await self.world.ask(lambda life: life.store.transcript(session_id, None, 1_000))
        except (TenureError, Unreachable):
            return None

    async def edit(self) -> None:
        session_id = self.pick()
        waits = await self._waiting(session_id)
        if waits is None:
            return
        wish = ChangeMessage(
            content=f"{script(self.draw)}\n# edited {self.name}.{self.asked}",
            if_version=self.draw.choice((None, 1)),
        )
        if await self._change(session_id, waits.message_id, wish):
            self.note(session_id, None, "message.updated", waits.message_id)

    async def promote(self) -> None:
        session_id = self.pick()
        waits = await self._waiting(session_id)
        if waits is None:
            return
        wish = ChangeMessage(promote=self.draw.choice((Promotion.NEXT, Promotion.STEER, True)))
        await self._change(session_id, waits.message_id, wish)

    async def _change(self, session_id: str, message_id: str, wish: ChangeMessage) -> bool:
        what = f"change {message_id[-4:]} {wish.promote or ''}"
        answer = await self.command(
            what, lambda life, _: life.host.commands.change_message(self.user, session_id, message_id, wish)
        )
        return answer is not None

    async def withdraw(self) -> None:
        session_id = self.pick()
        waits = await self._waiting(session_id)
        if waits is None:
            return
        gone = await self.command(
            f"withdraw {waits.message_id[-4:]}",
            lambda life, _: _done(
                life.host.commands.withdraw_message(self.user, session_id, waits.message_id)
            ),
        )
        if gone:
            self.note(session_id, None, "message.withdrawn", waits.message_id)

    async def retry(self) -> None:
        """Try the last run again. Most runs didn't fail."""
        session_id = self.pick()
        try:
            page = await self.world.ask(lambda life: life.store.runs(session_id, None, 1_000))
        except (TenureError, Unreachable):
            return
        failed = [run.id for run in page.data if run.status in ("failed", "timed_out", "lost")]
        if not failed:
            return
        run_id = self.draw.choice(failed)
        await self.command(
            f"retry {run_id[-4:]}",
            lambda life, idem: life.host.commands.retry_run(self.user, run_id, RetryRun(), idem),
        )

    # --- approvals

    async def decide(self) -> None:
        found = await self._approval(PENDING if self.draw.random() < 0.9 else ANY)
        if found is not None:
            await self._answer(found, self._answering(found))

    async def decide_twice(self) -> None:
        """Two answers at once: one of them comes too late."""
        found = await self._approval(PENDING)
        if found is not None:
            answers = [self._answer(found, self._answering(found)) for _ in range(2)]
            await asyncio.gather(*answers)

    async def decide_all(self) -> None:
        """Answer whatever waits, so that runs go on."""
        for found in await self._approvals(PENDING):
            await self._answer(found, DecideApproval(decision=Answering.APPROVE))

    async def revoke(self) -> None:
        found = await self._approval(ANY)
        if found is not None:
            approval_id = found.id
            await self.command(
                f"revoke {approval_id[-4:]}",
                lambda life, _: life.host.approvals.revoke(self.user, approval_id),
            )

    async def _approvals(self, which: ApprovalFilter) -> list[ApprovalInfo]:
        try:
            page = await self.world.ask(lambda life: life.store.approvals.page(which, None, 100))
        except (TenureError, Unreachable):
            return []
        return page.data

    async def _approval(self, which: ApprovalFilter) -> ApprovalInfo | None:
        found = await self._approvals(which)
        return self.draw.choice(found) if found else None

    def _answering(self, found: ApprovalInfo) -> DecideApproval:
        kind = self.draw.random()
        if kind < 0.2:
            return DecideApproval(decision=Answering.DENY, note="no")
        edited: Arguments | None = None
        if kind < 0.5:
            edited = {**found.arguments, "n": self.draw.randint(100, 999)}
        if kind < 0.25:
            edited = {"wrong": True}
        remember = Remember.SESSION if kind > 0.7 else None
        return DecideApproval(decision=Answering.APPROVE, arguments=edited, remember=remember)

    async def _answer(self, found: ApprovalInfo, ask: DecideApproval) -> None:
        approval_id = found.id
        answer = await self.command(
            f"{ask.decision} {approval_id[-4:]}",
            lambda life, idem: life.host.approvals.decide(self.user, approval_id, ask, idem),
        )
        if answer is not None:
            self.note(found.session_id, None, "approval.resolved", approval_id)
            asked = f"{ask.decision} {ask.arguments} of {self.name}"
            self.world.outside.decided.setdefault(approval_id, set()).add(asked)
            if answer.value.status == ApprovalState.PENDING:
                self.world.fault(f"{approval_id} was answered and is pending")

    # --- state and events

    async def count_together(self) -> None:
        """Several steps at once: of those that read the same, one may write."""
        session_id = self.pick()
        await asyncio.gather(*(self.count_up(session_id) for _ in range(3)))

    async def count_up(self, session_id: str | None = None) -> None:
        """A step of the session's counter, by compare and set."""
        session_id = session_id or self.pick()
        about = Addressed(session_id=session_id, scope="conversation")
        try:
            found = await self.world.ask(lambda life: _read(life, self.user, about))
            version, value = found.version, int(str(found.value)) + 1
        except TenureError:
            version, value = 0, 1
        except Unreachable:
            return
        write, over = SetState(value=value), Expected((version,))
        answer = await self.command(
            f"count {session_id[-4:]} to {value}",
            lambda life, idem: life.host.states.set(self.user, about, COUNTER, write, over, idem),
        )
        if answer is not None:
            counted = Counted(session_id, "conversation", answer.value.version, value)
            self.world.outside.counted.append(counted)
            self.note(session_id, None, "state.updated", f'"version":{answer.value.version}')

    async def forget_count(self) -> None:
        session_id = self.pick()
        about = Addressed(session_id=session_id, scope="conversation")
        await self.command(
            f"forget {session_id[-4:]}",
            lambda life, _: _done(life.host.states.delete(self.user, about, COUNTER, None)),
        )

    async def event(self) -> None:
        """Something happens on a platform; its connector may tell of it more than once."""
        number = self.draw.randint(1, 12)
        files = (GOOD_FILE, BAD_FILE) if number % 4 == 0 else ()
        event = EventEnvelope(
            event_id=f"evt_{number}",
            event_type="message.received" if number % 3 else "member.joined",
            source="sim",
            bot_id="bot",
            conversation_id=f"group {number % 2}",
            actor=EventActor(id=f"person {number % 3}"),
            input=EventInput(text=f"SAY {number}\n# event {number}", attachments=files),
        )
        poster = self.world.connector
        answer = await self.command(
            f"event {number}",
            lambda life, idem: life.host.front_door.receive(poster, event, idem),
        )
        if answer is None:
            return
        receipt = answer.value
        self.world.outside.received.setdefault(event.event_id, set()).add(receipt.message_id)
        self.note(receipt.session_id, receipt.seq, "message.admitted", receipt.message_id)
        if receipt.session_id not in self.sessions:
            self.sessions.append(receipt.session_id)

    async def discard(self) -> None:
        """Delete a file, whoever made it."""
        session_id = self.pick()
        try:
            page = await self.world.ask(lambda life: life.store.files.page(session_id, None, 100))
        except (TenureError, Unreachable):
            return
        if not page.data:
            return
        file_id = self.draw.choice(page.data).id
        gone = await self.command(
            f"discard {file_id[-4:]}",
            lambda life, _: _done(life.host.files.delete(self.user, session_id, file_id)),
        )
        if gone:
            self.note(session_id, None, "artifact.deleted", file_id)


async def _done(work: Awaitable[None]) -> bool:
    await work
    return True


async def _read(life: Life, by: Principal, about: Addressed) -> StateValue:
    return await life.host.states.read(by, about, COUNTER)


_POLICIES = (*BusyPolicy, BusyPolicy.QUEUE, BusyPolicy.STEER, BusyPolicy.STEER)
_OWN: tuple[tuple[Callable[[Everyone], Awaitable[None]], int], ...] = (
    (Everyone.usual, 40),
    (Everyone.send, 10),
    (Everyone.steer, 12),
    (Everyone.edit, 5),
    (Everyone.promote, 8),
    (Everyone.withdraw, 5),
    (Everyone.retry, 5),
    (Everyone.decide, 22),
    (Everyone.decide_twice, 4),
    (Everyone.decide_all, 4),
    (Everyone.revoke, 2),
    (Everyone.count_up, 4),
    (Everyone.count_together, 5),
    (Everyone.forget_count, 2),
    (Everyone.event, 6),
    (Everyone.discard, 2),
    (Everyone.undo, 5),
    (Everyone.redo, 4),
    (Everyone.compact, 3),
    (Everyone.fork, 3),
)
