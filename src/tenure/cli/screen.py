"""What commands print: tables and lines for people, JSON for programs.

Whatever others wrote is shown without control characters: a message can't repaint the terminal.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenure.cli.outcome import Exit, Stop

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

UNBOUNDED = 10_000
"""The width of a table: a terminal may break its lines, but no id is ever cut."""


def wants_colour(stream: TextIO) -> bool:
    """Whether somebody looks at `stream` and wants more than plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def shown(text: str) -> str:
    """`text` without characters that a terminal would obey; line breaks and tabs stay."""
    return _CONTROL.sub("\ufffd", text)


def counted(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def exact(value: object) -> str:
    """`value` as JSON, with an escape for each character that can't be seen or that hides others.

    For what somebody is to decide about: control characters, marks that turn the direction of writing,
    spaces of no width. What is shown is still the same JSON.
    """
    text = msgspec.json.encode(value).decode()
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def put(text: str, end: str = "\n") -> None:
    """Write to stdout, at once. Raises Stop with `ok` if whoever read it has left."""
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it ends, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Stop(Exit.OK) from None


def print_json(value: object) -> None:
    """One value on one line."""
    put(msgspec.json.encode(value).decode())


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table without frames, so that it can be cut by other programs too."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    _put_table(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Names and values below one another; what isn't there isn't shown."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        if value not in (None, "", (), {}):
            table.add_row(name, Text(_cell(value)))
    _put_table(table)


def _put_table(table: Table) -> None:
    console = Console(width=UNBOUNDED, highlight=False, markup=False, emoji=False)
    with console.capture() as drawn:
        console.print(table)
    put("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list | tuple | msgspec.Struct):
        return shown(msgspec.json.encode(value).decode())
    return shown(str(value)).replace("\n", " ")
