"""The audit log: what people did, written in the transaction that did it. Other acts call `note`.

An entry takes no lock and no counter. Nothing that was said, and no secret, may be among its words.
"""

from typing import NamedTuple

import msgspec

from tenure.core.audit import KEPT, Deed, Subject
from tenure.core.moment import Micros
from tenure.ports.acts import Stamp
from tenure.stores.relational.tx import Tx

LOOKED_AT = 500
"""How many of the oldest entries are looked at when some may be too old."""


def note(tx: Tx, stamp: Stamp, deed: Deed, subject: Subject, **detail: str) -> None:
    """Somebody did something. `detail` is told by name, in a few words."""
    tx.do(
        "deed_insert",
        at=stamp.at,
        tenant=subject.tenant,
        by=stamp.by.user,
        key_id=stamp.by.key_id,
        action=deed,
        kind=subject.kind,
        subject=subject.id,
        detail=msgspec.json.encode(detail).decode(),
    )


def expire(tx: Tx, at: Micros) -> int:
    """Free some entries that are too old. Returns how many."""
    return tx.do("deed_expire", before=at - KEPT, limit=LOOKED_AT)


class Entry(NamedTuple):
    """A row of the audit log."""

    no: int
    at: int
    tenant: str
    by: str
    key_id: str
    action: str
    kind: str
    subject: str
    detail: str
