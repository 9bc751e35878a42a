"""The list of sessions, filtered: by words, by labels whatever they are called, and only within reach."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio


async def found(world: World, query: str, key: str = "") -> list[str]:
    """The ids that a list shows."""
    page = await world.get(f"/v1/sessions?{query}", key=key)
    return [session["id"] for session in page["data"]]


async def opened(world: World, key: str = "", **fields: Any) -> str:
    """A new session with *scripted*. Its id."""
    made = await world.post("/v1/sessions", {"agent": "scripted", **fields}, key=key)
    return made["id"]


@pytest.mark.sources("P12")
async def test_words_are_found_in_titles_and_messages_within_reach(world: World) -> None:
    ann, ben = await world.key("member", "ann", "acme"), await world.key("member", "ben", "acme")
    olga, rival = await world.key("operator", "olga", "acme"), await world.key("operator", "ann", "rival")
    anns = await opened(world, ann, title="Refund of order 7")
    bens = await opened(world, ben)
    stream = world.stream(
        "POST", f"/v1/sessions/{bens}/messages", {"content": "SAY your refund is due"}, key=ben
    )
    await stream.end()

    assert await found(world, "q=refund", ann) == [anns]
    assert await found(world, "q=refund", ben) == [bens]
    assert await found(world, "q=refund", olga) == [bens, anns]
    assert await found(world, "q=refund&status=idle&agent=scripted", olga) == [bens, anns]
    assert await found(world, "q=refund&agent=longhaul", olga) == []
    assert await found(world, "q=refund", rival) == []
    assert await found(world, "q=refund") == [bens, anns]


@pytest.mark.parametrize("words", ["", "%20", "%20%20"])
async def test_an_empty_search_is_none(world: World, words: str) -> None:
    session = await opened(world)

    assert await found(world, f"q={words}") == [session]


@pytest.mark.parametrize("words", ['"', "*", "AND", "a NEAR b", "(", "text:x", "ü'\"–😀", "x" * 1_000])
async def test_no_search_is_a_fault(world: World, words: str) -> None:
    assert await found(world, f"q={quote(words)}") == []


async def test_a_search_that_is_too_long_is_refused(world: World) -> None:
    response = await world.ask("GET", f"/v1/sessions?q={'x' * 1_001}")

    assert (response.status_code, response.json()["field"]) == (422, "q")


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("team", "blue", "team:blue"),
        ("team", "a:b:c", "team:a:b:c"),
        ("team", "50%", "team:50%"),
        ("urn:x", "y", "urn%3Ax:y"),
        ("urn:x", "y:z", "urn%3ax:y:z"),
        ("100%", "yes", "100%25:yes"),
        ("ключ", "да", "ключ:да"),
        (":", "", "%3A:"),
    ],
)
async def test_a_label_is_found_whatever_its_name(world: World, name: str, value: str, written: str) -> None:
    labelled = await opened(world, labels={name: value})
    await opened(world, labels={"urn": "x:y", "100": "%:yes", "other": value})

    assert await found(world, f"label={quote(written, safe='')}") == [labelled]


@pytest.mark.parametrize("label", ["blue", ":blue", "%00:x"])
async def test_a_label_without_a_name_is_refused(world: World, label: str) -> None:
    response = await world.ask("GET", f"/v1/sessions?label={quote(label, safe='')}")

    assert (response.status_code, response.json()["field"]) == (422, "label")
