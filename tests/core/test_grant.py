"""Grants: an intersection that is frozen, named by a digest, and can only shrink."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.grant import (
    ANY,
    HISTORY,
    NOTHING,
    Budget,
    Descriptor,
    Grant,
    Policy,
    StatePolicy,
    Terms,
    grant_digest,
    make_grant,
)
from tenure.core.principal import Author, Role
from tenure.core.tool import ALWAYS, ApprovalRule, Condition, ToolTerms
from tests.core.properties import properties

ADA = Author(tenant="acme", user="ada", role=Role.MEMBER)

names = st.frozensets(st.sampled_from(["history", "state", "tools", "files", "send_mail", ""]))
deadlines = st.one_of(st.none(), st.integers(1, 600), st.floats(0.001, 600, allow_nan=False))


def terms(
    allowed: frozenset[str] = frozenset({HISTORY}),
    asked: frozenset[str] = frozenset({HISTORY}),
    deadline_s: float | None = 60.0,
) -> Terms:
    """The terms of an agent whose operator allows `allowed` and whose runner asks for `asked`."""
    return Terms(
        agent="greeter",
        descriptor=Descriptor(runner="python", permissions=tuple(asked)),
        policy=Policy(apis=tuple(allowed), deadline_s=deadline_s),
    )


def test_a_grant_holds_what_policy_and_manifest_and_author_say() -> None:
    assert make_grant(terms(), ADA) == Grant(
        agent="greeter",
        runner="python",
        author=ADA,
        apis=("history",),
        deadline_s=60.0,
        idle_s=None,
        max_output_bytes=16 * 1024 * 1024,
        max_attempts=5,
        state=StatePolicy(),
    )


@properties
@given(names, names)
def test_a_grant_is_the_intersection_of_what_is_allowed_and_what_is_asked_for(
    allowed: frozenset[str], asked: frozenset[str]
) -> None:
    grant = make_grant(terms(allowed, asked), ADA)

    assert {api for api in [*allowed, *asked, "other"] if grant.allows(api)} == (allowed & asked - {""})


@pytest.mark.sources("D-R3", "A11")
@properties
@given(names, names)
def test_an_empty_name_never_authorises(allowed: frozenset[str], asked: frozenset[str]) -> None:
    assert not make_grant(terms(allowed | {""}, asked | {""}), ADA).allows("")


@properties
@given(deadlines, deadlines)
def test_a_message_can_shorten_the_deadline_and_never_extend_it(
    policy_s: float | None, message_s: float | None
) -> None:
    given_s = [s for s in (policy_s, message_s) if s is not None]

    assert make_grant(terms(deadline_s=policy_s), ADA, message_s).deadline_s == min(given_s, default=None)


@properties
@given(names, deadlines, deadlines)
def test_a_grant_keeps_its_digest_through_storage(
    allowed: frozenset[str], policy_s: float | None, message_s: float | None
) -> None:
    grant = make_grant(terms(allowed, allowed, policy_s), ADA, message_s)
    stored = msgspec.json.decode(msgspec.json.encode(grant), type=Grant)

    assert stored == grant
    assert grant_digest(stored) == grant_digest(grant)


@properties
@given(st.permutations(["a", "b", "c", "d"]), st.permutations(["a", "b", "c", "d"]))
def test_the_order_in_which_rights_are_listed_does_not_change_the_digest(
    allowed: list[str], asked: list[str]
) -> None:
    shuffled = Terms(
        agent="greeter",
        descriptor=Descriptor(runner="python", permissions=tuple(asked)),
        policy=Policy(apis=tuple(allowed)),
    )
    four = frozenset("abcd")

    assert grant_digest(make_grant(shuffled, ADA)) == grant_digest(make_grant(terms(four, four, 3_600), ADA))


def test_the_digest_is_known_so_that_no_release_changes_it_unnoticed() -> None:
    assert grant_digest(make_grant(terms(), ADA)) == (
        "6a5c09cfd00d3354fc999805017054f5e75d2c51d311478dffe2bb1abc7d3d10"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "other"},
        {"runner": "acp"},
        {"apis": ()},
        {"deadline_s": 59.0},
        {"idle_s": 5.0},
        {"max_output_bytes": 1},
        {"max_attempts": 1},
        {"author": Author(tenant="acme", user="bob", role=Role.MEMBER)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_grant_has_another_digest(change: dict[str, object]) -> None:
    grant = make_grant(terms(), ADA)

    assert grant_digest(msgspec.structs.replace(grant, **change)) != grant_digest(grant)


@pytest.mark.sources("D-R2", "R05", "A11")
def test_a_grant_cannot_be_changed() -> None:
    grant = make_grant(terms(), ADA)

    with pytest.raises(AttributeError):
        setattr(grant, "apis", ("everything",))  # noqa: B010 (a type checker refuses the plain form)


# --- the cap of what a run scheduled


def capping(
    *apis: str,
    deadline_s: float | None = None,
    attempts: int = 5,
    resources: tuple[str, ...] = (),
    operations: tuple[str, ...] | None = None,
    tools: tuple[ToolTerms, ...] = (),
    budget: Budget | None = None,
) -> Terms:
    """The terms of an agent with these rights."""
    return Terms(
        agent="greeter",
        descriptor=Descriptor(runner="python", permissions=ANY, resources={"model": ANY}),
        policy=Policy(
            apis=apis,
            deadline_s=deadline_s,
            max_attempts=attempts,
            resources={"model": resources},
            operations={} if operations is None else {"model": operations},
            budget=budget,
        ),
        tools=tools,
    )


@pytest.mark.sources("P7")
@properties
@given(names, names)
def test_under_a_cap_nothing_is_allowed_that_either_lacks(
    policy: frozenset[str], cap: frozenset[str]
) -> None:
    made = make_grant(capping(*policy), ADA, cap=make_grant(capping(*cap), ADA))

    assert set(made.apis) == (policy & cap) - {""}
    assert make_grant(capping(*policy), ADA).covers(made)


def test_a_cap_shortens_deadlines_and_attempts_and_never_extends_them() -> None:
    low, high = capping(deadline_s=60.0, attempts=2), capping(deadline_s=90.0, attempts=7)
    for terms_now, terms_then in ((low, high), (high, low)):
        made = make_grant(terms_now, ADA, cap=make_grant(terms_then, ADA))
        assert (made.deadline_s, made.max_attempts) == (60.0, 2)
    assert make_grant(capping(), ADA, cap=make_grant(low, ADA)).deadline_s == 60.0


def test_a_cap_narrows_what_may_be_done_with_resources() -> None:
    wide, narrow = capping(resources=("a", "b")), capping(resources=("b", "c"), operations=("read",))
    for terms_now, terms_then in ((wide, narrow), (narrow, wide)):
        made = make_grant(terms_now, ADA, cap=make_grant(terms_then, ADA))
        assert (made.resources, made.operations) == ({"model": ("b",)}, {"model": ("read",)})


def test_where_people_were_asked_under_the_cap_they_are_asked_still() -> None:
    free, asks = ToolTerms(name="mail", source="x"), ToolTerms(name="mail", source="x", approval=ALWAYS)
    for now, then in ((free, asks), (asks, free)):
        made = make_grant(capping(tools=(now,)), ADA, cap=make_grant(capping(tools=(then,)), ADA))
        assert made.tools == (asks,)


def test_where_people_are_asked_more_often_by_now_they_are_asked_as_often_under_a_cap() -> None:
    def paid(rule: ApprovalRule) -> ToolTerms:
        return ToolTerms(name="pay", source="x", approval=rule)

    over = ApprovalRule(when={"amount": Condition(gt=100)})
    abroad = ApprovalRule(when={"country": Condition(ne="DE")})
    for now, then, both in ((ALWAYS, over, ALWAYS), (over, over, over), (over, abroad, ALWAYS)):
        made = make_grant(capping(tools=(paid(now),)), ADA, cap=make_grant(capping(tools=(paid(then),)), ADA))
        assert made.tools == (paid(both),)


def test_a_budget_of_the_cap_holds_where_there_is_no_other() -> None:
    cap = make_grant(capping(budget=Budget(tokens=5)), ADA)

    assert make_grant(capping(), ADA, cap=cap).budget == Budget(tokens=5)


def test_the_cap_of_a_schedule_that_is_gone_allows_nothing() -> None:
    full = capping("history", "recalls", resources=("a",), tools=(ToolTerms(name="mail", source="x"),))

    assert make_grant(full, ADA, cap=NOTHING).names() == frozenset()
