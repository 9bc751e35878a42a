"""Files where several hosts share a database: each host has all of them, and none is lost or left behind."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tenure.core.history import ForkSession
from tenure.errors import Code, ConfigError, TenureError
from tests.cluster.filing import Pair, fetched, fill, pair
from tests.postgres.fixtures import Database, fresh
from tests.postgres.server import Postgres

pytestmark = pytest.mark.anyio

BIG = random.Random(7).randbytes(2_500_000)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The loop on which the hosts of all cases live."""
    return "asyncio"


@pytest.fixture(scope="module", params=["database", "directory"])
async def hosts(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """Two hosts, with files in their database or in a directory that both see."""
    root = tmp_path_factory.mktemp("homes")
    shared = root / "shared" if request.param == "directory" else None
    if shared is not None:
        shared.mkdir()
    with fresh(postgres) as database:
        async with pair(database.socket_url, root, shared) as both:
            yield both


@pytest.fixture
async def both(hosts: Pair) -> Pair:
    """Two hosts with files in their database, which holds none yet."""
    await hosts.empty()
    return hosts


in_database = pytest.mark.parametrize("hosts", ["database"], indirect=True)
"""For what is said in terms of rows."""


@pytest.mark.parametrize("data", [b"", b"hello", BIG, BIG[: 1 << 20]], ids=["empty", "small", "big", "whole"])
async def test_what_is_sent_to_one_host_is_listed_and_read_on_the_other(hosts: Pair, data: bytes) -> None:
    session_id = await hosts.open()
    info = await hosts.send(hosts.a, session_id, "notes.txt", data)

    assert await hosts.b.store.files.all(session_id) == (info,)
    assert await fetched(hosts.b, session_id, info.id) == data
    assert await fetched(hosts.b, session_id, info.id, skipped=1_200_000) == data[1_200_000:]


async def test_a_run_finds_in_its_folder_what_was_sent_to_another_host(hosts: Pair) -> None:
    session_id = await hosts.open()
    await hosts.send(hosts.a, session_id, "big.bin", BIG)
    await hosts.send(hosts.b, session_id, "small.txt", b"hello")

    assert await hosts.on(hosts.b, session_id) == "big.bin 2500000, small.txt 5"
    assert (hosts.b.files.folders.folder(session_id) / "big.bin").read_bytes() == BIG


async def test_what_a_run_makes_on_one_host_is_read_on_the_other(hosts: Pair) -> None:
    session_id = await hosts.open()
    await hosts.on(hosts.b, session_id, "minutes of the meeting")
    (info,) = await hosts.a.store.files.all(session_id)

    assert (info.name, await fetched(hosts.a, session_id, info.id)) == ("made.txt", b"minutes of the meeting")


async def test_a_fork_keeps_its_files_whatever_becomes_of_its_parents(hosts: Pair) -> None:
    session_id = await hosts.open()
    info = await hosts.send(hosts.a, session_id, "notes.txt", BIG)
    await hosts.on(hosts.a, session_id)
    fork = (await hosts.b.histories.fork(hosts.ada, session_id, ForkSession(), None)).value
    await hosts.a.files.delete(hosts.ada, session_id, info.id)

    assert await fetched(hosts.a, fork.id, info.id) == BIG
    with pytest.raises(TenureError) as refused:
        await fetched(hosts.b, session_id, info.id)
    assert refused.value.code is Code.NOT_FOUND


@in_database
async def test_bytes_are_stored_once_and_freed_with_the_last_file_of_them(both: Pair) -> None:
    session_id = await both.open()
    one = await both.send(both.a, session_id, "one", BIG)
    two = await both.send(both.b, session_id, "two", BIG)
    await both.on(both.a, session_id)
    fork = (await both.a.histories.fork(both.ada, session_id, ForkSession(), None)).value
    counts = [await both.bytes_kept()]
    for host, session, file in ((both.a, session_id, one), (both.b, session_id, two), (both.a, fork.id, one)):
        await host.files.delete(both.ada, session, file.id)
        counts.append(await both.bytes_kept())
    await both.b.files.delete(both.ada, fork.id, two.id)
    counts.append(await both.bytes_kept())

    assert counts == [(2, 1), (2, 1), (1, 1), (1, 1), (0, 0)]


@in_database
async def test_bytes_that_a_host_is_about_to_name_are_not_freed_by_another(both: Pair) -> None:
    session_id = await both.open()
    old = await both.send(both.a, session_id, "old", BIG)
    incoming = both.b.files.folders.receive(session_id)
    await fill(incoming, BIG)
    blob = await incoming.finish()
    await incoming.keep()
    await both.a.files.delete(both.ada, session_id, old.id)
    await both.a.files.sweep()
    held = await both.bytes_kept()
    await incoming.let_go()
    await both.a.files.sweep()

    assert blob.sha256 == old.sha256
    assert [held, await both.bytes_kept()] == [(1, 1), (0, 0)]


@in_database
@pytest.mark.sources("P5")
async def test_a_host_that_dies_during_an_upload_leaves_nothing_that_is_listed_or_stays(both: Pair) -> None:
    session_id = await both.open()
    unfinished, unnamed = (both.a.files.folders.receive(session_id) for _ in range(2))
    await fill(unfinished, BIG)
    await fill(unnamed, b"as good as sent")
    await unnamed.finish()
    await unnamed.keep()
    await both.b.files.sweep()
    before = await both.bytes_kept()
    await both.an_hour_passes()
    await both.b.files.sweep()

    assert await both.b.store.files.all(session_id) == ()
    assert [before, await both.bytes_kept()] == [(1, 2), (0, 0)]
    with pytest.raises(TenureError) as refused:
        await fill(unfinished, BIG)
    assert refused.value.code is Code.STORE_UNAVAILABLE


@in_database
async def test_nothing_is_left_of_a_session_that_another_host_deletes(both: Pair) -> None:
    session_id = await both.open()
    await both.send(both.a, session_id, "notes.txt", BIG)
    await both.on(both.b, session_id, "minutes")
    late = both.b.files.folders.receive(session_id)
    await fill(late, b"late")
    await late.finish()
    await both.a.commands.delete_session(both.ada, session_id)
    with pytest.raises(TenureError) as refused:
        await late.keep()
    await late.drop()
    await both.a.files.clear()
    await both.b.files.sweep()

    assert refused.value.code is Code.NOT_FOUND
    assert await both.bytes_kept() == (0, 0)
    assert session_id not in [*await both.a.files.folders.sessions(), *await both.b.files.folders.sessions()]


async def test_a_reader_comes_to_the_end_of_a_file_that_another_host_deletes(hosts: Pair) -> None:
    session_id = await hosts.open()
    info = await hosts.send(hosts.a, session_id, "notes.txt", BIG)
    _, outgoing = await hosts.b.files.open(session_id, info.id)
    parts = [await outgoing.read(1 << 18)]
    await hosts.a.files.delete(hosts.ada, session_id, info.id)
    while part := await outgoing.read(1 << 18):
        parts.append(part)
    outgoing.close()

    assert b"".join(parts) == BIG


@in_database
@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_listed_can_be_read_whoever_sends_deletes_forks_and_sweeps_at_once(
    both: Pair, seed: int
) -> None:
    draw = random.Random(seed)
    sessions = [await both.open()]
    for data in (b"one", b"two", BIG):
        await both.send(both.a, sessions[0], "first", data)
    await both.on(both.b, sessions[0])

    async def act() -> None:
        host, session_id = draw.choice((both.a, both.b)), draw.choice(sessions)
        listed = await host.store.files.all(session_id)
        match draw.choice(("send", "send", "delete", "delete", "fork", "sweep")):
            case "send":
                await both.send(host, session_id, "f", draw.choice((b"one", b"two", BIG)))
            case "delete" if listed:
                await host.files.delete(both.ada, session_id, draw.choice(listed).id)
            case "fork" if len(sessions) < 4:
                fork = await host.histories.fork(both.ada, session_id, ForkSession(), None)
                sessions.append(fork.value.id)
            case _:
                await host.files.sweep()

    async def worker() -> None:
        for _ in range(12):
            try:
                await act()
            except TenureError as refusal:
                if refusal.code is not Code.NOT_FOUND:  # somebody else deleted it first
                    raise

    await asyncio.gather(*(worker() for _ in range(6)))
    for session_id in sessions:
        for info in await both.a.store.files.all(session_id):
            assert len(await fetched(both.b, session_id, info.id)) == info.size
            await both.b.files.delete(both.ada, session_id, info.id)
    await both.a.files.sweep()
    assert (await both.bytes_kept())[0] == 0


async def test_the_files_of_two_databases_never_share_a_directory(
    postgres_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "database").write_text("h_another")
    with pytest.raises(ConfigError, match="holds the files of another database"):
        async with pair(postgres_database.socket_url, tmp_path, tmp_path / "shared"):
            pass
    with pytest.raises(ConfigError, match="can't be used"):
        async with pair(postgres_database.socket_url, tmp_path, tmp_path / "nowhere"):
            pass
