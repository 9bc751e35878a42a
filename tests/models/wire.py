"""What a wire format has to know: how requests are read, and how answers and errors are written.

One instance of a `Format` stands for each of the four; the server finds it by path. JSON bodies are plain
mappings here, since they belong to others.
"""

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from tests.models.directives import Asked, Failure, Part, Reply

Json: TypeAlias = dict[str, object]

Frame: TypeAlias = bytes | float
"""What a stream is made of: bytes to send, or seconds to wait."""


class Stream(Protocol):
    """The writer of one streamed answer: `opening`, each part, `closing`, in this order."""

    def opening(self) -> Iterator[Frame]: ...
    def part(self, part: Part) -> Iterator[Frame]: ...
    def closing(self) -> Iterator[Frame]: ...


class Format(Protocol):
    """One wire format."""

    name: str

    def takes(self, path: str) -> bool:
        """Whether requests to this path are of this format."""
        ...

    def read(self, path: str, body: bytes) -> Asked:
        """The request. Raises msgspec.ValidationError if it isn't one."""
        ...

    def whole(self, asked: Asked, reply: Reply) -> Json:
        """The answer in one piece."""
        ...

    def stream(self, asked: Asked, reply: Reply) -> Stream:
        """The writer of the answer as a stream of events."""
        ...

    def error(self, failure: Failure, message: str) -> Json:
        """The body of an error."""
        ...
