"""`tenure doctor`: checks everything that is stored in a home or a database, beside its hosts or without one.

It reads and repairs nothing.
"""

import asyncio
import platform
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer

from tenure.cli.backup import StoreUrl, settings_of
from tenure.cli.options import AsJson, Home
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json, put, shown
from tenure.config import Settings
from tenure.core.invariants import MEANING, Violation
from tenure.moving import examine_database
from tenure.wiring import DATABASE, Examination, examine_home

app = typer.Typer()

MENDED = (3, 51, 3)
"""The first SQLite in which two connections that write or checkpoint at once can't spoil the log."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. A database has no home, and the bytes of no file."""

    home: str | None
    place: str
    history: str
    sessions: int
    open_sessions: int
    live_runs: int
    queued_runs: int
    events: int
    database_bytes: int | None
    log_bytes: int | None
    sqlite: str
    python: str
    warnings: tuple[str, ...]
    violations: tuple[Violation, ...]


@app.command("doctor")
def doctor(
    home: Home = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check everything that is stored. Exits with 1 if something is wrong; repairs nothing."""
    settings = settings_of(home, store)
    found = examine_home(settings.home) if settings.store is None else examine_database(settings.store)
    report = report_on(settings, asyncio.run(found))
    if as_json:
        print_json(report)
    else:
        show(report)
    if report.violations:
        raise Stop(Exit.FAILED)


def report_on(settings: Settings, found: Examination) -> Report:
    """The report on an examination."""
    home, local = settings.home, settings.store is None
    return Report(
        home=str(home) if local else None,
        place=settings.place,
        history=found.history,
        sessions=found.figures.sessions,
        open_sessions=found.figures.open_sessions,
        live_runs=found.figures.live_runs,
        queued_runs=found.figures.queued_runs,
        events=found.figures.events,
        database_bytes=size(home / DATABASE) if local else None,
        log_bytes=size(home / f"{DATABASE}-wal") if local else None,
        sqlite=sqlite3.sqlite_version,
        python=platform.python_version(),
        warnings=tuple(warnings(sqlite3.sqlite_version_info)) if local else (),
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
            ("where", report.place),
            ("history", report.history),
            ("sessions", f"{report.sessions}, {report.open_sessions} of them open"),
            ("runs", f"{report.live_runs} live, {report.queued_runs} queued"),
            ("events", report.events),
            *file_fields(report),
        ]
    )
    for warning in report.warnings:
        put(f"Warning: {warning}")
    for violation in report.violations:
        put(sentence(violation))
    wrong = len(report.violations)
    put(f"{wrong} things are wrong." if wrong else f"All {len(MEANING)} invariants hold.")


def file_fields(report: Report) -> Iterator[tuple[str, object]]:
    """What there is to say of a home's file."""
    if report.home is not None:
        yield ("database", f"{report.database_bytes:,} bytes, log {report.log_bytes:,} bytes")
        yield ("sqlite", f"{report.sqlite}, Python {report.python}")


def sentence(violation: Violation) -> str:
    """One broken invariant: where, which, and how."""
    where = violation.session_id or "the store"
    at = f", at {', '.join(map(str, violation.seqs))}" if violation.seqs else ""
    return shown(f"{where}: {MEANING[violation.invariant]} But: {violation.sentence}{at}")
