"""Signed-in browsers, the links that sign them in, and shares: rows of hashes, each bound to a key."""

from tenure.core.audit import Deed, Subject
from tenure.core.limits import full
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.principal import Principal, Role
from tenure.core.signing import (
    LINKS_PER_KEY,
    SHARES_PER_SESSION,
    SIGN_INS_PER_KEY,
    ShareInfo,
    SignInLink,
)
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Stamp
from tenure.ports.signing import Fresh
from tenure.stores.relational.acts.auditing import note
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import not_found, session_row
from tenure.stores.relational.tx import Tx

LISTED_FOR = 30 * 86_400 * SECOND
"""How long a share that is over is still listed, in microseconds."""

EXPIRED_AT_ONCE = 2_000


def sign_in(tx: Tx, stamp: Stamp, fresh: Fresh) -> None:
    """Sign a browser in. Raises TenureError `unauthenticated` if the key ended meanwhile."""
    made = tx.do("sign_in_insert", **_row(fresh, stamp.at), key_id=stamp.by.key_id)
    if not made:
        raise TenureError(Code.UNAUTHENTICATED, "The key was revoked or has expired. Use another one.")
    tx.do("sign_in_crowd", id=fresh.id, most=SIGN_INS_PER_KEY)
    note(tx, stamp, Deed.SIGNED_IN, Subject("sign_in", fresh.id, stamp.by.tenant))


def end(tx: Tx, stamp: Stamp, sign_in_id: str) -> None:
    """Sign a browser out, if it is signed in still."""
    if tx.do("sign_in_end", id=sign_in_id):
        note(tx, stamp, Deed.SIGNED_OUT, Subject("sign_in", sign_in_id, stamp.by.tenant))


def offer(tx: Tx, stamp: Stamp, fresh: Fresh) -> Answer[SignInLink]:
    """Make a link."""
    known = replay(tx, stamp, SignInLink)
    if known is not None:
        return known
    tx.must(
        "link_insert",
        secret_hash=fresh.secret_hash,
        key_id=stamp.by.key_id,
        at=stamp.at,
        until=fresh.expires_at,
    )
    tx.do("link_crowd", secret_hash=fresh.secret_hash, most=LINKS_PER_KEY)
    note(tx, stamp, Deed.LINK_CREATED, Subject("key", stamp.by.key_id, stamp.by.tenant))
    link = SignInLink(url="", expires_at=timestamp(fresh.expires_at))
    remember(tx, stamp, link)
    return Answer(link)


def redeem(tx: Tx, link_hash: bytes, fresh: Fresh, at: Micros) -> bool:
    """Use a link up. Whether it signed a browser in."""
    if not tx.do("link_use", link_hash=link_hash, at=at):
        return False
    row = tx.one("link_key", link_hash=link_hash, at=at)
    if row is None:
        return False
    key_id, tenant, user, role, root = row
    by = Principal(tenant=tenant, user=user, role=Role(role), key_id=key_id, root=bool(root))
    sign_in(tx, Stamp(at, by), fresh)
    return True


def share(tx: Tx, stamp: Stamp, session_id: str, fresh: Fresh) -> Answer[ShareInfo]:
    """Share a session."""
    known = replay(tx, stamp, ShareInfo)
    if known is not None:
        return known
    session = session_row(tx, session_id)
    if tx.one("share_by_secret", secret_hash=fresh.secret_hash) is not None:
        raise TenureError(Code.CONFLICT, "A share with this link exists. Use a fresh Idempotency-Key.")
    (active,) = tx.one("share_count", no=session.no, at=stamp.at)
    if active >= SHARES_PER_SESSION:
        raise full("per_session", "shares", SHARES_PER_SESSION, active, "Revoke one that isn't needed.")
    tx.must("share_insert", **_row(fresh, stamp.at), no=session.no, key_id=stamp.by.key_id)
    made = ShareInfo(
        id=fresh.id,
        session_id=session_id,
        by=stamp.by.user,
        status="active",
        created_at=timestamp(stamp.at),
        expires_at=timestamp(fresh.expires_at),
    )
    note(tx, stamp, Deed.SHARE_CREATED, Subject("share", fresh.id, session.tenant), session=session.id)
    remember(tx, stamp, made)
    return Answer(made)


def revoke(tx: Tx, stamp: Stamp, session_id: str, share_id: str) -> None:
    """End a share. Raises TenureError `not_found`."""
    session = session_row(tx, session_id)
    row = tx.one("share_ended", id=share_id, no=session.no)
    if row is None:
        raise not_found("share", share_id)
    if row[0] is None:
        tx.must("share_revoke", id=share_id, at=stamp.at)
        note(tx, stamp, Deed.SHARE_REVOKED, Subject("share", share_id, session.tenant), session=session.id)


def expire(tx: Tx, at: Micros) -> int:
    """Free some rows of what is over. Returns how many."""
    return (
        tx.do("sign_in_expire", at=at, limit=EXPIRED_AT_ONCE)
        + tx.do("link_expire", at=at, limit=EXPIRED_AT_ONCE)
        + tx.do("share_expire", before=at - LISTED_FOR, limit=EXPIRED_AT_ONCE)
    )


def _row(fresh: Fresh, at: Micros) -> dict[str, object]:
    return {"id": fresh.id, "secret_hash": fresh.secret_hash, "at": at, "until": fresh.expires_at}
