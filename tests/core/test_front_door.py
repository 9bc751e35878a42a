"""Which binding takes an event, what authority is left to it, and what is kept of what it says."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.artifact import Attachment
from tenure.core.binding import (
    Addressed,
    Binding,
    BindingScope,
    DeliveryPolicy,
    ScopeType,
    actor_role,
    check_bindings,
    delivered,
    resolve,
    role_of,
)
from tenure.core.envelope import (
    EventActor,
    EventDelivery,
    EventEnvelope,
    EventInput,
    EventSubject,
    addressed,
    content_of,
    event_digest,
    event_key,
    info_of,
    looks_secret,
    origin_of,
    session_key,
)
from tenure.core.origin import Delivery, Origin, Party
from tenure.core.principal import Role
from tenure.errors import Code, ConfigError, TenureError
from tests.core.properties import properties


def binding(name: str, kind: str = "global", scope_id: str | None = None, **fields: Any) -> Binding:
    """A binding of acme for the agent `support`, unless said otherwise."""
    scope = BindingScope(type=ScopeType(kind), id=scope_id)
    given: dict[str, Any] = {"id": name, "tenant": "acme", "agent": "support", "scope": scope, **fields}
    return Binding(**given)


def event(**fields: Any) -> EventEnvelope:
    """An event with an id, and whatever the test is about."""
    return msgspec.convert({"event_id": "e1", **fields}, EventEnvelope)


MESSAGE = Addressed("acme", "message.received", "support", "tg-1", "w")
GLOBAL = binding("all")
WORKSPACE = binding("office", "workspace", "w")
BOT = binding("telegram", "bot", "tg-1")
AGENT = binding("named", "agent", "support")


@pytest.mark.parametrize(
    ("bindings", "wanted"),
    [
        ((GLOBAL,), "all"),
        ((GLOBAL, WORKSPACE), "office"),
        ((GLOBAL, WORKSPACE, BOT), "telegram"),
        ((AGENT, BOT, WORKSPACE, GLOBAL), "named"),
        ((binding("other", "bot", "tg-2"), GLOBAL), "all"),
        ((msgspec.structs.replace(BOT, enabled=False), GLOBAL), "all"),
        ((msgspec.structs.replace(BOT, tenant="rival"), GLOBAL), "all"),
        ((msgspec.structs.replace(BOT, event_types=("group.joined",)), GLOBAL), "all"),
        ((msgspec.structs.replace(BOT, event_types=("*",)), GLOBAL), "telegram"),
    ],
)
def test_the_narrowest_binding_that_matches_takes_the_event(
    bindings: tuple[Binding, ...], wanted: str
) -> None:
    assert resolve(bindings, MESSAGE).id == wanted


def test_two_equally_narrow_bindings_are_refused_by_name() -> None:
    twin = msgspec.structs.replace(BOT, id="a-twin")

    with pytest.raises(TenureError) as refused:
        resolve((BOT, twin, GLOBAL), MESSAGE)

    assert refused.value.code is Code.AMBIGUOUS_BINDING
    assert refused.value.facts == {"bindings": "a-twin, telegram", "scope": "bot"}


def test_an_event_that_nobody_takes_is_refused_with_what_was_looked_for() -> None:
    with pytest.raises(TenureError) as refused:
        resolve((BOT,), Addressed("acme", "message.received", bot_id="tg-2"))

    assert refused.value.code is Code.NO_BINDING
    assert refused.value.facts == {
        "event_type": "message.received",
        "agent": None,
        "bot_id": "tg-2",
        "workspace_id": None,
    }


def test_an_event_without_a_bot_matches_no_bot() -> None:
    with pytest.raises(TenureError):
        resolve((BOT,), Addressed("acme", "message.received"))


_IDS = st.sampled_from(["a", "b", None])
_SCOPES = st.one_of(
    st.just(BindingScope(type=ScopeType.GLOBAL)),
    st.builds(
        BindingScope,
        type=st.sampled_from([ScopeType.AGENT, ScopeType.BOT, ScopeType.WORKSPACE]),
        id=st.sampled_from(["a", "b"]),
    ),
)
_TYPES = st.sampled_from([("message.received",), ("joined",), ("*",), ("message.received", "joined")])
_BINDINGS = st.lists(
    st.builds(
        Binding,
        id=st.text("abc", min_size=1, max_size=6),
        tenant=st.sampled_from(["acme", "rival"]),
        agent=st.just("support"),
        scope=_SCOPES,
        event_types=_TYPES,
        enabled=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda made: made.id,
)
_EVENTS = st.builds(
    Addressed,
    st.sampled_from(["acme", "rival"]),
    st.sampled_from(["message.received", "joined", "left"]),
    _IDS,
    _IDS,
    _IDS,
)


@properties
@given(_BINDINGS, _EVENTS)
def test_resolution_finds_exactly_one_or_says_why_not(bindings: list[Binding], asked: Addressed) -> None:
    named = {"agent": asked.agent, "bot": asked.bot_id, "workspace": asked.workspace_id}
    fit = [
        b
        for b in bindings
        if b.enabled
        and b.tenant == asked.tenant
        and (asked.event_type in b.event_types or "*" in b.event_types)
        and (b.scope.type == "global" or b.scope.id == named[b.scope.type])
    ]
    widths = ["agent", "bot", "workspace", "global"]
    narrowest = min([widths.index(b.scope.type) for b in fit], default=None)
    best = [b for b in fit if widths.index(b.scope.type) == narrowest]

    try:
        outcome: object = resolve(bindings, asked)
    except TenureError as refused:
        outcome = refused.code

    wanted = {0: Code.NO_BINDING, 1: best[0] if best else None}
    assert outcome == wanted.get(len(best), Code.AMBIGUOUS_BINDING)


@pytest.mark.parametrize(
    ("roles", "actor", "left"),
    [
        ({}, None, Role.OPERATOR),
        ({}, Party(type="user", id="7"), Role.OPERATOR),
        ({"7": Role.VIEWER}, Party(type="user", id="7"), Role.VIEWER),
        ({"7": Role.VIEWER}, Party(type="user", id="8"), Role.OPERATOR),
        ({"7": Role.ADMIN}, Party(type="user", id="7"), Role.OPERATOR),
        ({"*": Role.VIEWER}, None, Role.VIEWER),
        ({"*": Role.VIEWER, "7": Role.MEMBER}, Party(type="user", id="7"), Role.MEMBER),
        ({"7": Role.VIEWER, "user:7": Role.MEMBER}, Party(type="user", id="7"), Role.MEMBER),
        ({"7": Role.VIEWER, "user:7": Role.MEMBER}, Party(type="bot", id="7"), Role.VIEWER),
        ({"*": Role.VIEWER, "admin:7": Role.OPERATOR}, Party(type="user", id="admin:7"), Role.VIEWER),
        ({"*": Role.VIEWER, "user:a:b": Role.OPERATOR}, Party(type="user", id="a:b"), Role.OPERATOR),
        ({"*": Role.VIEWER, "user:a:b": Role.OPERATOR}, Party(type="user:a", id="b"), Role.VIEWER),
    ],
)
def test_actor_role_cuts_the_authority_of_the_posting_key(
    roles: dict[str, Role], actor: Party | None, left: Role
) -> None:
    rules = tuple(actor_role(name, role) for name, role in roles.items())

    assert role_of(binding("b", actor_roles=rules), Role.OPERATOR, actor) is left


def test_delivery_is_what_the_platform_can_cut_by_the_binding() -> None:
    can = Delivery(
        surface="chat",
        reply_target={"chat": 1},
        supports_streaming=True,
        supports_edit=True,
        max_message_size=4_096,
    )
    policy = DeliveryPolicy(enable_streaming=False, enable_reply=False, max_message_size=1_000)

    assert delivered(policy, can) == Delivery(
        reply=False, surface="chat", supports_edit=True, max_message_size=1_000
    )
    assert delivered(DeliveryPolicy(), can) == can
    assert delivered(DeliveryPolicy(), None) == Delivery()


@pytest.mark.parametrize(
    ("bindings", "fault"),
    [
        ((GLOBAL, GLOBAL), "The binding 'all' is there twice. Give each binding an id of its own."),
        (
            (binding("b", agent="nobody"),),
            "The binding 'b' is for the agent 'nobody', which this host",
        ),
        ((binding("b", "global", "x"),), "The binding 'b' has scope global with the id 'x'."),
        ((binding("b", "bot"),), "The binding 'b' has scope bot without an id."),
    ],
)
def test_a_host_refuses_bindings_that_it_cant_serve(bindings: tuple[Binding, ...], fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_bindings(bindings, ["support"])

    assert str(refused.value).startswith(fault)


def test_bindings_are_told_as_they_were_written() -> None:
    rules = (actor_role("7", Role.MEMBER), actor_role("user:8", Role.VIEWER), actor_role("*", Role.VIEWER))

    info = info_of(binding("b", "bot", "tg-1", actor_roles=rules))

    assert info.actor_roles == {"7": "member", "user:8": "viewer", "*": "viewer"}
    assert info.scope == {"type": "bot", "id": "tg-1"}


# --- identities


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"conversation_id": "room:42"}, {"conversation_id": "room", "thread_id": "42"}),
        ({"conversation_id": "c"}, {"conversation_id": "c", "thread_id": "t"}),
        ({"conversation_id": "c"}, {"conversation_id": "c", "bot_id": "b"}),
        ({"conversation_id": "c", "bot_id": "x"}, {"conversation_id": "c", "workspace_id": "x"}),
        ({"conversation_id": "7"}, {"actor": {"id": "7"}}),
        ({"actor": {"type": "user", "id": "x:y"}}, {"actor": {"type": "user:x", "id": "y"}}),
        ({"actor": {"type": "g", "id": "7"}}, {"subject": {"type": "g", "id": "7"}}),
    ],
)
@pytest.mark.sources("R12", "D-R1", "D-S1", "D-S2")
def test_different_conversations_have_different_sessions(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert session_key(GLOBAL, event(**one)) != session_key(GLOBAL, event(**other))


@pytest.mark.sources("R12")
def test_the_same_conversation_has_one_session_whoever_speaks_and_whichever_binding_matches() -> None:
    one = session_key(BOT, event(conversation_id="c", bot_id="tg-1", actor={"id": "7"}))
    other = session_key(GLOBAL, event(conversation_id="c", bot_id="tg-1", event_id="e2"))

    assert one == other


@pytest.mark.sources("R12", "D-S2")
def test_another_tenant_or_agent_has_another_session() -> None:
    said = event(conversation_id="c")
    keys = {
        session_key(made, said)
        for made in (GLOBAL, msgspec.structs.replace(GLOBAL, tenant="rival"), binding("b", agent="sales"))
    }

    assert len(keys) == 3


@pytest.mark.sources("D-S3")
@pytest.mark.parametrize("fields", [{}, {"bot_id": "tg-1"}, {"bot_id": "tg-1", "workspace_id": "w"}])
def test_a_message_of_nobody_in_no_conversation_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TenureError) as refused:
        session_key(GLOBAL, event(input={"text": "hi"}, **fields))

    assert (refused.value.code, refused.value.facts) == (Code.INVALID, {"field": "conversation_id"})


def test_what_happens_to_a_bot_belongs_to_the_bot() -> None:
    one = session_key(GLOBAL, event(event_type="bot.blocked", bot_id="b"))
    other = session_key(GLOBAL, event(event_type="bot.started", bot_id="b"))

    assert one == other
    assert one != session_key(GLOBAL, event(event_type="bot.started", bot_id="c"))


def test_an_event_is_the_same_only_within_tenant_source_and_bot() -> None:
    events = [event(), event(source="platform"), event(bot_id="b"), event(source="b")]
    keys = {event_key(tenant, made) for tenant in ("acme", "rival") for made in events}

    assert len(keys) == 8


def test_a_redelivery_may_be_worded_anew_where_nothing_is_said() -> None:
    first = event(input={"text": "hi"}, event_time=1_700_000_000, delivery={"surface": "chat"})
    again = event(input={"text": "hi"}, event_time="2026-11-20T20:10:00Z", raw_ref={"ref_id": "2"})

    assert event_digest(first) == event_digest(again)
    assert event_digest(first) != event_digest(event(input={"text": "ho"}))


# --- what it says


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"input": {"text": "Hello"}}, "Hello"),
        ({"input": {"contents": [{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}]}}, "a\nb"),
        ({"input": {"attachments": [{"name": "a.png"}, {}]}}, "(2 attached: a.png, a file)"),
        ({"event_type": "group.joined", "input": {"text": "Ann joined"}}, "Ann joined"),
        (
            {
                "event_type": "group.joined",
                "actor": {"id": "7", "name": "Ann"},
                "subject": {"type": "group", "id": "g"},
                "data": {"invited_by": "8", "token": "t0ps3cret"},
            },
            'Event: group.joined\nActor: user 7 (Ann)\nSubject: group g\nData: {"invited_by":"8"}',
        ),
        ({"event_type": "bot.started"}, "Event: bot.started"),
    ],
)
def test_an_event_reads_as_text(fields: dict[str, Any], text: str) -> None:
    assert content_of(event(**fields)) == text


def test_a_message_that_says_nothing_is_refused() -> None:
    with pytest.raises(TenureError) as refused:
        content_of(event(input={"text": "  "}))

    assert (refused.value.code, refused.value.facts) == (Code.INVALID, {"field": "input.text"})


def test_long_data_is_cut_in_the_summary_and_whole_in_the_origin() -> None:
    made = event(event_type="report", data={"rows": ["x" * 10_000]})

    assert len(content_of(made)) < 5_000
    assert origin_of(made, GLOBAL).data == {"rows": ["x" * 10_000]}


@pytest.mark.sources("O30")
def test_the_origin_holds_the_whole_event() -> None:
    made = EventEnvelope(
        event_id="e1",
        event_type="group.joined",
        event_time=1_700_000_000,
        source="platform",
        source_event_type="chat_member",
        bot_id="tg-1",
        workspace_id="w",
        conversation_id="c",
        thread_id="t",
        actor=EventActor(id="7", name="Ann", metadata={"lang": "de"}),
        subject=EventSubject(type="group", id="g", data={"size": 3}),
        input=EventInput(contents=({"type": "text", "text": "hi"},), attachments=(Attachment(name="a"),)),
        delivery=EventDelivery(surface="chat", supports_streaming=True),
        data={"n": 1},
        raw_ref={"ref_id": "r"},
    )

    assert origin_of(made, BOT) == Origin(
        trigger="event",
        event_id="e1",
        event_type="group.joined",
        event_time="2023-11-14T22:13:20.000000Z",
        source="platform",
        source_event_type="chat_member",
        binding_id="telegram",
        bot_id="tg-1",
        workspace_id="w",
        conversation_id="c",
        thread_id="t",
        actor=Party(type="user", id="7", name="Ann", metadata={"lang": "de"}),
        subject=Party(type="group", id="g", data={"size": 3}),
        delivery=Delivery(surface="chat", supports_streaming=True),
        data={"n": 1},
        raw_ref={"ref_id": "r"},
        contents=({"type": "text", "text": "hi"},),
    )


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True),
        ("api_key", True),
        ("apiKey", True),
        ("APIKey", True),
        ("X-Api-Key", True),
        ("bot_token", True),
        ("botToken", True),
        ("Set-Cookie", True),
        ("Authorization", True),
        ("client_secret", True),
        ("private-key", True),
        ("max_tokens", False),
        ("key", False),
        ("monkey", False),
        ("secretary", False),
        ("passport", False),
    ],
)
def test_names_tell_secrets_from_data(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


@pytest.mark.sources("O04")
def test_what_looks_like_a_secret_is_left_out_at_any_depth_and_named() -> None:
    made = event(
        data={"n": 1, "api_key": "k", "list": [{"token": "t", "kept": True}]},
        actor={"id": "7", "metadata": {"password": "p"}},
        delivery={"reply_target": {"chat": 1, "secret": "s"}},
        raw_ref={"cookie": "c"},
    )

    origin = origin_of(made, GLOBAL)

    assert origin.data == {"n": 1, "list": [{"kept": True}]}
    assert origin.dropped == (
        "actor.metadata.password",
        "delivery.reply_target.secret",
        "data.api_key",
        "data.list.token",
        "raw_ref.cookie",
    )
    assert b'"k"' not in msgspec.json.encode(origin)


def test_an_agent_is_named_in_the_data() -> None:
    asked = addressed("acme", event(data={"agent": "support"}, bot_id="b"))

    assert asked == Addressed("acme", "message.received", "support", "b", None)
    assert addressed("acme", event(data={"agent": {"name": "x"}})).agent is None


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": ""},
        {"conversation_id": ""},
        {"actor": {"id": ""}},
        {"actor": {"name": "Ann"}},
        {"subject": {"id": "7"}},
        {"event_time": -1},
        {"event_time": 1e300},
        {"surprise": 1},
        {"input": {"attachments": [{"surprise": 1}]}},
    ],
)
def test_an_envelope_with_a_missing_or_impossible_part_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        event(**fields)
