"""The options that say when a schedule fires and how its occurrences are treated, once for all commands.

`with_terms` puts them in the place of a command's parameter `terms`. Instants without an offset are taken in
the zone of `--timezone`; whatever else there is to refuse, the server does.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from inspect import Parameter, Signature, signature
from typing import Annotated, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from tenure.client.calls.schedules import ScheduleTerms
from tenure.core.recall import Missed, Overlap

UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
"""What may stand behind a number in a span of time, and how many seconds it is."""

_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART = re.compile(r"([\d.]+)([smhdw])")


def seconds(text: str) -> float:
    """The seconds in a span such as 90s, 15m, 1h30m or 2d. Raises BadParameter."""
    if _SPAN.fullmatch(text) is None:
        raise typer.BadParameter(
            f"{text!r} is no span of time. Write a number and its unit, s, m, h, d or w: 90s, 15m, 1h30m, 2d."
        )
    return sum(float(number) * UNITS[unit] for number, unit in _PART.findall(text))


def placed(text: str, timezone: str | None) -> str:
    """An instant with its offset: one without is a local time of `timezone`, by default UTC.

    What is no instant at all is left to the server. Raises BadParameter for a time that the zone skips.
    """
    local = _local(text)
    if local is None:
        return text
    zone = _zone(timezone or "UTC")
    there = local.replace(tzinfo=zone)
    try:
        again = there.astimezone(UTC).astimezone(zone)
    except OverflowError:
        return text
    if again.replace(tzinfo=None) != local:
        raise typer.BadParameter(
            f"{text} doesn't exist in {timezone}: the clocks are put forward over it. Give another time."
        )
    return there.isoformat()


def _local(text: str) -> datetime | None:
    """The local time that a text names, None if it names none, or has an offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is None else None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"There is no time zone {name!r}. Give an IANA name, such as Europe/Berlin or UTC."
        ) from None


At = Annotated[
    str | None, typer.Option("--at", metavar="INSTANT", help="Once, then: 2027-01-31T09:00+01:00.")
]
In = Annotated[
    float | None,
    typer.Option("--in", parser=seconds, metavar="SPAN", help="Once, so long from now: 90s, 15m, 2h, 1d."),
]
Every = Annotated[
    float | None,
    typer.Option("--every", parser=seconds, metavar="SPAN", help="Again and again, so far apart."),
]
Anchor = Annotated[
    str | None,
    typer.Option("--anchor", metavar="INSTANT", help="Where --every counts from; now if left out."),
]
Cron = Annotated[
    str | None,
    typer.Option("--cron", metavar="EXPR", help="At the times of a cron expression: '30 9 * * 1-5'."),
]
Timezone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help="The zone of --cron, and of instants without an offset; UTC if left out.",
    ),
]
WhatMissed = Annotated[
    Missed | None,
    typer.Option("--missed", help="What to make up for after an outage or a rest; once if left out."),
]
MissedMax = Annotated[
    int | None,
    typer.Option("--missed-max", min=1, help="How many --missed all makes up for; 10 if left out."),
]
IfBusy = Annotated[
    Overlap | None,
    typer.Option("--overlap", help="What to do while the session is busy; queue if left out."),
]
Jitter = Annotated[
    float | None,
    typer.Option("--jitter", parser=seconds, metavar="SPAN", help="Spread them: each up to so long later."),
]
MaxRuns = Annotated[int | None, typer.Option("--max-runs", min=1, help="How often at most.")]
Until = Annotated[
    str | None, typer.Option("--until", metavar="INSTANT", help="Nothing comes after this instant.")
]
Retries = Annotated[int | None, typer.Option("--retries", min=0, help="How often to try a failed one again.")]
Backoff = Annotated[
    float | None,
    typer.Option(
        "--backoff",
        parser=seconds,
        metavar="SPAN",
        help="How long to wait before that, doubling each time; 30s if left out.",
    ),
]
PauseAfter = Annotated[
    int | None,
    typer.Option(
        "--pause-after-failures",
        min=0,
        help="Pause after so many failures in a row, 0 for never; 5 if left out.",
    ),
]


def terms(
    at: At = None,
    in_s: In = None,
    every_s: Every = None,
    anchor: Anchor = None,
    cron: Cron = None,
    timezone: Timezone = None,
    missed: WhatMissed = None,
    missed_max: MissedMax = None,
    overlap: IfBusy = None,
    jitter_s: Jitter = None,
    max_runs: MaxRuns = None,
    ends_at: Until = None,
    retries: Retries = None,
    backoff_s: Backoff = None,
    pause_after_failures: PauseAfter = None,
) -> ScheduleTerms:
    """What was given of all this. Raises BadParameter for two timings, and as `placed` does."""
    timings = [("--at", at), ("--in", in_s), ("--every", every_s), ("--cron", cron)]
    named = [option for option, value in timings if value is not None]
    if len(named) > 1:
        raise typer.BadParameter(f"{' and '.join(named)} exclude one another. Leave all but one out.")
    local = [text for text in (at, anchor, ends_at) if text and _local(text)]
    given = {
        "at": at and placed(at, timezone),
        "in_s": in_s,
        "every_s": every_s,
        "anchor": anchor and placed(anchor, timezone),
        "cron": cron,
        # The server knows a zone for cron alone. Instants have an offset by then.
        "timezone": timezone if cron or not local else None,
        "missed": missed,
        "missed_max": missed_max,
        "overlap": overlap,
        "jitter_s": jitter_s,
        "max_runs": max_runs,
        "ends_at": ends_at and placed(ends_at, timezone),
        "retries": retries,
        "backoff_s": backoff_s,
        "pause_after_failures": pause_after_failures,
    }
    return cast("ScheduleTerms", {name: value for name, value in given.items() if value is not None})


def has_timing(given: ScheduleTerms) -> bool:
    """Whether the terms say when."""
    return any(name in given for name in ("at", "in_s", "every_s", "cron"))


def check_timing(given: ScheduleTerms) -> None:
    """Raises BadParameter unless the terms say when."""
    if not has_timing(given):
        raise typer.BadParameter(
            "Say when: --in 2h, --at 2027-01-31T09:00+01:00, --every 15m, or --cron '30 9 * * 1-5'."
        )


def with_terms(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with all options of `terms` in the place of its parameter of that name."""
    shared = signature(terms).parameters

    def called(**given: object) -> None:
        found = terms(**{name: given.pop(name) for name in shared})  # pyright: ignore[reportArgumentType]
        command(**given, terms=found)

    options: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        options += shared.values() if parameter.name == "terms" else [parameter]
    called.__doc__ = command.__doc__
    called.__name__ = command.__name__
    called.__signature__ = Signature([each.replace(kind=Parameter.KEYWORD_ONLY) for each in options])
    called.__annotations__ = {each.name: each.annotation for each in options}
    return called
