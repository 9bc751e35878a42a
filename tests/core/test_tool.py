"""The rules about tools: when a person is asked, and which names a pattern covers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.tool import (
    ALWAYS,
    NEVER,
    ApprovalRule,
    Condition,
    matches,
    most_exact,
)
from tests.core.properties import properties

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("condition", "holds", "fails"),
    [
        (Condition(eq="prod"), ["prod"], ["test", None, 1]),
        (Condition(ne="test"), ["prod", None, 1], ["test"]),
        (Condition(in_=("a", 1)), ["a", 1, 1.0], ["b", 2, True]),
        (Condition(not_in=("a", 1)), ["b", 2, None, True], ["a", 1]),
        (Condition(gt=100), [101, 100.5], [100, -1]),
        (Condition(ge=100), [100], [99.9]),
        (Condition(lt=0), [-1], [0]),
        (Condition(le=0), [0], [0.1]),
        (Condition(gt=1, lt=5), [2], [1, 5]),
        (Condition(matches=r"@example\.com$"), ["a@example.com"], ["a@example.org"]),
        (Condition(eq=True), [True], [1, False]),
        (Condition(eq=None), [None], [0, ""]),
    ],
)
def test_a_condition_holds_when_all_that_it_says_is_true(
    condition: Condition, holds: list[object], fails: list[object]
) -> None:
    assert [condition.holds(value) for value in holds] == [True] * len(holds)
    assert [condition.holds(value) for value in fails] == [False] * len(fails)


@pytest.mark.parametrize("value", [None, "1000", [], {}, True])
def test_a_comparison_that_makes_no_sense_asks(value: object) -> None:
    assert Condition(gt=100).holds(value)


@pytest.mark.parametrize("value", [None, 5, [], {}])
def test_a_pattern_for_what_is_no_text_asks(value: object) -> None:
    assert Condition(matches="x").holds(value)


def test_a_rule_asks_when_all_its_conditions_hold() -> None:
    rule = ApprovalRule(when={"amount": Condition(gt=100), "to": Condition(ne="me")})

    assert rule.asks({"amount": 101, "to": "ben"})
    assert not rule.asks({"amount": 101, "to": "me"})
    assert not rule.asks({"amount": 100, "to": "ben"})


def test_an_argument_that_was_left_out_cant_get_round_a_rule() -> None:
    """Its default may be what the rule is about."""
    rule = ApprovalRule(when={"where": Condition(eq="prod")})

    assert rule.asks({})
    assert not rule.asks({"where": "test"})


@properties
@given(st.dictionaries(st.text(), json))
def test_always_asks_and_never_doesnt_whatever_the_arguments(arguments: dict[str, object]) -> None:
    assert (ALWAYS.asks(arguments), NEVER.asks(arguments)) == (True, False)


@properties
@given(json)
def test_every_json_value_can_be_judged(value: object) -> None:
    condition = Condition(eq=1, ne="x", in_=(1, "x"), not_in=([],), gt=0, le=9, matches="a")
    assert condition.holds(value) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("send_mail", "send_mail", True),
        ("send_mail", "send_mail2", False),
        ("*", "anything", True),
        ("mcp:github/*", "mcp:github/list", True),
        ("mcp:github/*", "mcp:github2/list", False),
        ("mcp:github/list_*", "mcp:github/list_issues", True),
        ("", "x", False),
        ("x", "", False),
    ],
)
def test_a_pattern_covers_its_name_or_what_begins_like_it(pattern: str, name: str, covered: bool) -> None:
    assert matches(pattern, name) is covered


def test_the_pattern_that_says_most_wins() -> None:
    patterns = ("*", "mcp:github/*", "mcp:github/list_*", "mcp:github/list_issues")

    assert most_exact(patterns, "mcp:github/list_issues") == "mcp:github/list_issues"
    assert most_exact(patterns, "mcp:github/list_all") == "mcp:github/list_*"
    assert most_exact(patterns, "send_mail") == "*"
    assert most_exact(patterns[1:], "send_mail") is None
