"""State in core: whose it is, who may use it, what may stand in it, and what a run sees of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.grant import StatePolicy
from tenure.core.origin import API, Origin, Party
from tenure.core.principal import Author, Principal, Role
from tenure.core.scope import (
    EXTERNAL_ID,
    MAX_DEPTH,
    MAX_KEY,
    MAX_VALUE_BYTES,
    NO_STATE,
    SCOPES,
    Expected,
    Parties,
    Scope,
    Setting,
    Snapshot,
    Someone,
    check_key,
    check_policy,
    check_ttl,
    digest,
    encoded,
    expected,
    identity,
    parties_of_caller,
    parties_of_run,
    place,
    places,
    seeded,
)
from tenure.errors import Code, TenureError
from tests.core.properties import properties

ALL = StatePolicy(scopes=SCOPES)
ADA = Author(tenant="acme", user="ada", role=Role.MEMBER)
MEMBER = Principal(tenant="acme", user="ada", role=Role.MEMBER, key_id="key_1")
OPERATOR = Principal(tenant="acme", user="olga", role=Role.OPERATOR, key_id="key_2")
CHAT = {"bot_id": "b", "workspace_id": "w", "conversation_id": "c", "thread_id": "t"}


def setting(
    conversation: dict[str, str] | None = None,
    *,
    session_id: str = "ses_1",
    tenant: str = "acme",
    agent: str = "helper",
) -> Setting:
    return Setting(session_id=session_id, tenant=tenant, agent=agent, conversation=conversation)


def event(actor: Party | None = None, subject: Party | None = None, bot: str | None = "b") -> Origin:
    return Origin(event_id="e1", binding_id="bind", bot_id=bot, actor=actor, subject=subject)


def refused(work: Callable[[], object]) -> tuple[Code, object]:
    """Code and reason of the refusal that `work` must meet."""
    with pytest.raises(TenureError) as caught:
        work()
    return caught.value.code, caught.value.facts.get("reason")


# whose it is


@pytest.mark.sources("S05", "S17")
def test_a_conversation_is_known_by_all_parts_of_its_outside_identity() -> None:
    parties = Parties()

    assert identity(setting(CHAT), parties, Scope.CONVERSATION) == (
        "acme",
        "helper",
        "conversation",
        "outside",
        "b",
        "w",
        "c",
        "t",
    )
    assert identity(setting({"conversation_id": "c"}), parties, Scope.CONVERSATION) == (
        "acme",
        "helper",
        "conversation",
        "outside",
        None,
        None,
        "c",
        None,
    )


def test_a_conversation_that_somebody_only_claims_is_theirs_alone() -> None:
    def claimed(user: str | None) -> str:
        claim = msgspec.structs.replace(setting(CHAT), claimant=user)
        return digest(identity(claim, Parties(), Scope.CONVERSATION))

    assert len({claimed("ada"), claimed("bob"), claimed(None)}) == 3
    assert claimed("ada") == claimed("ada")
    own = identity(msgspec.structs.replace(setting(), claimant="ada"), Parties(), Scope.CONVERSATION)
    assert own == identity(setting(), Parties(), Scope.CONVERSATION)


@pytest.mark.parametrize("conversation", [None, {}, {"bot_id": "b"}, {"bot_id": "b", "conversation_id": ""}])
def test_a_session_without_an_outside_conversation_is_one_by_itself(
    conversation: dict[str, str] | None,
) -> None:
    where = place(setting(conversation), Parties(), Scope.CONVERSATION)

    whose = identity(setting(conversation), Parties(), Scope.CONVERSATION)
    assert whose == ("acme", "helper", "conversation", "session", "ses_1")
    assert where.own
    assert not place(setting(CHAT), Parties(), Scope.CONVERSATION).own


@pytest.mark.sources("D-S4", "S05")
def test_the_session_is_no_part_of_an_outside_conversations_identity() -> None:
    first, again = (
        place(setting(CHAT, session_id=s), Parties(), Scope.CONVERSATION) for s in ("ses_1", "ses_2")
    )

    assert first == again


@pytest.mark.sources("S06", "S18")
def test_an_actor_is_type_and_id_on_its_platform_and_a_user_of_the_api_is_one_everywhere() -> None:
    outside = parties_of_run(setting(CHAT), event(Party(type="user", id="7")), ADA)
    inside = parties_of_run(setting(CHAT), API, ADA)

    assert identity(setting(CHAT), outside, Scope.ACTOR) == ("acme", "helper", "actor", "user", "7", "b", "w")
    assert inside == Parties(Someone("user", "ada"))
    assert inside == parties_of_run(setting(), API, ADA)


@pytest.mark.sources("S06", "S18", "D-S3", "A11")
@pytest.mark.parametrize("actor", [None, Party(type="user", id=""), Party(type="", id="7")])
def test_an_event_without_an_actor_has_no_actor_state_and_nobody_stands_in(actor: Party | None) -> None:
    parties = parties_of_run(setting(CHAT), event(actor), ADA)

    assert parties.actor is None
    assert refused(lambda: identity(setting(CHAT), parties, Scope.ACTOR)) == (
        Code.INVALID,
        "identity_missing",
    )


@pytest.mark.sources("S07", "S19")
def test_a_subject_is_type_and_id_and_without_one_there_is_no_subject_state() -> None:
    group = parties_of_run(setting(CHAT), event(subject=Party(type="group", id="g")), ADA)
    none = parties_of_run(setting(CHAT), event(Party(type="user", id="7")), ADA)

    assert identity(setting(CHAT), group, Scope.SUBJECT) == (
        "acme",
        "helper",
        "subject",
        "group",
        "g",
        "b",
        "w",
    )
    with pytest.raises(TenureError, match="no subject here"):
        identity(setting(CHAT), none, Scope.SUBJECT)


@pytest.mark.sources("S08", "S16", "S20")
def test_runner_state_belongs_to_the_agent_whatever_binding_brought_the_event() -> None:
    one = parties_of_run(setting(CHAT), msgspec.structs.replace(event(), binding_id="one"), ADA)
    other = parties_of_run(setting(), API, ADA)

    assert identity(setting(CHAT), one, Scope.RUNNER) == ("acme", "helper", "runner")
    assert place(setting(CHAT), one, Scope.RUNNER) == place(setting(), other, Scope.RUNNER)
    assert place(setting(), other, Scope.RUNNER) != place(setting(agent="b"), other, Scope.RUNNER)


@pytest.mark.sources("D-S1", "A10")
def test_parts_that_look_alike_when_joined_are_different_identities() -> None:
    room = setting({"conversation_id": "room", "thread_id": "42"})
    joined = setting({"conversation_id": "room:42"})
    actor, named = Parties(Someone("user", "x:y")), Parties(Someone("user:x", "y"))

    assert place(room, Parties(), Scope.CONVERSATION) != place(joined, Parties(), Scope.CONVERSATION)
    assert place(room, actor, Scope.ACTOR) != place(room, named, Scope.ACTOR)


@pytest.mark.sources("D-S2", "S02", "A10")
@pytest.mark.parametrize("scope", SCOPES)
def test_tenants_and_agents_share_no_scope(scope: Scope) -> None:
    parties = Parties(Someone("user", "7", "b"), Someone("group", "g", "b"))
    ours = place(setting(CHAT), parties, scope)

    assert ours.digest != place(setting(CHAT, tenant="globex"), parties, scope).digest
    assert ours.digest != place(setting(CHAT, agent="other"), parties, scope).digest


PART = st.none() | st.text(alphabet='a:/\x00"\\,[]nul', max_size=6)


@pytest.mark.sources("D-S1", "A10")
@properties
@given(st.lists(PART, max_size=5), st.lists(PART, max_size=5))
def test_two_identities_have_one_digest_only_if_they_are_the_same(
    one: list[str | None], other: list[str | None]
) -> None:
    assert (digest(tuple(one)) == digest(tuple(other))) == (one == other)


@pytest.mark.sources("S04")
def test_the_kept_outside_id_is_a_value_and_changes_no_identity() -> None:
    kept: dict[Scope, dict[str, bytes]] = {Scope.CONVERSATION: {EXTERNAL_ID: b'"moved"', "plan": b"1"}}

    snapshot = seeded(kept, ALL, setting(CHAT))

    assert snapshot["conversation"] == {EXTERNAL_ID: "moved", "plan": 1}
    assert identity(setting(CHAT), Parties(), Scope.CONVERSATION)[6] == "c"


# who may


@pytest.mark.sources("S21", "S09", "S23", "D-S9")
def test_a_scope_is_refused_with_the_first_reason_that_holds() -> None:
    off = StatePolicy(enabled=False, scopes=SCOPES)
    some = StatePolicy(scopes=("conversation", "runner"))

    assert refused(lambda: check_policy(off, "nope")) == (Code.FORBIDDEN, "state_disabled")
    assert refused(lambda: check_policy(off, "runner")) == (Code.FORBIDDEN, "state_disabled")
    assert refused(lambda: check_policy(some, "nope")) == (Code.INVALID, "unknown_scope")
    assert refused(lambda: check_policy(some, "actor")) == (Code.FORBIDDEN, "scope_not_enabled")
    assert [check_policy(some, s) for s in some.scopes] == [Scope.CONVERSATION, Scope.RUNNER]


def test_refusals_name_what_there_is_instead() -> None:
    with pytest.raises(TenureError) as unknown:
        check_policy(ALL, "session")
    with pytest.raises(TenureError) as off:
        check_policy(StatePolicy(), "runner")

    assert unknown.value.detail == (
        "There is no scope 'session'. Use one of: conversation, actor, subject, runner."
    )
    assert off.value.detail == (
        "This agent has no runner state; enabled are: conversation, actor. "
        "Its operator can add the scope to state.scopes."
    )


def test_a_caller_is_its_own_actor_and_only_operators_name_others() -> None:
    inside, outside = setting(), setting(CHAT)

    assert parties_of_caller(inside, MEMBER, None, None) == Parties(Someone("user", "ada"))
    assert parties_of_caller(inside, MEMBER, "user:ada", None) == Parties(Someone("user", "ada"))
    assert parties_of_caller(inside, OPERATOR, "user:x:y", None) == Parties(Someone("user", "x:y"))
    assert parties_of_caller(outside, OPERATOR, "user:7", "group:g") == Parties(
        Someone("user", "7", "b", "w"), Someone("group", "g", "b", "w")
    )
    for actor, subject in (("user:bob", None), (None, "group:g")):
        assert refused(lambda a=actor, s=subject: parties_of_caller(inside, MEMBER, a, s)) == (
            Code.FORBIDDEN,
            "not_yours",
        )
    assert refused(lambda: parties_of_caller(outside, MEMBER, "user:ada", None))[0] is Code.FORBIDDEN


@pytest.mark.parametrize("text", ["", "user", ":7", "user:"])
def test_an_actor_without_type_or_id_is_no_name(text: str) -> None:
    assert refused(lambda: parties_of_caller(setting(), OPERATOR, text, None)) == (
        Code.INVALID,
        "bad_identity",
    )


# what may stand in it


@pytest.mark.sources("S03")
def test_the_short_name_of_the_outside_id_is_an_alias() -> None:
    assert check_key("conversation_id") == EXTERNAL_ID
    assert check_key(EXTERNAL_ID) == EXTERNAL_ID


@pytest.mark.sources("S14")
@pytest.mark.parametrize("key", ["k", "memory.facts", "a/b:c d", "ü" * MAX_KEY, "😀", "%2F", "."])
def test_keys_are_free_text(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "x" * (MAX_KEY + 1), "a\x00", "a\nb", "\x7f", "\x85", "\ud800"], ids=ascii
)
def test_keys_that_could_not_be_sent_everywhere_are_refused(key: str) -> None:
    assert refused(lambda: check_key(key)) == (Code.INVALID, "bad_key")


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.sources("S14", "S25", "D-S6")
@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, b"null"),
        (True, b"true"),
        (2**70, b"1180591620717411303424"),
        (-0.5, b"-0.5"),
        ("ü\n", '"ü\\n"'.encode()),
        ((1, [2, {"a": None}]), b'[1,[2,{"a":null}]]'),
        ("x" * (MAX_VALUE_BYTES - 2), b'"' + b"x" * (MAX_VALUE_BYTES - 2) + b'"'),
        (nested(MAX_DEPTH), b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_values_are_any_json(value: object, line: bytes) -> None:
    assert encoded(value) == line


@pytest.mark.sources("S14", "S25", "D-S6", "A12")
@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({1: 2}, Code.INVALID),
        ({"a": {1, 2}}, Code.INVALID),
        (datetime(2026, 1, 1, tzinfo=UTC), Code.INVALID),
        (b"x", Code.INVALID),
        (float("nan"), Code.INVALID),
        ([float("inf")], Code.INVALID),
        (object(), Code.INVALID),
        (Scope, Code.INVALID),
        ("a\x00", Code.INVALID),
        ({"a\x00": 1}, Code.INVALID),
        (["\udc00"], Code.INVALID),
        (nested(MAX_DEPTH + 1), Code.TOO_DEEP),
        ("x" * (MAX_VALUE_BYTES - 1), Code.TOO_LARGE),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_values_that_are_no_json_or_too_much_are_refused(value: object, code: Code) -> None:
    assert refused(lambda: encoded(value))[0] is code


@pytest.mark.parametrize("ttl_s", [0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_time_to_live_that_is_none_is_refused(ttl_s: float) -> None:
    assert refused(lambda: check_ttl(ttl_s)) == (Code.INVALID, "bad_ttl")


def test_a_condition_holds_for_what_it_names() -> None:
    assert expected(None) is None
    assert expected(0) == Expected((0,))
    assert refused(lambda: expected(-1)) == (Code.INVALID, "bad_version")
    assert refused(lambda: expected(True)) == (Code.INVALID, "bad_version")
    Expected((0,)).check("k", 0)
    Expected((3, 4)).check("k", 4)
    Expected(anything=True).check("k", 1)
    for wanted, there in (
        (Expected((0,)), 1),
        (Expected((3,)), 4),
        (Expected(anything=True), 0),
        (Expected(), 1),
    ):
        with pytest.raises(TenureError) as late:
            wanted.check("k", there)
        assert (late.value.code, late.value.facts) == (Code.STALE, {"key": "k", "version": there})


# what a run sees


@pytest.mark.sources("S01", "S10", "S22")
def test_a_snapshot_has_the_four_scopes_in_order_empty_where_nothing_is() -> None:
    snapshot = Snapshot({Scope.ACTOR: {"mail": b'"a@b"'}})

    assert list(snapshot) == ["conversation", "actor", "subject", "runner"]
    assert snapshot == {"conversation": {}, "actor": {"mail": "a@b"}, "subject": {}, "runner": {}}
    assert snapshot["actor"].get("mail") == "a@b"
    assert snapshot["subject"].get("mail") is None
    assert [dict(NO_STATE[scope]) for scope in NO_STATE] == [{}, {}, {}, {}]


@pytest.mark.sources("D-S5", "A11")
def test_changing_what_was_read_changes_neither_the_snapshot_nor_what_it_was_made_of() -> None:
    lines = {"plan": b'{"steps":[1]}'}
    snapshot = Snapshot({Scope.CONVERSATION: lines})

    cast("dict[str, list[int]]", snapshot["conversation"]["plan"])["steps"].append(2)
    lines["plan"] = b"null"

    assert snapshot["conversation"]["plan"] == {"steps": [1]}
    for change in ("__setitem__", "__delitem__", "update", "pop", "clear"):
        assert change not in dir(snapshot) and change not in dir(snapshot["conversation"])


@pytest.mark.sources("S11", "S22")
@pytest.mark.parametrize(
    ("policy", "conversation", "seen"),
    [
        (ALL, CHAT, {EXTERNAL_ID: "c"}),
        (StatePolicy(scopes=("actor",)), CHAT, {}),
        (StatePolicy(enabled=False), CHAT, {}),
        (ALL, {"bot_id": "b"}, {}),
        (ALL, None, {}),
    ],
)
def test_a_snapshot_knows_the_outside_id_if_the_scope_is_on_and_there_is_one(
    policy: StatePolicy, conversation: dict[str, str] | None, seen: dict[str, str]
) -> None:
    assert seeded({}, policy, setting(conversation))["conversation"] == seen


@pytest.mark.sources("S11")
def test_an_outside_id_that_was_kept_is_not_seeded_over() -> None:
    kept: dict[Scope, dict[str, bytes]] = {Scope.CONVERSATION: {EXTERNAL_ID: b"null"}}

    assert seeded(kept, ALL, setting(CHAT))["conversation"] == {EXTERNAL_ID: None}


@pytest.mark.sources("S22")
def test_only_enabled_scopes_with_an_identity_are_looked_up() -> None:
    nobody = Parties()
    everybody = Parties(Someone("user", "7"), Someone("group", "g"))

    def scopes(policy: StatePolicy, parties: Parties) -> list[str]:
        return [where.scope for where in places(policy, setting(), parties)]

    assert scopes(ALL, everybody) == list(SCOPES)
    assert scopes(ALL, nobody) == ["conversation", "runner"]
    assert scopes(StatePolicy(), everybody) == ["conversation", "actor"]
    assert scopes(StatePolicy(enabled=False), everybody) == []
