"""The store port, who is let in besides keys: browsers that are signed in, and whoever has a share.

Each is worth what its key is worth: nothing, from the moment when the key is revoked or has expired. Only
hashes of secrets are kept. Who presents one is answered by `Store.principal`, as it is for keys.
"""

from typing import NamedTuple, Protocol

from tenure.core.moment import Micros
from tenure.core.signing import ShareInfo, SignInInfo, SignInLink
from tenure.ports.acts import Answer, Page, Stamp


class Fresh(NamedTuple):
    """What is about to exist: its id, the hash of its secret, and when it ends."""

    id: str
    secret_hash: bytes
    expires_at: Micros


class SignInActs(Protocol):
    """Browsers that are signed in, and the links that sign them in."""

    async def sign_in(self, stamp: Stamp, fresh: Fresh) -> None:
        """Sign a browser in with the key of whoever asks. Raises `unauthenticated` if that ended."""
        ...

    async def offer(self, stamp: Stamp, fresh: Fresh) -> Answer[SignInLink]:
        """Make a link for the key of whoever asks. Its `url` is empty: the store knows no address."""
        ...

    async def redeem(self, link_hash: bytes, fresh: Fresh, at: Micros) -> bool:
        """Sign a browser in by a link, which is used up. False for one that is used, over, or unknown.

        Of several at the same time, one is true.
        """
        ...

    async def end(self, stamp: Stamp, sign_in_id: str) -> None:
        """Sign a browser out: its cookie is worth nothing any more. Ending it again changes nothing."""
        ...

    async def whose(self, sign_in_id: str) -> tuple[str, str] | None:
        """The tenant and the user of a sign-in; None if it isn't there, or is over."""
        ...

    async def of_user(
        self, tenant: str, user: str, at: Micros, cursor: str | None, limit: int
    ) -> Page[SignInInfo]:
        """Where a user is signed in, the latest first."""
        ...


class ShareActs(Protocol):
    """Links by which a session is read."""

    async def create(self, stamp: Stamp, session_id: str, fresh: Fresh) -> Answer[ShareInfo]:
        """Share a session. Raises TenureError `not_found`, or `capacity` at SHARES_PER_SESSION."""
        ...

    async def of_session(
        self, session_id: str, at: Micros, cursor: str | None, limit: int
    ) -> Page[ShareInfo]:
        """The shares of a session, the latest first, also those that work no more."""
        ...

    async def revoke(self, stamp: Stamp, session_id: str, share_id: str) -> None:
        """End a share at once. Revoking it again changes nothing. Raises TenureError `not_found`."""
        ...
