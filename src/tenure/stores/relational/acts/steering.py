"""Steering: messages kept for the live run, taken once by it, or put back among those that wait."""

import msgspec

from tenure.core.admission import Live
from tenure.core.content import Content
from tenure.core.entry import entry
from tenure.core.event import MessagePromoted, SteeringConsumed
from tenure.core.grant import make_grant
from tenure.core.message import MessageState
from tenure.core.moment import Micros
from tenure.core.origin import Origin
from tenure.core.principal import Author, Principal, author_of, may_stop
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.steering import SteeringMessage
from tenure.ports.store import Lease
from tenure.stores.relational.acts.history import is_command
from tenure.stores.relational.acts.rows import RunRow, SessionRow, fenced, held_run, live_run
from tenure.stores.relational.tx import Tx


def live(tx: Tx, session: SessionRow, by: Principal, rules: Rules, at: Micros) -> Live | None:
    """The live run as `by` meets it: what it may do to it, and how much steering waits."""
    run = live_run(tx, session.no)
    if run is None:
        return None
    return Live(
        run.id,
        run.state,
        may_stop=may_stop(by, session.owner, run.author),
        may_steer=covers(rules, session, author_of(by), run),
        steers=steers(rules, session) and not is_command(tx, session.no, run.message_id),
        undoes=rules.terms[session.agent].descriptor.capabilities.undo,
        pending=len(steered(tx, session.no)),
    )


def steers(rules: Rules, session: SessionRow) -> bool:
    """Whether the session's agent takes steering."""
    terms = rules.terms.get(session.agent)
    return terms is not None and terms.descriptor.capabilities.steering


def covers(rules: Rules, session: SessionRow, author: Author, run: RunRow) -> bool:
    """Whether a run of this author's would be granted all that the live run was."""
    return make_grant(rules.terms[session.agent], author).covers(run.grant)


def steered(tx: Tx, no: int) -> list[str]:
    """The messages that are to steer the live run, in order."""
    return [found for (found,) in tx.all("message_steered", no=no)]


def take(
    tx: Tx, lease: Lease, run_id: str, attempt: int, most: int, at: Micros
) -> tuple[SteeringMessage, ...]:
    """Give the run what was sent to steer it: what earlier attempts took first, then what is new.

    A run that isn't running any more gets nothing: what waits for it goes on by itself. Raises
    TenureError `fenced`.
    """
    held = held_run(tx, run_id, lease.incarnation)
    if held is None:
        raise fenced(run_id)
    session, run = held
    if run.state is not RunState.RUNNING or run.attempt != attempt:
        return ()
    rows = tx.all("message_offered", no=session.no, run_id=run_id, attempt=attempt, limit=most)
    taken = tuple(_offered(*row) for row in rows)
    entries = [
        entry(at, SteeringConsumed(message_ids=(each.id,), redelivered=each.redelivered), run_id)
        for each in taken
    ]
    tx.record(session.no, session.id, entries)
    for each in taken:
        tx.do("message_taken", no=session.no, id=each.id, attempt=attempt)
    return taken


def _offered(message_id: str, author: str, content: str, state: str, origin: str) -> SteeringMessage:
    return SteeringMessage(
        id=message_id,
        content=msgspec.json.decode(content, type=Content),
        user=msgspec.json.decode(author, type=Author).user,
        redelivered=state == MessageState.CONSUMED,
        origin=msgspec.json.decode(origin, type=Origin),
    )


def put_back(tx: Tx, session: SessionRow, at: Micros) -> None:
    """The run is over: what it didn't take waits at the front now, in its order."""
    untaken = steered(tx, session.no)
    if not untaken:
        return
    first = tx.one("message_places", no=session.no)[0] or 0
    for place, message_id in enumerate(untaken, first - len(untaken)):
        tx.record(session.no, session.id, [entry(at, MessagePromoted(message_id=message_id, to="run"))])
        tx.do("message_place", no=session.no, id=message_id, place=place)
