"""The stage of the runner suite: acts, what a runner under test brings, and how it is driven."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from enum import StrEnum
from typing import ClassVar, NamedTuple

import pytest

from tenure.core.content import text_of
from tenure.core.output import Output, Said, Text, Verdict
from tenure.core.tool import Arguments
from tenure.core.view import TranscriptItem
from tenure.errors import Code, TenureError
from tenure.ports.runner import Residence, Runner
from tenure.runners.rehearsal import FakeRun

PIECES = ["one ", "двa 🎈 ", "三 ", "'\"\\{}<&> ", "\u202efour\u202c"]
THOUGHT = "let me see"
REASON = "no luck today"
NUMBERS = ["0", "1", "1", "x", "5"]
FLOOD = 10_000
BULK = 1024 * 1024
STRAY = 42

TOOL = "note"
"""The tool of the host that acts call."""
ARGUMENTS: Arguments = {"text": "buy bread"}
RESULT = "kept as 7"
"""What that tool answers."""
WHY = "the ink ran out"
"""Why it fails or is refused, in the cases where it is."""

OWN_TOOL = "wipe"
"""The tool of the agent's own that acts ask people about."""
OWN_ARGUMENTS: Arguments = {"path": "old.txt"}
EDITED: Arguments = {"path": "older.txt"}
"""What a person approves in place of OWN_ARGUMENTS."""

RECALLED, RECALL_S = "SAY look again", 90.0
"""What is to be said later, and in how many seconds."""

STEERED = ("left", "right")
"""The messages that steer."""
INPUT_TOKENS, OUTPUT_TOKENS = 7, 3
FILE = ("note.txt", b"the cellar key hangs behind the clock")
PICTURE = ("dot.png", bytes.fromhex("89504e470d0a1a0a") + b"\0" * 61)
REMEMBERED = "we have met"
BEFORE, AFTER = "on it", "all done"

PATIENCE_S = 20.0
"""How long any wait of the suite may take, in seconds."""


class Act(StrEnum):
    """What a runner may be asked to do on stage."""

    SPEAK = "speak: say PIECES as they are, then complete"
    THINK = "think: think THOUGHT, then say something and complete"
    FAIL = "fail: end with the verdict failed for REASON"
    CRASH = "crash: raise an exception, or die"
    VANISH = "vanish: end without a verdict"
    TALK = "talk: say words without end, looking at `stopping` at least ten times a second"
    WAIT = "wait: say something, then wait until cancelled"
    TIDY = "tidy: wait, and tidy up when cancelled or closed; `tidied` tells whether it has"
    NUMBER = "number: say a text for each of NUMBERS, with that number as its sequence"
    STRAY = "stray: yield STRAY, which is no output, among texts, then complete"
    FLOOD = "flood: say FLOOD texts at once, then complete"
    BULK = "bulk: say one text of BULK bytes, then complete"
    READ = "read: say how many messages of the transcript it was let see, then complete"
    ECHO = "echo: say the word with which the message ends, then complete"
    UNDO = "undo: say all that it knows of what was said in the session before, then complete"
    REMEMBER = "remember: keep a checkpoint; in a later run of the session that finds one, say REMEMBERED"
    SPEND = "spend: report INPUT_TOKENS and OUTPUT_TOKENS as spent, then complete"
    ATTACH = "attach: say what stands in the file that came with the message, then complete"
    SEE = "see: say how many bytes the picture has that came with the message, then complete"
    STEER = "steer: say something, take what steers until STEERED came, say each text, then complete"
    USE = "use: call the host's TOOL with ARGUMENTS, say what came of it, its result or why not, then end"
    RECALL = "recall: have RECALLED said in RECALL_S seconds, say its id or why not, then end"
    ASK = "ask: ask people about OWN_TOOL with OWN_ARGUMENTS, make the call if granted, then complete"
    EDIT = "edit: as ask, where a person may change the arguments"
    RESUME = "resume: say BEFORE, keep a checkpoint, ask as in ask; go on from it with AFTER, then complete"
    CLOSE = "close: say something, then wait; `residence` closes, and `left` counts what it left behind"


class Stage(NamedTuple):
    """A runner and the message that makes it perform an act.

    `made` tells with which arguments its own tool was called, in ASK, EDIT and RESUME. `left` counts the
    processes, connections and tasks that are left, in CLOSE.
    """

    runner: Runner
    content: str = ""
    tidied: Callable[[], bool] | None = None
    made: Callable[[], list[Arguments]] | None = None
    residence: Residence | None = None
    left: Callable[[], int] | None = None


