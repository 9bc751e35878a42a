"""Draws a state machine as a ladder: a column for each state, an arrow for each signal. SVG, no script.

The colours follow the reader's light or dark screen by themselves.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from tools.reference.markdown import NOTE

COLUMN, ROW, TOP, MARGIN = 112, 26, 46, 20
STYLE = """\
text{font:13px system-ui,sans-serif;fill:#1f2328;text-anchor:middle}
.state{font-weight:600}.rail{stroke:#d1d9e0}.arrow{stroke:#0969da;fill:none}
.head{fill:#0969da}.end{stroke:#1f2328;stroke-width:3}
.back .arrow{stroke:#8250df}.back .head{fill:#8250df}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.rail{stroke:#3d444d}.arrow{stroke:#4493f8}
.head{fill:#4493f8}.end{stroke:#e6edf3}.back .arrow{stroke:#ab7df8}.back .head{fill:#ab7df8}}"""


class Step(NamedTuple):
    """One pair of the table and where it leads."""

    source: str
    signal: str
    target: str


def draw(noun: str, states: Sequence[str], final: set[str], steps: Sequence[Step]) -> str:
    """The drawing of one machine."""
    place = {state: MARGIN + COLUMN // 2 + COLUMN * n for n, state in enumerate(states)}
    width, bottom = COLUMN * len(states) + 2 * MARGIN, TOP + ROW * len(steps) + ROW // 2
    size = f'viewBox="0 0 {width} {bottom + 20}" width="{width}"'
    label = f'role="img" aria-label="The states of a {escape(noun)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label}>',
        NOTE,
        f"<style>{STYLE}</style>",
        *(_rail(state, place[state], bottom, over=state in final) for state in states),
        *(
            _arrow(step.signal, place[step.source], place[step.target], TOP + ROW * (n + 1))
            for n, step in enumerate(steps)
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _rail(state: str, x: int, bottom: int, *, over: bool) -> str:
    """The column of a state; a bar at its foot says that nothing leads out of it."""
    bar = f'<line class="end" x1="{x - 12}" y1="{bottom}" x2="{x + 12}" y2="{bottom}"/>' if over else ""
    return (
        f'<text class="state" x="{x}" y="{TOP - 20}">{escape(state)}</text>'
        f'<line class="rail" x1="{x}" y1="{TOP - 10}" x2="{x}" y2="{bottom}"/>{bar}'
    )


def _arrow(signal: str, start: int, end: int, y: int) -> str:
    """The arrow of a signal, with its name above its beginning."""
    ahead = 1 if end > start else -1
    middle = start + ahead * COLUMN // 2
    way = "on" if ahead > 0 else "back"
    return (
        f'<g class="{way}"><text x="{middle}" y="{y - 5}">{escape(signal)}</text>'
        f'<line class="arrow" x1="{start}" y1="{y}" x2="{end - 7 * ahead}" y2="{y}"/>'
        f'<path class="head" d="M{end} {y}l{-8 * ahead} -4v8z"/></g>'
    )
