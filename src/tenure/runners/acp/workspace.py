"""The files of a session as an agent reads and writes them through the host: within the session's folder.

A path is resolved first, and then walked from the folder with no step following a link: whoever swaps a part
for a link in between gets an error, never a file elsewhere. All of it blocks.
"""

import errno
import os
import stat
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from acp import RequestError

MOST_BYTES = 16 * 1024 * 1024
"""How many bytes are read or written at once."""

MOST_SCANNED = 256 * 1024 * 1024
"""How many bytes are looked through for the lines that were asked for."""

NOT_FOUND = -32002
INVALID = -32602
FAILED = -32603
"""Codes of JSON-RPC and of the protocol: no such thing, refused as asked, couldn't be done."""

STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LAST = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How folders and the file are opened: no links, and no waiting for the other end of a pipe."""


def read_text(folder: Path, path: str, line: int | None = None, limit: int | None = None) -> str:
    """The text of a file, or `limit` lines of it from the 1-based `line` on. What is no UTF-8 is replaced.

    Raises RequestError for a path out of the folder, for what is no file, and for more than `MOST_BYTES`.
    """
    with _refusals(path), _opened(folder, path, os.O_RDONLY) as file:
        return _lines(file, path, max((line or 1) - 1, 0), limit).decode(errors="replace")


def write_text(folder: Path, path: str, content: str) -> None:
    """Write a file, and make it and the folders above it if they aren't there. Raises RequestError."""
    data = content.encode(errors="replace")
    if len(data) > MOST_BYTES:
        raise RequestError(
            INVALID, f"{path} would have {len(data)} bytes; at most {MOST_BYTES} are written at once."
        )
    with _refusals(path), _opened(folder, path, os.O_WRONLY | os.O_CREAT) as file:
        file.truncate(0)
        file.write(data)


def inside(folder: Path, path: str) -> Path:
    """The folder that a path within the session's folder leads to. Raises RequestError."""
    with _refusals(path):
        found = _root(folder).joinpath(*_parts(folder, path))
    if not found.is_dir():
        raise RequestError(NOT_FOUND, f"{path} is no folder.")
    return found


def _root(folder: Path) -> Path:
    """The folder's real path. Its own name is taken as it is: a link in its place isn't followed."""
    return Path(os.path.realpath(folder.parent)) / folder.name


def _parts(folder: Path, path: str) -> tuple[str, ...]:
    """The steps from the folder to where a path leads, links resolved."""
    root = _root(folder)
    found = Path(os.path.realpath(root / path))
    if not found.is_relative_to(root):
        raise RequestError(INVALID, f"{path} is outside of the session's folder, {root}.")
    return found.relative_to(root).parts


@contextmanager
def _opened(folder: Path, path: str, flags: int) -> Generator[BinaryIO]:
    """A regular file below the folder, walked to step by step."""
    parts = _parts(folder, path)
    if not parts:
        raise RequestError(INVALID, f"{path} is a folder, not a file.")
    with ExitStack() as above:
        at = _step(above, _root(folder), None)
        for part in parts[:-1]:
            if flags & os.O_CREAT:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=at)
            at = _step(above, part, at)
        descriptor = os.open(parts[-1], flags | LAST, 0o666, dir_fd=at)
    with open(descriptor, "rb" if flags == os.O_RDONLY else "wb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RequestError(INVALID, f"{path} is no regular file.")
        yield file


def _step(above: ExitStack, part: str | Path, at: int | None) -> int:
    """One folder further down, closed with those `above` it."""
    found = os.open(part, STEP, dir_fd=at)
    above.callback(os.close, found)
    return found


def _lines(file: BinaryIO, path: str, start: int, count: int | None) -> bytes:
    taken, scanned, number = bytearray(), 0, 0
    while (count is None or number < start + count) and (row := file.readline(MOST_BYTES + 1)):
        scanned += len(row)
        if number >= start:
            taken += row
        if len(taken) > MOST_BYTES or scanned > MOST_SCANNED:
            raise RequestError(
                INVALID, f"{path} is too large to be read so. Ask for fewer lines: line, limit."
            )
        number += 1
    return bytes(taken)


@contextmanager
def _refusals(path: str) -> Generator[None]:
    """What the system refuses, as an error that the agent reads."""
    try:
        yield
    except FileNotFoundError as fault:
        # In the protocol's own words: some agents tell by them that a file is new.
        raise RequestError(NOT_FOUND, f"Resource not found: {path}.") from fault
    except ValueError as fault:
        raise RequestError(INVALID, f"{path!r} is no path.") from fault
    except OSError as fault:
        if fault.errno in (errno.ELOOP, errno.ENOTDIR):
            raise RequestError(
                INVALID, f"{path} leads through a link or through what is no folder."
            ) from fault
        raise RequestError(FAILED, f"{path}: {fault.strerror}.") from fault
