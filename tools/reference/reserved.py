"""What the vocabulary already has and no code uses yet, so that the pages don't promise it."""

import ast
from functools import cache
from pathlib import Path

import tenure

SOURCE = Path(tenure.__file__).parent
READERS = {"core/event.py", "core/transcript.py", "http/thread.py"}
"""Modules that know every event because they read journals, not because they write any."""

NOTE = "*Reserved: the vocabulary has it, this version doesn't use it yet.*"


@cache
def mentioned() -> frozenset[str]:
    """Every name that the source mentions outside the readers of journals."""
    return frozenset(
        node.id
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).as_posix() not in READERS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


@cache
def imported() -> frozenset[str]:
    """Every module of core that a module elsewhere imports from."""
    return frozenset(
        node.module
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    )
