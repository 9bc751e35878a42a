"""Files through both kinds of client, and through the command line's eyes on the same server."""

from secrets import token_hex

import pytest

from tenure.client import Client
from tenure.core.artifact import FileKind
from tenure.core.content import FilePart, TextPart
from tenure.core.event import ArtifactCreated, ArtifactDeleted
from tenure.errors import Code, TenureError
from tests.client.both import events_of

EVERY_BYTE = bytes(range(256)) * 2_000


def test_a_file_is_uploaded_listed_downloaded_and_deleted(client: Client) -> None:
    session = client.open_session("scripted").id
    info = client.upload_file(session, "käse.bin", EVERY_BYTE)
    listed = list(client.files(session))
    data = client.download_file(session, info.id)
    client.delete_file(session, info.id)

    assert (info.name, info.media_type, info.size) == ("käse.bin", "application/octet-stream", 512_000)
    assert (info.kind, info.by, info.run_id) == (FileKind.UPLOAD, "admin", None)
    assert listed == [info]
    assert data == EVERY_BYTE
    assert list(client.files(session)) == []


def test_the_media_type_is_what_is_said_else_what_the_name_tells(client: Client) -> None:
    session = client.open_session("scripted").id

    told = client.upload_file(session, "a.csv", b"")
    said = client.upload_file(session, "b.csv", b"", media_type="text/x-own")

    assert (told.media_type, said.media_type) == ("text/csv", "text/x-own")


def test_an_upload_under_the_same_key_happens_once(client: Client) -> None:
    session, key = client.open_session("scripted").id, token_hex(8)

    first = client.upload_file(session, "a.txt", b"a", idempotency_key=key)
    again = client.upload_file(session, "a.txt", b"a", idempotency_key=key)

    assert again == first
    assert list(client.files(session)) == [first]


def test_all_pages_of_files_are_listed(client: Client) -> None:
    session = client.open_session("scripted").id
    sent = [client.upload_file(session, f"{n}.txt", b"") for n in range(205)]

    assert list(client.files(session)) == sent


def test_a_message_refers_to_a_file(client: Client) -> None:
    session = client.open_session("scripted").id
    info = client.upload_file(session, "a.txt", b"a")
    content = (TextPart("SAY seen"), FilePart(info.id))

    list(client.say(session, content))
    shown = client.transcript(session).data

    assert [item.content for item in shown] == [content, "seen"]


def test_followers_learn_of_files(client: Client) -> None:
    session = client.open_session("scripted").id
    info = client.upload_file(session, "a.txt", b"a")
    client.delete_file(session, info.id)

    events = events_of(client.follow(session, until=lambda event: event.type == "artifact.deleted"))

    assert [event.event for event in events][1:] == [
        ArtifactCreated(
            artifact_id=info.id,
            name="a.txt",
            media_type="text/plain",
            size=1,
            sha256=info.sha256,
            by="admin",
        ),
        ArtifactDeleted(artifact_id=info.id, by="admin"),
    ]


def test_a_file_that_is_not_there_is_not_found(client: Client) -> None:
    session = client.open_session("scripted").id

    with pytest.raises(TenureError) as refused:
        client.download_file(session, "art_" + "0" * 32)

    assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("file_id", [".", "..", "../..", ""])
def test_an_id_that_is_none_never_leads_to_another_route(client: Client, file_id: str) -> None:
    session = client.open_session("scripted")

    with pytest.raises(TenureError) as refused:
        client.delete_file(session.id, file_id)

    assert refused.value.code is Code.NOT_FOUND
    assert client.session(session.id) == session
