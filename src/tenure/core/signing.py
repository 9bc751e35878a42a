"""Signing a browser in, and sharing a session with whoever has a link: what is asked, and what is answered.

The HTTP API, the client and the stores share these types. A secret stands in none but `NewShare` and
`SignInLink`, which are answered once.
"""

from typing import Annotated, TypeAlias

import msgspec

from tenure.core.command import Ask
from tenure.core.moment import SECOND
from tenure.core.view import View

SIGN_IN_PATH, SHARE_PATH = "/sign-in/", "/share/"
"""Where the console's links lead. What follows in the path is the secret: no log and no error repeats it."""

SIGNED_IN_FOR = 30 * 86_400 * SECOND
"""How long a browser stays signed in, in microseconds."""

LINK_S = 600
LONGEST_LINK_S = 86_400

SHARED_FOR = 7 * 86_400 * SECOND
"""How long a share lasts that doesn't say otherwise, in microseconds."""

LONGEST_SHARE = 366 * 86_400 * SECOND
"""How far ahead the end of a share may lie, in microseconds: a year, whichever it is."""

SIGN_INS_PER_KEY = 100
"""How many browsers one key signs in at the same time. The next one ends the oldest."""

LINKS_PER_KEY = 100
"""How many links of one key wait to be opened. The next one ends the oldest."""

SHARES_PER_SESSION = 100
"""How many shares of one session may work at the same time. More are refused."""

LinkSeconds: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LINK_S)]


class SignIn(Ask, frozen=True, kw_only=True):
    """Sign this browser in with a key. From then on a cookie stands for the key."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]

    def __repr__(self) -> str:
        """Without the key: what is printed ends up in logs."""
        return "SignIn(key=…)"


class MakeSignInLink(Ask, frozen=True, kw_only=True):
    """Make a link that signs one browser in, once, as whoever asks for it. It works for 10 minutes."""

    expires_in_s: LinkSeconds = LINK_S


class SignOut(Ask, frozen=True, kw_only=True):
    """Sign this browser out."""


class CreateShare(Ask, frozen=True, kw_only=True):
    """Let whoever has a link read a session. Without `expires_at` it works for 7 days; a year is the most."""

    expires_at: str | None = None


class SignInLink(View, frozen=True, kw_only=True):
    """A link that signs one browser in, once. Whoever opens it first is signed in."""

    url: str
    expires_at: str


class SignInInfo(View, frozen=True, kw_only=True):
    """A browser that is signed in, and the key that it is signed in with. `current` is the one that asks."""

    id: str
    key_id: str
    created_at: str
    expires_at: str
    current: bool = False


class ShareInfo(View, frozen=True, kw_only=True):
    """A share of a session: who made it, and whether it works.

    `status` is active, expired or revoked. A share is revoked with the key that made it, too.
    """

    id: str
    session_id: str
    by: str
    status: str
    created_at: str
    expires_at: str


class NewShare(ShareInfo, frozen=True, kw_only=True):
    """A share as its maker gets it: `url` is shown only now."""

    url: str
