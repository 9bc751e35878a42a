"""What a person who decides is shown of a call: all of it, and nothing that hides."""

import json

import pytest

from tenure.cli.questions import Question, Unclear, changed, why
from tenure.cli.screen import exact
from tenure.client import Client
from tenure.core.ledger import CHANGED
from tenure.core.tool import Arguments
from tests.cli.conftest import Run


def about(**arguments: object) -> Question:
    """A question about a call with these arguments."""
    given: Arguments = dict(arguments)
    return Question(1, "apr_1", "run_1", "pay", given, "2026-11-22T10:00:00.000000Z", None, ())


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("plain, café, 東京, 👍", '"plain, café, 東京, 👍"'),
        ("a\x1b[2Kb\r\n", r'"a\u001b[2Kb\r\n"'),
        ("5\u202e00", r'"5\u202e00"'),
        ("in\u200bvisible\ufeff", r'"in\u200bvisible\ufeff"'),
        ("a\u00a0b\u2028c\x85", r'"a\u00a0b\u2028c\u0085"'),
        ("\U000e0041", r'"\udb40\udc41"'),
        ({"a\u2066": [1, None]}, r'{"a\u2066":[1,null]}'),
    ],
)
def test_characters_that_hide_are_shown_as_escapes_of_the_same_json(value: object, seen: str) -> None:
    assert exact(value) == seen
    assert json.loads(exact(value)) == value


def test_changes_keep_what_they_do_not_name_and_take_texts_as_they_are() -> None:
    question = about(to="Ben", euro=5, fast=False)

    assert changed(question, "") is None
    assert changed(question, "to=7 euro=7.5 fast=true") == {"to": "7", "euro": 7.5, "fast": True}
    assert changed(question, "to='Ben and Ann' note=soon") == {
        "to": "Ben and Ann",
        "euro": 5,
        "fast": False,
        "note": "soon",
    }


@pytest.mark.parametrize("typed", ["please", "to='Ben", "to=Ben please"])
def test_what_is_no_change_is_refused_with_the_way_to_write_one(typed: str) -> None:
    with pytest.raises(Unclear, match="Write name=value"):
        changed(about(to="Ben"), typed)


def test_reason_names_the_calls_that_were_made_before() -> None:
    assert why(None, ()) == []
    assert why(CHANGED, ("pay eff_1", "pay\x1b eff_2")) == [
        "The run began again and asks for something else than before. It had already called:",
        "  pay eff_1",
        "  pay\\u001b eff_2",
    ]


@pytest.mark.sources("P7")
def test_the_list_of_approvals_cuts_no_arguments(tenure: Run, client: Client) -> None:
    session, text = client.open_session("scripted").id, "long " * 100 + "\u202eend"
    client.send(session, f"ASK {text}")
    for _ in client.follow(session, until=lambda event: event.type == "run.waiting"):
        pass

    ran = tenure("approvals", "--session", session)

    assert f"{exact({'text': text})}  {session}" in ran.out
