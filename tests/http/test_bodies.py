"""Bodies and query strings that are wrong: each is refused by name and value, and harms nothing."""

import asyncio
from typing import Any

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio

SEE = ". /docs lists what this route takes."


def invalid(detail: str, field: str, **facts: object) -> dict[str, object]:
    """A refusal of one field, as a whole document."""
    return {
        "type": "/docs#invalid",
        "title": "A value isn't what this route takes",
        "status": 422,
        "code": "invalid",
        "detail": detail,
        "field": field,
        **facts,
    }


async def refused(world: World, path: str, content: bytes | str) -> dict[str, Any]:
    """The problem that a body is refused with; nothing was opened or said."""
    raw = content if isinstance(content, bytes) else content.encode()
    response = await world.ask("POST", path, content=raw)
    assert response.status_code == response.json()["status"], response.text
    assert (await world.get("/v1/sessions"))["data"] == []
    return response.json()


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("{}", invalid("agent is missing" + SEE, "agent")),
        ("", invalid("agent is missing" + SEE, "agent")),
        (
            '{"agent": "scripted", "colour": "red"}',
            invalid('colour ("red") isn\'t known here' + SEE, "colour", value='"red"'),
        ),
        (
            '{"agent": 7}',
            invalid("agent (7) is refused: Expected str, got int" + SEE, "agent", value="7"),
        ),
        (
            '{"agent": null}',
            invalid("agent (null) is refused: Expected str, got null" + SEE, "agent", value="null"),
        ),
        (
            '{"agent": ""}',
            invalid('agent ("") is refused: Expected str of length >= 1' + SEE, "agent", value='""'),
        ),
        (
            '{"agent": "scripted", "labels": {"a": 1}}',
            invalid(
                'labels ({"a": 1}) is refused: Expected str, got int' + SEE,
                "labels",
                value='{"a": 1}',
            ),
        ),
        (
            '{"agent": "scripted", "labels": {"": "1"}}',
            invalid(
                'labels ({"": "1"}) has a name that is refused: Expected str of length >= 1' + SEE,
                "labels",
                value='{"": "1"}',
            ),
        ),
        (
            '{"agent": "scripted", "conversation": {"bot": "x"}}',
            invalid('conversation.bot ("x") isn\'t known here' + SEE, "conversation.bot", value='"x"'),
        ),
        (
            "[]",
            invalid("The body ([]) is refused: Expected object, got array" + SEE, "the body", value="[]"),
        ),
        ("7", invalid("The body (7) is refused: Expected object, got int" + SEE, "the body", value="7")),
        (
            '{"agent": "scripted", "agent": "longhaul"}',
            invalid("agent is given twice. Give it once.", "agent"),
        ),
        (
            '{"agent": "scripted", "labels": {"a": "1", "a": "2"}}',
            invalid("a is given twice. Give it once.", "a"),
        ),
        (
            '{"agent": "scripted", "title": "a\\u0000b"}',
            invalid("title holds the character U+0000. Send it without.", "title"),
        ),
        (
            '{"agent": "scripted", "labels": {"\\u0000": "x"}}',
            invalid("A name in labels holds the character U+0000. Send it without.", "A name in labels"),
        ),
        (
            '{"agent": "scripted", "labels": {"x": "\\ud800"}}',
            invalid("labels.x holds half of a surrogate pair. Send valid Unicode.", "labels.x"),
        ),
        (
            '{"agent": "scripted", "title": "\\udc00\\ud800"}',
            invalid("title holds half of a surrogate pair. Send valid Unicode.", "title"),
        ),
    ],
)
async def test_a_wrong_field_is_named_with_its_value(world: World, body: str, wanted: dict[str, Any]) -> None:
    assert await refused(world, "/v1/sessions", body) == wanted


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'agent': 'x'}",
        b'{"agent": }',
        b'{"agent": "x"} {"agent": "y"}',
        b'{"agent": NaN}',
        b'{"agent": Infinity}',
        b'{"agent": -Infinity}',
        b'{"agent": "\xff"}',
        b'{"agent": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"agent": "x"}',
        b'{"agent": "a\x00b"}',
        b'{"agent": "a\nb"}',
        b'{"agent": "\\x41"}',
        b'{"agent": 01}',
        b'{"agent": ' + b"9" * 5000 + b"}",
        b"{" * 40,
        b"]" * 70,
        b"\x80\x04\x95",
        "{}".encode("utf-16"),
    ],
    ids=range(19),
)
async def test_what_is_no_json_is_a_bad_request(world: World, body: bytes) -> None:
    answer = await refused(world, "/v1/sessions", body)

    assert answer["code"] == "bad_request"
    assert answer["detail"].startswith("The body isn't valid JSON in UTF-8: ")


@pytest.mark.parametrize(
    "body",
    [
        '{"agent": ' + "[" * 64 + "]" * 64 + "}",
        '{"agent": ' + '{"a":' * 64 + "1" + "}" * 64 + "}",
        '{"agent": "x", "labels": ' + '[{"a":' * 500 + "1" + "}]" * 500 + "}",
        "[" * 100_000 + "]" * 100_000,
        "[" * 500_000,
        '{"a":' * 100_000,
    ],
    ids=range(6),
)
async def test_a_deep_body_is_refused_before_it_is_decoded(world: World, body: str) -> None:
    assert await refused(world, "/v1/sessions", body) == {
        "type": "/docs#too_deep",
        "title": "The body is nested too deeply",
        "status": 422,
        "code": "too_deep",
        "detail": "The body nests arrays and objects more than 64 levels deep. Send it flatter.",
        "limit": 64,
    }


