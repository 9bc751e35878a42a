"""The words in which the acts of a store speak: who asks, under which lease, and what comes of it.

Every protocol of acts uses them: `tenure.ports.store`, which hands them on, and those for one kind of
thing beside it.
"""

from typing import Generic, NamedTuple, TypeVar

import msgspec

from tenure.core.approval import Decided, Resumption
from tenure.core.content import Content
from tenure.core.grant import Grant
from tenure.core.moment import Micros
from tenure.core.origin import API, Origin
from tenure.core.principal import Author, Principal

T = TypeVar("T")


class Lease(NamedTuple):
    """One life of one host, by its fencing number."""

    incarnation: int


class Idempotency(NamedTuple):
    """A client's key for one request, and the digest of that request."""

    key: str
    digest: str


class Stamp(NamedTuple):
    """Who asks, when, and under which idempotency key."""

    at: Micros
    by: Principal
    idempotency: Idempotency | None = None


class Answer(NamedTuple, Generic[T]):
    """What an act answered; `replayed` if it answered the same request before."""

    value: T
    replayed: bool = False


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was claimed for this host and must now be executed.

    `incarnation` is the life of this host that claimed it, and no other may execute it. `resumed` says how it
    goes on after an answer; one that is `held` has its runner here already.
    """

    session_id: str
    run_id: str
    agent: str
    attempt: int
    message_id: str
    content: Content
    author: Author
    grant: Grant
    seq: int
    incarnation: int
    origin: Origin = API
    resumed: Resumption | None = None
    decisions: tuple[Decided, ...] = ()


class Wake(NamedTuple):
    """What an act leaves to do: runs to execute here, and runs that wait for a slot anywhere."""

    starts: tuple[Start, ...] = ()
    backlog: int = 0


class Page(NamedTuple, Generic[T]):
    """A page of a list and the cursor of the next one, None at the end."""

    data: list[T]
    next_cursor: str | None
