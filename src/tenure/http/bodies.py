"""From untrusted bytes to typed values: the one way in which bodies and query strings are read.

The front and the socket use it. It never touches the store, and it names field and value in a refusal.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
from starlette.types import Receive

from tenure.core.content import storable
from tenure.errors import Code, Fact, TenureError
from tenure.ports.store import Idempotency

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_IDEMPOTENCY_KEY = 255

T = TypeVar("T")

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_NO_BRACKETS = bytes(range(256)).translate(None, b"[]{}")
_ROUND = bytes.maketrans(b"{}", b"[]")


class Disconnected(Exception):
    """The client went away before its request was complete."""


async def read_body(receive: Receive, most: int = MAX_BYTES) -> bytes:
    """The whole body, at most `most` bytes.

    Raises TenureError `too_large` as soon as it is larger, Disconnected if the client left.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            raise too_large(size, most)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(size: int, most: int = MAX_BYTES) -> TenureError:
    """The refusal of a body of `size` bytes or more."""
    return TenureError(
        Code.TOO_LARGE,
        f"The body has {size} bytes or more; at most {most} are taken. Send less at once.",
        limit=most,
    )


def decode(body: bytes, kind: type[T]) -> T:
    """The body as a struct of type `kind`; an empty body is an empty object.

    Raises TenureError: `bad_request` for what isn't JSON, `too_deep`, and `invalid` for fields that are
    unknown, missing, twice there, of a wrong type or out of range, and for text that can't be stored.
    """
    body = body or b"{}"
    check_depth(body)
    tree = _parse(body)
    if b"\\u" in body:
        _check_strings(tree, "body")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _refusal(error, tree, "The body") from None
    except msgspec.DecodeError as error:
        raise _unreadable(str(error)) from None


def decode_query(pairs: Iterable[tuple[str, str]], kind: type[T]) -> T:
    """Query parameters as a struct of type `kind`. Raises TenureError `invalid`."""
    lists = _lists_of(kind)
    given: dict[str, Any] = {}
    for name, value in pairs:
        storable(name, "The query string")
        storable(value, name)
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise _twice(name)
        else:
            given[name] = value
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(error, given, "The query string") from None


@cache
def _lists_of(kind: type[Any]) -> frozenset[str]:
    """The parameters of a query type that may be given several times: those that default to none."""
    fields = msgspec.structs.fields(kind)
    return frozenset(field.encode_name for field in fields if field.default == ())


def check_depth(body: bytes) -> None:
    """Raise TenureError `too_deep` for more than MAX_DEPTH nested arrays and objects.

    Each round takes the innermost pairs away, so the rounds needed are the depth; brackets inside of
    strings don't count. Unbalanced ones are left to the parser.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    rest = _STRING.sub(b"", body).translate(_ROUND, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        less = rest.replace(b"[]", b"")
        if len(less) == len(rest):
            break
        rest = less
    if b"[]" in rest or rest.count(b"[") > MAX_DEPTH:
        raise TenureError(
            Code.TOO_DEEP,
            f"The body nests arrays and objects more than {MAX_DEPTH} levels deep. Send it flatter.",
            limit=MAX_DEPTH,
        )


def idempotency(key: str, size: int, path: str, body: object, *, method: str = "POST") -> Idempotency:
    """The client's key for a request, with what it stands for: method, path, canonical body.

    `path` holds whatever else makes it another request, such as conditions. `size` is the key's length in
    bytes. Raises TenureError `invalid` if it is empty or too long.
    """
    if not 0 < size <= MAX_IDEMPOTENCY_KEY:
        raise TenureError(
            Code.INVALID,
            f"The Idempotency-Key has {size} bytes. Send 1 to {MAX_IDEMPOTENCY_KEY}.",
            field="Idempotency-Key",
        )
    canonical = msgspec.json.encode(body, order="sorted")
    digest = hashlib.sha256(b"%b\n%b\n%b" % (method.encode(), path.encode(), canonical)).hexdigest()
    return Idempotency(storable(key, "The Idempotency-Key"), digest)


def _parse(body: bytes) -> object:
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise _unreadable(f"byte {error.start} isn't UTF-8") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"{error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise _unreadable(str(error)) from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        raise _twice(next(name for name, _ in pairs if name in seen or seen.add(name)))
    return made


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number in JSON")


def _unreadable(reason: str) -> TenureError:
    return TenureError(
        Code.BAD_REQUEST, f"The body isn't valid JSON in UTF-8: {reason}. Send one JSON object."
    )


def _twice(name: str) -> TenureError:
    shown = name.encode(errors="replace").decode()
    return TenureError(Code.INVALID, f"{shown} is given twice. Give it once.", field=shown)


def _check_strings(value: object, field: str) -> None:
    match value:
        case str():
            storable(value, field)
        case list():
            for at, item in enumerate(cast("list[object]", value)):
                _check_strings(item, f"{field}[{at}]")
        case dict():
            for name, item in cast("dict[str, object]", value).items():
                storable(name, f"A name in {field}")
                _check_strings(item, name if field == "body" else f"{field}.{name}")
        case _:
            pass


class _Fault(NamedTuple):
    """Where a value is wrong, and a sentence without its subject that says how."""

    field: str
    wrong: str


_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?P<name>key` in `)?\$\.?(?P<place>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_BOUND = re.compile(r"Expected `(?:int|float)` (?P<sign>[<>]=?) (?P<number>\S+)")
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def _refusal(error: msgspec.ValidationError, tree: object, whole: str) -> TenureError:
    fault = _fault(str(error))
    subject = fault.field or whole
    value = _value_at(tree, fault.field)
    facts: dict[str, Fact] = {"field": fault.field or whole.lower()}
    if value is not None:
        facts["value"] = value
        subject = f"{subject} ({value})"
    return TenureError(Code.INVALID, f"{subject} {fault.wrong}. /docs lists what this route takes.", **facts)


def _fault(text: str) -> _Fault:
    found = cast("re.Match[str]", _PLACE.fullmatch(text))
    what, place = found["what"], (found["place"] or "").replace("[...]", "")
    for pattern, wrong in ((_UNKNOWN, "isn't known here"), (_MISSING, "is missing")):
        if named := pattern.fullmatch(what):
            return _Fault(f"{place}.{named['name']}" if place else named["name"], wrong)
    part = "has a name that is refused" if found["name"] else "is refused"
    return _Fault(place, f"{part}: {_bound(what, place)}")


def _bound(what: str, place: str) -> str:
    """A bound as a way out; what else is wrong as the decoder says it, without its quotes."""
    found = _BOUND.fullmatch(what)
    if found is None:
        return what.replace("`", "")
    number = found["number"].removesuffix(".0")
    seconds = "" if not place.endswith("_s") else " second" if number == "1" else " seconds"
    return f"give {_BOUNDS[found['sign']]} {number}{seconds}"


def _value_at(tree: object, field: str) -> str | None:
    """The offending value as JSON, cut short; None if there is none to show."""
    value = tree
    for index, name in _STEP.findall(field):
        if name and isinstance(value, dict) and name in value:
            value = cast("dict[str, object]", value)[name]
        elif index and isinstance(value, list) and int(index) < len(cast("list[object]", value)):
            value = cast("list[object]", value)[int(index)]
        else:
            return None
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
