"""Counters: slots for live runs, and open sessions. Each has a row per person and one for all."""

from typing import NamedTuple

from tenure.core.limits import Limits, full
from tenure.ports.acts import Lease
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx

ALL = ""


def move_run(tx: Tx, tenant: str, author: str, *, live: int = 0, queued: int = 0) -> None:
    """A run of `author` began or ceased to hold a slot, or to wait for one. Its row says so already."""
    tx.move_slots(tenant, author, live=live, queued=queued)


class Slots(NamedTuple):
    """How many runs hold a slot and how many wait for one: of everybody, and of one author."""

    live: int
    queued: int
    own_live: int

    def room(self, limits: Limits) -> bool:
        """Whether any run may start."""
        return self.live < limits.live_runs

    def may_claim(self, limits: Limits) -> bool:
        """Whether a waiting run of the author may start."""
        return self.room(limits) and self.own_live < limits.live_runs_per_user

    def free(self, limits: Limits) -> bool:
        """Whether a run of the author may start at once: there is a slot, and nobody waits for one."""
        return not self.queued and self.may_claim(limits)


def taken(tx: Tx, tenant: str = ALL, author: str = ALL) -> Slots:
    """The slots as this transaction sees them."""
    moved = tx.moved(tenant, author)
    live, queued, own_live = tx.one("slot_read", tenant=tenant, author=author)
    return Slots(live + moved.live, queued + moved.queued, own_live + moved.own_live)


def judged(tx: Tx, tenant: str, author: str, limits: Limits) -> Slots:
    """The slots for a run of the author that is to start now: with those of runs that others may be starting.

    From here on no other act starts a run of this author, nor the one run too many, until this one is over.
    """
    others = 0 if tx.alone else tx.others_starting(tenant, author, limits.live_runs)
    found = taken(tx, tenant, author)
    return found._replace(live=found.live + others)


def has_room(tx: Tx, tenant: str, author: str, limits: Limits, lease: Lease | None) -> bool:
    """Whether a run of the author may start at once on the host of `lease`; nobody takes its place then."""
    if lease is None or not taken(tx, tenant, author).free(limits):
        return False
    return tx.alone or judged(tx, tenant, author, limits).free(limits)


def backlog(tx: Tx) -> int:
    """How many runs wait for a slot."""
    return taken(tx).queued


def waiting(db: Look) -> int:
    """The same for whoever only looks."""
    return Slots(*db.one("slot_read", tenant=ALL, author=ALL)).queued


def taken_by_all(db: Look) -> int:
    """How many runs hold a slot, for whoever only looks."""
    return Slots(*db.one("slot_read", tenant=ALL, author=ALL)).live


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
    row = tx.one("quota_lock", tenant=tenant, owner=owner)
    return 0 if row is None else row[0]


def _move(tx: Tx, tenant: str, owner: str, by: int) -> None:
    tx.do("quota_move", tenant=tenant, owner=owner, open=by)
