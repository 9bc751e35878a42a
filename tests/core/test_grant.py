"""Grants: an intersection that is frozen, named by a digest, and can only shrink."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.grant import (
    HISTORY,
    Descriptor,
    Grant,
    Policy,
    StatePolicy,
    Terms,
    grant_digest,
    make_grant,
)
from tenure.core.principal import Author, Role
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
