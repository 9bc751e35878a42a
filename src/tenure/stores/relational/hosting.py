"""Hosts of a relational store: `ports.hosts` over one lane."""

from tenure.core.moment import Micros
from tenure.ports.hosts import HostRow
from tenure.ports.store import Lease
from tenure.stores.relational.acts import recovery, slots
from tenure.stores.relational.lane import Lane


class RelationalHosts:
    """The life of hosts, over one lane. What may wait for rows of other hosts takes `usual`."""

    def __init__(self, lane: Lane, usual: Lane | None = None) -> None:
        self._lane = lane
        self._usual = usual or lane

    async def renew(self, lease: Lease, at: Micros, *, draining: bool = False) -> Micros:
        return await self._lane.write(lambda tx: recovery.renew(tx, lease, at, draining=draining))

    async def give_up(self, lease: Lease, at: Micros) -> int:
        return await self._usual.write(lambda tx: recovery.give_up(tx, lease, at))

    async def all(self) -> tuple[HostRow, ...]:
        found = await self._lane.peek(lambda db: db.all("read_hosts"))
        return tuple(HostRow(*row)._replace(draining=bool(row[4])) for row in found)

    async def queued(self) -> int:
        return await self._lane.peek(slots.waiting)
