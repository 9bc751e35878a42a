"""What a line that begins with a slash asks for in a conversation, and how it is done.

`conversation` reads the lines; stopping, and what is said, it does itself.
"""

from typing import NamedTuple

from tenure.cli.questions import Questions, Unclear, changed
from tenure.cli.speech import Speech
from tenure.client import AsyncClient
from tenure.core.command import Remember
from tenure.core.view import SessionInfo

ORDERS: dict[str, tuple[str, str]] = {
    "approve": ("[N] [NAME=VALUE …]", "let the call be made, with these arguments changed"),
    "always": ("[N]", "let it be made, and don't ask about this tool again in this session"),
    "deny": ("[N] [WHY]", "let it not be made, and tell the agent why"),
    "queue": ("TEXT", "say it when the run is over, rather than to the run"),
    "stop": ("", "stop the run, as Ctrl-C does"),
    "undo": ("[TURNS]", "take the last turn off, or so many; a live run is stopped for it"),
    "redo": ("", "put back what was undone"),
    "fork": ("[TITLE]", "branch off where the session last stood still, and go on there"),
    "compact": ("[MIND]", "let a summary stand for the older part, minding what you say"),
    "help": ("", "show this"),
}
"""What can be ordered: what goes behind it, and what it does."""

HINT = "/help says more"


class Order(NamedTuple):
    """A line that began with a slash: the word behind it, and the rest."""

    name: str
    rest: str


def order_in(line: str) -> Order | None:
    """The order in a line, or None if it is something to say. Raises Unclear for an unknown word."""
    if not line.startswith("/") or line.startswith("//"):
        return None
    name, _, rest = line[1:].partition(" ")
    if name not in ORDERS:
        raise Unclear(f"There is no /{name}; /help lists what there is. To say it, begin with //.")
    return Order(name, rest.strip())


def said_in(line: str) -> str:
    """What a line says: a second slash stands for one that is no order."""
    return line[1:] if line.startswith("//") else line


def manual() -> str:
    """All orders, a line each."""
    lines = [(f"/{name} {behind}".rstrip(), does) for name, (behind, does) in ORDERS.items()]
    width = max(len(order) for order, _ in lines) + 2
    rest = [
        "Anything else is said to the agent: to the live run, which takes it up if it can be steered,",
        "or as the next message. Ctrl-D leaves; what runs goes on.",
    ]
    return "\n".join([*(f"{order:<{width}}{does}" for order, does in lines), *rest])


class Orders:
    """Carries orders out in one session."""

    def __init__(
        self, client: AsyncClient, session: SessionInfo, speech: Speech, questions: Questions
    ) -> None:
        self._client = client
        self._session = session
        self._speech = speech
        self._questions = questions

    async def carry_out(self, order: Order, *, busy: bool) -> SessionInfo | None:
        """Do what is ordered; return the session in which the conversation goes on, if that changes.

        What comes of it is an event, and shown as such. Raises Unclear, or TenureError as the client does.
        """
        match order.name:
            case "approve":
                await self._approve(order.rest)
            case "always":
                await self._approve(order.rest, remember=Remember.SESSION)
            case "deny":
                question, why = self._questions.answer(order.rest)
                await self._client.deny(question.approval_id, note=why or None)
            case "undo":
                await self._undo(order.rest, busy=busy)
            case "redo":
                await self._client.redo(self._session.id)
            case "compact":
                await self._client.compact(self._session.id, instructions=order.rest)
            case "fork":
                return await self._fork(order.rest)
            case _:
                self._speech.tell(manual())
        return None

    async def _approve(self, typed: str, remember: Remember | None = None) -> None:
        question, rest = self._questions.answer(typed)
        arguments = changed(question, rest)
        await self._client.approve(question.approval_id, arguments=arguments, remember=remember)

    async def _undo(self, typed: str, *, busy: bool) -> None:
        if typed and not (typed.isdecimal() and int(typed)):
            raise Unclear(f"{typed!r} is no number of turns. Type /undo, or for example /undo 2.")
        turns = int(typed) if typed else None
        receipt = await self._client.undo(self._session.id, turns=turns, interrupt=busy)
        if receipt.pending:
            self._speech.note("stopping the run; then it is undone")

    async def _fork(self, title: str) -> SessionInfo:
        child = await self._client.fork(self._session.id, title=title or None)
        self._speech.note(f"branched off; {self._session.id} stays as it is")
        return child
