"""A session from elsewhere: what it is where it is imported, and what is refused whole."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tenure.client import Client
from tenure.config import Settings
from tenure.core.audit import Deed
from tenure.errors import ConfigError, TenureError
from tenure.host.doctor import examine
from tenure.moving import import_session, opened
from tenure.ports.operations import AuditFilter
from tests.client.hosted import Hosted
from tests.moving.conftest import Bundles
from tests.moving.scenes import MAP, Scene, say
from tests.postgres.fixtures import Database

KINDS = [name for name in Scene._fields if name != "long"]


def lines(path: Path) -> list[str]:
    """The envelopes in a bundle."""
    with ZipFile(path) as archive:
        return archive.read("events.jsonl").decode().splitlines()


def imported(bundles: Bundles, settings: Settings) -> dict[str, str]:
    """Import every bundle into one store, which must be sound then. The new ids, by kind."""

    async def work() -> dict[str, str]:
        made = {
            kind: (await import_session(bundles.of(kind), settings, "ada", title=f"From {kind}")).id
            for kind in KINDS
        }
        async with opened(settings) as store:
            assert await examine(store.store) == []
            which = AuditFilter(None, Deed.SESSION_IMPORTED)
            log = (await store.store.operations.audit(which, None, 100)).data
        assert {entry.subject.id for entry in log} == set(made.values())
        assert {entry.by for entry in log} == {"ada"}
        return made

    return asyncio.run(work())


def check(bundles: Bundles, hosted: Hosted, made: dict[str, str]) -> None:
    """What a client sees of imported sessions, and that each goes on."""
    with Client(hosted.url, hosted.key) as client:
        for kind, session_id in made.items():
            before = lines(bundles.of(kind))
            head = len(before)
            session = client.session(session_id)
            journal = [e.raw for e in client.events(session_id, limit=1_000).data]
            born = client.event(session_id, head + 1)

            assert journal[:head] == before, kind
            assert (session.owner, session.title, session.head_seq) == ("ada", f"From {kind}", head + 1)
            assert (session.status, session.usage.input_tokens, session.pending_approvals) == ("idle", 0, ())
            assert json.loads(born.raw)["data"]["parent"]["seq"] == head
            assert said(client, session_id) == bundles.transcripts[kind], kind

            say(client, session_id, "SAY here we are")
            assert said(client, session_id)[-1] == ("assistant", "here we are")
        (file,) = client.files(made["talked"])
        assert client.download_file(made["talked"], file.id) == MAP
        values = {value.key: value.value for value in client.states(made["stateful"], "conversation")}
        assert values == {"visits": {"count": 3}, "colour": "red"}
        assert client.fork(made["undone"]).status == "idle"
        assert client.undo(made["talked"], turns=2).to_seq > 0


def said(client: Client, session_id: str) -> list[tuple[str, object]]:
    """The transcript as role and content."""
    return [(item.role, item.content) for item in client.transcript(session_id).data]


@pytest.mark.sources("P7")
def test_imported_sessions_have_the_journal_the_transcript_and_the_files_and_go_on(
    bundles: Bundles, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")
    made = imported(bundles, settings)
    hosted = Hosted(settings.home).start()
    try:
        check(bundles, hosted, made)
    finally:
        hosted.stop()


def test_sessions_are_imported_into_postgres_beside_a_server(
    bundles: Bundles, postgres_database: Database, tmp_path: Path
) -> None:
    hosted = Hosted(tmp_path / "home", store=postgres_database.socket_url).start()
    try:
        made = imported(bundles, Settings(home=tmp_path / "aside", store=postgres_database.socket_url))
        check(bundles, hosted, made)
    finally:
        hosted.stop()


def test_home_with_a_server_takes_no_import(bundles: Bundles, tmp_path: Path) -> None:
    hosted = Hosted(tmp_path / "home").start()
    try:
        with pytest.raises(ConfigError, match="already uses the home"):
            asyncio.run(import_session(bundles.of("talked"), Settings(home=tmp_path / "home"), "ada"))
    finally:
        hosted.stop()


Parts = dict[str, bytes]


def rehashed(parts: Parts) -> None:
    """Let the manifest say of each part what it is now."""
    manifest = json.loads(parts["manifest.json"])
    for part in manifest["parts"]:
        data = parts.get(part["path"], b"")
        part["size"], part["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    parts["manifest.json"] = json.dumps(manifest).encode()


def told(change: Callable[[dict[str, Any]], None]) -> Callable[[Parts], None]:
    """A bundle whose manifest says something else."""

    def breaking(parts: Parts) -> None:
        manifest = json.loads(parts["manifest.json"])
        change(manifest)
        parts["manifest.json"] = json.dumps(manifest).encode()

    return breaking


def written(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Parts], None]:
    """A bundle with another journal, and hashes that fit it."""

    def breaking(parts: Parts) -> None:
        parts["events.jsonl"] = b"".join(change(parts["events.jsonl"].splitlines(keepends=True)))
        rehashed(parts)

    return breaking


def without_file(parts: Parts) -> None:
    del parts[next(name for name in parts if name.startswith("files/"))]


def without_manifest(parts: Parts) -> None:
    del parts["manifest.json"]


def with_another_file(parts: Parts) -> None:
    parts[next(name for name in parts if name.startswith("files/"))] = b"here be lions!!"
    rehashed(parts)


BROKEN: dict[str, Callable[[Parts], None]] = {
    "another byte": lambda parts: parts.update({"events.jsonl": parts["events.jsonl"][:-2] + b" \n"}),
    "one event missing": written(lambda lines: [*lines[:3], *lines[4:]]),
    "the last event missing": written(lambda lines: lines[:-1]),
    "an event twice": written(lambda lines: [*lines[:3], lines[2], *lines[3:]]),
    "no events": written(lambda lines: []),
    "no JSON": written(lambda lines: [*lines[:2], lines[2][:40] + b"\n", *lines[3:]]),
    "no beginning": written(lambda lines: [lines[0].replace(b"session.created", b"queue.held"), *lines[1:]]),
    "another session in it": written(
        lambda lines: [*lines[:-1], lines[0].replace(b'"seq":1,', b'"seq":%d,' % len(lines))]
    ),
    "a deletion": written(
        lambda lines: [
            *lines[:-1],
            b'{"seq":%d,"at":"2026-01-01T00:00:00.000000Z","type":"session.deleted","run_id":null,'
            b'"data":{"by":"eve"}}\n' % len(lines),
        ]
    ),
    "an impossible order": written(
        lambda lines: [
            *lines[:-1],
            b'{"seq":%d,"at":"2026-01-01T00:00:00.000000Z","type":"message.withdrawn","run_id":null,'
            b'"data":{"message_id":"msg_0","by":"eve"}}\n' % len(lines),
        ]
    ),
    "a file missing": without_file,
    "another file": with_another_file,
    "a file that leads elsewhere": lambda parts: parts.update({"../../evil": b"x"}),
    "a newer version": told(lambda manifest: manifest.update(version=99)),
    "another format": told(lambda manifest: manifest.update(format="zip")),
    "a wrong head": told(lambda manifest: manifest.update(head_seq=1)),
    "a retired beginning": told(lambda manifest: manifest.update(first_seq=7)),
    "no manifest": without_manifest,
}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds nothing."""
    home = tmp_path_factory.mktemp("untouched") / "home"
    hosted = Hosted(home).start()
    hosted.stop()
    return home


@pytest.mark.parametrize("how", BROKEN)
def test_broken_bundle_is_refused_whole(how: str, bundles: Bundles, untouched: Path, tmp_path: Path) -> None:
    with ZipFile(bundles.of("talked")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    BROKEN[how](parts)
    with ZipFile(tmp_path / "broken.tenure", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)

    with pytest.raises(TenureError, match=r"othing was imported|no whole bundle|retired"):
        asyncio.run(import_session(tmp_path / "broken.tenure", Settings(home=untouched), "ada"))

    assert asyncio.run(sessions_of(untouched)) == []
    assert not (untouched / "sessions").exists() or not any((untouched / "sessions").iterdir())


async def sessions_of(home: Path) -> list[str]:
    async with opened(Settings(home=home)) as store:
        return await store.store.session_ids("", 10)
