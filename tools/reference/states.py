"""The page of state machines: each table as a drawing, as a table, and as Mermaid."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, TypeVar

from tenure.core.approval import APPROVAL
from tenure.core.effect import EFFECT
from tenure.core.machine import Machine
from tenure.core.message import MESSAGE, REPLY
from tenure.core.run import RUN
from tenure.core.schedule import OCCURRENCE, SCHEDULE
from tenure.core.session import SESSION
from tools.reference.ladder import Step, draw
from tools.reference.markdown import code, document, table
from tools.reference.reserved import NOTE, imported
from tools.reference.shapes import about

S = TypeVar("S", bound=StrEnum)
G = TypeVar("G", bound=StrEnum)

INTRO = """\
Everything in Tenure that has a life of its own has a table: state, signal, next state. The same table
decides in the code, guards each update in the database, is the database's check on what may be stored,
and is drawn here. A signal that a state doesn't list is refused.

In the drawings each column is a state and each arrow is a signal that leads from one to another;
columns that end in a bar are final."""


class Chart(NamedTuple):
    """One machine, without its types."""

    noun: str
    about: str
    initial: str
    states: list[str]
    final: set[str]
    steps: list[Step]
    mermaid: str
    note: str


def chart(machine: Machine[S, G]) -> Chart:
    """A machine as the page shows it."""
    steps = [
        Step(str(state), str(signal), str(to))
        for state in machine.states
        for signal, to in machine.signals(state).items()
    ]
    return Chart(
        machine.noun,
        about(type(machine.initial)),
        str(machine.initial),
        [str(state) for state in machine.states],
        {str(state) for state in machine.terminal},
        steps,
        machine.mermaid(),
        "" if type(machine.initial).__module__ in imported() else NOTE,
    )


CHARTS = [
    chart(SESSION),
    chart(MESSAGE),
    chart(REPLY),
    chart(RUN),
    chart(APPROVAL),
    chart(EFFECT),
    chart(SCHEDULE),
    chart(OCCURRENCE),
]


def drawings() -> dict[str, Callable[[], str]]:
    """What draws each machine, by its noun."""

    def drawing(of: Chart) -> Callable[[], str]:
        return lambda: draw(of.noun, of.states, of.final, of.steps)

    return {of.noun: drawing(of) for of in CHARTS}


def page() -> str:
    """The whole page."""
    return document("States", INTRO, *(_section(of) for of in CHARTS))


def _section(of: Chart) -> str:
    rows = [[code(step.source), code(step.signal), code(step.target)] for step in of.steps]
    mermaid = "".join(f"    {line}".rstrip() + "\n" for line in of.mermaid.splitlines())
    return "\n\n".join(
        [
            f"## {of.noun.capitalize()}",
            of.about,
            *([of.note] if of.note else []),
            f"![The states of a {of.noun}](states/{of.noun}.svg)",
            table(["state", "signal", "next state"], rows),
            f"It begins as {code(of.initial)}. Final: {', '.join(map(code, sorted(of.final)))}.",
            f'??? note "The same for Mermaid"\n\n    ```mermaid\n{mermaid}    ```',
        ]
    )
