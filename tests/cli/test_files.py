"""`tenure files`: what it prints, what it writes, and what it never overwrites."""

from pathlib import Path

import pytest

from tenure.client import Client
from tests.cli.conftest import Run


@pytest.fixture
def session(client: Client) -> str:
    """A session of the shared server."""
    return client.open_session("scripted").id


def test_an_uploaded_file_is_printed_as_its_id_alone(
    tenure: Run, client: Client, session: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n")

    ran = tenure("files", "upload", session, str(path))
    (info,) = client.files(session)

    assert (ran.code, ran.out) == (0, f"{info.id}\n")
    assert ran.err == "a.csv, 4 bytes, text/csv.\n"


def test_an_uploaded_file_gets_the_name_and_type_that_are_given(
    tenure: Run, session: str, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")

    ran = tenure("files", "upload", session, str(path), "--name", "b.txt", "--type", "text/x-own", "--json")

    assert [(v["name"], v["media_type"]) for v in ran.values] == [("b.txt", "text/x-own")]


def test_files_are_listed(tenure: Run, client: Client, session: str) -> None:
    info = client.upload_file(session, "a.txt", b"hello")

    table, as_json = tenure("files", "list", session), tenure("files", "list", session, "--json")

    heading, line = table.out.splitlines()
    assert heading.split() == ["ID", "NAME", "BYTES", "TYPE", "KIND", "BY", "CREATED"]
    assert line.split()[:6] == [info.id, "a.txt", "5", "text/plain", "upload", "admin"]
    assert [value["sha256"] for value in as_json.values] == [info.sha256]


def test_a_download_takes_its_name_and_overwrites_nothing(
    tenure: Run, client: Client, session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = client.upload_file(session, "a.txt", b"hello")
    monkeypatch.chdir(tmp_path)

    first, again = (tenure("files", "download", session, info.id) for _ in range(2))

    assert (first.code, first.out) == (0, "a.txt\n")
    assert (again.code, again.out) == (2, "")
    assert again.err == "a.txt is there already. Give another path with --output.\n"
    assert (tmp_path / "a.txt").read_bytes() == b"hello"


def test_a_download_goes_where_it_is_asked_for(
    tenure: Run, client: Client, session: str, tmp_path: Path
) -> None:
    info = client.upload_file(session, "a.txt", b"hello")
    target, nowhere = tmp_path / "b.txt", tmp_path / "nowhere" / "b.txt"

    ran = tenure("files", "download", session, info.id, "-o", str(target), "--json")
    failed = tenure("files", "download", session, info.id, "-o", str(nowhere))

    assert ran.values == [{"path": str(target), "size": 5, "sha256": info.sha256}]
    assert target.read_bytes() == b"hello"
    assert (failed.code, "can't be written" in failed.err) == (2, True)


def test_a_deleted_file_is_gone(tenure: Run, client: Client, session: str) -> None:
    info = client.upload_file(session, "a.txt", b"hello")

    ran = tenure("files", "delete", session, info.id)

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert list(client.files(session)) == []


def test_what_is_not_there_ends_with_a_sentence(tenure: Run, session: str, tmp_path: Path) -> None:
    nothing = "art_" + "0" * 32
    file = tenure("files", "download", session, nothing)
    path = tenure("files", "upload", session, str(tmp_path / "none"))

    assert (file.code, file.err) == (
        3,
        f"There is no file {nothing} in session {session}. Check the id.\n",
    )
    assert (path.code, "can't be read" in path.err) == (2, True)
