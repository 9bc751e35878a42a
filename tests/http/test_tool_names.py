"""The names under which MCP clients know a host's tools."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.http.protocols.tool_names import LONGEST, meant, shown

FITS = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}")

PART = st.text(st.sampled_from("ab_-./:0"), min_size=1, max_size=60)
NAME = st.one_of(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.builds("mcp:{}/{}".format, PART, PART),
    PART,
)


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("send_mail", "send_mail"),
        ("a" * LONGEST, "a" * LONGEST),
        ("mcp:github/create", "mcp__github__create"),
        ("mcp:my_github/create_pull-request", "mcp__my_github__create_pull-request"),
        ("a" * (LONGEST + 1), "a" * (LONGEST - 9) + "-6c1b3dc7"),
        ("weather.now", "weather-now-700b5356"),
        ("mcp:github/issues/list", "mcp-github-issues-list-5a88d218"),
        ("mcp__github__create", "mcp__github__create-1765710e"),
    ],
)
def test_a_name_that_fits_stays_and_any_other_is_told_apart(name: str, wire: str) -> None:
    assert shown(name) == wire


@given(st.lists(NAME, unique=True, max_size=20))
def test_every_tool_has_a_name_of_its_own_that_clients_take_and_that_means_it(names: list[str]) -> None:
    wires = [shown(name) for name in names]

    assert all(FITS.fullmatch(wire) for wire in wires)
    assert len(set(wires)) == len(names)
    assert [meant(wire, names) for wire in wires] == names
    assert [meant(name, names) for name in names] == names


def test_a_name_that_is_taken_gets_a_fingerprint() -> None:
    assert shown("history", ["history"]) == "history-" + shown("history", ["history"])[-8:]
    assert meant(shown("history", ["history"]), ["history"], ["history"]) == "history"


@pytest.mark.parametrize(
    ("wire", "name"),
    [("mcp__github__create", "mcp:github/create"), ("nothing", "nothing"), ("mcp__x", "mcp__x"), ("", "")],
)
def test_what_isnt_granted_is_told_by_the_name_it_has_on_the_host(wire: str, name: str) -> None:
    assert meant(wire, ["other"]) == name
