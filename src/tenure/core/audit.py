"""The audit log: what people did that others may ask about later. Store, HTTP face and client share it.

An entry names who, what and when. It holds no secret and nothing that was said, so it may outlive what it
is about.
"""

from enum import StrEnum
from typing import NamedTuple

from tenure.core.moment import SECOND
from tenure.core.view import View

KEPT = 400 * 86_400 * SECOND
"""How long entries are kept, in microseconds: a year, and time to look at it."""


class Deed(StrEnum):
    """What was done."""

    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    SIGNED_IN = "sign_in.created"
    SIGNED_OUT = "sign_in.ended"
    LINK_CREATED = "sign_in_link.created"
    SHARE_CREATED = "share.created"
    SHARE_REVOKED = "share.revoked"
    SESSION_DELETED = "session.deleted"
    SESSION_IMPORTED = "session.imported"
    RUN_INTERRUPTED = "run.interrupted"
    GRANT_REDUCED = "grant.reduced"
    APPROVAL_DECIDED = "approval.decided"
    APPROVAL_REVOKED = "approval.revoked"
    SCHEDULE_CREATED = "schedule.created"
    SCHEDULE_PAUSED = "schedule.paused"
    SCHEDULE_RESUMED = "schedule.resumed"
    SCHEDULE_CANCELLED = "schedule.cancelled"
    HOST_DRAINED = "host.drained"


class Subject(NamedTuple):
    """What a deed is about, and whose: a key, session, run, approval, schedule, sign_in, share or host."""

    kind: str
    id: str
    tenant: str


class SubjectInfo(View, frozen=True, kw_only=True):
    """What a deed was about, by kind and id. It may be gone since."""

    kind: str
    id: str


class AuditEntry(View, frozen=True, kw_only=True):
    """One entry of the audit log.

    `tenant` is that of the subject, empty for the installation itself. `by` is the user who did it, `key_id`
    the key that was used, empty where a run or the host itself acted. `detail` holds a few more words.
    """

    id: str
    at: str
    tenant: str
    by: str
    key_id: str
    action: str
    subject: SubjectInfo
    detail: dict[str, str]
