"""Everything of a store, moved: by a backup, and into another database."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest

from tenure.client import Client
from tenure.config import Settings
from tenure.core.evidence import Stored
from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.errors import ConfigError
from tenure.host.clock import RandomIds
from tenure.host.doctor import examine
from tenure.moving import back_up, migrate, restore
from tenure.ports.store import Store
from tenure.stores.postgres.tables import examined
from tenure.stores.sqlite.look import LookLane
from tenure.stores.sqlite.store import SqliteStore
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted
from tests.moving.conftest import Arrived, Left
from tests.moving.scenes import MAP, say
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def looking(settings: Settings) -> AsyncGenerator[Store]:
    """The store of some settings, to be read."""
    if settings.store is not None:
        async with examined(settings.store, RandomIds()) as store:
            yield store
        return
    with closing(LookLane(settings.home / "tenure.db")) as lane:
        yield SqliteStore(lane, Rules(limits=Limits(), terms={}), RandomIds(), lane.history())


async def picture(settings: Settings) -> tuple[dict[str, Stored], object]:
    """All that is stored of sessions, and the figures of the store. It must be sound."""
    async with looking(settings) as store:
        assert await examine(store) == []
        ids = await store.session_ids("", 1_000)
        kept = {session_id: await store.audit(session_id) for session_id in ids}
        return {name: ordered(stored) for name, stored in kept.items() if stored}, await store.figures()


def ordered(stored: Stored) -> Stored:
    """What is stored, with values in an order: the store names none."""
    return msgspec.structs.replace(stored, values=tuple(sorted(stored.values)))


def home_of(path: Path) -> Settings:
    return Settings(home=path)


def on(database: Database, home: Path) -> Settings:
    return Settings(home=home, store=database.socket_url)


async def test_restored_home_holds_what_the_backup_saw_under_a_new_history(
    left: Left, tmp_path: Path
) -> None:
    poured = await back_up(home_of(left.home), tmp_path / "all.backup")

    restored = await restore(tmp_path / "all.backup", home_of(tmp_path / "new"))

    assert poured.history == left.history
    assert restored.history != left.history
    assert restored.rows == poured.rows
    there = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert there == ["sessions", "tenure.db", "tenure.lock"]
    assert await picture(home_of(tmp_path / "new")) == await picture(home_of(left.home))


@pytest.mark.sources("P5")
async def test_home_moves_to_postgres_and_back_unchanged(
    left: Left, arrived: Arrived, tmp_path: Path
) -> None:
    there, moved, back = arrived.there, arrived.poured, home_of(tmp_path / "back")

    returned = await migrate(there, back)

    assert moved.history == returned.history == left.history
    assert moved.rows == returned.rows
    assert await picture(there) == await picture(home_of(left.home)) == await picture(back)


async def test_backup_of_postgres_restores_into_a_home(left: Left, arrived: Arrived, tmp_path: Path) -> None:
    await back_up(arrived.there, tmp_path / "all.backup")
    await restore(tmp_path / "all.backup", home_of(tmp_path / "new"))

    assert await picture(home_of(tmp_path / "new")) == await picture(home_of(left.home))


def test_conversation_goes_on_after_the_move(left: Left, postgres_database: Database, tmp_path: Path) -> None:
    there = on(postgres_database, tmp_path / "there")
    asyncio.run(migrate(home_of(left.home), there))
    hosted = Hosted(there.home, store=there.store).start()
    with Client(hosted.url, hosted.key) as client:
        scene = left.scene
        head = client.session(scene.talked).head_seq
        cursor = head - 3
        say(client, scene.talked, "SAY on we go")
        until = client.follow(scene.talked, after=cursor, until=lambda e: e.seq == head + 2)
        followed = [event.seq for event in events_of(until)]
        (file,) = client.files(scene.talked)
        found = [s.id for s in client.sessions(search="Rome")]
        spoken = [s.id for s in client.sessions(search="on we go")]
        (approval,) = [a for a in client.approvals() if a.session_id == scene.deciding]
        client.approve(approval.id)
        decided = [e.type for e in events_of(client.follow(scene.deciding, until=is_finished))]
        data = client.download_file(scene.talked, file.id)
        opened = client.open_session("scripted").id
        history = client.whoami().history
        schedules = len([*client.schedules(session_id=scene.recalled)])
    hosted.stop()

    assert followed == [*range(cursor + 1, head + 3)]
    assert data == MAP
    assert found == [scene.talked]
    assert spoken == [scene.talked]
    assert decided[-1] == "run.finished"
    assert opened not in scene
    assert history == left.history
    assert schedules == 2
    asyncio.run(picture(there))


def test_backup_beside_a_busy_server_is_one_sound_moment(tmp_path: Path) -> None:
    home = tmp_path / "home"
    hosted = Hosted(home).start()
    with Client(hosted.url, hosted.key) as client:
        busy = [client.open_session("scripted").id for _ in range(8)]
        for session_id in busy:
            client.send(session_id, "SLOW 2000 5")
            client.send(session_id, "SAY behind")
            client.upload_file(session_id, "a.txt", session_id.encode())
        asyncio.run(back_up(home_of(home), tmp_path / "live.backup"))
        for session_id in busy:
            client.delete_session(session_id)
    hosted.stop()

    asyncio.run(restore(tmp_path / "live.backup", home_of(tmp_path / "new")))

    kept, _ = asyncio.run(picture(home_of(tmp_path / "new")))
    assert sorted(kept) == sorted(busy)
    again = Hosted(tmp_path / "new").start()
    with Client(again.url, again.key) as client:
        for session_id in busy:
            events = events_of(client.follow(session_id, until=lambda e: e.type == "run.retried"))
            assert events[-1].type == "run.retried"
            (file,) = client.files(session_id)
            assert client.download_file(session_id, file.id) == session_id.encode()
    again.stop()


async def test_home_that_holds_a_database_is_not_restored_over(left: Left, tmp_path: Path) -> None:
    await back_up(home_of(left.home), tmp_path / "all.backup")
    await restore(tmp_path / "all.backup", home_of(tmp_path / "new"))
    before = (tmp_path / "new" / "tenure.db").read_bytes()

    with pytest.raises(ConfigError, match="already"):
        await restore(tmp_path / "all.backup", home_of(tmp_path / "new"))

    assert (tmp_path / "new" / "tenure.db").read_bytes() == before
