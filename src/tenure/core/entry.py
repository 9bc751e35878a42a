"""How events are stored and read back: one line of JSON each, encoded once.

An entry is stored without its number, because only the commit knows the number:
`{"at": …, "type": …, "run_id": …, "data": {…}}`. Readers meet entries of other versions: an older one
is lifted by its upcaster, an unknown type passes through as `Unknown`.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import msgspec

from tenure.core.event import EVENTS, TYPE_OF, Event, Unknown
from tenure.core.moment import SECOND, Micros, micros, second

VERSIONS: dict[str, int] = {}
"""Schema version of each type that has had more than one. Its entries carry it as `v`."""

Upcaster: TypeAlias = Callable[[dict[str, object]], dict[str, object]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, version) -> what lifts the data of that version to the next."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event on its way into a journal: the struct, its stored line, and whose it is.

    `opens` is true for the first delta of a message: from there on the transcript has the message.
    """

    event: Event
    line: bytes
    run_id: str | None
    at: Micros
    opens: bool = False


class Recorded(NamedTuple):
    """One event read back from a journal, with its number."""

    seq: int
    at: Micros
    run_id: str | None
    event: Event | Unknown


_encoder = msgspec.json.Encoder()


_MIDDLE = {cls: b'"type":"%b","run_id":' % name.encode() for name, cls in EVENTS.items()}


def entry(at: Micros, event: Event, run_id: str | None = None, *, opens: bool = False) -> Entry:
    """Encode `event` once; these bytes are what is stored and what every client gets."""
    whole, rest = divmod(at, SECOND)
    line = b'{"at":"%b.%06dZ",%b%b,"data":%b%b}' % (
        second(whole),
        rest,
        _MIDDLE[type(event)],
        b"null" if run_id is None else _quoted(run_id),
        _encoder.encode(event),
        _mark(event) if VERSIONS else b"",
    )
    return Entry(event, line, run_id, at, opens)


@lru_cache(maxsize=4_096)
def _quoted(run_id: str) -> bytes:
    return b'"%b"' % run_id.encode()


def _mark(event: Event) -> bytes:
    version = VERSIONS.get(TYPE_OF[type(event)])
    return b"" if version is None else b',"v":%d' % version


class Shell(msgspec.Struct, frozen=True):
    """The outer part of a stored line; its data is left undecoded."""

    at: str
    type: str
    run_id: str | None
    data: msgspec.Raw
    v: int = 1


_shell = msgspec.json.Decoder(Shell)
_decoders = {name: msgspec.json.Decoder(cls) for name, cls in EVENTS.items()}


def shell(line: bytes) -> Shell:
    """The outer part of a stored line, for readers that needn't know the data."""
    return _shell.decode(line)


def record(seq: int, line: bytes) -> Recorded:
    """Read a stored line back, lifting older versions. Raises msgspec.ValidationError on nonsense."""
    outer = _shell.decode(line)
    return Recorded(seq, micros(outer.at), outer.run_id, _event(outer))


def _event(outer: Shell) -> Event | Unknown:
    decoder = _decoders.get(outer.type)
    current = VERSIONS.get(outer.type, 1)
    if decoder is None or outer.v > current:
        return Unknown(outer.type, outer.data)
    if outer.v == current:
        return decoder.decode(outer.data)
    data = msgspec.json.decode(outer.data, type=dict[str, object])
    for version in range(outer.v, current):
        data = UPCASTERS[outer.type, version](data)
    return msgspec.convert(data, EVENTS[outer.type])


def lines_of(body: bytes) -> list[bytes]:
    """The entries of a stored range, each without its opening brace: ready to be framed.

    A range is entries joined by line feeds. JSON never holds a raw line feed, so the cut is exact.
    """
    return body[1:].split(b"\n{")


def frame(seq: int, rest: bytes) -> bytes:
    """The envelope of one entry, as every client gets it."""
    return b'{"seq":%d,%b' % (seq, rest)
