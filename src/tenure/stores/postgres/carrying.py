"""The bytes of files on their way into a database that is being filled, in the transaction that fills it."""

import hashlib
from collections.abc import AsyncIterator

from asyncpg import Connection, Record

from tenure.errors import ConfigError
from tenure.ports.tables import Named
from tenure.stores.postgres.files import PART
from tenure.stores.postgres.tx import arguments

BLOB = """INSERT INTO blob (session_id, sha256, body_id, holds, held_until) VALUES ($1, $2, $3, 0, now())
ON CONFLICT DO NOTHING"""


class BodyCarrier:
    """Writes bodies. What several sessions name is written once."""

    def __init__(self, db: "Connection[Record]") -> None:
        self._db = db
        self._bodies: dict[str, int] = {}

    async def keep(self, named: Named, pieces: AsyncIterator[bytes]) -> None:
        """Take the bytes of one file. Raises ConfigError if they aren't what their hash says."""
        body_id = self._bodies.get(named.sha256)
        if body_id is None:
            body_id = self._bodies[named.sha256] = await self._write(named, pieces)
        await self._db.execute(BLOB, named.session_id, named.sha256, body_id)

    async def _write(self, named: Named, pieces: AsyncIterator[bytes]) -> int:
        digest, heap, parts = hashlib.sha256(), bytearray(), 0
        body_id: int | None = None
        async for piece in pieces:
            digest.update(piece)
            heap += piece
            while len(heap) > PART:
                body_id = await self._send(body_id, parts, bytes(heap[:PART]))
                parts += 1
                del heap[:PART]
        body_id = await self._send(body_id, parts, bytes(heap))
        if digest.hexdigest() != named.sha256:
            raise ConfigError(
                f"A file of {named.session_id} isn't what its hash {named.sha256} says. Nothing was kept."
            )
        return body_id

    async def _send(self, body_id: int | None, no: int, part: bytes) -> int:
        if body_id is None:
            sql, given = arguments("body_begin", {"part": part})
            return int(await self._db.fetchval(sql, *given))
        sql, given = arguments("body_take", {"id": body_id, "no": no, "part": part})
        await self._db.execute(sql, *given)
        return body_id
