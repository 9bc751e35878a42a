"""API keys: only the hash of a secret is ever stored."""

from tenure.core.audit import Deed, Subject
from tenure.core.command import CreateKey
from tenure.core.moment import micros
from tenure.core.rules import Rules
from tenure.core.view import KeyInfo
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Stamp
from tenure.stores.relational.acts.auditing import note
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.reductions import reduce_grants
from tenure.stores.relational.acts.rows import not_found
from tenure.stores.relational.reads import key_info
from tenure.stores.relational.tx import Tx


def create_key(
    tx: Tx, stamp: Stamp, ask: CreateKey, key_id: str, secret_hash: bytes, *, root: bool
) -> Answer[KeyInfo]:
    """Make a key. Raises TenureError `conflict` if the secret is already in use, `invalid` for a bad time."""
    known = replay(tx, stamp, KeyInfo)
    if known is not None:
        return known
    if tx.one("key_by_secret", secret_hash=secret_hash) is not None:
        raise TenureError(Code.CONFLICT, "A key with this secret exists. Use a fresh Idempotency-Key.")
    if root:
        tx.do("key_revoke_roots", at=stamp.at)
    tx.must(
        "key_insert",
        id=key_id,
        secret_hash=secret_hash,
        tenant=ask.tenant or stamp.by.tenant,
        user=ask.user,
        role=ask.role,
        name=ask.name,
        root=int(root),
        at=stamp.at,
        expires_at=_instant(ask.expires_at),
    )
    info = key_info(tx, key_id)
    if info is None:
        raise RuntimeError(f"The key {key_id} vanished within a transaction.")
    note(tx, stamp, Deed.KEY_CREATED, _subject(info), user=info.user, role=info.role)
    remember(tx, stamp, info)
    return Answer(info)


def _instant(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return micros(text)
    except ValueError as error:
        detail = f"expires_at is {text!r}, which is no instant. Write it like 2027-01-31T12:00:00Z."
        raise TenureError(Code.INVALID, detail, field="expires_at") from error


def revoke_key(tx: Tx, stamp: Stamp, key_id: str, rules: Rules) -> KeyInfo:
    """End a key at once; live runs lose what its user may do no longer.

    Revoking it again changes nothing. Raises TenureError `not_found`.
    """
    revoked = tx.do("key_revoke", id=key_id, at=stamp.at)
    info = key_info(tx, key_id)
    if info is None:
        raise not_found("key", key_id)
    if revoked:
        note(tx, stamp, Deed.KEY_REVOKED, _subject(info), user=info.user, role=info.role)
        reduce_grants(tx, stamp, info.tenant, info.user, rules)
    return info


def _subject(key: KeyInfo) -> Subject:
    return Subject("key", key.id, key.tenant)
