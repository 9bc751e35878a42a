"""Counters: slots for live runs, and open sessions. Each has a row per person and one for all."""

from typing import NamedTuple

from tenure.core.limits import Limits, full
from tenure.stores.sqlite.batch import Tx

ALL = ""


def move_run(tx: Tx, tenant: str, author: str, *, live: int = 0, queued: int = 0) -> None:
    """A run of `author` began or ceased to hold a slot, or to wait for one. Its row says so already."""
    tx.do("slot_move", tenant=tenant, author=author, live=live, queued=queued)
    served = queued < 0 < live
    if queued > 0 or served:
        tx.do("slot_turns")
        tx.do("slot_turn", tenant=tenant, author=author, served=served)


class Slots(NamedTuple):
    """How many runs hold a slot and how many wait for one: of everybody, and of one author."""

    live: int
    queued: int
    own_live: int

    def room(self, limits: Limits) -> bool:
        """Whether any run may start."""
        return self.live < limits.live_runs

    def free(self, limits: Limits) -> bool:
        """Whether a run of the author may start at once: there is a slot, and nobody waits for one."""
        return not self.queued and self.room(limits) and self.own_live < limits.live_runs_per_user


def taken(tx: Tx, tenant: str = ALL, author: str = ALL) -> Slots:
    """The slots as this transaction sees them."""
    return Slots(*tx.one("slot_read", tenant=tenant, author=author))


def backlog(tx: Tx) -> int:
    """How many runs wait for a slot."""
    return taken(tx).queued


def open_session(tx: Tx, tenant: str, owner: str, limits: Limits) -> None:
    """Count one more open session. Raises TenureError `capacity`; the global limit is judged first."""
    way_out = "Close or delete a session that is no longer needed."
    everyone = _open(tx, ALL, ALL)
    if everyone >= limits.open_sessions:
        raise full("global", "open sessions", limits.open_sessions, everyone, way_out)
    own = _open(tx, tenant, owner)
    if own >= limits.open_sessions_per_user:
        raise full("per_user", "open sessions", limits.open_sessions_per_user, own, way_out)
    _move(tx, tenant, owner, 1)


def close_session(tx: Tx, tenant: str, owner: str) -> None:
    """Count one open session less."""
    _move(tx, tenant, owner, -1)


def _open(tx: Tx, tenant: str, owner: str) -> int:
    row = tx.one("quota_get", tenant=tenant, owner=owner)
    return 0 if row is None else row[0]


def _move(tx: Tx, tenant: str, owner: str, by: int) -> None:
    tx.do("quota_move", tenant=tenant, owner=owner, open=by)
