"""`tenure schedules`: have things said later, see when and what became of it, change it, rest it, end it."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated, TypeAlias, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from tenure.cli.groups import is_for_subcommand
from tenure.cli.messages import listen
from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.recalls import why
from tenure.cli.screen import print_fields, print_json, print_table, put, shown
from tenure.cli.terms import check_timing, has_timing, with_terms
from tenure.client import Client, Gap, JournalEvent
from tenure.client.calls.schedules import ScheduleChanges, ScheduleTerms
from tenure.core.content import text_of
from tenure.core.event import MessageAdmitted, MessageWithdrawn, RunFinished, RunStarted
from tenure.core.recall import Reason, RecallKind
from tenure.core.schedule import ScheduleState
from tenure.core.scheduling import OccurrenceInfo, Preview, ScheduleInfo

app = typer.Typer()
group = typer.Typer(help="Have things said later: once, at intervals, or by a cron expression.")
app.add_typer(group, name="schedules")

HEADINGS = ("ID", "STATUS", "NEXT", "FOR", "RUNS", "NAME", "WHEN", "SAYS")
OCCURRENCE_HEADINGS = ("DUE", "STATE", "REASON", "OUTCOME", "ATTEMPTS", "SESSION", "RUN")
SHOWN_TEXT = 60

ScheduleId: TypeAlias = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's id.")]
Status = Annotated[
    ScheduleState | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only with this status: active, paused, done or cancelled; all but cancelled ones if left out.",
    ),
]
OfSession = Annotated[
    str | None, typer.Option("--session", metavar="SESSION", help="Only those of a session.")
]
OfAgent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only of this agent.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]
InSession = Annotated[
    str | None, typer.Option("--session", metavar="SESSION", help="The session in which it is said.")
]
WithAgent = Annotated[
    str | None,
    typer.Option("--agent", metavar="NAME", help="An agent that gets a new session each time."),
]
Name = Annotated[str | None, typer.Option("--name", help="A name, which is also the title of new sessions.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask at a terminal.")]


def list_schedules(
    context: typer.Context,
    status: Status = None,
    session: OfSession = None,
    agent: OfAgent = None,
    limit: Limit = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List schedules, the newest first."""
    if is_for_subcommand(context):
        return
    with connected(server, key, home) as client:
        found = list(islice(client.schedules(status=status, session_id=session, agent=agent), limit))
    if as_json:
        for schedule in found:
            print_json(schedule)
        return
    print_table(HEADINGS, [row(schedule) for schedule in found])


group.callback(invoke_without_command=True)(list_schedules)
group.command("list")(list_schedules)


@group.command("add")
@with_terms
def add(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What to say; - reads it from stdin.")],
    *,
    session: InSession = None,
    agent: WithAgent = None,
    name: Name = None,
    reminder: Annotated[
        bool, typer.Option("--reminder", help="Say it as it stands; no agent is asked.")
    ] = False,
    terms: ScheduleTerms,
    yes: Yes = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="Asked twice under one key, one schedule is made."),
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Have a message said later, and print the schedule's id.

    At a terminal you see when it fires before anything is saved.
    """
    check_timing(terms)
    if (session is None) == (agent is None):
        raise typer.BadParameter("Say where: --session SESSION, or --agent NAME for a new session each time.")
    asks = sys.stdin.isatty() and not (yes or as_json or message == "-")
    content = sys.stdin.read() if message == "-" else message
    with connected(server, key, home) as client:
        if asks:
            confirm(client.preview_schedule(session_id=session, agent=agent, **terms))
        made = client.create_schedule(
            content,
            session_id=session,
            agent=agent,
            name=name,
            kind=RecallKind.REMINDER if reminder else RecallKind.TASK,
            idempotency_key=idempotency_key,
            **terms,
        )
    if as_json:
        print_json(made)
    else:
        put(made.id)


@group.command("preview")
@with_terms
def preview(
    *,
    terms: ScheduleTerms,
    session: InSession = None,
    agent: WithAgent = None,
    count: Annotated[int, typer.Option("--count", min=1, max=100, help="How many instants to show.")] = 5,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show when a schedule would fire. Nothing is saved."""
    check_timing(terms)
    with connected(server, key, home) as client:
        found = client.preview_schedule(count=count, session_id=session, agent=agent, **terms)
    if as_json:
        print_json(found)
        return
    for line in preview_lines(found):
        put(line)


