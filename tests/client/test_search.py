"""Either client finds sessions by words and by labels whatever they are called, and reads what was spent."""

from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from tenure.client import Client
from tests.client.both import is_finished


@pytest.mark.parametrize("name", ["team", "urn:team", "100%", "a%3Ab", ":"])
def test_sessions_are_found_by_a_label_whatever_its_name(client: Client, name: str) -> None:
    batch = f"{name} of {uuid4().hex}"
    labelled = client.open_session("scripted", labels={name: f"x:{batch}"})
    client.open_session("scripted", labels={name: "other"})

    found = client.sessions(labels={name: f"x:{batch}"})

    assert [session.id for session in found] == [labelled.id]


def test_sessions_are_found_by_the_words_of_title_and_messages(client: Client) -> None:
    word = f"w{uuid4().hex}"
    titled = client.open_session("scripted", title=f"About {word}")
    talked = client.open_session("scripted")
    list(client.say(talked.id, f"SAY the {word}"))

    assert [session.id for session in client.sessions(search=word)] == [talked.id, titled.id]
    assert [session.id for session in client.sessions(search=f'"about {word}"')] == [titled.id]
    assert list(client.sessions(search=word, status="closed")) == []


def test_usage_is_read_day_by_day(client: Client) -> None:
    session = client.open_session("scripted")
    events = list(client.say(session.id, "SAY hi"))
    today = datetime.now(UTC).date()

    (day,) = client.usage(since=today, until=today, user="admin")

    assert any(is_finished(event) for event in events)
    assert (day.day, day.tenant, day.user) == (today.isoformat(), "default", "admin")
    assert day.runs >= 1 and day.cost is None
    assert list(client.usage(since=date(2020, 1, 1), until=date(2020, 1, 2))) == []
