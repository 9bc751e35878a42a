"""The part of the store port that keeps state: values under keys, in places that core names.

The rooms of the host have judged policy and identity; the acts judge versions, room and the fence of a run.
"""

from typing import NamedTuple, Protocol, TypeAlias

from tenure.core.moment import Micros
from tenure.core.scope import Expected, Place, Scope, Setting
from tenure.core.state import StatePage, StateValue
from tenure.ports.acts import Answer, Lease, Stamp


class ByCaller(NamedTuple):
    """A write by the API, through a session. `of` is the actor or subject that the caller named, if any."""

    session_id: str
    stamp: Stamp
    of: str | None = None

    @property
    def at(self) -> Micros:
        """When."""
        return self.stamp.at


class ByRun(NamedTuple):
    """A write by one attempt of a run that is held under `lease`."""

    lease: Lease
    run_id: str
    attempt: int
    at: Micros


Writer: TypeAlias = ByCaller | ByRun


class Write(NamedTuple):
    """A value for one key, as JSON. `ttl_s` is how long it lasts, in seconds."""

    place: Place
    key: str
    line: bytes
    ttl_s: float | None = None
    expected: Expected | None = None


class States(Protocol):
    """Acts and reads of state. What has expired by the moment of an act or a read isn't there."""

    async def set(self, writer: Writer, write: Write) -> Answer[StateValue]:
        """Keep a value, and journal it in the session through which it was written.

        Raises TenureError `stale`, `capacity`, `idempotency_conflict`, `not_found` for a session that is
        gone, `fenced` for an attempt that may not write any more.
        """
        ...

    async def delete(self, writer: Writer, place: Place, key: str, expected: Expected | None) -> int | None:
        """Delete a value. Its last version, None if there was nothing. Raises as `set` does."""
        ...

    async def setting(self, session_id: str) -> Setting | None:
        """The session as state sees it; None if it isn't there."""
        ...

    async def value(self, place: Place, key: str, at: Micros) -> StateValue | None:
        """One value, at once."""
        ...

    async def weight(self, places: tuple[Place, ...]) -> int:
        """About how many bytes a cut of these places has, at once. 0: nothing is kept there."""
        ...

    async def cut(self, places: tuple[Place, ...], at: Micros) -> dict[Scope, dict[str, bytes]]:
        """Everything that is kept in these places, as JSON, in one consistent cut."""
        ...

    async def page(
        self, session_id: str, place: Place, at: Micros, cursor: str | None, limit: int
    ) -> StatePage:
        """A page of the values of one place. Large values make a short page."""
        ...
