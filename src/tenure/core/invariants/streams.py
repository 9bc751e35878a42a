"""Numbers, and what clients were told and shown."""

from collections.abc import Iterator

import msgspec

from tenure.core.entry import frame, lines_of
from tenure.core.evidence import Acknowledged, Connection
from tenure.core.invariants.case import Case, Faults


def numbers(case: Case) -> Faults:
    expected = case.stored.retired + 1
    for first, last, body in case.stored.spans:
        count = len(lines_of(body))
        if first != expected:
            yield f"A row begins at {first} where {expected} is next.", (first,)
        if last - first + 1 != count:
            yield f"The row {first}..{last} holds {count} entries.", (first, last)
        expected = last + 1
    if case.stored.head_seq != expected - 1:
        yield (
            f"The head is {case.stored.head_seq}, but the last stored number is {expected - 1}.",
            (case.stored.head_seq, expected - 1),
        )


def acknowledged(case: Case) -> Faults:
    for told in case.observed.acknowledged:
        what = f"A client was told of {told.type} {told.subject}".rstrip()
        if told.seq is not None and told.seq <= case.stored.retired:
            continue
        if told.seq is not None and not _says(case.lines.get(told.seq, b""), told):
            yield f"{what} at {told.seq}, but that isn't stored there.", (told.seq,)
        elif told.seq is None and not any(_says(line, told) for line in _all_lines(case)):
            yield f"{what}, but that isn't stored.", ()


def _all_lines(case: Case) -> Iterator[bytes]:
    yield from case.stored.snapshot
    yield from case.lines.values()


def _says(line: bytes, told: Acknowledged) -> bool:
    return b'"type":"%b"' % told.type.encode() in line and told.subject.encode() in line


def streamed(case: Case) -> Faults:
    for connection in _connections(case):
        for seen in connection.frames:
            seq = _seq_of(seen)
            line = case.lines.get(seq)
            if seq <= case.stored.retired:
                continue
            if line is None:
                yield f"A client saw entry {seq}, which isn't stored.", (seq,)
            elif frame(seq, line[1:]) != seen:
                yield f"A client saw an entry {seq} that differs from the stored one.", (seq,)


def contiguous(case: Case) -> Faults:
    for reader in case.observed.readers:
        at = reader[0].after if reader else 0
        for connection in reader:
            if connection.after != at:
                yield f"A client that had seen {at} resumed after {connection.after}.", (at,)
                at = connection.after
            for seen in connection.frames:
                seq = _seq_of(seen)
                if seq != at + 1:
                    yield f"A client that had seen {at} was shown {seq} next.", (at, seq)
                at = seq


def _connections(case: Case) -> Iterator[Connection]:
    for reader in case.observed.readers:
        yield from reader


class _Numbered(msgspec.Struct):
    seq: int


_numbered = msgspec.json.Decoder(_Numbered)


def _seq_of(envelope: bytes) -> int:
    return _numbered.decode(envelope).seq
