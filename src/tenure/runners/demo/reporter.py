"""The demo agent that recalls itself. Try it:

    Report every 10 seconds, 5 times     recalls itself on a grid that doesn't drift
    in 2 minutes                         reports once
    at 08:00 in Europe/Berlin            every day, whatever the clocks are put to
    what is planned?                     says what it is to do, and when next
    stop                                 ends what it planned

It is an ordinary `@tenure.agent`: what a model would understand, a few patterns understand here. What it was
asked for goes on when you leave and when the server restarts, and it acts in your name each time.
"""

import re
from collections.abc import AsyncIterator

import msgspec

from tenure.core.grant import HISTORY, RECALLS
from tenure.core.scheduling import ScheduleInfo
from tenure.errors import Code, TenureError
from tenure.runners.agent import Run, agent

REPORT = "Report."
"""What it says to itself."""

TIMES = 10
"""How often it reports unless it is told how often."""

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
MOST_QUOTED = 40

_UNIT = r"(\d{1,4})?\s*(second|minute|hour|day)s?\b"
_EVERY = re.compile(rf"\bevery\s+{_UNIT}", re.IGNORECASE)
_IN = re.compile(rf"\bin\s+{_UNIT}", re.IGNORECASE)
_AT = re.compile(r"\bat\s+(\d{1,2}):(\d\d)(?:\s+in\s+([\w+/-]+))?", re.IGNORECASE)
_TIMES = re.compile(r"\b(\d{1,4})\s+times\b", re.IGNORECASE)
_STOP = re.compile(r"\b(stop|enough|quiet)\b", re.IGNORECASE)
_PLANNED = re.compile(r"\b(planned|plan|when|list)\b", re.IGNORECASE)


class Reports(msgspec.Struct, frozen=True):
    """How many reports there were in this session, and for which occurrence the last one was."""

    count: int = 0
    occurrence: str = ""


@agent(
    "reporter",
    description="Recalls itself and reports: every 10 seconds, 5 times. Tell it to stop.",
    permissions=(HISTORY, RECALLS),
)
async def reporter(run: Run) -> AsyncIterator[str]:
    """Report when recalled; else plan reports, tell of them or end them, as the message says."""
    text = run.message.text
    try:
        if run.origin.recall is not None:
            yield await report(run)
        elif _STOP.search(text):
            yield await stop(run)
        elif _EVERY.search(text) or _IN.search(text) or _AT.search(text):
            yield await plan(run, text)
        elif _PLANNED.search(text):
            yield await planned(run)
        else:
            yield 'I report on this session as often as you like: "Report every 10 seconds, 5 times", '
            yield '"in 2 minutes", "at 08:00 in Europe/Berlin"; "stop" ends it. '
            yield await report(run)
    except TenureError as refusal:
        if refusal.code not in (Code.INVALID, Code.FORBIDDEN, Code.CAPACITY):
            raise
        yield f"That can't be: {refusal.detail}"


async def plan(run: Run, text: str) -> str:
    """Have itself recalled as the message says."""
    times = _TIMES.search(text)
    if every := _EVERY.search(text):
        most = int(times[1]) if times else TIMES
        made = await run.recalls.schedule(REPORT, name="report", every_s=seconds(every), max_runs=most)
    elif at := _AT.search(text):
        cron, zone = f"{int(at[2])} {int(at[1])} * * *", at[3] or "UTC"
        made = await run.recalls.schedule(REPORT, name="report", cron=cron, timezone=zone)
    elif once := _IN.search(text):
        made = await run.recalls.schedule(REPORT, name="report", in_s=seconds(once))
    else:
        return "Say when."
    return f"I will report {within(made.explanation)}. The first time is {clock(made.next_at or '')}. "


async def report(run: Run) -> str:
    """Say the how-manieth report this is, for when it is, and what was said so far."""
    recall = run.origin.recall
    occurrence = run.message.id if recall is None else recall.occurrence
    reports = msgspec.convert(run.state["conversation"].get("reports", {}), Reports)
    if reports.occurrence != occurrence:
        # An attempt that starts over finds its own report counted.
        reports = Reports(reports.count + 1, occurrence)
        await run.state.set("conversation", "reports", msgspec.to_builtins(reports))
    when = "" if recall is None else f" of {clock(recall.due_at)}"
    said = [item.text for item in await run.history() if item.role == "user" and item.text != REPORT]
    last = said[-1] if said else ""
    quoted = last if len(last) <= MOST_QUOTED else last[: MOST_QUOTED - 1] + "…"
    things = "1 thing" if len(said) == 1 else f"{len(said)} things"
    return f"Report {reports.count}{when}: people said {things}, the last was {quoted!r}. "


async def planned(run: Run) -> str:
    """Say what is to come."""
    coming = [one for one in await own(run) if one.next_at is not None]
    told = "".join(f"I report {within(one.explanation)}, next {clock(one.next_at or '')}. " for one in coming)
    return told or "Nothing is planned. "


async def stop(run: Run) -> str:
    """End what it planned."""
    ended = [await run.recalls.cancel(one.id) for one in await own(run)]
    return f"I stopped: {len(ended)} ended. " if ended else "Nothing was planned. "


async def own(run: Run) -> list[ScheduleInfo]:
    """What it planned itself in this session and is to come yet."""
    return [one for one in await run.recalls.entries() if one.made_by and one.status in ("active", "paused")]


def seconds(found: re.Match[str]) -> float:
    """How long something like `10 seconds` or `minute` is."""
    return float(found[1] or 1) * SECONDS[found[2].casefold()]


def within(explanation: str) -> str:
    """An explanation as a part of a sentence."""
    return explanation[:1].lower() + explanation[1:]


def clock(instant: str) -> str:
    """The time of day of an instant, in UTC."""
    return f"{instant[11:19]} UTC"
