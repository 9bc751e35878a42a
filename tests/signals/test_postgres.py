"""Signals over Postgres: the contract on a real server, and what happens when connections go."""

import asyncio

import anyio
import asyncpg
import pytest

from tenure.errors import ConfigError
from tenure.ports.signals import Hint
from tenure.signals import postgres
from tenure.signals.contract import Air, Ear, SignalsContract, heads
from tenure.signals.payload import MOST_BYTES, heard, payloads
from tenure.signals.postgres import CHANNEL, PostgresSignals
from tests.postgres.fixtures import Database
from tests.postgres.server import Postgres

pytestmark = pytest.mark.anyio

GARBAGE = ("", "{", "[]", "null", '{"heads":{}}', '{"by":1}', '{"by":"x","heads":{"a":"one"}}', "x" * 7_999)


class OnePostgres:
    """One database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def signals(self) -> PostgresSignals:
        """A host of it."""
        return PostgresSignals(self.url)

    async def garble(self) -> None:
        """Somebody else uses the channel."""
        db = await asyncpg.connect(self.url)
        for text in GARBAGE:
            await db.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
        await db.close()


@pytest.fixture
def air(postgres_database: Database) -> OnePostgres:
    return OnePostgres(postgres_database.socket_url)


class TestPostgres(SignalsContract):
    """Every case of the contract."""

    @pytest.fixture
    def air(self, postgres_database: Database) -> Air:
        return OnePostgres(postgres_database.socket_url)


@pytest.mark.parametrize("sessions", [0, 1, 140, 170, 1_000])
def test_a_hint_is_split_into_texts_that_notify_takes(sessions: int) -> None:
    hint = Hint(heads=heads(0, sessions), work=True)
    texts = list(payloads("me", hint))
    found: dict[str, int] = {}
    for text in texts:
        assert len(text.encode()) <= MOST_BYTES
        part = heard("you", text)
        assert part is not None
        assert part.work
        found.update(part.heads)
    assert found == hint.heads
    assert len(texts) == 1 + sessions * 45 // MOST_BYTES
    assert [heard("me", text) for text in texts] == [None] * len(texts)


async def test_a_host_whose_connections_are_cut_listens_again_and_knows_that_it_may_have_missed_something(
    air: OnePostgres, postgres: Postgres, postgres_database: Database
) -> None:
    one, other, ear = air.signals(), air.signals(), Ear()
    other.listen(ear.hear)
    await one.open()
    await other.open()
    try:
        one.hint(Hint(heads={"ses_a": 1}))
        await ear.until(lambda ear: ear.heads == {"ses_a": 1})
        postgres.terminate_connections(postgres_database.name)
        await ear.until(lambda ear: Hint(missed=True) in ear.hints)
        for number in range(2, 200):
            one.hint(Hint(heads={"ses_a": number}))
            await _told(air)
            if ear.heads["ses_a"] > 1:
                break
        assert ear.heads["ses_a"] > 1
    finally:
        await one.close()
        await other.close()


async def test_a_database_that_takes_no_notifications_is_asked_ever_more_slowly(
    air: OnePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals, pauses = air.signals(), list[float]()
    await signals.open()
    rest = asyncio.sleep

    async def at_once(seconds: float) -> None:
        pauses.append(seconds)
        signals.hint(Hint(work=True))
        await rest(0)

    monkeypatch.setattr(asyncio, "sleep", at_once)
    monkeypatch.setattr(postgres, "_NOTIFY", "SELECT 1 / length(t) - length(t) FROM none WHERE $1 <> t")
    signals.hint(Hint(work=True))
    with anyio.fail_after(10):
        while 1.0 not in pauses:
            await _told(air)
    await signals.close()

    in_order = iter(pauses)  # whoever listens may have lost its connection meanwhile, and waits by itself
    assert all(pause in in_order for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0))


async def _told(air: OnePostgres) -> None:
    """Let the server do something, as long as that takes."""
    db = await asyncpg.connect(air.url)
    await db.close()


async def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PROBE_S", 0.05)
    signals = PostgresSignals("postgres://nobody@127.0.0.1:1/none")
    await signals.open()
    signals.hint(Hint(work=True))
    await signals.close()


async def test_a_way_on_which_notifications_get_lost_is_refused(
    air: OnePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PROBE_S", 0.2)
    monkeypatch.setattr(postgres, "_NOTIFY", "SELECT length(t) FROM unnest(CAST($1 AS text[])) AS t")
    with pytest.raises(ConfigError, match="pooler"):
        await air.signals().open()
