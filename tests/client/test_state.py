"""State by both clients: what the API can do with it, they can."""

import pytest

from tenure.client import Client
from tenure.core.principal import Role
from tenure.core.state import StateValue
from tenure.errors import Code, TenureError
from tests.client.both import Connect
from tests.client.hosted import Hosted


def test_state_is_kept_read_listed_and_deleted(client: Client) -> None:
    session = client.open_session("scripted").id

    made = client.set_state(session, "conversation", "a/b ü", {"n": [1]})
    ends = client.set_state(session, "conversation", "code", "1234", ttl_s=60)

    assert made == StateValue(scope="conversation", key="a/b ü", value={"n": [1]}, version=1)
    assert client.state(session, "conversation", "a/b ü") == made
    assert list(client.states(session, "conversation")) == [made, ends]
    assert ends.expires_at is not None
    client.delete_state(session, "conversation", "a/b ü")
    with pytest.raises(TenureError) as gone:
        client.state(session, "conversation", "a/b ü")
    assert gone.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("key", [".", "..", "a/../b", "%2e%2e", "a?b#c", " "])
def test_a_key_that_looks_like_a_way_elsewhere_is_a_key(client: Client, key: str) -> None:
    session = client.open_session("scripted").id

    made = client.set_state(session, "conversation", key, 1)

    assert (made.key, client.state(session, "conversation", key)) == (key, made)


def test_state_is_written_over_the_version_that_was_read_or_not_at_all(client: Client) -> None:
    session = client.open_session("scripted").id

    first = client.set_state(session, "conversation", "n", 1, if_version=0)
    client.set_state(session, "conversation", "n", 2, if_version=first.version)

    for version in (0, 1):
        with pytest.raises(TenureError) as late:
            client.set_state(session, "conversation", "n", 3, if_version=version)
        with pytest.raises(TenureError) as kept:
            client.delete_state(session, "conversation", "n", if_version=version)
        assert (late.value.code, kept.value.code) == (Code.STALE, Code.STALE)
        assert late.value.facts["version"] == 2
    client.delete_state(session, "conversation", "n", if_version=2)


def test_state_of_others_is_reached_by_their_type_and_id(
    client: Client, connect: Connect, hosted: Hosted
) -> None:
    made = client.create_key("ann", Role.MEMBER)
    with connect(hosted.url, made.key) as ann:
        session = ann.open_session("scripted").id
        mine = ann.set_state(session, "actor", "mail", "ann@x")
        with pytest.raises(TenureError) as refused:
            ann.state(session, "actor", "mail", actor="user:bob")

    assert refused.value.code is Code.FORBIDDEN
    assert client.state(session, "actor", "mail", actor="user:ann") == mine
    client.set_state(session, "subject", "k", 1, subject="group:g")
    assert [v.value for v in client.states(session, "subject", subject="group:g")] == [1]
    client.delete_state(session, "subject", "k", subject="group:g")


def test_many_values_are_listed_over_pages(client: Client) -> None:
    session = client.open_session("scripted").id
    for n in range(250):
        client.set_state(session, "conversation", f"k{n}", n)

    assert [v.value for v in client.states(session, "conversation")] == list(range(250))
