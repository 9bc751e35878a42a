"""The Postgres store against the contract, on a real server."""

from collections.abc import AsyncIterator

import pytest

from tenure.stores.contract import Backend, StoreContract
from tests.contract.postgres_place import PostgresPlace, prepared
from tests.postgres.fixtures import fresh
from tests.postgres.server import Postgres


@pytest.fixture(scope="class")
async def place(anyio_backend: str, postgres: Postgres) -> AsyncIterator[PostgresPlace]:
    """One database for all cases: a new one for each would cost more than most cases do."""
    with fresh(postgres) as database:
        async with prepared(database.socket_url) as prepared_place:
            yield prepared_place


class TestPostgres(StoreContract):
    """Every case of the contract."""

    INCREMENTS = 200
    RUNS = 40

    @pytest.fixture(scope="class")
    @classmethod
    def anyio_backend(cls) -> str:
        """One loop for all cases, so that connections outlive them."""
        return "asyncio"

    @pytest.fixture
    async def backend(self, place: PostgresPlace) -> Backend:
        """The database, with nothing in it."""
        await place.empty()
        return place
