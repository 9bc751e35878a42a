"""What a principal may ask, as bodies of the HTTP API and of the socket. Unknown fields are refused."""

from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

from tenure.core.content import Content
from tenure.core.message import BusyPolicy
from tenure.core.principal import Role

Title: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Label: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
Labels: TypeAlias = Annotated[dict[Name, Label], msgspec.Meta(max_length=64)]
Identity: TypeAlias = Annotated[str, msgspec.Meta(max_length=1_000)]
# The length is checked too, because `$` also matches in front of a last line feed.
ClientMessageId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^msg_[0-9a-f]{32}$", max_length=36)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of all request bodies."""


class Conversation(Ask, frozen=True, kw_only=True):
    """The identity that an outside platform gives a conversation. A missing part is never guessed."""

    bot_id: Identity | None = None
    workspace_id: Identity | None = None
    conversation_id: Identity | None = None
    thread_id: Identity | None = None


class OpenSession(Ask, frozen=True, kw_only=True):
    """Open a session with an agent."""

    agent: Name
    title: Title | None = None
    labels: Labels = {}
    conversation: Conversation | None = None


class UpdateSession(Ask, frozen=True, kw_only=True):
    """Rename or relabel a session. A field that is left out stays as it is."""

    title: Title | msgspec.UnsetType | None = msgspec.UNSET
    labels: Labels | msgspec.UnsetType = msgspec.UNSET


class SendMessage(Ask, frozen=True, kw_only=True):
    """Say something to the agent of a session.

    `message_id` is a second idempotency key, for the life of the session. `if_head_seq` and `if_idle`
    are preconditions, judged under the session's lock. `deadline_s` may shorten the run's deadline.
    """

    content: Content
    message_id: ClientMessageId | None = None
    when_busy: BusyPolicy = BusyPolicy.QUEUE
    deadline_s: Seconds | None = None
    if_head_seq: Annotated[int, msgspec.Meta(ge=0)] | None = None
    if_idle: bool = False


class Promotion(StrEnum):
    """Where a waiting message moves: it steers the live run now, or it is the next one."""

    STEER = "steer"
    NEXT = "next"


class ChangeMessage(Ask, frozen=True, kw_only=True):
    """Edit or promote a message that waits. `promote: true` means next.

    `if_version` is the version that the change is for; the header `If-Match` says the same.
    """

    content: Content | None = None
    promote: Promotion | bool | None = None
    if_version: int | None = None


class WithdrawMessage(Ask, frozen=True, kw_only=True):
    """Withdraw a message that waits."""

    message_id: str


class PromoteMessage(Ask, frozen=True, kw_only=True):
    """Promote a message that waits: as `PATCH` of the message does."""

    message_id: str
    promote: Promotion = Promotion.NEXT


class RetryRun(Ask, frozen=True, kw_only=True):
    """Run the message of a failed last turn again."""


class Waiting(StrEnum):
    """What an interrupt does with the messages that wait behind the run."""

    HOLD = "hold"
    RUN = "run"
    WITHDRAW = "withdraw"


class InterruptRun(Ask, frozen=True, kw_only=True):
    """Stop the live run. With `run_id`, only if that is the live one."""

    run_id: str | None = None
    force: bool = False
    waiting: Waiting = Waiting.HOLD


class Answering(StrEnum):
    """What a person says to an approval."""

    APPROVE = "approve"
    DENY = "deny"


class Remember(StrEnum):
    """How long an approval holds beyond its call: for this tool, session and author, until revoked."""

    SESSION = "session"


class DecideApproval(Ask, frozen=True, kw_only=True):
    """Answer an approval. `arguments` replace those of the call, and must fit the tool."""

    decision: Answering
    arguments: dict[str, object] | None = None
    note: Annotated[str, msgspec.Meta(max_length=10_000)] | None = None
    remember: Remember | None = None


class DecideHere(DecideApproval, frozen=True, kw_only=True):
    """Answer an approval of the session at hand."""

    approval_id: str


class CloseSession(Ask, frozen=True, kw_only=True):
    """Close a session: nothing can be sent until it is reopened."""

    reason: Label = ""


class ReopenSession(Ask, frozen=True, kw_only=True):
    """Open a closed session again."""


class CreateKey(Ask, frozen=True, kw_only=True):
    """Make an API key. Without `tenant` it is made in the maker's own."""

    user: Name
    role: Role
    name: Title = ""
    tenant: Name | None = None
    expires_at: str | None = None


class Drain(Ask, frozen=True, kw_only=True):
    """Take the host out of service."""
