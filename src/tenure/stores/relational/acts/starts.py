"""How a waiting message becomes a run: with a grant first, and a slot when there is one."""

from collections.abc import Mapping

import msgspec

from tenure.core.approval import ANSWERED, Resumption, resumption
from tenure.core.content import Content
from tenure.core.entry import entry
from tenure.core.event import Event, MessageWithdrawn, RunResumed, RunRetried, RunStarted, Trigger
from tenure.core.grant import NOTHING, Grant, Terms, make_grant
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.origin import API, Origin
from tenure.core.principal import Author, Role, strongest, weaker
from tenure.core.rules import Rules
from tenure.core.run import RUN, RunSignal
from tenure.ports.store import Lease, Start
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.outcomes import withdrawn
from tenure.stores.relational.acts.rows import RunRow, SessionRow, fenced
from tenure.stores.relational.acts.waits import decisions
from tenure.stores.relational.tx import Tx

EVERYTHING = 1 << 62


class Waiter(msgspec.Struct, frozen=True):
    """The message at the front of a queue."""

    message_id: str
    author: Author
    content: Content
    deadline_s: float | None
    origin: Origin = API
    undo_run: str | None = None


def start_next(
    tx: Tx, session: SessionRow, run_id: str, at: Micros, rules: Rules, lease: Lease | None
) -> Start | None:
    """Make the first waiting message a run named `run_id`. Returns it if it also got a slot here.

    A message whose author or agent is gone is withdrawn, and the next one is tried.
    """
    for waiter in waiting(tx, session.no):
        role = rights_now(tx, waiter.author, at)
        gone = _gone(role, session.agent, rules.terms)
        if role is None or gone is not None:
            withdraw(tx, session, waiter.message_id, at, by="host", reason=gone or "principal_gone")
            continue
        author = msgspec.structs.replace(waiter.author, role=role)
        owner = lease if slots.has_room(tx, author.tenant, author.user, rules.limits, lease) else None
        return start(tx, session, run_id, msgspec.structs.replace(waiter, author=author), at, rules, owner)
    return None


def start(
    tx: Tx,
    session: SessionRow,
    run_id: str,
    waiter: Waiter,
    at: Micros,
    rules: Rules,
    owner: Lease | None,
) -> Start | None:
    """Store a run with its grant: claimed by `owner`, which then executes it, or waiting for a slot."""
    grant = make_grant(rules.terms[session.agent], waiter.author, waiter.deadline_s, _cap(tx, waiter.origin))
    run = RunRow.fresh(run_id, session.no, waiter.message_id, grant)
    _insert(tx, run, at, owner)
    if owner is None:
        tx.do("message_assign", no=session.no, id=waiter.message_id, run_id=run_id)
        slots.move_run(tx, run.tenant, run.author, queued=1)
        return None
    slots.move_run(tx, run.tenant, run.author, live=1)
    return _begun(tx, session, run, grant, owner, waiter.content, waiter.origin, at)


def _cap(tx: Tx, origin: Origin) -> Grant | None:
    """What a recall may touch at most: what the run could that made its schedule.

    Of a schedule that is gone nobody knows it, so nothing: its message may live on in a fork.
    """
    if origin.recall is None:
        return None
    row = tx.one("schedule_cap", id=origin.recall.schedule_id)
    if row is None:
        return NOTHING
    return None if row[0] is None else msgspec.json.decode(row[0], type=Grant)


def waiting(tx: Tx, no: int) -> list[Waiter]:
    """The waiting messages of a session, in order."""
    rows = tx.all("message_waiting", no=no, limit=EVERYTHING)
    return [
        Waiter(
            i,
            msgspec.json.decode(a, type=Author),
            msgspec.json.decode(c, type=Content),
            d,
            msgspec.json.decode(o, type=Origin),
            u,
        )
        for i, a, c, d, o, u in rows
    ]


def withdraw(
    tx: Tx,
    session: SessionRow,
    message_id: str,
    at: Micros,
    *,
    by: str,
    reason: str | None = None,
    replaced_by: str | None = None,
) -> None:
    """A waiting message will never run, nor will those that joined it, and the journal says why."""
    joiners = [found for (found,) in tx.all("message_joiners", no=session.no, id=message_id)]
    events = [
        MessageWithdrawn(message_id=gone, by=by, reason=reason, replaced_by=replaced_by)
        for gone in (*joiners, message_id)
    ]
    tx.record(session.no, session.id, [entry(at, event) for event in events])
    for event in events:
        withdrawn(tx, session, event.message_id, at, reason)


