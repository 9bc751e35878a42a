"""Questions about links into the console, signed-in browsers, and shares of sessions."""

from collections.abc import AsyncGenerator

from tenure.client.calls.asking import Asking, path_to, post
from tenure.client.face import many, once
from tenure.client.wires import Request
from tenure.core.signing import (
    LINK_S,
    CreateShare,
    MakeSignInLink,
    NewShare,
    ShareInfo,
    SignInInfo,
    SignInLink,
)


class SigningCalls(Asking):
    """The console's links, where the user is signed in, and who may read what without a key."""

    @once
    async def sign_in_link(
        self, *, expires_in_s: int = LINK_S, idempotency_key: str | None = None
    ) -> SignInLink:
        """Make a link that signs one browser in as the user of this key, once. At most a day is given."""
        ask = MakeSignInLink(expires_in_s=expires_in_s)
        return await self._line.ask(post(ask, idempotency_key, "sign-in-links"), SignInLink)

    @many
    def sign_ins(self) -> AsyncGenerator[SignInInfo, None]:
        """Where the user is signed in, the latest first."""
        return self._pages(SignInInfo, "sign-ins")

    @once
    async def end_sign_in(self, sign_in_id: str) -> None:
        """Sign a browser out, and end its open streams."""
        await self._line.send(Request("DELETE", path_to("sign-ins", sign_in_id)), gone=True)

    @once
    async def share(
        self, session_id: str, *, expires_at: str | None = None, idempotency_key: str | None = None
    ) -> NewShare:
        """Let whoever has a link read a session, for 7 days or until `expires_at` (RFC 3339).

        The link is in the answer and nowhere else.
        """
        ask = CreateShare(expires_at=expires_at)
        return await self._line.ask(post(ask, idempotency_key, "sessions", session_id, "shares"), NewShare)

    @many
    def shares(self, session_id: str) -> AsyncGenerator[ShareInfo, None]:
        """Every share of a session, the latest first, without its link."""
        return self._pages(ShareInfo, "sessions", session_id, "shares")

    @once
    async def revoke_share(self, session_id: str, share_id: str) -> None:
        """Revoke a share: its link shows nothing any more, and its open streams end."""
        request = Request("DELETE", path_to("sessions", session_id, "shares", share_id))
        await self._line.send(request, gone=True)
