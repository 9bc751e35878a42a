"""Roles, actions and reach, as whole tables."""

import pytest

from tenure.core.principal import (
    Action,
    Author,
    Principal,
    Role,
    author_of,
    may,
    reach,
    reaches,
    strongest,
    weaker,
)


def principal(role: Role, *, tenant: str = "acme", user: str = "ada", root: bool = False) -> Principal:
    """Ada of acme, or whoever else is asked for."""
    return Principal(tenant=tenant, user=user, role=role, key_id="key_1", root=root)


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        (Role.ADMIN, {Action.READ, Action.WRITE, Action.CONNECT, Action.MANAGE}),
        (Role.OPERATOR, {Action.READ, Action.WRITE, Action.CONNECT}),
        (Role.MEMBER, {Action.READ, Action.WRITE}),
        (Role.VIEWER, {Action.READ}),
    ],
)
def test_a_role_may_do_this_and_nothing_else(role: Role, actions: set[Action]) -> None:
    assert {action for action in Action if may(principal(role), action)} == actions


@pytest.mark.parametrize("role", list(Role))
def test_the_bootstrap_admin_may_do_everything_and_reaches_everything(role: Role) -> None:
    root = principal(role, root=True)

    assert all(may(root, action) for action in Action)
    assert reaches(root, "elsewhere", "somebody")


@pytest.mark.parametrize(
    ("role", "own", "others_of_the_tenant"),
    [
        (Role.ADMIN, True, True),
        (Role.OPERATOR, True, True),
        (Role.MEMBER, True, False),
        (Role.VIEWER, True, False),
    ],
)
def test_a_role_reaches(role: Role, *, own: bool, others_of_the_tenant: bool) -> None:
    ada = principal(role)

    assert reaches(ada, "acme", "ada") is own
    assert reaches(ada, "acme", "bob") is others_of_the_tenant


@pytest.mark.sources("M17", "P12")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("owner", ["ada", "bob"])
def test_nobody_reaches_another_tenant_even_under_the_same_name(role: Role, owner: str) -> None:
    assert not reaches(principal(role), "globex", owner)


@pytest.mark.sources("M17", "D-M11", "A22")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("user", ["dev", "admin", "root", "", "*"])
def test_no_user_name_is_magic(role: Role, user: str) -> None:
    stranger = principal(role, user=user)

    assert may(stranger, Action.MANAGE) is (role is Role.ADMIN)
    assert not may(stranger, Action.DRAIN)
    assert not reaches(stranger, "globex", user)


def test_a_message_keeps_tenant_user_and_role_of_its_author() -> None:
    assert author_of(principal(Role.MEMBER)) == Author(tenant="acme", user="ada", role=Role.MEMBER)


RANKING = [Role.VIEWER, Role.MEMBER, Role.OPERATOR, Role.ADMIN]


@pytest.mark.parametrize("one", RANKING)
@pytest.mark.parametrize("other", RANKING)
def test_the_weaker_and_the_strongest_of_two_roles_follow_one_ranking(one: Role, other: Role) -> None:
    lower, upper = sorted((one, other), key=RANKING.index)

    assert weaker(one, other) is lower
    assert strongest([one, other]) is upper


def test_nobody_without_a_key_has_a_role() -> None:
    assert strongest([]) is None


@pytest.mark.sources("P12")
@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("role", list(Role))
def test_lists_show_what_is_within_reach_and_nothing_else(role: Role, root: bool) -> None:
    by = Principal(tenant="acme", user="ada", role=role, key_id="key_1", root=root)
    tenant, owner = reach(by)
    for theirs, somebody in (("acme", "ada"), ("acme", "bob"), ("globex", "ada"), ("globex", "bob")):
        listed = tenant in (None, theirs) and owner in (None, somebody)
        assert listed is reaches(by, theirs, somebody)