def _gone(role: Role | None, agent: str, terms: Mapping[str, Terms]) -> str | None:
    if agent not in terms:
        return "unknown_agent"
    return None if role else "principal_gone"


def rights_now(tx: Tx, author: Author, at: Micros) -> Role | None:
    """What the author may still do: at most what it could at admission, and what its living keys say."""
    rows = tx.all("key_roles", tenant=author.tenant, user=author.user, at=at)
    role = strongest([Role(role) for (role,) in rows])
    return None if role is None else weaker(role, author.role)


def _insert(tx: Tx, run: RunRow, at: Micros, owner: Lease | None) -> None:
    claimed = RUN.advance(run.state, RunSignal.CLAIM)
    inserted = tx.do(
        "run_insert",
        id=run.id,
        no=run.session_no,
        tenant=run.tenant,
        author=run.author,
        agent=run.agent,
        message_id=run.message_id,
        state=run.state if owner is None else claimed,
        grant_json=run.grant_json,
        grant_digest=run.grant_digest,
        owner=None if owner is None else owner.incarnation,
        at=at,
    )
    if inserted != 1:
        raise fenced(run.id)


def claim_one(tx: Tx, session: SessionRow, run: RunRow, at: Micros, lease: Lease, rules: Rules) -> Start:
    """Start a run that waited for a slot, or let it go on if it was answered."""
    resumed = resumption(
        answered=run.attempt > 0 and run.reason == ANSWERED,
        held=run.held_by == lease.incarnation,
        resumes=_resumes(tx, rules, run),
    )
    if tx.do("run_claim", id=run.id, owner=lease.incarnation, at=at) != 1:
        raise fenced(run.id)
    slots.move_run(tx, run.tenant, run.author, live=1, queued=-1)
    content, _, origin = tx.one("message_receipt", no=session.no, id=run.message_id)
    said, whence = msgspec.json.decode(content, type=Content), msgspec.json.decode(origin, type=Origin)
    start = _begun(tx, session, run, run.grant, lease, said, whence, at, resumed)
    if resumed is Resumption.HELD:
        return start
    tx.unfence(run.id)
    if resumed is Resumption.RESUME:
        tx.do("effects_known", run_id=run.id, attempt=start.attempt)
    return msgspec.structs.replace(start, decisions=decisions(tx, run.id)) if resumed else start


def _resumes(tx: Tx, rules: Rules, run: RunRow) -> bool:
    """Whether the runner can go on by itself: it says so, and the attempt that waited left a checkpoint."""
    terms = rules.terms.get(run.agent)
    if terms is None or not terms.descriptor.capabilities.resume:
        return False
    return tx.one("checkpoint_stands", run_id=run.id, attempt=run.attempt) is not None


def _begun(
    tx: Tx,
    session: SessionRow,
    run: RunRow,
    grant: Grant,
    lease: Lease,
    content: Content,
    origin: Origin,
    at: Micros,
    resumed: Resumption | None = None,
) -> Start:
    """Tell the journal that a run of this host begins, begins anew, or goes on."""
    attempt = run.attempt if resumed is Resumption.HELD else run.attempt + 1
    events: list[Event] = []
    if resumed in (None, Resumption.RERUN):
        events.append(_beginning(run, grant, origin, at))
    if resumed is not None:
        events.append(RunResumed(attempt=attempt, mode=resumed))
    seq = tx.record(session.no, session.id, [entry(at, event, run.id) for event in events])
    return Start(
        session_id=session.id,
        run_id=run.id,
        agent=run.agent,
        attempt=attempt,
        message_id=run.message_id,
        content=content,
        author=grant.author,
        grant=grant,
        seq=seq,
        incarnation=lease.incarnation,
        origin=origin,
        resumed=resumed,
    )


def _trigger(run: RunRow, origin: Origin) -> Trigger:
    recall = origin.recall
    if recall is None:
        return Trigger(kind=origin.trigger, id=run.message_id)
    return Trigger(kind=origin.trigger, id=recall.schedule_id, message_id=run.message_id)


def _beginning(run: RunRow, grant: Grant, origin: Origin, at: Micros) -> Event:
    if run.attempt:
        return RunRetried(attempt=run.attempt + 1, reason=run.reason)
    limit = grant.deadline_s
    return RunStarted(
        runner=grant.runner,
        attempt=1,
        trigger=_trigger(run, origin),
        grant_digest=run.grant_digest,
        deadline_at=None if limit is None else timestamp(Micros(at + round(limit * SECOND))),
    )
