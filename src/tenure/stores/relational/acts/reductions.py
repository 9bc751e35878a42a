"""Grants of live runs shrink when their author may do less: nothing is ever added to one."""

import msgspec

from tenure.core.audit import Deed, Subject
from tenure.core.entry import entry
from tenure.core.event import GrantReduced
from tenure.core.grant import Grant, grant_digest, make_grant
from tenure.core.moment import Micros
from tenure.core.principal import Author
from tenure.core.rules import Rules
from tenure.ports.acts import Stamp
from tenure.stores.relational.acts.auditing import note
from tenure.stores.relational.acts.rows import RunRow, run_row, session_of
from tenure.stores.relational.acts.starts import rights_now
from tenure.stores.relational.tx import Raced, Tx


def reduce_grants(tx: Tx, stamp: Stamp, tenant: str, user: str, rules: Rules) -> None:
    """Take from the live runs of a user what the user's living keys allow no longer."""
    for (run_id,) in tx.all("runs_of_author", tenant=tenant, author=user):
        run = run_row(tx, run_id)
        if run is None:
            continue
        if not tx.holds(run.session_no):
            raise Raced(f"The run {run_id} began meanwhile.")
        _reduce(tx, run, stamp, rules)


def weaken_run(tx: Tx, run: RunRow, author: Author, rules: Rules) -> None:
    """A run that waits for its slot may do no more than `author` may: its message isn't all its author's."""
    terms, grant = rules.terms.get(run.agent), run.grant
    allowed: frozenset[str] = frozenset() if terms is None else make_grant(terms, author).names()
    less = msgspec.structs.replace(grant.without(grant.names() - allowed), author=author)
    tx.must(
        "run_regrant",
        id=run.id,
        grant_json=msgspec.json.encode(less).decode(),
        grant_digest=grant_digest(less),
    )


def _reduce(tx: Tx, run: RunRow, stamp: Stamp, rules: Rules) -> None:
    grant = run.grant
    removed = tuple(sorted(grant.names() - _allowed_now(tx, grant, stamp.at, rules)))
    if not removed:
        return
    less = grant.without(removed)
    digest = grant_digest(less)
    tx.must(
        "run_regrant",
        id=run.id,
        grant_json=msgspec.json.encode(less).decode(),
        # Of a run that hasn't begun the journal knows nothing yet: it begins with what is left.
        grant_digest=digest if run.attempt == 0 else run.grant_digest,
    )
    note(tx, stamp, Deed.GRANT_REDUCED, Subject("run", run.id, run.tenant), digest=digest)
    if run.attempt == 0:
        return
    session = session_of(tx, run.session_no)
    event = GrantReduced(run_id=run.id, removed=removed, digest=digest)
    tx.record(session.no, session.id, [entry(stamp.at, event, run.id)])


def _allowed_now(tx: Tx, grant: Grant, at: Micros, rules: Rules) -> frozenset[str]:
    """The names of what a run of the author would be granted now; none without a living key."""
    role = rights_now(tx, grant.author, at)
    terms = rules.terms.get(grant.agent)
    if role is None or terms is None:
        return frozenset()
    return make_grant(terms, msgspec.structs.replace(grant.author, role=role)).names()
