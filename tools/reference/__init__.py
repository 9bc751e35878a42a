"""Writes docs/reference from the code. `python -m tools.reference`; a test holds the pages current.

What a page says is read from the tables of the product: machines, events, codes, settings, routes and
commands. Words that no table holds stand in `words`, and a missing one is an error.
"""

from collections.abc import Callable
from pathlib import Path

from tools.reference import commands, errors, events, http, settings, sources, states
from tools.reference.markdown import NOTE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "states.md": states.page,
    "events.md": events.page,
    "errors.md": errors.page,
    "http.md": http.page,
    "commands.md": commands.page,
    "settings.md": settings.page,
    "sources.md": sources.page,
    **{f"states/{noun}.svg": make for noun, make in states.drawings().items()},
}
"""Every generated file of the folder, and what makes it."""


def stale() -> list[str]:
    """The files that aren't what the code says, or that nothing makes."""
    wrong = [name for name, make in PAGES.items() if read(name) != make()]
    ours = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.*") if is_ours(path)}
    return sorted([*wrong, *(ours - PAGES.keys())])


def is_ours(path: Path) -> bool:
    """Whether a file was written by this tool; others write into the folder too."""
    return path.is_file() and NOTE in path.read_text("utf-8")


def read(name: str) -> str | None:
    """What a file of the folder says now, or None if it isn't there."""
    path = FOLDER / name
    return path.read_text("utf-8") if path.is_file() else None


def write() -> list[str]:
    """Bring the folder up to date. Returns what changed."""
    changed = stale()
    for name in changed:
        path = FOLDER / name
        if name not in PAGES:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGES[name](), "utf-8")
    return changed
