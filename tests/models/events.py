"""Server-sent events as the model formats write them."""

from collections.abc import Callable, Iterator

import msgspec

from tests.models.directives import Speech
from tests.models.wire import Frame, Json


def event(data: Json, name: str | None = None) -> bytes:
    """One event with a JSON object, named if the format names its events."""
    named = f"event: {name}\n" if name else ""
    return named.encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"


def paced(speech: Speech, write: Callable[[str], bytes]) -> Iterator[Frame]:
    """The pieces of a speech as `write` writes them, with the waits between."""
    for number, piece in enumerate(speech.pieces):
        if number and speech.pause_s:
            yield speech.pause_s
        yield write(piece)
