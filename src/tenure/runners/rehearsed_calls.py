"""What a rehearsed run asks people about its own calls, and what its runner keeps for itself."""

import asyncio
from collections.abc import Callable

from tenure.core.effect import CallStatus
from tenure.core.ids import EFFECT
from tenure.core.ledger import plain_arguments
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError
from tenure.ports.checkpoints import Checkpoint
from tenure.ports.runner import Permit

Judge = Callable[[str, Arguments], bool]


class FakeOwnCalls:
    """`OwnCalls` without people: `judge` says yes or no at once, yes by default.

    `asked` is what was asked for, `settled` how it ended. Clear `answering` to let questions wait, and
    wait for `questioned` until there is one; `withdrawn` are those that nobody waits for any more.
    `edited` are the arguments that people approve in place of those asked for. `kept` is what the
    run's checkpoint held at each question.
    """

    def __init__(self, checkpoint: Callable[[], bytes | None] = lambda: None) -> None:
        self._checkpoint = checkpoint
        self.asked: list[tuple[str, Arguments]] = []
        self.kept: list[bytes | None] = []
        self.withdrawn: list[tuple[str, Arguments]] = []
        self.edited: Arguments | None = None
        self.questioned = asyncio.Event()
        self.settled: dict[str, tuple[CallStatus, object]] = {}
        self.judge: Judge = lambda tool, arguments: True
        self.answering = asyncio.Event()
        self.answering.set()

    async def ask(self, tool: str, arguments: Arguments) -> Permit:
        """Ask the judge."""
        plain = plain_arguments(tool, arguments)
        self.asked.append((tool, plain))
        self.kept.append(self._checkpoint())
        call_id = f"{EFFECT}{len(self.asked):032x}"
        self.questioned.set()
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.withdrawn.append((tool, plain))
            raise
        granted = self.judge(tool, plain)
        approved = self.edited if granted and self.edited is not None else plain
        return Permit(call_id, granted, approved, None if granted else "denied by ada.")

    async def settle(self, call_id: str, status: CallStatus, result: object) -> None:
        """Keep how it ended. A call ends once."""
        if call_id in self.settled:
            raise TenureError(Code.CONFLICT, f"The call {call_id} was settled before. Settle a call once.")
        self.settled[call_id] = (status, result)


class FakeCheckpoints:
    """`Checkpoints` in a dictionary, `kept`, by run."""

    def __init__(self, run_id: str, kept: dict[str, bytes] | None = None) -> None:
        self._run_id = run_id
        self.kept = {} if kept is None else kept

    async def save(self, data: bytes) -> None:
        """Keep `data` for this run."""
        self.kept.pop(self._run_id, None)
        self.kept[self._run_id] = bytes(data)

    async def load(self, run_id: str | None = None) -> bytes | None:
        """What a run left."""
        return self.kept.get(run_id or self._run_id)

    async def latest(self) -> Checkpoint | None:
        """What was kept last."""
        return next((Checkpoint(*kept) for kept in reversed(self.kept.items())), None)
