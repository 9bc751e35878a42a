"""The rule for a runner's own numbers: nothing said is lost, nothing repeated is told twice."""

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.sequence import MAX_SPANS, Fault, Ruling, SequenceRule, number_of
from tests.core.properties import properties

FINE = (True, None)
GAP = (True, Fault.GAP)
DISORDER = (True, Fault.DISORDER)
INVALID = (True, Fault.INVALID)
REPEATED = (False, Fault.DUPLICATE)


def rulings(numbers: Sequence[object]) -> list[Ruling]:
    """What a fresh rule says of these numbers, one after the other."""
    rule = SequenceRule()
    return [rule.judge(number) for number in numbers]


@pytest.mark.sources("O08", "O09", "O10", "O11", "O12")
@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param([None, None], [FINE, FINE], id="unnumbered"),
        pytest.param([1, 2, 3], [FINE, FINE, FINE], id="in order"),
        pytest.param([0, 1, 2], [INVALID, FINE, FINE], id="zero-based"),
        pytest.param([0, 0, 1], [INVALID, INVALID, FINE], id="zero takes no place"),
        pytest.param(["1", "2", 3], [FINE, FINE, FINE], id="numeric text"),
        pytest.param([1, 1, 2, 2], [FINE, REPEATED, FINE, REPEATED], id="repeated"),
        pytest.param([1, "1"], [FINE, REPEATED], id="repeated as text"),
        pytest.param([1, 5], [FINE, GAP], id="gap"),
        pytest.param([7], [GAP], id="begins late"),
        pytest.param([2, 1, 3], [GAP, DISORDER, FINE], id="swapped"),
        pytest.param([1, 3, 2, 2, 3, 4], [FINE, GAP, DISORDER, REPEATED, REPEATED, FINE], id="mix"),
        pytest.param([5, 3, 4, 1, 2, 6], [GAP, *[DISORDER] * 4, FINE], id="filled from behind"),
        pytest.param([0, 1, 1, "x", 5], [INVALID, FINE, REPEATED, INVALID, GAP], id="garbled"),
        pytest.param([1, None, 2], [FINE, FINE, FINE], id="numbered now and then"),
        pytest.param([True, 1], [INVALID, FINE], id="a truth value is no number"),
        pytest.param([1.0, 1], [INVALID, FINE], id="a fraction is no number"),
        pytest.param([-3, "-3", ""], [INVALID] * 3, id="negative and empty"),
        pytest.param([b"1", [1], {"n": 1}, object()], [INVALID] * 4, id="other things"),
        pytest.param(["9" * 5_000, 1], [INVALID, FINE], id="text of five thousand digits"),
        pytest.param([10**40, 10**40, 1], [GAP, REPEATED, DISORDER], id="huge"),
    ],
)
def test_a_number_is_ruled(numbers: list[object], expected: list[tuple[bool, Fault | None]]) -> None:
    assert rulings(numbers) == expected


@pytest.mark.parametrize(
    ("given_number", "number"),
    [
        (1, 1),
        ("12", 12),
        (" 7 ", 7),
        (0, None),
        ("0", None),
        ("x", None),
        (None, None),
        (2.0, None),
    ],
    ids=repr,
)
def test_a_number_stands_for(given_number: object, number: int | None) -> None:
    assert number_of(given_number) == number


anything = st.one_of(
    st.none(),
    st.integers(-2, 12),
    st.integers(-2, 12).map(str),
    st.booleans(),
    st.floats(allow_nan=False),
    st.text(max_size=3),
)


@properties
@given(st.lists(anything, max_size=60))
def test_nothing_is_lost_and_nothing_is_told_twice(numbers: list[object]) -> None:
    seen: set[int] = set()
    for given_number, ruling in zip(numbers, rulings(numbers), strict=True):
        number = number_of(given_number)
        repeated = number is not None and number in seen
        before = max(seen, default=0)

        assert ruling.deliver is not repeated
        assert ruling.fault is fault_of(given_number, number, before, repeated=repeated)
        if number is not None:
            seen.add(number)


def fault_of(given_number: object, number: int | None, before: int, *, repeated: bool) -> Fault | None:
    """The warning by the plain words of the contract; `before` is the highest number so far."""
    if number is None:
        return None if given_number is None else Fault.INVALID
    if repeated:
        return Fault.DUPLICATE
    if number == before + 1:
        return None
    return Fault.GAP if number > before else Fault.DISORDER


@pytest.mark.sources("A4")
@properties
@given(st.permutations(range(1, 40)))
def test_every_order_of_the_same_numbers_delivers_each_once(numbers: list[int]) -> None:
    assert [ruling.deliver for ruling in rulings([*numbers, *numbers])] == [True] * 39 + [False] * 39


@pytest.mark.sources("D-O18")
def test_the_rule_remembers_a_bounded_number_of_holes() -> None:
    rule = SequenceRule()
    tracemalloc.start()
    for number in range(1, 40 * MAX_SPANS, 2):
        rule.judge(number)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert used < 400 * MAX_SPANS
    assert rule.judge(40 * MAX_SPANS - 2) == DISORDER
    assert rule.judge(2) == REPEATED
