"""Hosts as the store knows them: each life has a row, a fencing number, and a time until which it holds."""

from typing import NamedTuple, Protocol

from tenure.core.moment import Micros
from tenure.ports.acts import Lease

LEASE_S = 10.0
"""How long a host that isn't heard of keeps its runs, in seconds."""


class HostCard(NamedTuple):
    """What a host says of itself when it joins: the name that people see, its version, and its slots.

    `lease_s` is how long it keeps its runs without a word, in seconds.
    """

    name: str = ""
    version: str = ""
    slots: int = 0
    lease_s: float = LEASE_S


UNNAMED = HostCard()


class HostRow(NamedTuple):
    """One host that has joined and wasn't given up. Instants are by the store's clock.

    `live_runs` counts those that hold a slot.
    """

    incarnation: int
    name: str
    version: str
    slots: int
    draining: bool
    joined_at: Micros
    renewed_at: Micros
    expires_at: Micros
    live_runs: int


class HostActs(Protocol):
    """The life of hosts, in acts."""

    async def renew(self, lease: Lease, at: Micros, *, draining: bool = False) -> Micros:
        """Hold the lease for its time from now on. Returns what time it is by the store's clock.

        It succeeds as long as the host's row is there, even when late; else TenureError `fenced`.
        """
        ...

    async def give_up(self, lease: Lease, at: Micros) -> int:
        """Fence every host whose lease has run out. Returns how many; their runs are taken up by `reap`."""
        ...

    async def all(self) -> tuple[HostRow, ...]:
        """Every host that stands, in the order in which they joined."""
        ...

    async def queued(self) -> int:
        """How many runs wait for a slot on any host."""
        ...
