"""The rules of the effect ledger: what is the same call, and what may be done about it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.approval import ApprovalState, Resumption, may_decide, resumption
from tenure.core.effect import EffectState
from tenure.core.ledger import (
    MOST_ARGUMENTS,
    Known,
    Ruling,
    Step,
    Wish,
    digest_of,
    judge,
    plain_arguments,
)
from tenure.core.principal import Principal, Role
from tenure.core.tool import Replay
from tenure.errors import Code, TenureError
from tests.core.properties import properties

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), inner, max_size=3
        )
    ),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.sampled_from("abcdef"), JSON)


def test_the_digest_knows_no_order_and_no_float_from_an_integer() -> None:
    one = plain_arguments("t", {"a": 1, "b": [{"x": 5.0, "y": -0.0}]})
    other = plain_arguments("t", {"b": ({"y": 0, "x": 5},), "a": 1.0})

    assert one == other == {"a": 1, "b": [{"x": 5, "y": 0}]}
    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1}, {"a": "1"}), ({"a": 1}, {"a": True}), ({"a": None}, {}), ({"a": 0.1}, {"a": 0.2})],
)
def test_what_json_tells_apart_has_another_digest(one: dict[str, object], other: dict[str, object]) -> None:
    assert digest_of(plain_arguments("t", one)) != digest_of(plain_arguments("t", other))


@given(ARGUMENTS)
@properties
def test_plain_arguments_stay_as_they_are(arguments: dict[str, object]) -> None:
    plain = plain_arguments("t", arguments)

    assert plain_arguments("t", plain) == plain
    assert digest_of(plain) == digest_of(dict(reversed(plain.items())))


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, object(), "\x00", "\ud800", {"\x00": 1}, {1: {2: object()}}]
)
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TenureError) as caught:
        plain_arguments("mail", {"x": [value]})

    assert caught.value.code is Code.INVALID


def test_arguments_have_a_size() -> None:
    assert plain_arguments("t", {"x": "a" * (MOST_ARGUMENTS - 8)})
    with pytest.raises(TenureError) as caught:
        plain_arguments("t", {"x": "a" * (MOST_ARGUMENTS - 7)})

    assert (caught.value.code, caught.value.facts) == (Code.TOO_LARGE, {"limit": MOST_ARGUMENTS})


def wish(*, replay: Replay = Replay.NEVER, asks: bool = False) -> Wish:
    """What the second attempt asks for."""
    return Wish(2, "d", replay, asks)


@pytest.mark.parametrize(
    ("known", "step"),
    [
        (Known(1, "other", Replay.SAFE, EffectState.SETTLED, None), Step.CONFLICT),
        (Known(1, "d", Replay.NEVER, EffectState.SETTLED, None), Step.REPLAY),
        (Known(1, "d", Replay.NEVER, EffectState.INTENDED, ApprovalState.GRANTED), Step.EXECUTE),
        (Known(1, "d", Replay.NEVER, EffectState.INTENDED, ApprovalState.PENDING), Step.ASK),
        (Known(2, "d", Replay.SAFE, EffectState.DISPATCHED, None), Step.BUSY),
        (Known(1, "d", Replay.SAFE, EffectState.DISPATCHED, None), Step.EXECUTE),
        (Known(1, "d", Replay.VERIFY, EffectState.DISPATCHED, None), Step.VERIFY),
        (Known(1, "d", Replay.NEVER, EffectState.DISPATCHED, None), Step.UNKNOWN),
        (Known(1, "d", Replay.SAFE, EffectState.UNKNOWN, None), Step.EXECUTE),
        (Known(1, "d", Replay.VERIFY, EffectState.UNKNOWN, None), Step.VERIFY),
        (Known(2, "d", Replay.NEVER, EffectState.UNKNOWN, None), Step.UNKNOWN),
    ],
)
@pytest.mark.sources("P4")
def test_a_known_call_goes_on_as_far_as_it_came(known: Known, step: Step) -> None:
    assert judge(wish(), known, remembered=False, unasked=("eff_1",)) == Ruling(step)


@pytest.mark.parametrize(
    ("asked", "remembered", "unasked", "ruling"),
    [
        (wish(), False, (), Ruling(Step.EXECUTE)),
        (wish(asks=True), False, (), Ruling(Step.ASK)),
        (wish(asks=True), True, (), Ruling(Step.EXECUTE, by_rule=True)),
        (wish(), False, ("e",), Ruling(Step.ASK, "changed_after_retry", ("e",))),
        (wish(asks=True), True, ("e",), Ruling(Step.ASK, "changed_after_retry", ("e",))),
        (wish(replay=Replay.SAFE), False, ("e",), Ruling(Step.EXECUTE)),
    ],
)
def test_a_new_call_is_made_or_asked_about(
    asked: Wish, remembered: bool, unasked: tuple[str, ...], ruling: Ruling
) -> None:
    assert judge(asked, None, remembered=remembered, unasked=unasked) == ruling


def who(user: str, role: Role = Role.MEMBER, tenant: str = "acme", *, root: bool = False) -> Principal:
    """Somebody who wants to decide."""
    return Principal(tenant=tenant, user=user, role=role, key_id="key", root=root)


@pytest.mark.parametrize(
    ("by", "plain", "posted"),
    [
        (who("ada"), True, False),
        (who("ada", Role.VIEWER), False, False),
        (who("ada", Role.ADMIN), True, False),
        (who("bob"), False, False),
        (who("olga", Role.OPERATOR), True, True),
        (who("alma", Role.ADMIN), True, True),
        (who("olga", Role.OPERATOR, "globex"), False, False),
        (who("root", Role.ADMIN, "default", root=True), True, True),
        (who("svc", Role.OPERATOR), True, False),
    ],
    ids=lambda value: f"{value.tenant}/{value.user}/{value.role}" if isinstance(value, Principal) else None,
)
def test_who_may_decide(by: Principal, plain: bool, posted: bool) -> None:
    assert may_decide(by, "acme", "ada", "svc", posted=False) is plain
    assert may_decide(by, "acme", "ada", "svc", posted=True) is posted


@pytest.mark.parametrize(
    ("answered", "held", "resumes", "mode"),
    [
        (False, False, True, None),
        (True, True, True, Resumption.HELD),
        (True, False, True, Resumption.RESUME),
        (True, False, False, Resumption.RERUN),
    ],
)
def test_how_a_run_goes_on(answered: bool, held: bool, resumes: bool, mode: Resumption | None) -> None:
    assert resumption(answered=answered, held=held, resumes=resumes) is mode
