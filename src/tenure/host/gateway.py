"""The run gateway: lets an agent elsewhere use what the live run of its session was granted.

A token names one session in one life of this host. It is made from a secret that only this life knows, so
nothing is kept per session and no token outlives the host; each use is judged by the run that is live then.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable

from tenure.core.ids import SESSION, well_formed
from tenure.errors import Code, TenureError
from tenure.host.context import Attempt
from tenure.ports.clock import Ids
from tenure.ports.runner import GatewayAccess

AUDIENCE = "mcp/run"
PATH = "/mcp/run"
_PREFIX = "tnr_run_"


class Gateway:
    """Makes tokens, and lets those in who have one."""

    def __init__(self, live: Callable[[str], Attempt | None], ids: Ids) -> None:
        self._live = live
        self._ids = ids
        self._drawn = b""
        self._base: str | None = None
        self._withdrawn = False
        self._incarnation = 0

    def open(self, incarnation: int) -> None:
        """Tokens are for this life of the host."""
        self._incarnation = incarnation

    def announce(self, base: str) -> None:
        """Runners reach this host at `base`, such as `http://127.0.0.1:8321`, from now on."""
        self._base = base.rstrip("/")

    def withdraw(self) -> None:
        """Nothing answers at the gateway's path on this host: no run is told of it."""
        self._withdrawn = True

    def access(self, session_id: str) -> GatewayAccess | None:
        """Address and token for a session's agent; None as long as nobody said where the gateway is."""
        if self._base is None or self._withdrawn:
            return None
        return GatewayAccess(self._base + PATH, self._token(session_id))

    def enter(self, token: str) -> Attempt:
        """The run that a token may use now.

        Raises TenureError `unauthenticated` for a token that this life of the host didn't make, `forbidden`
        if no run of its session is live here.
        """
        session_id = self._session(token)
        attempt = self._live(session_id)
        if attempt is None:
            raise TenureError(
                Code.FORBIDDEN,
                "No run of this token's session is live on this host, and the gateway works only while one "
                "is. Use it again when the session's next run has begun.",
            )
        return attempt

    def _session(self, token: str) -> str:
        session_id = SESSION + token.removeprefix(_PREFIX).partition(".")[0]
        if not well_formed(SESSION, session_id) or not hmac.compare_digest(
            token.encode("utf-8", "surrogateescape"), self._token(session_id).encode()
        ):
            raise TenureError(
                Code.UNAUTHENTICATED,
                "The token isn't one of this gateway's: it may be of an earlier life of the host. Use the "
                "one that the run was given.",
            )
        return session_id

    def _token(self, session_id: str) -> str:
        claim = f"{AUDIENCE}|{session_id}|{self._incarnation}"
        self._drawn = self._drawn or self._ids.secret().encode()
        digest = hmac.digest(self._drawn, claim.encode(), hashlib.sha256)
        sealed = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return f"{_PREFIX}{session_id.removeprefix(SESSION)}.{sealed}"
