"""The small values: ids, content, limits, landmarks of the vocabulary, and bodies of requests."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core import command
from tenure.core.command import (
    Ask,
    CreateKey,
    InterruptRun,
    OpenSession,
    SendMessage,
    UpdateSession,
    Waiting,
)
from tenure.core.content import TextPart, storable, text_of
from tenure.core.ids import APPROVAL, ARTIFACT, EFFECT, KEY, MESSAGE, RUN, SESSION, well_formed
from tenure.core.limits import Limits, full
from tenure.core.message import BusyPolicy
from tenure.core.principal import Role
from tenure.errors import Code, TenureError
from tests.core.properties import properties

HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize("prefix", [SESSION, RUN, MESSAGE, KEY, APPROVAL, EFFECT, ARTIFACT])
def test_an_id_is_its_prefix_and_32_hex_digits(prefix: str) -> None:
    assert well_formed(prefix, prefix + HEX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg_",
        HEX,
        f"msg_{HEX[1:]}",
        f"msg_{HEX}0",
        f"msg_{HEX.upper()}",
        f"run_{HEX}",
        f"msg_{HEX}\n",
        f" msg_{HEX}",
        f"msg_{'g' * 32}",
        f"msg_{'٣' * 32}",
    ],
    ids=ascii,
)
def test_anything_else_is_no_id(text: str) -> None:
    assert not well_formed(MESSAGE, text)


def test_the_text_of_parts_is_joined_by_line_breaks() -> None:
    assert text_of("as it is") == "as it is"
    assert text_of((TextPart("one"), TextPart("two"))) == "one\ntwo"
    assert text_of(()) == ""


@properties
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_without_nul_and_half_surrogates_can_be_stored(text: str) -> None:
    assert storable(text, "content") is text


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("a\0b", "content holds the character U+0000. Send it without."),
        ("a\ud83d", "content holds half of a surrogate pair. Send valid Unicode."),
        ("\udc00", "content holds half of a surrogate pair. Send valid Unicode."),
    ],
    ids=ascii,
)
def test_a_text_that_not_every_store_can_hold_is_refused(text: str, detail: str) -> None:
    with pytest.raises(TenureError) as refused:
        storable(text, "content")

    assert (refused.value.code, refused.value.detail, refused.value.facts) == (
        Code.INVALID,
        detail,
        {"field": "content"},
    )


def test_the_default_limits_are_those_of_the_contract() -> None:
    assert msgspec.structs.asdict(Limits()) == {
        "open_sessions": 100_000,
        "open_sessions_per_user": 1_000,
        "live_runs": 256,
        "live_runs_per_user": 64,
        "queued_messages_per_session": 100,
        "schedules_per_user": 1_000,
        "streams_per_user": 1_000,
        "commands_per_minute": None,
        "approval_ttl_s": 86_400,
        "hold_s": 900.0,
        "held_runs": 1_000,
        "files_per_session": 1_000,
        "files_bytes_per_session": 1 << 30,
    }


def test_a_full_limit_says_which_how_many_and_the_way_out() -> None:
    refusal = full("per_user", "open sessions", 10, 12, "Close one.")

    assert str(refusal) == ("The limit of 10 open sessions (per user) is reached: 12 are in use. Close one.")
    assert (refusal.code, refusal.facts) == (
        Code.CAPACITY,
        {"scope": "per_user", "limit": 10, "current": 12},
    )


BODIES: list[type[Ask]] = [
    body
    for body in vars(command).values()
    if isinstance(body, type) and issubclass(body, Ask) and body is not Ask
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_no_body_takes_an_unknown_field(body: type[Ask]) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `surprise`"):
        msgspec.json.decode(b'{"surprise": 1}', type=body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"content": "hi"}', SendMessage(content="hi")),
        (
            b'{"content": [{"type": "text", "text": "hi"}], "when_busy": "reject"}',
            SendMessage(content=(TextPart("hi"),), when_busy=BusyPolicy.REJECT),
        ),
        (b'{"agent": "a"}', OpenSession(agent="a")),
        (b"{}", UpdateSession()),
        (b'{"title": null}', UpdateSession(title=None)),
        (b"{}", InterruptRun(run_id=None, force=False, waiting=Waiting.HOLD)),
        (b'{"user": "u", "role": "viewer"}', CreateKey(user="u", role=Role.VIEWER)),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else type(value).__name__,
)
def test_a_body_is_read(body: bytes, expected: Ask) -> None:
    assert msgspec.json.decode(body, type=type(expected)) == expected


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (OpenSession, b"{}"),
        (OpenSession, b'{"agent": ""}'),
        (OpenSession, b'{"agent": 7}'),
        (OpenSession, b'{"agent": "a", "title": "%b"}' % (b"x" * 201)),
        (OpenSession, b'{"agent": "a", "labels": {"": "x"}}'),
        (OpenSession, b'{"agent": "a", "labels": {"x": 1}}'),
        (OpenSession, b'{"agent": "a", "conversation": {"channel": "x"}}'),
        (SendMessage, b"{}"),
        (SendMessage, b'{"content": null}'),
        (SendMessage, b'{"content": {"text": "hi"}}'),
        (SendMessage, b'{"content": [{"type": "image", "url": "x"}]}'),
        (SendMessage, b'{"content": "hi", "message_id": "msg_1"}'),
        (SendMessage, b'{"content": "hi", "message_id": "msg_%b\\n"}' % HEX.encode()),
        (SendMessage, b'{"content": "hi", "when_busy": "shout"}'),
        (SendMessage, b'{"content": "hi", "deadline_s": 0}'),
        (SendMessage, b'{"content": "hi", "deadline_s": 1e9}'),
        (SendMessage, b'{"content": "hi", "if_head_seq": -1}'),
        (SendMessage, b'{"content": "hi", "if_idle": 1}'),
        (InterruptRun, b'{"waiting": "drop"}'),
        (CreateKey, b'{"user": "u", "role": "god"}'),
        (CreateKey, b'{"user": "", "role": "admin"}'),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else value.__name__,
)
def test_a_body_of_the_wrong_shape_is_refused(kind: type[Ask], body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=kind)
