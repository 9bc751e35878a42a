"""Sees to the console when the package is built: the wheel and the source archive hold its files.

Hatchling calls this. It builds the console if its sources are here and changed; a source archive brings
the console built, so that whoever installs from it needs no Node.js.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = Path("src", "tenure", "http", "console_files", "index.html")
BUILDER = Path("console", "build.py")
WITHOUT = "TENURE_BUILD_WITHOUT_CONSOLE"


class ConsoleBuildHook(BuildHookInterface[Any]):
    """The hook that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the console, or see that it is built. Raises RuntimeError if the package would lack it."""
        if version == "editable" or os.environ.get(WITHOUT):
            return
        root = Path(self.root)
        code = 0
        if (root / BUILDER).is_file():
            code = subprocess.call([sys.executable, str(root / BUILDER)], stdout=sys.stderr)
        if code or not (root / BUILT).is_file():
            raise RuntimeError(
                "The package would have no console, or an old one. Install Node.js 20.19 or newer, "
                f"build from the source archive of a release, or set {WITHOUT}=1 to do without it."
            )
