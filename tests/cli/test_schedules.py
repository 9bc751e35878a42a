"""`tenure schedules`: what its commands print, what they do, and how they end."""

import pytest

from tenure.cli.recalls import why
from tenure.cli.speech import note_of
from tenure.client import Client
from tenure.core.event import (
    RecallChanged,
    RecallFired,
    RecallMissed,
    RecallRetrying,
    RecallSkipped,
    RunFinished,
)
from tenure.core.principal import Role
from tenure.core.recall import Reason, RecallKind
from tenure.core.scheduling import ScheduleInfo
from tests.cli.conftest import Began, Run, Start

NINE, TEN = "2026-11-23T09:00:00.000000Z", "2026-11-23T10:00:00.000000Z"
WORKDAYS = ("--cron", "30 9 * * 1-5", "--timezone", "Europe/Berlin")


def spoken(text: str) -> str:
    """What a framed refusal says, on one line."""
    return " ".join(text.replace("│", " ").split())


def finished(client: Client, session: str) -> None:
    """Wait until a run of the session has ended."""
    for _ in client.follow(session, until=lambda event: isinstance(event.event, RunFinished)):
        pass


def made(client: Client, session: str) -> ScheduleInfo:
    """The one schedule of a session."""
    (schedule,) = client.schedules(session_id=session)
    return schedule


