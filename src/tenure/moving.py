"""Backups, restores and changes of the database: connects one side with the other, as settings name them.

The commands `backup`, `restore`, `migrate` and `import` ask it; it is to them what the wiring is to a server.
Postgres is imported late, by the wiring.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing, nullcontext
from pathlib import Path
from zipfile import ZipFile

import tenure
from tenure.client.bundle import EVENTS_PART, Part, read_manifest
from tenure.config import Settings
from tenure.core.bundle import MOST_LINE, read
from tenure.core.ids import SESSION
from tenure.core.moment import timestamp
from tenure.core.principal import DEFAULT_TENANT, Principal, Role
from tenure.core.view import SessionInfo
from tenure.errors import Code, ConfigError, TenureError
from tenure.host.catalogue import Catalogue
from tenure.host.clock import RandomIds, SystemClock
from tenure.host.doctor import examine
from tenure.host.moving import Poured as Poured
from tenure.host.moving import Progress as Progress
from tenure.host.moving import archive, move, silent
from tenure.ports.files import Incoming
from tenure.ports.history import Bundled
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.store import Stamp
from tenure.ports.tables import Source, StoreTarget
from tenure.stores.archive import Archive, ArchiveDraft
from tenure.stores.folders import DiskFolders
from tenure.stores.sqlite.files import check_home, lock
from tenure.stores.sqlite.tables import SqliteDraft, SqliteTables
from tenure.wiring import (
    DATABASE,
    SESSIONS,
    Examination,
    OpenStore,
    on_postgres,
    open_store,
    postgres_sides,
)

HISTORY = "his_"
PIECE = 1 << 20


async def back_up(settings: Settings, path: Path, tell: Progress = silent) -> Poured:
    """Write everything that a store holds to `path`, beside live servers. Raises ConfigError."""
    draft = ArchiveDraft(path, tenure.__version__, timestamp(SystemClock().now()))
    with closing(draft):
        async with source_of(settings, still=False) as source:
            return await archive(source, draft, tell)


async def restore(path: Path, settings: Settings, tell: Progress = silent) -> Poured:
    """Fill an empty store from a backup, under a new history. Raises ConfigError, and it stays empty then."""
    with closing(Archive(path)) as backup:
        async with target_of(settings) as target:
            return await move(backup, target, RandomIds().new(HISTORY), tell)


async def migrate(source: Settings, target: Settings, tell: Progress = silent) -> Poured:
    """Fill an empty store from one that nobody serves. The history goes on. Raises ConfigError."""
    async with source_of(source, still=True) as held, target_of(target) as empty:
        return await move(held, empty, None, tell)


@asynccontextmanager
async def source_of(settings: Settings, *, still: bool) -> AsyncGenerator[Source]:
    """The store that settings name. With `still` nobody may be at work on it. Raises ConfigError."""
    local = DiskFolders(settings.home / SESSIONS)
    if on_postgres(settings.store):
        assert settings.store is not None
        postgres = postgres_sides().source
        async with postgres.opened(settings.store, local, settings.files_dir) as tables:
            if still:
                await tables.refuse_live()
            yield tables
        return
    home = SqliteTables(settings.home / DATABASE, local)
    with lock(settings.home) if still else nullcontext():
        yield home


@asynccontextmanager
async def target_of(settings: Settings) -> AsyncGenerator[StoreTarget]:
    """The empty store that settings name. Raises ConfigError."""
    if on_postgres(settings.store):
        assert settings.store is not None
        shared = None if settings.files_dir is None else DiskFolders(settings.files_dir)
        filling = await postgres_sides().target.opened(settings.store, shared, RandomIds())
        try:
            yield filling
        finally:
            await filling.aclose()
        return
    check_home(settings.home)
    with lock(settings.home):
        folders = DiskFolders(settings.home / SESSIONS)
        draft = SqliteDraft(settings.home / DATABASE, folders, RandomIds())
        try:
            yield draft
        finally:
            draft.close()
            draft.discard()


async def import_session(
    path: Path, settings: Settings, owner: str, tenant: str = DEFAULT_TENANT, title: str | None = None
) -> SessionInfo:
    """Open a session from a bundle, in the store that settings name; it belongs to `owner`.

    Raises TenureError `invalid` or `retired` for a bundle that isn't whole, `capacity` or `store_full`, and
    ConfigError where a server holds the home. Nothing is imported then.
    """
    bundle, files = read_bundle(path)
    if title is not None:
        bundle = bundle._replace(title=title)
    by = Principal(tenant=tenant, user=owner, role=Role.ADMIN, key_id="")
    stamp, session_id = Stamp(SystemClock().now(), by), RandomIds().new(SESSION)
    async with opened(settings) as store:
        info = await store.store.histories.bring_in(stamp, bundle, session_id)
        try:
            await _bring_files(store, path, session_id, bundle, files)
        except (OSError, TenureError):
            await store.store.delete_session(stamp, session_id)
            raise
    return info


def read_bundle(path: Path) -> tuple[Bundled, list[Part]]:
    """What a bundle holds, checked. Raises TenureError `invalid` or `retired`."""
    manifest = read_manifest(path)
    if manifest.first_seq != 1:
        raise TenureError(
            Code.RETIRED,
            f"The bundle begins with event {manifest.first_seq}: what came before was retired where it was "
            "exported. Only whole journals can be imported; a backup moves all others.",
        )
    with ZipFile(path) as archive, archive.open(EVENTS_PART) as data:
        journal = read(line.removesuffix(b"\n") for line in iter(lambda: data.readline(MOST_LINE), b""))
    if journal.head != manifest.head_seq:
        raise _broken(path, f"it holds {journal.head} events of {manifest.head_seq}")
    files = [part for part in manifest.parts if part.file is not None]
    for part in files:
        filed = None if part.file is None else journal.transcript.files.get(part.file.id)
        if filed is None or (filed.file.sha256, filed.file.size) != (part.sha256, part.size):
            raise _broken(path, f"its journal knows no file {part.path}")
    origin = manifest.session
    return Bundled(origin.id, origin.agent, origin.title, origin.labels, journal), files


async def _bring_files(
    opened: OpenStore, path: Path, session_id: str, bundle: Bundled, files: Sequence[Part]
) -> None:
    """Keep the bytes, then let the session have them."""
    kept: list[Incoming] = []
    with ZipFile(path) as archive:
        for part in files:
            incoming = opened.folders.receive(session_id)
            with archive.open(part.path) as data:
                while piece := data.read(PIECE):
                    await incoming.write(piece)
            await incoming.finish()
            await incoming.keep()
            kept.append(incoming)
    names = [part.file.id for part in files if part.file is not None]
    await opened.store.histories.bring_files(session_id, bundle, names)
    for incoming in kept:
        await incoming.let_go()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[OpenStore]:
    """The store that settings name, to be written to. A database in a home must have no server."""
    alone = not on_postgres(settings.store)
    check_home(settings.home)
    with lock(settings.home) if alone else nullcontext():
        store = await open_store(settings.home, Catalogue([]), settings, NoLandmarks())
        try:
            yield store
        finally:
            await store.close()


def _broken(path: Path, why: str) -> TenureError:
    return TenureError(
        Code.INVALID, f"{path} is no whole bundle: {why}. Nothing was imported. Export the session again."
    )


async def examine_database(url: str) -> Examination:
    """Check everything that is stored in a database, beside live hosts. Raises ConfigError."""
    if not on_postgres(url):
        raise ConfigError("The store is no Postgres database. Leave it out to look at a home.")
    async with postgres_sides().examined(url, RandomIds()) as store:
        return Examination(store.history, await store.figures(), await examine(store))


def place(text: str) -> Settings:
    """The settings of a side of `migrate`: a home, or the address of a database."""
    if "://" in text:
        on_postgres(text)
        return Settings(store=text)
    return Settings(home=Path(text).expanduser())
