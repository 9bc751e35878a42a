"""A session as one file: whole, hashed, and refused when it isn't what it says."""

from pathlib import Path
from zipfile import ZipFile

import msgspec
import pytest

from tenure.client import Client
from tenure.client.bundle import export_session, read_manifest
from tenure.errors import Code, TenureError
from tests.client.both import events_of, is_finished


def spoken(client: Client) -> str:
    """A session with a finished turn and a file."""
    session = client.open_session("scripted", title="A trip")
    list(client.say(session.id, "SAY hello"))
    client.upload_file(session.id, "map.txt", b"here be dragons")
    return session.id


def test_a_bundle_holds_the_journal_and_the_files_of_a_session(client: Client, tmp_path: Path) -> None:
    session_id = spoken(client)
    journal = events_of(client.follow(session_id, until=lambda e: e.type == "artifact.created"))

    manifest = export_session(client, session_id, tmp_path / "one.tenure")

    assert read_manifest(tmp_path / "one.tenure") == manifest
    assert manifest.session == client.session(session_id)
    assert (manifest.first_seq, manifest.head_seq) == (1, len(journal))
    with ZipFile(tmp_path / "one.tenure") as archive:
        lines = archive.read("events.jsonl").decode().splitlines()
        (kept,) = [part for part in manifest.parts if part.file is not None]
        assert archive.read(kept.path) == b"here be dragons"
    assert lines == [event.raw for event in journal]
    assert kept.file == next(iter(client.files(session_id)))
    assert is_finished(journal[-2])


def test_a_session_that_is_not_there_leaves_no_file(client: Client, tmp_path: Path) -> None:
    with pytest.raises(TenureError) as refused:
        export_session(client, "ses_" + "0" * 32, tmp_path / "none.tenure")
    assert refused.value.code is Code.NOT_FOUND
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_with_another_byte_is_refused(client: Client, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tenure", tmp_path / "bad.tenure"
    export_session(client, spoken(client), good)
    with ZipFile(good) as before, ZipFile(bad, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, data.replace(b"hello", b"hullo") if name == "events.jsonl" else data)

    with pytest.raises(TenureError) as refused:
        read_manifest(bad)
    assert refused.value.code is Code.INVALID
    assert "events.jsonl" in refused.value.detail


@pytest.mark.parametrize("content", [b"", b"not a bundle", b"PK"])
def test_what_is_no_bundle_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.tenure"
    path.write_bytes(content)
    with pytest.raises(TenureError, match="no whole bundle"):
        read_manifest(path)


def test_a_bundle_of_a_newer_version_is_refused(client: Client, tmp_path: Path) -> None:
    path, newer = tmp_path / "now.tenure", tmp_path / "newer.tenure"
    manifest = export_session(client, spoken(client), path)
    with ZipFile(newer, "w") as archive:
        archive.writestr("manifest.json", msgspec.json.encode(msgspec.structs.replace(manifest, version=2)))
    with pytest.raises(TenureError, match=r"tenure\.session 2"):
        read_manifest(newer)
