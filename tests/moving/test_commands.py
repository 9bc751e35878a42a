"""The commands `backup`, `restore`, `migrate`, `import` and `doctor --store`: what they print and refuse."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenure.cli.main import main
from tests.moving.conftest import Left
from tests.postgres.fixtures import Database


class Program:
    """The command line, called in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def run(self, *words: object) -> tuple[int, str, str]:
        """The exit code, and what was printed."""
        self._capfd.readouterr()
        code = main([*map(str, words)])
        printed = self._capfd.readouterr()
        return code, printed.out, printed.err

    def value(self, *words: object) -> Any:
        """What a command prints as JSON. It must succeed."""
        code, out, err = self.run(*words, "--json")
        assert (code, err) == (0, "")
        return msgspec.json.decode(out)


@pytest.fixture
def program(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The command line, with nothing in its environment."""
    monkeypatch.delenv("TENURE_HOME", raising=False)
    return Program(capfd)


def test_backup_is_made_and_restored_by_commands(program: Program, left: Left, tmp_path: Path) -> None:
    file, new = tmp_path / "all.backup", tmp_path / "new"

    made = program.value("backup", file, "--home", left.home)
    again = program.run("backup", file, "--home", left.home)
    restored = program.value("restore", file, "--home", new)
    over = program.run("restore", file, "--home", new)

    assert (made["place"], made["history"], made["files"]) == (str(file), left.history, restored["files"])
    assert (restored["place"], restored["rows"]) == (str(new), made["rows"])
    assert restored["history"] != left.history
    assert again[0] == 2 and "--force" in again[2]
    assert over[0] == 2 and "already" in over[2]
    assert program.run("doctor", "--home", new)[0] == 0


def test_home_is_migrated_by_command_and_the_database_examined(
    program: Program, left: Left, postgres_database: Database, tmp_path: Path
) -> None:
    url = postgres_database.socket_url

    moved = program.value("migrate", "--from", left.home, "--to", url)
    report = program.value("doctor", "--store", url)
    code, out, _ = program.run("restore", tmp_path / "none", "--store", url)

    assert moved["place"] == "the database"
    assert (report["history"], report["sessions"]) == (left.history, 11)
    assert report["violations"] == []
    assert (code, out) == (2, "")


def test_bundle_is_imported_by_command(program: Program, left: Left, tmp_path: Path) -> None:
    home = tmp_path / "home"

    code, out, err = program.run("import", left.bundles.of("talked"), "--home", home, "--owner", "ada")
    shown = program.value("import", left.bundles.of("closed"), "--home", home, "--title", "Again")
    refused = program.run("import", left.bundles.of("talked").with_name("none"), "--home", home)

    assert (code, err) == (0, "")
    assert out.startswith("ses_")
    assert (shown["owner"], shown["title"], shown["status"]) == ("admin", "Again", "idle")
    assert refused[0] == 2 and "no whole bundle" in refused[2]


def test_sides_that_cannot_be_used_are_refused(program: Program, left: Left, tmp_path: Path) -> None:
    mysql = program.run("migrate", "--from", left.home, "--to", "mysql://localhost/x")
    empty = program.run("migrate", "--from", tmp_path / "nothing", "--to", tmp_path / "new")

    assert mysql[0] == empty[0] == 2
    assert "mysql" in mysql[2]
    assert "There is no database" in empty[2]
