"""Idempotency: an answer is stored in the transaction that made it true, and given again."""

from typing import TypeVar

import msgspec

from tenure.core.moment import SECOND
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Stamp
from tenure.stores.relational.tx import Tx

T = TypeVar("T")

KEPT = 48 * 3_600 * SECOND

_BLANKS = {
    "title": msgspec.Raw(b"null"),
    "labels": msgspec.Raw(b"{}"),
    "conversation": msgspec.Raw(b"null"),
    "arguments": msgspec.Raw(b"{}"),
    "note": msgspec.Raw(b"null"),
    "name": msgspec.Raw(b'""'),
    "message": msgspec.Raw(b'""'),
    "kept": msgspec.Raw(b"[]"),
}
"""What stands in an answer in place of what people or agents said."""


def replay(tx: Tx, stamp: Stamp, kind: type[T]) -> Answer[T] | None:
    """The answer that this idempotency key got before, if any.

    Raises TenureError `idempotency_conflict` if the key was used for another request.
    """
    if stamp.idempotency is None:
        return None
    who = stamp.by
    row = tx.one("receipt_get", tenant=who.tenant, user=who.user, key=stamp.idempotency.key)
    if row is None:
        return None
    digest, answer = row
    if digest != stamp.idempotency.digest:
        raise TenureError(
            Code.IDEMPOTENCY_CONFLICT,
            f"The Idempotency-Key {stamp.idempotency.key!r} was used for another request. "
            "Use a fresh key for a new request.",
        )
    return Answer(msgspec.json.decode(answer, type=kind), replayed=True)


def remember(tx: Tx, stamp: Stamp, answer: msgspec.Struct, session_id: str | None = None) -> None:
    """Keep `answer` under the request's key, if it has one.

    `session_id` is the session whose content it holds: when that is deleted, the content is blanked.
    """
    if stamp.idempotency is None:
        return
    tx.do(
        "receipt_put",
        tenant=stamp.by.tenant,
        user=stamp.by.user,
        key=stamp.idempotency.key,
        digest=stamp.idempotency.digest,
        answer=msgspec.json.encode(answer),
        at=stamp.at,
        session_id=session_id,
    )


def blank(tx: Tx, no: int) -> None:
    """Take the content of a deleted session out of the answers that hold some."""
    for tenant, user, key, answer in tx.all("receipts_of_session", no=no):
        kept = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])
        emptied = {name: _BLANKS.get(name, value) for name, value in kept.items()}
        tx.do("receipt_rewrite", tenant=tenant, user=user, key=key, answer=msgspec.json.encode(emptied))
