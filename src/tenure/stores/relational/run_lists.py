"""Lists of runs over many sessions, and what went wrong among them: rows to views."""

from typing import Any

import msgspec

from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.run import FAULTS, LIVE_RUNS
from tenure.core.view import ListedRun, RunFault
from tenure.ports.acts import Page
from tenure.ports.overviews import RunFilter
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import NEWEST, more, place, run_of

APART = 3_600 * SECOND
"""By so much the clocks of hosts may be apart. But for that, runs are numbered as they come."""


def runs(db: Look, which: RunFilter, cursor: str | None, limit: int) -> Page[ListedRun]:
    """A page of runs, newest first."""
    name = _statement(which)
    found = list(
        db.rows(
            name,
            before=place(cursor, NEWEST),
            floor=0 if which.since is None or name != "runs_latest" else _floor(db, which.since),
            **which._asdict(),
            limit=limit + 1,
        )
    )
    return Page([_listed(row) for row in found[:limit]], more(found, limit))


def _statement(which: RunFilter) -> str:
    """What finds these runs without looking at many others."""
    if which.live_since is not None or which.state in LIVE_RUNS:
        return "runs_live"
    if which.tenant is not None and which.owner is not None:
        return "runs_of_owner"
    return "runs_fault" if which.state in FAULTS else "runs_latest"


def _floor(db: Look, since: Micros) -> int:
    """A number below which no run was admitted at `since` or later."""
    low, high = 0, (db.one("run_number_last")[0] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = db.one("run_number_from", no=middle)
        if row is None or row[1] >= since - APART:
            high = middle
        else:
            low = row[0] + 1
    return low


def _listed(row: dict[str, Any]) -> ListedRun:
    run = msgspec.structs.asdict(run_of(row))
    return ListedRun(**run, session_title=row["session_title"], session_owner=row["session_owner"])


def faults(db: Look, tenant: str | None, owner: str | None, since: Micros, limit: int) -> list[RunFault]:
    """What went wrong since then, the latest first."""
    values = {"tenant": tenant, "owner": owner, "since": since, "limit": limit}
    return [
        RunFault(
            agent=row["agent"],
            status=row["state"],
            reason=row["reason"],
            count=row["had"],
            latest_at=timestamp(row["latest_at"]),
            latest_run_id=row["run_id"],
            latest_session_id=row["session_id"],
        )
        for row in db.rows("run_faults", **values)
    ]
