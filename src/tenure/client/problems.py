"""From answers to refusals: what the server said was wrong, as the `TenureError` it raised there.

`line` asks here about every answer that isn't a success. It never sends anything.
"""

from typing import TypeVar

import msgspec

from tenure.client.wires import Answer
from tenure.errors import Code, Fact, TenureError

T = TypeVar("T")

STANDING = frozenset({"type", "title", "status", "code", "detail"})
PASSING = frozenset({502, 503, 504})
TOO_MANY = 429
LONGEST_S = 3_600.0


class Problem(msgspec.Struct, frozen=True):
    """What every refusal of a server carries."""

    code: str
    detail: str


def refusal_of(answer: Answer, address: str) -> TenureError:
    """The server's refusal. A code that only newer servers know becomes `bad_request` or `internal`."""
    general = Code.INTERNAL if answer.status >= 500 else Code.BAD_REQUEST
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
        facts = msgspec.json.decode(answer.body, type=dict[str, Fact])
    except msgspec.DecodeError:
        return TenureError(
            general,
            f"{address} answered {answer.status} in a form that isn't Tenure's. Check that the address "
            "is a Tenure server's, and what stands in between.",
            status=answer.status,
        )
    known = {code.value for code in Code}
    code = Code(problem.code) if problem.code in known else general
    rest = {name: fact for name, fact in facts.items() if name not in STANDING}
    return TenureError(code, problem.detail, **rest)


def is_passing(answer: Answer) -> bool:
    """Whether the same request may succeed soon: the server is on its way, or says when to come again."""
    return answer.status in PASSING or (answer.status == TOO_MANY and "Retry-After" in answer.headers)


def wait_of(answer: Answer) -> float | None:
    """The seconds after which the server wants to be asked again, if it says so."""
    text = answer.headers.get("Retry-After", "").strip()
    return min(float(text), LONGEST_S) if text.isascii() and text.isdigit() else None


def decoded(body: bytes | str, kind: type[T], address: str) -> T:
    """What a server said, as a value. Raises TenureError `internal` if this client can't read it."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise TenureError(
            Code.INTERNAL,
            f"{address} answered something that this client can't read: {error}. Check that it is a "
            "Tenure server, and bring client and server to the same version.",
        ) from None
