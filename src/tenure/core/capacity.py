"""How full an installation is: its limits, what is used of them, and by whom. The client shares them."""

from typing import NamedTuple

from tenure.core.view import View


class UserLoad(View, frozen=True, kw_only=True):
    """What one user uses at the moment. Streams are those on the host that answers."""

    tenant: str
    user: str
    open_sessions: int
    live_runs: int
    queued_runs: int
    schedules: int
    streams: int = 0


class LimitStanding(View, frozen=True, kw_only=True):
    """A limit, and what is used of it.

    `scope` is global, per_user or per_session. `limit` null is none. `current` is what is used of it; of a
    limit per user or session by the fullest that the caller may see, and `user` or `session_id` names it.
    Null isn't counted.
    """

    name: str
    scope: str
    limit: float | None
    current: float | None
    tenant: str | None = None
    user: str | None = None
    session_id: str | None = None


class Capacity(View, frozen=True, kw_only=True):
    """Every limit, and the users who use most, the busiest first."""

    limits: tuple[LimitStanding, ...]
    users: tuple[UserLoad, ...]


class UserInfo(View, frozen=True, kw_only=True):
    """A user, as keys and sessions know one: no table of users is kept.

    `roles` are those of the `keys` that live, the strongest first.
    """

    tenant: str
    user: str
    roles: tuple[str, ...]
    keys: int
    open_sessions: int
    live_runs: int


class FullestQueue(NamedTuple):
    """The session in which most messages wait."""

    session_id: str
    tenant: str
    waiting: int


class Loads(NamedTuple):
    """What the store counts: of everybody, of the users who use most, and the longest queue of messages."""

    open_sessions: int
    live_runs: int
    users: tuple[UserLoad, ...]
    queue: FullestQueue | None
