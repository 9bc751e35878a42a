"""Hints as Postgres carries them: texts of JSON, each below the size that NOTIFY takes."""

from collections.abc import Iterator, Mapping

import msgspec

from tenure.ports.signals import Hint

MOST_BYTES = 7_900
"""The largest payload. Postgres takes less than 8,000 bytes."""


class _Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One text: `by` is whose it is."""

    by: str
    heads: Mapping[str, int] = {}
    work: bool = False
    timers: bool = False
    hosts: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Payload).decode


def payloads(by: str, hint: Hint) -> Iterator[str]:
    """The texts that say `hint`, as few as possible."""
    rest = _Payload(by=by, work=hint.work, timers=hint.timers, hosts=hint.hosts)
    room = MOST_BYTES - len(_encode(rest)) - len(b',"heads":{}')
    part: dict[str, int] = {}
    size = 0
    for session_id, head in hint.heads.items():
        needs = len(_encode(session_id)) + len(str(head)) + len(b":,")
        if size + needs > room:
            yield _encode(msgspec.structs.replace(rest, heads=part)).decode()
            part, size = {}, 0
        part[session_id] = head
        size += needs
    yield _encode(msgspec.structs.replace(rest, heads=part)).decode()


def heard(own: str, text: str) -> Hint | None:
    """What another host said; None for what is one's own, and for what isn't a hint at all."""
    try:
        payload = _decode(text)
    except msgspec.MsgspecError:
        return None
    if payload.by == own:
        return None
    return Hint(heads=payload.heads, work=payload.work, timers=payload.timers, hosts=payload.hosts)
