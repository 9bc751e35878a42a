"""The doctor: walks every session of a store through the invariant checker. It repairs nothing.

`tenure doctor`, the simulation and the crash tests all ask it; it reads through the Store port alone.
"""

from collections.abc import Mapping

from tenure.core.evidence import UNOBSERVED, Observed
from tenure.core.invariants import Invariant, Violation, check, check_absent
from tenure.ports.store import Store

NOTHING_SEEN: Mapping[str, Observed] = {}
_PAGE = 100


async def examine(store: Store, observed: Mapping[str, Observed] = NOTHING_SEEN) -> list[Violation]:
    """Everything that is wrong with the store; an empty list if nothing is.

    `observed` is what clients were told and shown, by session, for tests that have it.
    """
    found = [Violation(Invariant.COUNTERS, "", sentence) for sentence in await store.counter_faults()]
    met: set[str] = set()
    page = await store.session_ids("", _PAGE)
    while page:
        for session_id in page:
            met.add(session_id)
            found += await _examine_session(store, session_id, observed)
        page = await store.session_ids(page[-1], _PAGE)
    for session_id in sorted(observed.keys() - met):
        found += check_absent(session_id, observed[session_id])
    return found


async def _examine_session(
    store: Store, session_id: str, observed: Mapping[str, Observed]
) -> list[Violation]:
    seen = observed.get(session_id, UNOBSERVED)
    stored = await store.audit(session_id)
    return check_absent(session_id, seen) if stored is None else check(stored, seen)
