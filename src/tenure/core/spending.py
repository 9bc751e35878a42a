"""What runs spend, as sums: tokens, money, tool calls, runs. Budgets are judged on them.

Money that nobody told is unknown, never zero: a sum is known only if every part of it is.
"""

import msgspec


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """A sum. `known_cost` adds up what was told; `unknown` counts the model calls whose cost wasn't."""

    input_tokens: int = 0
    output_tokens: int = 0
    known_cost: float = 0.0
    unknown: int = 0
    records: int = 0
    tool_calls: int = 0
    runs: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of both directions."""
        return self.input_tokens + self.output_tokens

    @property
    def cost(self) -> float | None:
        """The money spent, or None if any part of it is unknown."""
        return self.known_cost if self.records and not self.unknown else None


def of_call(input_tokens: int, output_tokens: int, cost: float | None) -> Spending:
    """What one model call spent."""
    return Spending(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        known_cost=cost or 0.0,
        unknown=int(cost is None),
        records=1,
    )


QUESTION = "budget"
"""The tool under whose name a person is asked about a budget. It is no call, and counts as none."""

A_RUN = Spending(runs=1)
A_TOOL_CALL = Spending(tool_calls=1)
