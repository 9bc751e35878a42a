"""`tenure bindings` and `tenure post`: what they print, and how they end."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

EVENT = {"event_id": "cli-1", "conversation_id": "cli", "input": {"text": "SAY x"}, "data": {"token": "t"}}


def test_bindings_are_listed(tenure: Run) -> None:
    ran = tenure("bindings")

    heading, line = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert heading.split() == ["ID", "TENANT", "AGENT", "SCOPE", "EVENTS", "USED"]
    assert line.split()[:5] == ["all", "default", "scripted", "global", "message.received"]


def test_bindings_as_json_are_one_a_line(tenure: Run) -> None:
    ran = tenure("bindings", "--json")

    assert [value["id"] for value in ran.values] == ["all"]


def test_event_of_a_file_is_posted_once(tenure: Run, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(EVENT))

    first = tenure("post", str(file))
    again = tenure("post", str(file), "--json")

    fields = dict(line.split(maxsplit=1) for line in first.out.splitlines())
    assert first.code == again.code == 0
    assert [value["session_id"] for value in again.values] == [fields["session"].strip()]
    assert fields["binding"].strip() == "all"
    assert "data.token" in first.out


@pytest.mark.parametrize("text", ["no json", "{}", '{"event_id": "x", "surprise": 1}'])
def test_file_that_holds_no_event_is_refused(tenure: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(text)

    ran = tenure("post", str(file))

    assert (ran.code, ran.out) == (2, "")
    assert "holds no event" in ran.err


def test_file_that_isnt_there_is_refused(tenure: Run, tmp_path: Path) -> None:
    ran = tenure("post", str(tmp_path / "event.json"))

    assert ran.code == 2
    assert "can't be read" in ran.err


def test_event_that_nobody_takes_is_not_found(tenure: Run, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps({**EVENT, "event_id": "cli-2", "event_type": "group.joined"}))

    assert tenure("post", str(file)).code == 3
