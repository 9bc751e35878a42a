"""How a command ends: the exit codes, which refusal leads to which, and the way to end early.

Every command uses it. The codes are part of the public contract and never change meaning.
"""

from enum import IntEnum

from tenure.errors import Code


class Exit(IntEnum):
    """The exit codes of `tenure`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    CAPACITY = 5
    UNREACHABLE = 6
    INTERRUPTED = 130


class Stop(Exception):
    """The command ends here, with a sentence for the person at the terminal, or an empty one."""

    def __init__(self, code: Exit, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


_EXITS: dict[Code, Exit] = {
    Code.NOT_FOUND: Exit.NOT_FOUND,
    Code.UNKNOWN_AGENT: Exit.NOT_FOUND,
    Code.NO_BINDING: Exit.NOT_FOUND,
    Code.UNAUTHENTICATED: Exit.DENIED,
    Code.FORBIDDEN: Exit.DENIED,
    Code.BAD_HOST: Exit.DENIED,
    Code.BAD_ORIGIN: Exit.DENIED,
    Code.CAPACITY: Exit.CAPACITY,
    Code.RATE_LIMITED: Exit.CAPACITY,
    Code.STORE_FULL: Exit.CAPACITY,
    Code.DRAINING: Exit.UNREACHABLE,
    Code.STORE_UNAVAILABLE: Exit.UNREACHABLE,
    Code.FENCED: Exit.UNREACHABLE,
    Code.INTERNAL: Exit.FAILED,
}


def exit_of(code: Code) -> Exit:
    """The exit code for a refusal. What isn't listed couldn't be done as it was asked: `usage`."""
    return _EXITS.get(code, Exit.USAGE)
