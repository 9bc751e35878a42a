"""The rows that acts decide on, typed, and the refusals when they aren't there."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tenure.core.content import Content
from tenure.core.grant import Grant, grant_digest
from tenure.core.message import Role
from tenure.core.principal import Author
from tenure.core.run import RunState
from tenure.core.session import SessionState
from tenure.errors import Code, TenureError
from tenure.stores.relational.tx import Tx


class SessionRow(NamedTuple):
    """What acts need to know of a session."""

    no: int
    id: str
    tenant: str
    owner: str
    agent: str
    state: SessionState
    held: bool


class RunRow(NamedTuple):
    """What acts need to know of a run."""

    id: str
    session_no: int
    tenant: str
    author: str
    agent: str
    message_id: str
    state: RunState
    grant_json: str
    grant_digest: str
    attempt: int
    lapses: int
    owner: int | None
    by_deadline: bool
    reason: str
    started_at: int | None
    held_by: int | None = None

    @classmethod
    def fresh(cls, run_id: str, session_no: int, message_id: str, grant: Grant) -> "RunRow":
        """The row of a run that was just made."""
        return cls(
            id=run_id,
            session_no=session_no,
            tenant=grant.author.tenant,
            author=grant.author.user,
            agent=grant.agent,
            message_id=message_id,
            state=RunState.QUEUED,
            grant_json=msgspec.json.encode(grant).decode(),
            grant_digest=grant_digest(grant),
            attempt=0,
            lapses=0,
            owner=None,
            by_deadline=False,
            reason="",
            started_at=None,
        )

    @property
    def grant(self) -> Grant:
        """The grant as it was frozen."""
        return msgspec.json.decode(self.grant_json, type=Grant)


def session_row(tx: Tx, session_id: str) -> SessionRow:
    """The session. Raises TenureError `not_found`."""
    row = tx.one("session_get", id=session_id)
    if row is None:
        raise not_found("session", session_id)
    return _session(row)


def session_of(tx: Tx, no: int) -> SessionRow:
    """The session with the internal number `no`; it exists."""
    return _session(tx.one("session_get_by_no", no=no))


def _session(row: Sequence[Any]) -> SessionRow:
    no, session_id, tenant, owner, agent, state, held = row
    return SessionRow(no, session_id, tenant, owner, agent, SessionState(state), bool(held))


class SceneRow(NamedTuple):
    """A session with the state of its live run and the length of its queue."""

    session: SessionRow
    run: RunState | None
    attempt: int
    run_id: str | None
    waiting: int


def scene_row(tx: Tx, session_id: str) -> SceneRow:
    """What admission looks at. Raises TenureError `not_found`."""
    row = tx.one("admission_scene", id=session_id)
    if row is None:
        raise not_found("session", session_id)
    *session, run, attempt, run_id, waiting = row
    state = None if run is None else RunState(run)
    return SceneRow(_session(session), state, attempt or 0, run_id, waiting)


class MessageRow(NamedTuple):
    """What acts need to know of one message."""

    id: str
    role: Role
    state: str
    author: Author | None
    content: Content
    run_id: str | None
    version: int
    joined: str | None


def message_row(tx: Tx, no: int, message_id: str) -> MessageRow:
    """One message of a session. Raises TenureError `not_found`."""
    row = tx.one("message_row", no=no, id=message_id)
    if row is None:
        raise not_found("message", message_id)
    found, role, state, author, content, run_id, version, joined = row
    return MessageRow(
        found,
        Role(role),
        state,
        None if author is None else msgspec.json.decode(author, type=Author),
        msgspec.json.decode(content, type=Content),
        run_id,
        version,
        joined,
    )


def live_run(tx: Tx, no: int) -> RunRow | None:
    """The run of the session that isn't over, if there is one."""
    return _run(tx.one("run_live", no=no))


def run_row(tx: Tx, run_id: str) -> RunRow | None:
    """A run by its id."""
    return _run(tx.one("run_get", id=run_id))


def _run(row: Any) -> RunRow | None:
    if row is None:
        return None
    made = RunRow(*row)
    return made._replace(state=RunState(made.state), by_deadline=bool(made.by_deadline))


def held_run(tx: Tx, run_id: str, incarnation: int) -> tuple[SessionRow, RunRow] | None:
    """A live run that this life of a host holds, and its session."""
    row = tx.one("run_held", id=run_id, owner=incarnation)
    if row is None:
        return None
    run = _run(row[: len(RunRow._fields)])
    return None if run is None else (_session(row[len(RunRow._fields) :]), run)


def not_found(noun: str, given: str) -> TenureError:
    """The refusal of what isn't there, or isn't there for this principal: the two look the same."""
    return TenureError(Code.NOT_FOUND, f"There is no {noun} {given!r} here. Check the id.", id=given)


def fenced(run_id: str) -> TenureError:
    """The refusal of a write by whoever doesn't hold the run."""
    return TenureError(Code.FENCED, f"The run {run_id} is not held by this host any more. Stop its runner.")
