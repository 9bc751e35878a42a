"""Identifiers: a prefix that names the noun, then 32 hex digits. An id is never authority."""

import re
from typing import NewType

SessionId = NewType("SessionId", str)
RunId = NewType("RunId", str)
MessageId = NewType("MessageId", str)
KeyId = NewType("KeyId", str)

SESSION, RUN, MESSAGE, KEY = "ses_", "run_", "msg_", "key_"
APPROVAL, EFFECT, ARTIFACT, SCHEDULE = "apr_", "eff_", "art_", "sch_"
SIGN_IN, SHARE = "sgn_", "shr_"

_HEX = re.compile(r"[0-9a-f]{32}\Z")


def well_formed(prefix: str, text: str) -> bool:
    """Whether `text` is `prefix` followed by exactly 32 lower-case hex digits."""
    return text.startswith(prefix) and _HEX.match(text, len(prefix)) is not None
