"""The one table from error codes to HTTP statuses, and the problem document every error becomes.

The front writes them, the reference and the tests read the table. Nobody else chooses a status.
"""

from typing import NamedTuple

import msgspec

from tenure.errors import Code, Fact, TenureError

PROBLEM = "application/problem+json"


class Kind(NamedTuple):
    """How a code looks over HTTP. `retry_after_s` is sent where trying again later can help."""

    status: int
    title: str
    retry_after_s: int | None = None


KINDS: dict[Code, Kind] = {
    Code.BAD_REQUEST: Kind(400, "The request can't be read"),
    Code.BAD_CURSOR: Kind(400, "The cursor is no place in a journal or list"),
    Code.INVALID: Kind(422, "A value isn't what this route takes"),
    Code.TOO_LARGE: Kind(413, "The request is too large"),
    Code.TOO_DEEP: Kind(422, "The body is nested too deeply"),
    Code.UNAUTHENTICATED: Kind(401, "A valid key is needed"),
    Code.FORBIDDEN: Kind(403, "The key's role doesn't allow this"),
    Code.BAD_HOST: Kind(421, "The request is for another host"),
    Code.BAD_ORIGIN: Kind(403, "The page that asks isn't trusted"),
    Code.NOT_FOUND: Kind(404, "There is no such thing here"),
    Code.METHOD_NOT_ALLOWED: Kind(405, "The path doesn't know this method"),
    Code.UNKNOWN_AGENT: Kind(404, "There is no such agent"),
    Code.SESSION_CLOSED: Kind(409, "The session is closed"),
    Code.BUSY: Kind(409, "The session is busy"),
    Code.NOT_RUNNING: Kind(409, "There is no such live run"),
    Code.NOT_WAITING: Kind(409, "The message no longer waits"),
    Code.PRECONDITION_FAILED: Kind(409, "A precondition of the request doesn't hold"),
    Code.STALE: Kind(412, "What is there has changed meanwhile"),
    Code.ALREADY_RESOLVED: Kind(409, "The approval was decided already"),
    Code.RETIRED: Kind(409, "That part of the journal was retired"),
    Code.NO_BINDING: Kind(404, "No binding takes this event"),
    Code.AMBIGUOUS_BINDING: Kind(409, "Several bindings take this event"),
    Code.EFFECT_CONFLICT: Kind(409, "The call's key was used with other arguments"),
    Code.OUTCOME_UNKNOWN: Kind(409, "Nobody knows how the tool call ended"),
    Code.DENIED: Kind(403, "The tool call was not approved"),
    Code.IDEMPOTENCY_CONFLICT: Kind(409, "The idempotency key was used for another request"),
    Code.MESSAGE_CONFLICT: Kind(409, "The message id was used for another message"),
    Code.CURSOR_AHEAD: Kind(409, "The cursor lies beyond the journal's head"),
    Code.HISTORY_CHANGED: Kind(409, "The cursor belongs to another history"),
    Code.CAPACITY: Kind(429, "A limit is reached"),
    Code.RATE_LIMITED: Kind(429, "Too many commands in a short time"),
    Code.UNSUPPORTED: Kind(409, "This isn't supported here"),
    Code.RUNNER_UNAVAILABLE: Kind(503, "The agent can't be reached", 5),
    Code.DRAINING: Kind(503, "The host is going out of service", 5),
    Code.STORE_UNAVAILABLE: Kind(503, "The store can't be reached", 2),
    Code.STORE_FULL: Kind(507, "The store has no room left"),
    Code.FENCED: Kind(503, "The host has lost its lease", 2),
    Code.CONFLICT: Kind(409, "The request conflicts with what is there"),
    Code.INTERNAL: Kind(500, "Something went wrong inside"),
}

RETRY_AFTER = "retry_after_s"
"""The fact that becomes the header `Retry-After`, in whole seconds."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What every error answers. Codes add fields of their own, such as `scope`, `limit` and `current`."""

    type: str
    title: str
    status: int
    code: Code
    detail: str


class Rendered(NamedTuple):
    """A problem, ready to be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def document(error: TenureError) -> dict[str, Fact]:
    """The problem document of an error. A fact never replaces one of the five standing fields."""
    kind = KINDS[error.code]
    problem = Problem(
        type=f"/docs#{error.code}",
        title=kind.title,
        status=kind.status,
        code=error.code,
        detail=error.detail,
    )
    standing = msgspec.structs.asdict(problem)
    return {**standing, **error.facts, **standing}


def render(error: TenureError) -> Rendered:
    """The problem of an error with its headers."""
    body = msgspec.json.encode(document(error))
    headers = [
        (b"content-type", PROBLEM.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *_headers_of(error),
    ]
    return Rendered(KINDS[error.code].status, headers, body)


def internal() -> TenureError:
    """What a caller is told of an error that isn't ours. Its text stays in the log."""
    return TenureError(
        Code.INTERNAL,
        "The host met an error it didn't expect. Its log says more; try again, and report it if it stays.",
    )


def _headers_of(error: TenureError) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    wait = error.facts.get(RETRY_AFTER, KINDS[error.code].retry_after_s)
    if wait is not None:
        headers.append((b"retry-after", str(wait).encode()))
    if error.code is Code.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))
    allow = error.facts.get("allow")
    if error.code is Code.METHOD_NOT_ALLOWED and allow is not None:
        headers.append((b"allow", str(allow).encode()))
    return headers
