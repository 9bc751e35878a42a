"""A home of the former version gets its index of words, and its sums, when it is opened by this one."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.errors import ConfigError
from tenure.host.clock import RandomIds
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.store import SessionFilter
from tenure.stores.sqlite import files
from tenure.stores.sqlite.files import connect, migrate
from tenure.stores.sqlite.lane import ThreadLane
from tenure.stores.sqlite.store import SqliteStore

pytestmark = pytest.mark.anyio

FORMER = 1
"""The schema of the former version."""

SESSIONS = [
    (1, "ses_1", "acme", "Lisbon trip", "open"),
    (2, "ses_2", "acme", None, "closed"),
    (3, "ses_3", "globex", "Lisbon too", "open"),
    (4, "ses_4", "acme", "Lisbon, deleted", "deleted"),
]
MESSAGES = [
    (11, 1, "user", "settled", '"to Porto, please"', 2, 0),
    (
        12,
        1,
        "assistant",
        "completed",
        '[{"type":"text","text":"你好"},{"type":"text","text":"Porto"}]',
        4,
        0,
    ),
    (13, 1, "assistant", "partial", '"superseded words"', 3, 1),
    (14, 2, "user", "withdrawn", '"withdrawn words"', None, 0),
    (15, 2, "user", "queued", '"waiting words"', None, 0),
    (16, 4, "user", "settled", '"Porto, deleted"', 2, 0),
]


@pytest.fixture
async def upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> AsyncIterator[SqliteStore]:
    """A database of the former version with these rows, opened by this one."""
    path, every = str(tmp_path / "tenure.db"), files.migrations()
    with closing(connect(path, writer=True)) as db, monkeypatch.context() as former:
        former.setattr(files, "migrations", lambda: [m for m in every if m[0] <= FORMER])
        migrate(db)
        db.executemany(
            "INSERT INTO session (no, id, tenant, title, state, owner, agent, labels, created_at, "
            "updated_at, cost) VALUES (?, ?, ?, ?, ?, 'ada', 'greeter', '{}', 1, 1, 0.5)",
            SESSIONS,
        )
        db.execute("INSERT INTO head (session_no, strand, seq) SELECT no, no, 0 FROM session")
        db.executemany(
            "INSERT INTO message (no, session_no, role, state, content, entered_seq, superseded, id, author) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, hex(randomblob(8)), '{}')",
            MESSAGES,
        )
    store = await SqliteStore.opened(
        ThreadLane(path, NoLandmarks(), pytest.fail), Rules(limits=Limits(), terms={}), RandomIds()
    )
    while await store.index_words():
        pass
    yield store
    store.close()


@pytest.mark.parametrize(
    ("words", "tenant", "found"),
    [
        ("lisbon", "acme", ["ses_1"]),
        ("lisbon", None, ["ses_3", "ses_1"]),
        ("porto", "acme", ["ses_1"]),
        ("好", "acme", ["ses_1"]),
        ("superseded", "acme", []),
        ("withdrawn", "acme", []),
        ("waiting", "acme", []),
        ("deleted", "acme", []),
    ],
)
async def test_what_was_said_before_is_found(
    upgraded: SqliteStore, words: str, tenant: str | None, found: list[str]
) -> None:
    page = await upgraded.sessions(SessionFilter(tenant, None, words=words), None, 10)

    assert [session.id for session in page.data] == found


async def test_what_a_session_had_cost_is_still_known(upgraded: SqliteStore) -> None:
    session = await upgraded.session("ses_1")

    assert session is not None
    assert session.usage.cost == 0.5


def test_a_sqlite_without_an_index_of_words_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "has_search", lambda: False)

    with pytest.raises(ConfigError, match=r"without FTS5, which searching needs\. Use a Python whose"):
        files.check_home(tmp_path / "home")
