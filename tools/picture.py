"""Makes the README's picture from a real chat: `.venv/bin/python -m tools.picture`.

A server with the demo agents and `tenure chat` at a terminal of its own; what the terminal showed is
drawn twice, for light and for dark pages. Nothing in it is staged but the typing.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.cli.terminal import CTRL_D, Terminal

IMAGES = Path("docs/images")
TENURE = str(Path(sys.executable).with_name("tenure"))
WIDTH = 92

LIGHT = TerminalTheme((251, 250, 247), (28, 27, 25), [(28, 27, 25)] * 8)
DARK = TerminalTheme((20, 19, 17), (236, 232, 225), [(236, 232, 225)] * 8)

# The drawing names no font of another site: the reader's own monospaced one will do.
FOREIGN = re.compile(r"@font-face \{\{.*?\}\}|<!--.*?-->", re.DOTALL)
PLAIN = FOREIGN.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code", "ui-monospace")


def main() -> None:
    """Hold the chat, draw it."""
    with TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        environment.pop("TENURE_HOME", None)
        server = subprocess.Popen(
            [TENURE, "serve", "--demo", "--port", "0"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            shown = chat(Path(home), environment)
        finally:
            server.terminate()
            server.wait()
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        draw(shown, theme, IMAGES / f"chat-{name}.svg")


def chat(home: Path, environment: dict[str, str]) -> str:
    """Everything the terminal showed."""
    while not (home / ".tenure/server.json").exists():
        time.sleep(0.05)
    terminal = Terminal([TENURE, "chat", "--agent", "concierge"], environment)
    terminal.expect("> ")
    terminal.type("Book a table for 4 at the Old Mill tomorrow at 19:30.\n")
    terminal.expect("the book… ")
    terminal.type("make it 5 people\n")
    terminal.expect("says more.")
    terminal.expect("> ")
    terminal.type("/approve time=20:00\n")
    terminal.expect("Your number is")
    terminal.expect("> ")
    terminal.type("/undo\n")
    terminal.expect("(undone")
    terminal.expect("> ")
    terminal.type(CTRL_D)
    terminal.ended()
    terminal.close()
    return f"$ tenure chat --agent concierge\n{terminal.whole}"


def draw(shown: str, theme: TerminalTheme, path: Path) -> None:
    """One picture of the terminal, without colours but those of the page."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(shown.replace("\r", "")))
        svg = console.export_svg(title="tenure chat", theme=theme, code_format=PLAIN, unique_id="chat")
    path.parent.mkdir(exist_ok=True)
    path.write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
