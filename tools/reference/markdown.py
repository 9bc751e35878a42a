"""The little Markdown that the pages are made of."""

from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `python -m tools.reference` from the code. Change the code, not this page. -->"


def document(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([NOTE, f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. A cell's own bars are escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Text as the machine writes it."""
    return f"`{text}`"
