"""Secrets that are answered once: of keys, of sign-in links and of shares.

None is stored. A request that is repeated under its idempotency key gets the same one, since it is drawn
from the credential with which it came; only that credential can repeat it.
"""

import base64
import hashlib
import hmac

from tenure.http.call import AnyCall
from tenure.ports.store import Idempotency


def secret_for(call: AnyCall, purpose: bytes) -> str:
    """A fresh secret, or under an idempotency key one that only the same credential can get again."""
    if call.idempotency is None:
        return call.site.host.ids.secret()
    drawn = hmac.new(call.key, purpose + b":" + call.idempotency.key.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(drawn.digest()).rstrip(b"=").decode()


def bound(call: AnyCall) -> Idempotency | None:
    """The request's idempotency key, for a request that stands for the caller's own credential too."""
    if call.idempotency is None:
        return None
    key, digest = call.idempotency
    credential = call.by.sign_in or call.by.key_id
    return Idempotency(key, hashlib.sha256(f"{digest} {credential}".encode()).hexdigest())
