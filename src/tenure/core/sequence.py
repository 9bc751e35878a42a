"""The rule for a runner's own output numbers. They never mix with the numbers of the journal.

A runner may number its output (`sequence`), from 0 or 1, as int or numeric text, badly or not at all.
Nothing that was said is lost for a bad number, and nothing is delivered twice for a repeated one.
"""

from bisect import bisect_right
from enum import StrEnum
from typing import NamedTuple

MAX_SPANS = 1_024


class Fault(StrEnum):
    """What was wrong with a number. These are codes of `runner.warning`."""

    DUPLICATE = "sequence_duplicate"
    GAP = "sequence_gap"
    DISORDER = "sequence_disorder"
    INVALID = "sequence_invalid"


class Ruling(NamedTuple):
    """Whether the output counts, and what to warn of."""

    deliver: bool
    fault: Fault | None = None


FINE = Ruling(deliver=True)


def number_of(given: object) -> int | None:
    """The positive number that `given` stands for, or None if it stands for none."""
    if isinstance(given, bool) or not isinstance(given, int | str):
        return None
    try:
        number = int(given)
    except ValueError:
        return None
    return number if number > 0 else None


class SequenceRule:
    """Which numbers one run has used, as a short list of spans; memory is bounded.

    When a runner leaves more than MAX_SPANS holes, the lowest hole is taken as filled.
    """

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def judge(self, given: object) -> Ruling:
        """What to do with an output numbered `given`; None means that the runner doesn't number."""
        if given is None:
            return FINE
        number = number_of(given)
        if number is None:
            return Ruling(deliver=True, fault=Fault.INVALID)
        last = self._spans[-1][1] if self._spans else 0
        if not self._take(number):
            return Ruling(deliver=False, fault=Fault.DUPLICATE)
        if number > last + 1:
            return Ruling(deliver=True, fault=Fault.GAP)
        return FINE if number == last + 1 else Ruling(deliver=True, fault=Fault.DISORDER)

    def _take(self, number: int) -> bool:
        at = bisect_right(self._spans, (number, number)) - 1
        if at + 1 < len(self._spans) and self._spans[at + 1][0] == number:
            return False
        if at >= 0 and number <= self._spans[at][1]:
            return False
        self._join(at, number)
        return True

    def _join(self, at: int, number: int) -> None:
        low = high = number
        first, last = at + 1, at + 1
        if at >= 0 and self._spans[at][1] == number - 1:
            low, first = self._spans[at][0], at
        if last < len(self._spans) and self._spans[last][0] == number + 1:
            high, last = self._spans[last][1], last + 1
        self._spans[first:last] = [(low, high)]
        if len(self._spans) > MAX_SPANS:
            self._spans[:2] = [(self._spans[0][0], self._spans[1][1])]
