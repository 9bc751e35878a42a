"""Several servers on one Postgres, each a real process with a home of its own."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.server import Server
from tests.postgres.server import PostgresServer

ADMIN_KEY = "tnr_benchmarks-have-nothing-to-hide-0000000"


class Cluster(NamedTuple):
    """The hosts, the database that they share, and an empty one beside it."""

    hosts: list[Server]
    database: str
    empty: str


@asynccontextmanager
async def cluster(folder: Path, hosts: int, lease_s: float = 10) -> AsyncGenerator[Cluster]:
    """So many ready hosts on a fresh database below `folder`; ended and tidied away afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="tenure-bench-", dir=folder) as place,
        PostgresServer(folder=Path(tempfile.mkdtemp(prefix="tenure-bench-pg-", dir=folder))) as postgres,
    ):
        database = postgres.socket_url(postgres.create_database("template0"))
        given = {
            "TENURE_STORE": database,
            "TENURE_ADMIN_KEY": ADMIN_KEY,
            "TENURE_LEASE_S": str(lease_s),
        }
        servers: list[Server] = []
        try:
            for number in range(hosts):
                home = Path(place) / f"{number}" / "home"
                home.parent.mkdir()
                servers.append(Server(home, given=given))
                await servers[-1].start()
            yield Cluster(servers, database, postgres.socket_url())
        finally:
            for server in servers:
                server.stop()
