"""State machines as tables: state -> signal -> state.

One table per noun serves five readers: `advance` for the rules, `sources` for the WHERE of an update,
`check` for the schema's CHECK, `mermaid` for the docs, and the test that walks every state against
every signal. A pair that isn't in the table is an error that names both.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from tenure.errors import IllegalTransition

S = TypeVar("S", bound=StrEnum)
G = TypeVar("G", bound=StrEnum)


class Machine(Generic[S, G]):
    """The table of one noun. Immutable after it is made."""

    def __init__(self, noun: str, initial: S, table: Mapping[S, Mapping[G, S]]) -> None:
        self.noun = noun
        self.initial = initial
        self.states: tuple[S, ...] = tuple(type(initial))
        self._table = {state: dict(table.get(state, {})) for state in self.states}
        self.terminal: frozenset[S] = frozenset(s for s in self.states if not self._table[s])
        self.live: tuple[S, ...] = tuple(s for s in self.states if s not in self.terminal)

    def advance(self, state: S, signal: G) -> S:
        """The state after `signal`. Raises IllegalTransition for a pair that isn't in the table."""
        after = self._table[state].get(signal)
        if after is None:
            raise IllegalTransition(f"A {self.noun} that is {state} can't take the signal {signal}.")
        return after

    def allows(self, state: S, signal: G) -> bool:
        """Whether the table has the pair."""
        return signal in self._table[state]

    def sources(self, signal: G) -> tuple[S, ...]:
        """Every state in which `signal` is allowed, in table order."""
        return tuple(state for state in self.states if signal in self._table[state])

    def signals(self, state: S) -> Mapping[G, S]:
        """What a state can take, and where each signal leads."""
        return dict(self._table[state])

    def guard(self, column: str, signal: G) -> str:
        """The SQL condition under which `signal` may be applied to `column`."""
        return f"{column} IN ({_quoted(self.sources(signal))})"

    def among(self, column: str, states: tuple[S, ...]) -> str:
        """The SQL condition that `column` holds one of `states`."""
        return f"{column} IN ({_quoted(states)})"

    def check(self, column: str) -> str:
        """The CHECK body that the schema repeats, so that the database refuses nonsense too."""
        return f"{column} IN ({_quoted(self.states)})"

    def mermaid(self) -> str:
        """The diagram of the table, for the documentation."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        for state in self.states:
            lines += [f"    {state} --> {to}: {signal}" for signal, to in self._table[state].items()]
        lines += [f"    {state} --> [*]" for state in self.states if state in self.terminal]
        return "\n".join(lines) + "\n"


def _quoted(states: tuple[StrEnum, ...]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)
