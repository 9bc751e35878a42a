"""Who is let in besides keys, in a relational store: `ports.signing` over the store's lane."""

from typing import Any

from tenure.core.moment import Micros, timestamp
from tenure.core.principal import Principal, Role
from tenure.core.signing import ShareInfo, SignInInfo, SignInLink
from tenure.ports.acts import Answer, Page, Stamp
from tenure.ports.signing import Fresh
from tenure.stores.relational import locks
from tenure.stores.relational.acts import signing
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import place

_NEWEST = 1 << 62


class RelationalSignIns:
    """Browsers that are signed in, and the links that sign them in. It holds no rule."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def sign_in(self, stamp: Stamp, fresh: Fresh) -> None:
        await self._lane.write(lambda tx: signing.sign_in(tx, stamp, fresh))

    async def offer(self, stamp: Stamp, fresh: Fresh) -> Answer[SignInLink]:
        return await self._lane.write(lambda tx: signing.offer(tx, stamp, fresh), *locks.receipt(stamp))

    async def redeem(self, link_hash: bytes, fresh: Fresh, at: Micros) -> bool:
        # Nobody is known yet who asks: what works no more mustn't take a turn among those who write.
        if not await self._lane.peek(lambda db: db.one("link_waits", link_hash=link_hash, at=at)):
            return False
        return await self._lane.write(lambda tx: signing.redeem(tx, link_hash, fresh, at))

    async def end(self, stamp: Stamp, sign_in_id: str) -> None:
        await self._lane.write(lambda tx: signing.end(tx, stamp, sign_in_id))

    async def whose(self, sign_in_id: str) -> tuple[str, str] | None:
        row = await self._lane.peek(lambda db: db.one("sign_in_whose", id=sign_in_id))
        return None if row is None else (row[0], row[1])

    async def of_user(
        self, tenant: str, user: str, at: Micros, cursor: str | None, limit: int
    ) -> Page[SignInInfo]:
        before = place(cursor, _NEWEST)
        return await self._lane.read(
            lambda db: _page(
                list(
                    db.rows("sign_in_list", tenant=tenant, user=user, at=at, before=before, limit=limit + 1)
                ),
                limit,
            )
        )


class RelationalShares:
    """Links by which a session is read. It holds no rule."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def create(self, stamp: Stamp, session_id: str, fresh: Fresh) -> Answer[ShareInfo]:
        return await self._lane.write(
            lambda tx: signing.share(tx, stamp, session_id, fresh),
            *locks.receipt(stamp),
            locks.session(session_id),
        )

    async def of_session(
        self, session_id: str, at: Micros, cursor: str | None, limit: int
    ) -> Page[ShareInfo]:
        return await self._lane.read(lambda db: _shares(db, session_id, at, place(cursor, _NEWEST), limit))

    async def revoke(self, stamp: Stamp, session_id: str, share_id: str) -> None:
        await self._lane.write(
            lambda tx: signing.revoke(tx, stamp, session_id, share_id), locks.session(session_id)
        )


def guest(db: Look, secret_hash: bytes, at: Micros) -> Principal | None:
    """Who presents a secret that is no key's, if what it stands for is alive."""
    row = db.one("guest_by_hash", secret_hash=secret_hash, at=at)
    if row is None:
        return None
    key_id, tenant, user, role, root, sign_in, session = row
    return Principal(
        tenant=tenant,
        user=user,
        role=Role(role),
        key_id=key_id,
        root=bool(root),
        sign_in=sign_in,
        session=session,
    )


def _page(found: list[dict[str, Any]], limit: int) -> Page[SignInInfo]:
    return Page([_sign_in(row) for row in found[:limit]], _more(found, limit))


def _shares(db: Look, session_id: str, at: Micros, before: int, limit: int) -> Page[ShareInfo]:
    found = list(db.rows("share_list", session_id=session_id, before=before, limit=limit + 1))
    return Page([_share(row, at) for row in found[:limit]], _more(found, limit))


def _more(found: list[dict[str, Any]], limit: int) -> str | None:
    return str(found[limit - 1]["no"]) if len(found) > limit else None


def _sign_in(row: dict[str, Any]) -> SignInInfo:
    return SignInInfo(
        id=row["id"],
        key_id=row["key_id"],
        created_at=timestamp(row["created_at"]),
        expires_at=timestamp(row["expires_at"]),
    )


def _share(row: dict[str, Any], at: Micros) -> ShareInfo:
    return ShareInfo(
        id=row["id"],
        session_id=row["session_id"],
        by=row["maker"],
        status=_status(row, at),
        created_at=timestamp(row["created_at"]),
        expires_at=timestamp(row["expires_at"]),
    )


def _status(row: dict[str, Any], at: Micros) -> str:
    if row["revoked_at"] is not None or row["key_revoked_at"] is not None:
        return "revoked"
    ends = min(row["expires_at"], row["key_expires_at"] or row["expires_at"])
    return "expired" if ends <= at else "active"
