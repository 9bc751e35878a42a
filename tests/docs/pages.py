"""The documentation as tests read it: pages, and the code blocks on them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

FENCE = re.compile(
    r"(?P<mark><!-- (?P<why>[^\n]*) -->\n)?^(?P<dent> *)```(?P<language>\w*)(?P<rest>[^\n]*)\n"
    r"(?P<text>.*?)^(?P=dent)```$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A block of code: where it stands, its language, the file it is, and why it isn't run, if it isn't."""

    page: str
    line: int
    language: str
    title: str | None
    compile_only: bool
    text: str

    @property
    def place(self) -> str:
        """Page and line, as an editor opens them."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read."""
    own = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
    return [*own, *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """A page as the tests call it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The blocks of code of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(
            name_of(page),
            text.count("\n", 0, found.start("text")) + 1,
            found["language"],
            title[1] if (title := TITLE.search(found["rest"])) else None,
            (found["why"] or "").startswith("compile only:"),
            found["text"],
        )
        for found in FENCE.finditer(text)
    ]
