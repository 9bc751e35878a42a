"""State in rows: acts and reads over the lane. The store has one of these as its `states`."""

from collections.abc import Callable
from functools import partial

import msgspec

from tenure.core.moment import Micros, timestamp
from tenure.core.scope import SCOPES, Expected, Place, Scope, Setting
from tenure.core.state import StatePage, StateValue
from tenure.ports.acts import Answer
from tenure.ports.states import Write, Writer
from tenure.stores.relational import locks, reads
from tenure.stores.relational.acts import states
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.look import Look

PAGE_BYTES = 1 << 20
_NAMES = ("one", "two", "three", "four")


class RelationalStates:
    """What the port `States` says, on one file."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def set(self, writer: Writer, write: Write) -> Answer[StateValue]:
        return await self._lane.write(
            partial(states.set_value, writer=writer, write=write), *locks.writer(writer)
        )

    async def delete(self, writer: Writer, place: Place, key: str, expected: Expected | None) -> int | None:
        return await self._lane.write(
            lambda tx: states.delete_value(tx, writer, place, key, expected),
            *locks.writer(writer),
        )

    async def setting(self, session_id: str) -> Setting | None:
        return await self._lane.peek(lambda db: _setting(db, session_id))

    async def value(self, place: Place, key: str, at: Micros) -> StateValue | None:
        return await self._lane.peek(lambda db: _value(db, place, key, at))

    async def weight(self, places: tuple[Place, ...]) -> int:
        return await self._lane.peek(lambda db: int(db.one("read_state_weight", **_digests(places))[0]))

    async def cut(self, places: tuple[Place, ...], at: Micros) -> dict[Scope, dict[str, bytes]]:
        return await self._lane.read(lambda db: _cut(db, places, at))

    async def page(
        self, session_id: str, place: Place, at: Micros, cursor: str | None, limit: int
    ) -> StatePage:
        query: Callable[[Look], StatePage] = partial(
            _page, session_id=session_id, place=place, at=at, cursor=cursor, limit=limit
        )
        return await self._lane.read(query)


def _digests(places: tuple[Place, ...]) -> dict[str, str | None]:
    """Parameters for as many places as there are scopes."""
    given = [place.digest for place in places]
    return dict(zip(_NAMES, [*given, *[None] * (len(SCOPES) - len(given))], strict=True))


def _setting(db: Look, session_id: str) -> Setting | None:
    row = db.first("state_setting", id=session_id)
    return None if row is None else states.setting_of(row)


def _value(db: Look, place: Place, key: str, at: Micros) -> StateValue | None:
    row = db.one("read_state", digest=place.digest, key=key, at=at)
    return None if row is None else _told(*row)


def _told(scope: str, key: str, line: str, version: int, expires_at: int | None) -> StateValue:
    return StateValue(
        scope=scope,
        key=key,
        value=msgspec.json.decode(line),
        version=version,
        expires_at=None if expires_at is None else timestamp(Micros(expires_at)),
    )


def _cut(db: Look, places: tuple[Place, ...], at: Micros) -> dict[Scope, dict[str, bytes]]:
    found: dict[Scope, dict[str, bytes]] = {}
    for row in db.rows("read_state_cut", **_digests(places), at=at):
        found.setdefault(Scope(row["scope"]), {})[row["key"]] = row["value"].encode()
    return found


def _page(db: Look, session_id: str, place: Place, at: Micros, cursor: str | None, limit: int) -> StatePage:
    after = reads.place(cursor, 0)
    data: list[StateValue] = []
    size, last, more = 0, 0, False
    for row in db.rows("read_states", digest=place.digest, after=after, at=at, limit=limit + 1):
        if len(data) == limit or size >= PAGE_BYTES:
            more = True
            break
        data.append(_told(row["scope"], row["key"], row["value"], row["version"], row["expires_at"]))
        size, last = size + len(row["value"]), row["no"]
    return StatePage(
        data=tuple(data),
        as_of_seq=reads.head(db, session_id)[2],
        next_cursor=str(last) if more else None,
    )
