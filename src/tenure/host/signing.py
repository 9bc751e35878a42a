"""The room of those who come without a key of their own: browsers that sign in, and whoever has a share.

`tenure.http` and `tenure serve` ask it. It draws the secrets, and says until when they are worth anything.
"""

import hashlib
from typing import NamedTuple

from tenure.core.ids import SHARE, SIGN_IN
from tenure.core.moment import SECOND, Micros, micros
from tenure.core.principal import Principal
from tenure.core.signing import (
    LINK_S,
    LONGEST_SHARE,
    SHARED_FOR,
    SIGN_IN_PATH,
    SIGNED_IN_FOR,
    ShareInfo,
    SignInInfo,
    SignInLink,
)
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Idempotency, Page, Stamp
from tenure.ports.clock import Clock, Ids
from tenure.ports.signing import Fresh
from tenure.ports.store import Store


class SignedIn(NamedTuple):
    """What a browser keeps, as a cookie, and for how many seconds."""

    secret: str
    lasts_s: int

    def __repr__(self) -> str:
        """Without the secret: what is printed ends up in logs."""
        return f"SignedIn(secret=…, lasts_s={self.lasts_s})"


class Signing:
    """Signs browsers in and out, and shares sessions."""

    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def sign_in(self, by: Principal) -> SignedIn:
        """Sign a browser in with the key of `by`. Raises TenureError `unauthenticated` if that just ended."""
        secret, at = self._ids.secret(), self._clock.now()
        await self._store.sign_ins.sign_in(Stamp(at, by), self._fresh(SIGN_IN, secret, at + SIGNED_IN_FOR))
        return SignedIn(secret, SIGNED_IN_FOR // SECOND)

    async def offer(
        self, by: Principal, lasts_s: int, secret: str, idem: Idempotency | None = None
    ) -> Answer[SignInLink]:
        """Make a link with this secret, which signs one browser in as `by`. Its `url` is left empty."""
        stamp = Stamp(self._clock.now(), by, idem)
        return await self._store.sign_ins.offer(stamp, self._fresh("", secret, stamp.at + lasts_s * SECOND))

    async def way_in(self, key: str, address: str) -> str:
        """A link at `address` that signs one browser in as whoever has the key. Raises `unauthenticated`."""
        by = await self._store.principal(_hash(key), self._clock.now())
        if by is None:
            raise TenureError(Code.UNAUTHENTICATED, "The key isn't known here. Give one that is.")
        secret = self._ids.secret()
        await self.offer(by, LINK_S, secret)
        return f"{address.rstrip('/')}{SIGN_IN_PATH}{secret}"

    async def redeem(self, link: str) -> SignedIn | None:
        """Sign a browser in by the secret of a link. None if it was used, is over, or never was one."""
        secret, at = self._ids.secret(), self._clock.now()
        fresh = self._fresh(SIGN_IN, secret, at + SIGNED_IN_FOR)
        if not await self._store.sign_ins.redeem(_hash(link), fresh, at):
            return None
        return SignedIn(secret, SIGNED_IN_FOR // SECOND)

    async def sign_out(self, by: Principal, sign_in_id: str) -> None:
        """End a sign-in: its cookie opens nothing any more, and its open streams end."""
        await self._store.sign_ins.end(Stamp(self._clock.now(), by), sign_in_id)

    async def sign_ins(self, by: Principal, cursor: str | None, limit: int) -> Page[SignInInfo]:
        """Where the user is signed in, the latest first."""
        return await self._store.sign_ins.of_user(by.tenant, by.user, self._clock.now(), cursor, limit)

    async def share(
        self,
        by: Principal,
        session_id: str,
        expires_at: str | None,
        secret: str,
        idem: Idempotency | None = None,
    ) -> Answer[ShareInfo]:
        """Let whoever has this secret read a session. Raises TenureError `invalid` or `capacity`."""
        stamp = Stamp(self._clock.now(), by, idem)
        until = _end_of_share(expires_at, stamp.at)
        return await self._store.shares.create(stamp, session_id, self._fresh(SHARE, secret, until))

    async def shares(self, session_id: str, cursor: str | None, limit: int) -> Page[ShareInfo]:
        """The shares of a session, the latest first."""
        return await self._store.shares.of_session(session_id, self._clock.now(), cursor, limit)

    async def unshare(self, by: Principal, session_id: str, share_id: str) -> None:
        """End a share: its link shows nothing any more, and its open streams end."""
        await self._store.shares.revoke(Stamp(self._clock.now(), by), session_id, share_id)

    async def is_share(self, secret: str) -> bool:
        """Whether this is the secret of a share that works."""
        by = await self._store.principal(_hash(secret), self._clock.now())
        return by is not None and by.session is not None

    def _fresh(self, prefix: str, secret: str, until: int) -> Fresh:
        return Fresh(self._ids.new(prefix), _hash(secret), Micros(until))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def _end_of_share(text: str | None, now: Micros) -> int:
    if text is None:
        return now + SHARED_FOR
    try:
        until = micros(text)
    except (ValueError, OverflowError):
        until = Micros(0)
    if now < until <= now + LONGEST_SHARE:
        return until
    raise TenureError(
        Code.INVALID,
        f"expires_at is {text[:100]!r}. Send a moment to come, at most a year ahead, such as "
        "2031-01-31T12:00:00Z.",
        field="expires_at",
        value=text[:100],
    )