@pytest.mark.anyio
class Stages:
    """What all cases of the suite have: a stage for each act that isn't declared as lacking."""

    lacks: ClassVar[Mapping[Act, str]] = {}
    """The acts that this runner can't perform, each with the reason."""

    def stage(self, act: Act) -> Stage:
        """A fresh runner for `act`. Isn't asked for acts that are declared as lacking."""
        raise NotImplementedError

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The only loop that the host runs on."""
        return "asyncio"

    def _on_stage(self, act: Act) -> Stage:
        if act in self.lacks:
            pytest.skip(f"can't {act}. Declared reason: {self.lacks[act]}")
        return self.stage(act)

    async def _perform(self, act: Act) -> list[Output]:
        stage = self._on_stage(act)
        return await perform(stage.runner, FakeRun(stage.content))


SAID = tuple(
    TranscriptItem(
        message_id=f"msg_{0xEA51E4 + n:032x}",
        role=role,
        content=f"line {n}",
        run_id=None,
        status="completed",
        seq=n,
    )
    for n, role in enumerate(["user", "assistant", "user"], start=1)
)
"""What the transcript holds in the cases that read it."""


async def perform(runner: Runner, run: FakeRun) -> list[Output]:
    """All outputs of one attempt."""
    async with asyncio.timeout(PATIENCE_S):
        return [output async for output in runner.run(run)]


class Ending(NamedTuple):
    """How an attempt ended: its word for it, what was said, and the reason of its verdict or its error."""

    word: str
    said: str
    reason: str

    @property
    def told(self) -> str:
        """Everything that a person could learn of it."""
        return f"{self.said}\n{self.reason}"


async def ending(runner: Runner, run: FakeRun) -> Ending:
    """How an attempt ended: the status of its verdict, "vanished", "refused" or "raised"."""
    outputs: list[Output] = []

    async def drive() -> None:
        async with asyncio.timeout(PATIENCE_S):
            async for output in runner.run(run):
                outputs.append(output)

    task = asyncio.create_task(drive())
    await asyncio.wait([task])
    error, said = task.exception(), speech(outputs)
    assert verdicts(outputs) in ([], outputs[-1:]), f"more came after the verdict: {outputs[-5:]}"
    match error:
        case None:
            last = next(iter(verdicts(outputs)), None)
            return Ending("vanished", said, "") if last is None else Ending(last.status, said, last.reason)
        case TenureError(code=Code.FORBIDDEN):
            return Ending("refused", said, str(error))
        case _:
            return Ending("raised", said, str(error))


async def begin(runner: Runner, run: FakeRun) -> tuple[asyncio.Task[None], list[Output]]:
    """A task that drives an attempt, and its outputs so far: at least one."""
    outputs: list[Output] = []
    spoke = asyncio.Event()

    async def drive() -> None:
        async for output in runner.run(run):
            outputs.append(output)
            spoke.set()

    task = asyncio.create_task(drive())
    await first_of(spoke, task)
    return task, outputs


async def until_asked(runner: Runner, run: FakeRun) -> tuple[asyncio.Task[list[Output]], list[Output]]:
    """A task that drives an attempt whose question nobody answers yet, and its outputs so far."""
    run.own.answering.clear()
    outputs: list[Output] = []

    async def drive() -> list[Output]:
        async for output in runner.run(run):
            outputs.append(output)
        return outputs

    task = asyncio.create_task(drive())
    await first_of(run.own.questioned, task)
    return task, outputs


async def first_of(event: asyncio.Event, task: "asyncio.Task[None] | asyncio.Task[list[Output]]") -> None:
    """Wait for an event. A task that ends before it says why."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([waiting, task], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if not event.is_set():
            assert task.done(), f"nothing happened for {PATIENCE_S} s"
            raise AssertionError(f"it ended too early, with {task.result()}")
    finally:
        waiting.cancel()


async def cancel(task: "asyncio.Task[None] | asyncio.Task[list[Output]]") -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await ended(task)


async def ended(task: "asyncio.Task[None] | asyncio.Task[list[Output]]") -> None:
    """Wait until a task has ended, in whatever way."""
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([task])


async def close(outputs: AsyncIterator[Output]) -> None:
    """Close an iterator of outputs if it can be closed, as the host does."""
    if isinstance(outputs, AsyncGenerator):
        async with asyncio.timeout(PATIENCE_S):
            await outputs.aclose()


def verdicts(outputs: list[Output]) -> list[Verdict]:
    """The verdicts among the outputs."""
    return [output for output in outputs if isinstance(output, Verdict)]


def pieces(outputs: list[Output]) -> list[str]:
    """What was said, piece by piece."""
    return [
        output.text if isinstance(output, Text) else text_of(output.content)
        for output in outputs
        if isinstance(output, Text | Said)
    ]


def speech(outputs: list[Output]) -> str:
    """What was said, in one piece."""
    return "".join(pieces(outputs))