@pytest.mark.sources("N14")
def test_a_reminder_is_said_when_it_is_due(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = tenure("schedules", "add", "Stretch", "--session", session, "--in", "0.1s", "--reminder")

    schedule = made(client, session)
    assert (ran.code, ran.out, ran.err) == (0, f"{schedule.id}\n", "")
    finished(client, session)
    assert [(item.role, item.text) for item in client.transcript(session).data] == [
        ("user", "Stretch"),
        ("assistant", "Stretch"),
    ]
    due, line = tenure("schedules", "history", schedule.id).out.splitlines()
    assert due.split() == ["DUE", "STATE", "REASON", "OUTCOME", "ATTEMPTS", "SESSION", "RUN"]
    assert line.split()[3:] == ["admitted", "-", "completed", "1", session, next(client.runs(session)).id]


def test_every_option_of_add_reaches_the_schedule(tenure: Run, client: Client) -> None:
    ran = tenure(
        *("schedules", "add", "SAY report", "--agent", "scripted", *WORKDAYS, "--name", "Report"),
        *("--missed", "all", "--missed-max", "3", "--overlap", "skip", "--jitter", "1m", "--max-runs", "9"),
        *("--until", "2030-01-01 00:00", "--retries", "2", "--backoff", "1m30s"),
        *("--pause-after-failures", "0", "--json"),
    )

    (kept,) = ran.values
    client.delete_schedule(str(kept["id"]))
    expected = {
        "session_id": None,
        "agent": "scripted",
        "message": "SAY report",
        "kind": "task",
        "name": "Report",
        "cron": "30 9 * * 1-5",
        "timezone": "Europe/Berlin",
        "missed": "all",
        "missed_max": 3,
        "overlap": "skip",
        "jitter_s": 60.0,
        "max_runs": 9,
        "ends_at": "2029-12-31T23:00:00.000000Z",
        "retries": 2,
        "backoff_s": 90.0,
        "pause_after_failures": 0,
    }
    assert {name: kept[name] for name in expected} == expected


def test_message_is_read_from_stdin(piped: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = piped("schedules", "add", "-", "--session", session, "--in", "1h", given="SAY from a pipe")

    assert ran.out.strip() == made(client, session).id
    assert made(client, session).message == "SAY from a pipe"


def test_preview_shows_weekday_and_local_time_of_the_next_fires(tenure: Run) -> None:
    ran = tenure("schedules", "preview", "--cron", "0 12 29 2 *", "--timezone", "Asia/Tokyo", "--count", "2")

    said, *lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert said.endswith("(Asia/Tokyo)")
    assert lines[:2] == ["  Tue 2028-02-29 12:00:00+09:00", "  Sun 2032-02-29 12:00:00+09:00"]


def test_preview_as_json_is_what_the_server_says(tenure: Run) -> None:
    (value,) = tenure("schedules", "preview", *WORKDAYS, "--count", "1", "--json").values

    assert set(value) == {"explanation", "next", "warnings"}
    assert len(value["next"]) == 1  # pyright: ignore[reportArgumentType]


def test_terminal_shows_the_next_fires_before_anything_is_saved(at_terminal: Start, client: Client) -> None:
    session = client.open_session("scripted").id

    refused = at_terminal("schedules", "add", "SAY hi", "--session", session, *WORKDAYS)
    seen = refused.expect("Save this schedule? [Y/n]: ")
    assert seen.count("09:30:00+0") == 5
    assert list(client.schedules(session_id=session)) == []
    refused.type("n\n")
    assert refused.ended() == 0
    assert "Nothing was saved." in refused.whole
    assert list(client.schedules(session_id=session)) == []

    wanted = at_terminal("schedules", "add", "SAY hi", "--session", session, *WORKDAYS)
    wanted.expect("[Y/n]: ")
    wanted.type("\n")
    assert wanted.ended() == 0
    assert made(client, session).id in wanted.whole


def test_terminal_shows_when_an_edited_schedule_fires_and_keeps_its_zone(
    at_terminal: Start, client: Client
) -> None:
    session = client.open_session("scripted").id
    schedule = client.create_schedule("SAY hi", session_id=session, cron="0 9 * * *", timezone="Asia/Tokyo")

    edit = at_terminal("schedules", "edit", schedule.id, "--cron", "0 10 * * *")
    assert edit.expect("[Y/n]: ").count(" 10:00:00+09:00") == 5
    assert made(client, session).cron == "0 9 * * *"
    edit.type("y\n")

    assert edit.ended() == 0
    assert (made(client, session).cron, made(client, session).timezone) == ("0 10 * * *", "Asia/Tokyo")


def test_delete_asks_at_a_terminal(at_terminal: Start, client: Client) -> None:
    session = client.open_session("scripted").id
    schedule = client.create_schedule("SAY hi", session_id=session, in_s=3600).id

    kept = at_terminal("schedules", "delete", schedule)
    kept.expect(f"End {schedule} (SAY hi) for good? [y/N]: ")
    kept.type("\n")

    assert kept.ended() == 0
    assert made(client, session).status == "active"


def test_list_shows_each_schedule_on_a_line_however_narrow_the_terminal(
    tenure: Run, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    session = client.open_session("scripted").id
    schedule = client.create_schedule("SAY [red]hi\nthere", session_id=session, cron="0 9 * * *", name="N")

    bare = tenure("schedules", "--session", session)
    named = tenure("schedules", "list", "--session", session)

    assert bare == named
    heading, line = bare.out.splitlines()
    assert heading.split() == ["ID", "STATUS", "NEXT", "FOR", "RUNS", "NAME", "WHEN", "SAYS"]
    assert line.split()[:2] == [schedule.id, "active"]
    assert line.split()[4:8] == ["09:00:00+00:00", session, "0", "N"]
    assert line.endswith("SAY [red]hi there")
    assert [v["id"] for v in tenure("schedules", "--session", session, "--json").values] == [schedule.id]


def test_schedule_rests_goes_on_changes_and_ends(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    schedule = client.create_schedule("SAY hi", session_id=session, every_s=3600, max_runs=5).id

    def show(*command: str) -> list[list[str]]:
        ran = tenure("schedules", *command)
        assert (ran.code, ran.err) == (0, "")
        return [line.split() for line in ran.out.splitlines()]

    assert ["status", "paused:", "somebody", "asked", "for", "it"] in show("pause", schedule)
    assert ["status", "active"] in show("resume", schedule)
    edited = show("edit", schedule, "--message", "SAY ho", "--reminder", "--in", "2h", "--no-max-runs")
    assert ["says", "SAY", "ho", "(a", "reminder)"] in edited
    assert (made(client, session).every_s, made(client, session).max_runs) == (None, None)
    assert show("delete", schedule) == []
    assert ["status", "cancelled:", "somebody", "asked", "for", "it"] in show("show", schedule)
    assert tenure("schedules", "--session", session, "--json").values == []
    gone = tenure("schedules", "--session", session, "--status", "cancelled", "--json").values
    assert [value["id"] for value in gone] == [schedule]


def test_trigger_fires_once_more_and_follow_shows_the_answer(tenure: Run, client: Client) -> None:
    schedule = client.create_schedule("SAY now", agent="scripted", in_s=86_400).id

    receipt = tenure("schedules", "trigger", schedule, "--idempotency-key", f"once-{schedule}", "--json")
    again = tenure("schedules", "trigger", schedule, "--idempotency-key", f"once-{schedule}", "--json")
    followed = tenure("schedules", "trigger", schedule, "--follow")

    assert receipt.values == again.values
    assert (receipt.values[0]["state"], receipt.values[0]["reason"]) == ("admitted", "asked")
    assert (followed.code, followed.out) == (0, "now\n")
    assert len(list(client.sessions(labels={"schedule": schedule}))) == 2
    assert len(tenure("schedules", "history", schedule, "--json").values) == 3


def test_following_a_fired_run_waits_behind_the_live_one_and_ends_with_its_outcome(
    tenure: Run, client: Client
) -> None:
    session = client.open_session("scripted").id
    schedule = client.create_schedule("FAIL no luck", session_id=session, in_s=86_400).id
    client.send(session, "SLOW 10 30")

    ran = tenure("schedules", "trigger", schedule, "--follow")

    assert (ran.code, ran.out) == (1, "")
    assert "failed" in ran.err
    assert "w1" not in ran.err


def test_chat_shows_recalls_as_recalls(at_terminal: Start, client: Client) -> None:
    session = client.open_session("scripted").id
    chat = at_terminal("chat", "--session", session)
    chat.expect("> ")

    daily = client.create_schedule("SAY hi", session_id=session, cron="0 9 * * *").id
    chat.expect(f"(scheduled, {daily}: At 09:00")
    client.pause_schedule(daily)
    chat.expect(f"(the schedule {daily} is paused, by admin)")
    client.create_schedule("Stretch", session_id=session, in_s=0.05, kind=RecallKind.REMINDER)
    chat.expect("reminder for admin:\r\nStretch\r\n> ")
    client.create_schedule("FAIL no", session_id=session, in_s=0.05, retries=1, backoff_s=0.05)
    for _ in range(2):
        chat.expect("recall for admin: FAIL no\r\n")
        chat.expect("(failed: no)")
    client.send(session, "ASK shall I?")
    chat.expect("confirm waits for your approval")
    client.trigger_schedule(daily)
    chat.expect("recall for admin: SAY hi\r\n(the recall waits in line)")
    client.deny(next(iter(client.approvals(session_id=session))).id)
    chat.expect("hi\r\n> ")


def test_watch_shows_the_events_of_a_recall(client: Client, started: Began) -> None:
    session = client.open_session("scripted").id
    client.create_schedule("Stretch", session_id=session, in_s=0.05)
    for _ in client.follow(session, until=lambda event: isinstance(event.event, RecallFired)):
        pass

    watch = started("watch", session)

    types = [watch.line().split()[2] for _ in range(3)]
    assert types == ["session.created", "recall.scheduled", "recall.fired"]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (
            RecallMissed(schedule_id="sch_1", count=1, first=NINE, last=NINE, reason="late"),
            "the recall of 2026-11-23 09:00:00 UTC was missed: it was too late",
        ),
        (
            RecallMissed(schedule_id="sch_1", count=24, first=NINE, last=TEN, reason="paused"),
            "24 recalls were missed, 2026-11-23 09:00:00 UTC to 2026-11-23 10:00:00 UTC: it was paused",
        ),
        (
            RecallSkipped(schedule_id="sch_1", occurrence="", due_at=NINE, reason="overlap"),
            "the recall of 2026-11-23 09:00:00 UTC is left out: the session was busy",
        ),
        (
            RecallRetrying(schedule_id="sch_1", occurrence="", attempt=2, retry_at=TEN),
            "the recall failed, and is tried again at 2026-11-23 10:00:00 UTC, attempt 2",
        ),
        (
            RecallChanged(schedule_id="sch_1", status="paused", by="host", reason="failures"),
            "the schedule sch_1 is paused, too many of its runs failed in a row",
        ),
        (
            RecallChanged(schedule_id="sch_1", status="active", by="ann", reason="asked", next_at=TEN),
            "the schedule sch_1 is active, by ann; next at 2026-11-23 10:00:00 UTC",
        ),
        (RecallChanged(schedule_id="sch_1", status="done", by="host", reason="finished"), ""),
    ],
)
def test_events_of_schedules_are_told_in_words(event: object, says: str) -> None:
    assert note_of(event) == says


def test_every_reason_for_which_a_schedule_pauses_or_leaves_out_is_told_in_words() -> None:
    told = {reason: why(reason) for reason in Reason if reason not in (Reason.ASKED, Reason.FINISHED)}

    assert [reason for reason, words in told.items() if " " not in words] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Say when: --in 2h"),
        (("--in", "1h"), "Say where: --session SESSION, or --agent NAME"),
        (("--in", "1h", "--every", "2h"), "--in and --every exclude one another"),
        (("--in", "90"), "'90' is no span of time. Write a number and its unit"),
        (("--in", "1h 30m"), "is no span of time"),
        (("--every", "-5s"), "is no span of time"),
        (("--at", "2027-03-28 02:30", "--timezone", "Europe/Berlin"), "doesn't exist in Europe/Berlin"),
        (("--at", "2027-03-28 02:30", "--timezone", "Mars"), "There is no time zone 'Mars'"),
        (("--agent", "scripted", "--at", "0001-01-01 00:00", "--timezone", "Asia/Tokyo"), "at is"),
        (("--agent", "scripted", "--at", "soon"), "Write it like 2027-01-31T12:00:00Z"),
        (("--agent", "scripted", "--at", "2020-01-01T00:00Z"), "which is past"),
        (("--agent", "scripted", "--cron", "61 * * * *"), "'61 * * * *' can't be used"),
        (("--agent", "scripted", "--cron", "* * * * *", "--timezone", "Mars"), "no time zone 'Mars'"),
        (("--agent", "scripted", "--in", "1h", "--timezone", "UTC"), "timezone"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_the_way_out(
    tenure: Run, arguments: tuple[str, ...], says: str
) -> None:
    ran = tenure("schedules", "add", "SAY hi", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert says in spoken(ran.err)


def test_viewer_sees_schedules_and_makes_none(tenure: Run, client: Client) -> None:
    viewer = client.create_key("vera", Role.VIEWER)

    seen = tenure("schedules", "--key", viewer.key)
    made = tenure("schedules", "add", "x", "--agent", "scripted", "--in", "1h", "--key", viewer.key)

    assert (seen.code, made.code, made.out) == (0, 4, "")
    assert "viewer" in made.err


def test_added_twice_under_one_key_one_schedule_is_made(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    add = ("schedules", "add", "x", "--session", session, "--at", "2030-01-01", "--idempotency-key", session)

    assert tenure(*add).out == tenure(*add).out == f"{made(client, session).id}\n"


def test_exit_codes_tell_what_is_missing_apart(tenure: Run) -> None:
    nowhere = "sch_" + "0" * 32

    codes = [tenure("schedules", verb, nowhere).code for verb in ("show", "pause", "trigger", "history")]
    assert codes == [3, 3, 3, 3]
    assert tenure("schedules", "add", "x", "--agent", "nobody", "--in", "1h").code == 3
    assert tenure("schedules", "edit", nowhere).code == 2


def test_span_is_the_sum_of_its_parts(tenure: Run) -> None:
    (value,) = tenure("schedules", "preview", "--every", "1d2h3m4.5s", "--json").values

    first, second = value["next"][:2]  # pyright: ignore[reportIndexIssue,reportUnknownVariableType]
    assert first != second
    assert "93784.5 s" in str(value["explanation"])


def test_local_time_takes_the_offset_of_its_day(tenure: Run, client: Client) -> None:
    ran = tenure(
        *("schedules", "add", "x", "--agent", "scripted"),
        *("--at", "2030-07-01 09:00", "--timezone", "Europe/Berlin", "--json"),
    )

    client.delete_schedule(str(ran.values[0]["id"]))
    assert ran.values[0]["at"] == "2030-07-01T07:00:00.000000Z"
