"""Databases that can't be used are refused with the way out, and no address is shown with its password."""

import asyncio

import pytest

from tenure.config import Settings
from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.errors import ConfigError
from tenure.host.clock import RandomIds
from tenure.moving import examine_database
from tenure.ports.hosts import LEASE_S
from tenure.stores.postgres.connect import prepare
from tenure.stores.postgres.lane import PostgresLane
from tenure.stores.postgres.store import PostgresStore
from tenure.wiring import on_postgres
from tests.postgres.fixtures import Database
from tests.postgres.server import Postgres

pytestmark = pytest.mark.anyio

UNREADABLE = [
    "postgres://app:hunter2#s3cret@db/tenure",
    "postgres://app:hunter2/s3cret@db/tenure",
    "postgres://app:12345/s3cret@db/tenure",
    "postgres://app:hunter2?s3cret@db/tenure",
    "postgres://app:12345?s3cret@db/tenure",
    "postgres://app:hunter2@s3cret@db/tenure",
    "postgres://app:hunter2[s3cret@db/tenure",
    "postgres://app:hunter2s3cret@db:hunter2s3cret/tenure",
]


@pytest.mark.parametrize("url", UNREADABLE)
async def test_address_that_cannot_be_read_is_refused_and_no_part_of_it_shown(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await prepare(url)

    assert "can't be read" in str(refused.value) and "%40 for @" in str(refused.value)
    assert "hunter2" not in str(refused.value) and "s3cret" not in str(refused.value)
    assert "12345" not in str(refused.value)


@pytest.mark.parametrize("url", ["mysql://app:s3cret@db/x", "//app:s3cret@db/x", "app:s3cret@db/x", "s3cret"])
def test_store_of_another_kind_is_refused_and_its_address_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="can't be used") as refused:
        on_postgres(url)

    assert "s3cret" not in str(refused.value)


async def test_database_that_is_not_there_is_named_without_the_password(postgres: Postgres) -> None:
    url = f"postgres://tenure:s3cret@127.0.0.1:{postgres.port}/nothing?application_name=s3cret"

    with pytest.raises(ConfigError) as refused:
        await prepare(url)

    assert str(refused.value) == (
        f"The database postgres://127.0.0.1:{postgres.port}/nothing can't be reached: database "
        '"nothing" does not exist. '
        "Create it, for example with: CREATE DATABASE name OWNER user."
    )


async def test_server_that_is_not_there_is_named(postgres: Postgres) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:1/x can't be reached.*that Postgres runs there"):
        await prepare("postgres://tenure:s3cret@127.0.0.1:1/x")


async def test_user_who_may_make_no_tables_is_told_to_own_the_database(
    postgres: Postgres, postgres_database: Database
) -> None:
    guest = f"guest_{postgres_database.name}"
    postgres.ask(f"create role {guest} login")
    try:
        with pytest.raises(ConfigError, match=r"permission denied.*OWNER TO"):
            await prepare(f"postgres://{guest}@127.0.0.1:{postgres.port}/{postgres_database.name}")
    finally:
        postgres.ask(f"drop role {guest}")


async def test_looking_at_a_database_changes_nothing_of_it(
    postgres: Postgres, postgres_database: Database
) -> None:
    with pytest.raises(ConfigError, match="no tables of Tenure"):
        await examine_database(postgres_database.url)
    assert (
        postgres.ask("select count(*) from pg_tables where schemaname = 'public'", postgres_database.name)
        == "0"
    )

    await prepare(postgres_database.url)
    postgres.ask("update schema_version set number = number - 1000", postgres_database.name)
    with pytest.raises(ConfigError, match="Start a host of this version on it once"):
        await examine_database(postgres_database.url)
    assert int(postgres.ask("select max(number) from schema_version", postgres_database.name)) < 0


async def test_hosts_that_begin_together_on_an_empty_database_agree_on_its_history(
    postgres_database: Database,
) -> None:
    async def opened() -> PostgresStore:
        lane = await PostgresLane.opened(postgres_database.socket_url, LEASE_S)
        return await PostgresStore.opened(lane, Rules(limits=Limits(), terms={}), RandomIds())

    stores = await asyncio.gather(*(opened() for _ in range(4)))
    histories = {store.history for store in stores}
    for store in stores:
        await store.aclose()

    assert histories == {(await examine_database(postgres_database.socket_url)).history}


def test_place_of_a_store_is_told_without_user_password_and_options() -> None:
    store = "postgres://app:s3cret@db-1:5432,db-2:5432/tenure?sslmode=require&password=s3cret"

    assert Settings(store=store).place == "postgres://db-1:5432,db-2:5432/tenure"
