"""`tenure doctor`: checks everything that is stored in a home, beside its server or without one.

It reads and repairs nothing.
"""

import asyncio
import platform
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer

from tenure.cli.options import AsJson, Home, expanded
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json, put, shown
from tenure.client.place import home_of
from tenure.core.invariants import MEANING, Violation
from tenure.wiring import DATABASE, Examination, examine_home

app = typer.Typer()

MENDED = (3, 51, 3)
"""The first SQLite in which two connections that write or checkpoint at once can't spoil the log."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    home: str
    history: str
    sessions: int
    open_sessions: int
    live_runs: int
    queued_runs: int
    events: int
    database_bytes: int
    log_bytes: int
    sqlite: str
    python: str
    warnings: tuple[str, ...]
    violations: tuple[Violation, ...]


@app.command("doctor")
def doctor(
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check everything that is stored in a home. Exits with 1 if something is wrong; repairs nothing."""
    folder = home_of(expanded(home))
    report = report_on(folder, asyncio.run(examine_home(folder)))
    if as_json:
        print_json(report)
    else:
        show(report)
    if report.violations:
        raise Stop(Exit.FAILED)


def report_on(home: Path, found: Examination) -> Report:
    """The report on an examination."""
    return Report(
        home=str(home),
        history=found.history,
        sessions=found.figures.sessions,
        open_sessions=found.figures.open_sessions,
        live_runs=found.figures.live_runs,
        queued_runs=found.figures.queued_runs,
        events=found.figures.events,
        database_bytes=size(home / DATABASE),
        log_bytes=size(home / f"{DATABASE}-wal"),
        sqlite=sqlite3.sqlite_version,
        python=platform.python_version(),
        warnings=tuple(warnings(sqlite3.sqlite_version_info)),
        violations=tuple(found.violations),
    )


def size(path: Path) -> int:
    """The bytes of a file, 0 if it isn't there."""
    return path.stat().st_size if path.exists() else 0


def warnings(version: tuple[int, ...]) -> Iterator[str]:
    """What isn't wrong, but worth knowing."""
    if version < MENDED:
        yield (
            f"SQLite {'.'.join(map(str, version))} can spoil a database to which two programs write at "
            f"once; {'.'.join(map(str, MENDED))} can't. Tenure writes from one connection only: let no "
            "other program write to its database."
        )


def show(report: Report) -> None:
    """Print the report for people."""
    print_fields(
        [
            ("home", report.home),
            ("history", report.history),
            ("sessions", f"{report.sessions}, {report.open_sessions} of them open"),
            ("runs", f"{report.live_runs} live, {report.queued_runs} queued"),
            ("events", report.events),
            ("database", f"{report.database_bytes:,} bytes, log {report.log_bytes:,} bytes"),
            ("sqlite", f"{report.sqlite}, Python {report.python}"),
        ]
    )
    for warning in report.warnings:
        put(f"Warning: {warning}")
    for violation in report.violations:
        put(sentence(violation))
    wrong = len(report.violations)
    put(f"{wrong} things are wrong." if wrong else f"All {len(MEANING)} invariants hold.")


def sentence(violation: Violation) -> str:
    """One broken invariant: where, which, and how."""
    where = violation.session_id or "the store"
    at = f", at {', '.join(map(str, violation.seqs))}" if violation.seqs else ""
    return shown(f"{where}: {MEANING[violation.invariant]} But: {violation.sentence}{at}")
