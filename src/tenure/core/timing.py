"""When a schedule fires: once, on a fixed grid, or by a cron expression in a time zone.

The instants that a timing names are its nominal ones: they are numbers on a calendar, and neither a clock
nor what fired before moves them. What a cron expression names is told by `tenure.host.cron`.
"""

from typing import TypeAlias

import msgspec

from tenure.core.moment import Micros

LATEST = Micros(253_370_764_800_000_000)
"""The year 9999: no instant lies behind it."""


class Once(msgspec.Struct, frozen=True, kw_only=True, tag="once", tag_field="kind"):
    """A single instant."""

    at: Micros


class Every(msgspec.Struct, frozen=True, kw_only=True, tag="every", tag_field="kind"):
    """The instants anchor + k × every, for k = 0, 1, 2, …; `every` counts microseconds."""

    every: int
    anchor: Micros


class Cron(msgspec.Struct, frozen=True, kw_only=True, tag="cron", tag_field="kind"):
    """The local times that a cron expression of five fields names in an IANA time zone."""

    expression: str
    timezone: str


Timing: TypeAlias = Once | Every | Cron


def after_once(once: Once, after: Micros) -> Micros | None:
    """The instant, if it lies after `after`."""
    return once.at if once.at > after else None


def after_every(grid: Every, after: Micros) -> Micros:
    """The first instant of the grid after `after`."""
    steps = max(0, (after - grid.anchor) // grid.every + 1)
    return Micros(grid.anchor + steps * grid.every)