@pytest.mark.parametrize(
    "body",
    [
        '{"agent": ' + "[" * 63 + "]" * 63 + "}",
        '{"agent": "' + "[{" * 5_000 + '"}',
        '{"agent": "' + '\\"[' * 5_000 + '"}',
        '{"agent": "a\\\\", "labels": "' + "[" * 100 + '"}',
        '{"agent": [' + ",".join(["[]", "{}"] * 5_000) + "]}",
    ],
    ids=range(5),
)
async def test_a_wide_body_or_one_with_brackets_in_its_texts_is_not_deep(world: World, body: str) -> None:
    assert (await refused(world, "/v1/sessions", body))["code"] == "invalid"


async def test_the_largest_body_is_still_read(world: World) -> None:
    session = await world.session()
    text = "SAY " + "x" * (1024 * 1024 - len('{"content": "SAY "}'))

    receipt = await world.say(session, text)

    message = await world.get(f"/v1/sessions/{session}/messages/{receipt['message_id']}")
    assert message["content"] == text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"content": 7}', "content"),
        ('{"content": [{"type": "image", "url": "x"}]}', "content[0].type"),
        ('{"content": [{"type": "text", "text": 7}]}', "content[0].text"),
        ('{"content": [{"type": "text", "text": "x", "more": 1}]}', "content[0].more"),
        ('{"content": "x", "when_busy": "shout"}', "when_busy"),
        ('{"content": "x", "message_id": "msg_1"}', "message_id"),
        ('{"content": "x", "deadline_s": 0}', "deadline_s"),
        ('{"content": "x", "deadline_s": 1e999}', "deadline_s"),
        ('{"content": "x", "deadline_s": "5"}', "deadline_s"),
        ('{"content": "x", "if_head_seq": -1}', "if_head_seq"),
        ('{"content": "x", "if_head_seq": 1.5}', "if_head_seq"),
        ('{"content": "x", "if_head_seq": true}', "if_head_seq"),
        ('{"content": "x", "if_idle": 1}', "if_idle"),
        ('{"content": "\\ud83d"}', "content"),
        ('{"content": [{"type": "text", "text": "\\u0000"}]}', "content[0].text"),
    ],
)
async def test_a_wrong_message_is_refused_and_not_admitted(world: World, body: str, field: str) -> None:
    session = await world.session()

    response = await world.ask("POST", f"/v1/sessions/{session}/messages", content=body.encode())

    assert (response.status_code, response.json()["code"], response.json()["field"]) == (
        422,
        "invalid",
        field,
    )
    assert await world.host.store.head(session) == 1


@pytest.mark.parametrize("text", ["é", "👩‍👩‍👧", "\u2028\u2029", "a\\u0000b", '"}]', "\x7f"], ids=range(6))
async def test_every_other_text_comes_back_as_it_was(world: World, text: str) -> None:
    session = await world.session()

    receipt = await world.say(session, text)

    message = await world.get(f"/v1/sessions/{session}/messages/{receipt['message_id']}")
    assert message["content"] == text


async def test_a_text_with_an_escaped_backslash_before_u0000_is_kept(world: World) -> None:
    session = await world.session()
    content = b'{"content": "SAY \\\\u0000 \\u00e9"}'

    receipt = (await world.ask("POST", f"/v1/sessions/{session}/messages", content=content)).json()

    message = await world.get(f"/v1/sessions/{session}/messages/{receipt['message_id']}")
    assert message["content"] == "SAY \\u0000 é"


@pytest.mark.parametrize(
    ("query", "detail", "field"),
    [
        ("limt=5", 'limt ("5") isn\'t known here' + SEE, "limt"),
        ("limit=x", 'limit ("x") is refused: Expected int, got str' + SEE, "limit"),
        ("limit=1001", 'limit ("1001") is refused: give at most 1000' + SEE, "limit"),
        ("limit=0", 'limit ("0") is refused: give at least 1' + SEE, "limit"),
        ("limit=-1", 'limit ("-1") is refused: give at least 1' + SEE, "limit"),
        ("limit=", 'limit ("") is refused: Expected int, got str' + SEE, "limit"),
        ("limit=5&limit=6", "limit is given twice. Give it once.", "limit"),
        ("status=busy", "status (\"busy\") is refused: Invalid enum value 'busy'" + SEE, "status"),
        ("agent=%00", "agent holds the character U+0000. Send it without.", "agent"),
        ("label=bare", "label is 'bare'. Send the name and the value with a colon between them.", "label"),
    ],
)
async def test_a_wrong_query_parameter_is_named_with_its_value(
    world: World, query: str, detail: str, field: str
) -> None:
    response = await world.ask("GET", f"/v1/sessions?{query}")

    assert response.status_code == 422
    assert (response.json()["detail"], response.json()["field"]) == (detail, field)


@pytest.mark.parametrize("path", ["/healthz", "/v1/whoami", "/v1/keys", "/v1/agents", "/openapi.json"])
async def test_no_route_takes_a_parameter_that_it_does_not_know(world: World, path: str) -> None:
    response = await world.ask("GET", f"{path}?surprise=1")

    assert (response.status_code, response.json()["field"]) == (422, "surprise")


async def test_a_thousand_parameters_are_refused(world: World) -> None:
    response = await world.ask("GET", "/v1/sessions?" + "&".join(["label=a:b"] * 1000))

    assert response.status_code == 422


async def test_a_hostile_body_does_not_hold_up_the_host(world: World) -> None:
    """The worst bodies of the largest size are judged in a small part of a second each."""
    size = 1024 * 1024 - 2
    bodies = (
        b"[" * size,
        b"[]" * (size // 2),
        b'"' * size,
        b"[" * 60 + b"[]" * (size // 2 - 60),
        b'{"":' * (size // 4),
    )
    for body in bodies:
        async with asyncio.timeout(2):
            response = await world.ask("POST", "/v1/sessions", content=body)
        assert response.status_code in (400, 422)
