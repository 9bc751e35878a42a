"""What an act locks before it looks at anything: the receipt of its request, its host's life, its sessions.

A file has one writer, so nothing needs locking there; a database with many hosts takes locks in the order
of their ranks always, so that no two acts wait for each other (SEMANTICS 2).
"""

from enum import IntEnum
from typing import NamedTuple

from tenure.core.moment import Micros
from tenure.ports.acts import Lease, Stamp
from tenure.ports.states import ByCaller, ByRun, Writer


class Rank(IntEnum):
    """In which order locks are taken."""

    RECEIPT = 0
    HOST = 1
    HEAD = 2
    ROW = 3


class Lock(NamedTuple):
    """A named statement that locks, with its values."""

    rank: Rank
    name: str
    values: dict[str, object]


def receipt(stamp: Stamp) -> tuple[Lock, ...]:
    """The answer that a request's idempotency key stands for, if it has one."""
    if stamp.idempotency is None:
        return ()
    who: dict[str, object] = {"tenant": stamp.by.tenant, "user": stamp.by.user, "key": stamp.idempotency.key}
    return (Lock(Rank.RECEIPT, "lock_receipt", who),)


def alone(what: str) -> Lock:
    """Some work of the whole store, so that no other host does it meanwhile."""
    return Lock(Rank.RECEIPT, "lock_work", {"what": what})


def host(lease: Lease) -> Lock:
    """This life of a host, so that nobody gives it up meanwhile."""
    return Lock(Rank.HOST, "lock_host", {"incarnation": lease.incarnation})


def taking(lease: Lease | None) -> tuple[Lock, ...]:
    """The life of the host that may take the run, if it takes any."""
    return () if lease is None else (host(lease),)


def session(session_id: str) -> Lock:
    """The session itself."""
    return Lock(Rank.HEAD, "lock_session", {"id": session_id})


def session_no(no: int) -> Lock:
    """The same by its internal number."""
    return Lock(Rank.HEAD, "lock_session_no", {"no": no})


def maybe(session_id: str | None) -> tuple[Lock, ...]:
    """The session, if there is one."""
    return () if session_id is None else (session(session_id),)


def family(session_id: str) -> Lock:
    """The session and all its forks."""
    return Lock(Rank.HEAD, "lock_family", {"id": session_id})


def session_of_run(run_id: str) -> Lock:
    """The session of a run."""
    return Lock(Rank.HEAD, "lock_session_of_run", {"id": run_id})


def session_of_approval(approval_id: str) -> Lock:
    """The session of an approval."""
    return Lock(Rank.HEAD, "lock_session_of_approval", {"id": approval_id})


def conversation(key: bytes) -> tuple[Lock, ...]:
    """A conversation, so that nobody else opens a session for it meanwhile, and the session that it has."""
    named: dict[str, object] = {"key": key}
    return (
        Lock(Rank.RECEIPT, "lock_conversation", named),
        Lock(Rank.HEAD, "lock_session_of_conversation", named),
    )


def sessions_of_due(at: Micros, most: int) -> Lock:
    """The sessions of the approvals that nobody answered in time, of so many at most."""
    return Lock(Rank.HEAD, "lock_sessions_of_due", {"at": at, "limit": most})


def sessions_of_key(key_id: str) -> Lock:
    """Every session in which a run of the key's user is live."""
    return Lock(Rank.HEAD, "lock_sessions_of_key", {"id": key_id})


def schedule(schedule_id: str) -> tuple[Lock, ...]:
    """The session that a schedule is for, if it is for one, and the schedule."""
    named: dict[str, object] = {"id": schedule_id}
    return Lock(Rank.HEAD, "lock_session_of_schedule", named), Lock(Rank.ROW, "lock_schedule", named)


def schedule_of(occurrence: str) -> tuple[Lock, ...]:
    """The same for the schedule of an occurrence."""
    named: dict[str, object] = {"id": occurrence}
    return Lock(Rank.HEAD, "lock_session_of_occurrence", named), Lock(Rank.ROW, "lock_occurrence", named)


def writer(who: Writer) -> tuple[Lock, ...]:
    """The session through which state is written."""
    match who:
        case ByRun():
            return host(who.lease), session_of_run(who.run_id)
        case ByCaller():
            return *receipt(who.stamp), session(who.session_id)
