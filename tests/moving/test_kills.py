"""Moves that are killed in the middle leave nothing that could be taken for a whole."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tenure.config import Settings
from tenure.moving import back_up, migrate, restore
from tests.moving.conftest import Left
from tests.postgres.fixtures import Database

PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from tenure.config import Settings
from tenure.moving import back_up, migrate, restore

moment, what, source, target, *url = sys.argv[1:]

def tell(name, count):
    if name == moment:
        os.kill(os.getpid(), signal.SIGKILL)

there = Settings(home=Path(target), store=url[0] if url else None)
if what == "backup":
    asyncio.run(back_up(Settings(home=Path(source)), Path(target), tell))
elif what == "restore":
    asyncio.run(restore(Path(source), there, tell))
else:
    asyncio.run(migrate(Settings(home=Path(source)), there, tell))
"""


def killed(*arguments: object) -> None:
    """Run a move in a process that kills itself at a moment."""
    words = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    ended = subprocess.run(words, check=False, timeout=50, capture_output=True)
    assert ended.returncode == -9, ended.stderr


def test_killed_backup_leaves_no_file_of_its_name(left: Left, tmp_path: Path) -> None:
    killed("journal", "backup", left.home, tmp_path / "a.backup")

    assert not (tmp_path / "a.backup").exists()
    asyncio.run(back_up(Settings(home=left.home), tmp_path / "a.backup"))


@pytest.mark.parametrize("moment", ["past_host"])
def test_killed_restore_leaves_no_database_and_can_be_done_again(
    left: Left, tmp_path: Path, moment: str
) -> None:
    asyncio.run(back_up(Settings(home=left.home), tmp_path / "a.backup"))
    there = Settings(home=tmp_path / "new")

    killed(moment, "restore", tmp_path / "a.backup", there.home)

    assert not (there.home / "tenure.db").exists()
    asyncio.run(restore(tmp_path / "a.backup", there))
    assert sorted(p.name for p in there.home.iterdir()) == ["sessions", "tenure.db", "tenure.lock"]


@pytest.mark.parametrize("moment", ["files", "past_host"])
def test_killed_migration_leaves_the_database_empty_and_can_be_done_again(
    left: Left, postgres_database: Database, tmp_path: Path, moment: str
) -> None:
    there = Settings(home=tmp_path / "aside", store=postgres_database.socket_url)

    killed(moment, "migrate", left.home, there.home, postgres_database.socket_url)

    assert asyncio.run(migrate(Settings(home=left.home), there)).rows["session"] > 0