@group.command("show")
def show(
    schedule: ScheduleId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show one schedule."""
    with connected(server, key, home) as client:
        report(client.schedule(schedule), as_json=as_json)


@group.command("edit")
@with_terms
def edit(
    schedule: ScheduleId,
    *,
    terms: ScheduleTerms,
    message: Annotated[str | None, typer.Option("--message", help="What to say from now on.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    reminder: Annotated[
        bool | None,
        typer.Option(
            "--reminder/--task", help="Say it as it stands; --task says it to the agent.", show_default=False
        ),
    ] = None,
    no_max_runs: Annotated[bool, typer.Option("--no-max-runs", help="As often as it fires.")] = False,
    no_until: Annotated[bool, typer.Option("--no-until", help="Without an end.")] = False,
    yes: Yes = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Change a schedule. What you leave out stays; another timing replaces the old one whole.

    At a terminal you see when it fires from now on before that is saved.
    """
    changes: ScheduleChanges = {**terms}
    if message is not None:
        changes["message"] = message
    if name is not None:
        changes["name"] = name
    if reminder is not None:
        changes["kind"] = RecallKind.REMINDER if reminder else RecallKind.TASK
    if no_max_runs:
        changes["max_runs"] = None
    if no_until:
        changes["ends_at"] = None
    if not changes:
        raise typer.BadParameter("Say what to change: tenure schedules edit --help lists what can be.")
    asks = sys.stdin.isatty() and has_timing(terms) and not (yes or as_json)
    with connected(server, key, home) as client:
        if asks:
            confirm(client.preview_schedule(**edited(client.schedule(schedule), changes)))
        report(client.update_schedule(schedule, **changes), as_json=as_json)


@group.command("pause")
def pause(
    schedule: ScheduleId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a schedule rest, until it is resumed."""
    with connected(server, key, home) as client:
        report(client.pause_schedule(schedule), as_json=as_json)


@group.command("resume")
def resume(
    schedule: ScheduleId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a schedule go on. What passed meanwhile is treated as its --missed says."""
    with connected(server, key, home) as client:
        report(client.resume_schedule(schedule), as_json=as_json)


@group.command("trigger")
def trigger(
    schedule: ScheduleId,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the answer; exit with 1 if the run fails.")
    ] = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="Asked twice under one key, it fires once."),
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Fire now, once more than the timing says."""
    with connected(server, key, home) as client:
        if follow:
            listen(answer(client, schedule, idempotency_key), as_json=as_json)
            return
        occurrence = client.trigger_schedule(schedule, idempotency_key=idempotency_key)
    if as_json:
        print_json(occurrence)
        return
    print_fields(
        [
            ("occurrence", occurrence.id),
            ("state", occurrence.state),
            ("session", occurrence.session_id),
            ("message", occurrence.message_id),
            ("run", occurrence.run_id),
        ]
    )


@group.command("delete")
def delete(
    schedule: ScheduleId,
    yes: Yes = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End a schedule for good. Its history can still be read."""
    with connected(server, key, home) as client:
        if sys.stdin.isatty() and not yes:
            found = client.schedule(schedule)
            if not typer.confirm(f"End {schedule} ({found.name or brief(found)}) for good?"):
                raise Stop(Exit.OK, "Nothing was ended.")
        client.delete_schedule(schedule)
    if as_json:
        print_json({"id": schedule, "deleted": True})


@group.command("history")
def history(
    schedule: ScheduleId,
    limit: Limit = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List what became of a schedule's occurrences, the newest first; the next one stands before them."""
    with connected(server, key, home) as client:
        zone = client.schedule(schedule).timezone
        found = list(islice(client.occurrences(schedule), limit))
    if as_json:
        for occurrence in found:
            print_json(occurrence)
        return
    print_table(OCCURRENCE_HEADINGS, [occurrence_row(occurrence, zone) for occurrence in found])


def confirm(found: Preview) -> None:
    """Show what would be saved, and ask. Raises Stop if it isn't wanted."""
    for line in preview_lines(found):
        print(line, file=sys.stderr)
    if not typer.confirm("Save this schedule?", default=True, err=True):
        raise Stop(Exit.OK, "Nothing was saved.")


def edited(schedule: ScheduleInfo, changes: ScheduleChanges) -> ScheduleTerms:
    """When a schedule fires once it is changed, as far as a preview tells of it."""
    kept: ScheduleTerms = {"ends_at": schedule.ends_at}
    if "cron" in changes and schedule.timezone is not None:
        kept["timezone"] = schedule.timezone
    names = set(ScheduleTerms.__annotations__)
    return cast("ScheduleTerms", {**kept, **{n: value for n, value in changes.items() if n in names}})


def preview_lines(found: Preview) -> list[str]:
    """A schedule in words, the instants it would fire at, and what may surprise."""
    return [
        shown(found.explanation),
        *(f"  {moment(text)}" for text in found.next),
        *(f"Mind: {shown(warning)}" for warning in found.warnings),
    ]


def moment(text: str | None, zone: str | None = None) -> str | None:
    """An instant as people read it, with weekday and offset; in `zone` if one is given, else in its own."""
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    try:
        there = at if zone is None else at.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # The server knows a zone that this machine doesn't.
        there = at
    return f"{there:%a} {there.isoformat(' ', 'seconds')}"


def answer(client: Client, schedule: str, key: str | None) -> Iterator[JournalEvent]:
    """Fire a schedule, and follow its message and its run to the end."""
    session = client.schedule(schedule).session_id
    after = 0 if session is None else client.session(session).head_seq
    occurrence = client.trigger_schedule(schedule, idempotency_key=key)
    assert occurrence.session_id is not None
    assert occurrence.message_id is not None
    return of_message(client.follow(occurrence.session_id, after), occurrence.message_id)


def of_message(events: Iterable[JournalEvent | Gap], message_id: str) -> Iterator[JournalEvent]:
    """The events of a message and of the run that takes it, to its end."""
    run: str | None = None
    for item in events:
        if isinstance(item, Gap):
            continue
        match item.event:
            case RunStarted(trigger=trigger) if trigger.message == message_id:
                run = item.run_id
            case MessageAdmitted(message_id=about) | MessageWithdrawn(message_id=about):
                if about == message_id:
                    yield item
            case _:
                pass
        if run is not None and item.run_id == run:
            yield item
        if isinstance(item.event, MessageWithdrawn) and item.event.message_id == message_id:
            return
        if isinstance(item.event, RunFinished) and item.run_id == run:
            return


def report(schedule: ScheduleInfo, *, as_json: bool) -> None:
    """Print one schedule."""
    if as_json:
        print_json(schedule)
        return
    zone = schedule.timezone
    print_fields(
        [
            ("id", schedule.id),
            ("name", schedule.name),
            ("status", status_of(schedule)),
            ("when", schedule.explanation),
            ("next", moment(schedule.next_at, zone)),
            ("for", place(schedule)),
            ("says", f"{text_of(schedule.message)}{' (a reminder)' if is_reminder(schedule) else ''}"),
            ("missed", missed_of(schedule)),
            ("overlap", schedule.overlap),
            ("retries", retries_of(schedule)),
            ("failures in a row", failures_of(schedule)),
            ("runs", schedule.runs),
            ("last", schedule.last and last_of(schedule.last, zone)),
            ("made by run", schedule.made_by),
            ("owner", f"{schedule.owner} of {schedule.tenant}"),
            ("made", schedule.created_at),
            ("updated", schedule.updated_at),
        ]
    )


def is_reminder(schedule: ScheduleInfo) -> bool:
    """Whether no agent is asked."""
    return schedule.kind == RecallKind.REMINDER


def status_of(schedule: ScheduleInfo) -> str:
    """A schedule's status, and why it has it."""
    reason = schedule.reason
    return f"{schedule.status}: {why(reason)}" if reason and reason != Reason.FINISHED else schedule.status


def missed_of(schedule: ScheduleInfo) -> str:
    """What is made up for."""
    return f"all, {schedule.missed_max} at most" if schedule.missed == "all" else schedule.missed


def retries_of(schedule: ScheduleInfo) -> str | None:
    """How often a failed occurrence is tried again, and when."""
    return f"{schedule.retries}, after {schedule.backoff_s:g} s, doubling" if schedule.retries else None


def failures_of(schedule: ScheduleInfo) -> str:
    """How many failed one after the other, and how many may."""
    most = schedule.pause_after_failures
    return f"{schedule.failures}, pauses at {most}" if most else str(schedule.failures)


def last_of(last: OccurrenceInfo, zone: str | None) -> str:
    """The newest occurrence in a line."""
    said = [moment(last.due_at, zone), last.state, last.reason and plain(last.reason), last.outcome]
    return ", ".join(part for part in said if part)


def place(schedule: ScheduleInfo) -> str:
    """Where it is said."""
    return schedule.session_id or f"{schedule.agent}, a new session each time"


def brief(schedule: ScheduleInfo) -> str:
    """The beginning of what is said."""
    text = " ".join(text_of(schedule.message).split())
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"


def plain(word: str) -> str:
    """A reason of the protocol as people write it."""
    return word.replace("_", " ")


def row(schedule: ScheduleInfo) -> tuple[object, ...]:
    """A schedule as a line of the table."""
    return (
        schedule.id,
        schedule.status,
        moment(schedule.next_at, schedule.timezone),
        schedule.session_id or f"new, {schedule.agent}",
        schedule.runs,
        schedule.name,
        schedule.explanation,
        brief(schedule),
    )


def outcome_of(occurrence: OccurrenceInfo, zone: str | None) -> str | None:
    """How the run of an occurrence ended, and when it is tried again."""
    again = moment(occurrence.retry_at, zone)
    return f"{occurrence.outcome}, again {again}" if again else occurrence.outcome


def occurrence_row(occurrence: OccurrenceInfo, zone: str | None) -> tuple[object, ...]:
    """An occurrence as a line of the table."""
    return (
        moment(occurrence.due_at, zone),
        occurrence.state,
        occurrence.reason and plain(occurrence.reason),
        outcome_of(occurrence, zone),
        occurrence.attempts,
        occurrence.session_id,
        occurrence.run_id,
    )
