"""The commands that ask a server: what they print, what they do, and how they end."""

import signal
from pathlib import Path

import pytest
from typer.core import TyperCommand

from tenure.cli.main import COMMANDS
from tenure.client import Client
from tenure.core.principal import Role
from tests.cli.conftest import Began, Run
from tests.client.both import is_finished
from tests.client.hosted import Hosted
from tools.reference.commands import listed

NOWHERE = "ses_" + "0" * 32


def test_agents_are_listed_with_what_they_are(tenure: Run) -> None:
    ran = tenure("agents")

    assert (ran.code, ran.err) == (0, "")
    heading, *lines = ran.out.splitlines()
    assert heading.split() == ["NAME", "RUNNER", "WELL", "DEADLINE", "DESCRIPTION"]
    assert [line.split()[0] for line in lines] == ["concierge", "longhaul", "reporter", "scripted"]


def test_agents_as_json_are_one_a_line(tenure: Run) -> None:
    ran = tenure("agents", "--json")

    assert [value["name"] for value in ran.values] == ["concierge", "longhaul", "reporter", "scripted"]


def test_hosts_are_listed_and_the_one_that_answers_is_marked(tenure: Run) -> None:
    ran, as_json = tenure("hosts"), tenure("hosts", "--json")

    assert (ran.code, ran.err) == (0, "")
    heading, line = ran.out.splitlines()
    assert heading.split() == ["HOST", "ID", "VERSION", "RUNS", "SLOTS", "STATE", "LEASE", "SINCE"]
    assert " * " in line
    assert "serving" in line
    assert [(host["self"], host["lease_left_s"]) for host in as_json.values] == [(True, None)]


def test_opened_session_is_printed_as_its_id_alone(tenure: Run, client: Client) -> None:
    ran = tenure("sessions", "open", "scripted", "--title", "A [red]trip", "--label", "team=blue")

    assert (ran.code, ran.err) == (0, "")
    opened = client.session(ran.out.strip())
    assert (opened.title, opened.labels) == ("A [red]trip", {"team": "blue"})


def test_sessions_are_listed_by_label_with_or_without_the_word_list(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted", title="A [red]trip", labels={"only": "this"})

    bare = tenure("sessions", "--label", "only=this")
    named = tenure("sessions", "list", "--label", "only=this")
    as_json = tenure("sessions", "--label", "only=this", "--json")

    assert bare == named
    heading, line = bare.out.splitlines()
    assert heading.split()[0] == "ID"
    assert line.split()[:4] == [session.id, "scripted", "idle", "admin"]
    assert line.rstrip().endswith("A [red]trip")
    assert [value["id"] for value in as_json.values] == [session.id]


def test_options_in_front_of_a_subcommand_are_refused_because_they_would_be_lost(
    tenure: Run,
) -> None:
    ran = tenure("sessions", "--json", "show", NOWHERE)

    assert ran.code == 2
    assert "Options belong behind the subcommand" in ran.err


def test_label_without_a_name_is_refused(tenure: Run) -> None:
    ran = tenure("sessions", "open", "scripted", "--label", "blue")

    assert ran.code == 2
    assert "NAME=VALUE" in ran.err


def test_session_is_shown_renamed_closed_and_reopened(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    assert session in tenure("sessions", "show", session).out
    assert tenure("sessions", "rename", session, "New", "--json").values[0]["title"] == "New"
    assert tenure("sessions", "close", session, "--json").values[0]["status"] == "closed"
    assert tenure("sessions", "reopen", session, "--json").values[0]["status"] == "idle"
    assert client.session(session).title == "New"


def test_session_is_deleted_without_a_question_where_nobody_could_answer(piped: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    assert piped("sessions", "delete", session) == (0, "", "")
    assert session not in {found.id for found in client.sessions()}


def test_send_prints_the_receipt(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = tenure("send", session, "SAY hi", "--json")

    (receipt,) = ran.values
    assert (receipt["disposition"], receipt["queue_position"]) == ("started", 0)
    assert set(receipt) == {"message_id", "run_id", "disposition", "queue_position", "seq"}


def test_send_with_wait_prints_what_the_agent_says(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = tenure("send", session, "REASON quietly\nSAY hello\nSLOW 3 5", "--wait")

    assert (ran.code, ran.out) == (0, "hellow0 w1 w2 \n")
    assert ran.err == "quietly\n"


def test_send_with_wait_exits_with_1_if_the_run_failed(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = tenure("send", session, "SAY so far\nFAIL no luck", "--wait")

    assert ran == (1, "so far\n", "(failed: no luck)\n")


def test_send_with_wait_and_json_prints_the_events(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = tenure("send", session, "FAIL", "--wait", "--json")

    assert ran.code == 1
    assert ran.values[0]["type"] == "message.admitted"
    assert ran.values[-1]["type"] == "run.finished"


def test_send_reads_the_text_from_stdin(piped: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = piped("send", session, "-", "--wait", given="SAY one\nSAY two\n")

    assert ran.code == 0
    assert client.transcript(session).data[0].content == "SAY one\nSAY two\n"


def test_same_idempotency_key_sends_once(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    first = tenure("send", session, "SAY hi", "--idempotency-key", f"k-{session}", "--json")
    second = tenure("send", session, "SAY hi", "--idempotency-key", f"k-{session}", "--json")

    assert first.values == second.values


def test_busy_session_that_is_to_refuse_exits_with_2(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    client.send(session, "SLOW 1000 20")

    ran = tenure("send", session, "SAY hi", "--when-busy", "reject")
    client.interrupt(session)

    assert ran.code == 2
    assert session in ran.err and "when_busy=queue" in ran.err


def test_stop_ends_the_live_run(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    receipt = client.send(session, "SLOW 1000 20")

    ran = tenure("stop", session, "--json")
    list(client.follow(session, until=is_finished))

    assert ran.values[0]["run_id"] == receipt.run_id
    assert receipt.run_id is not None and client.run(receipt.run_id).status == "cancelled"


def test_stop_without_a_live_run_exits_with_2(tenure: Run, client: Client) -> None:
    ran = tenure("stop", client.open_session("scripted").id)

    assert ran.code == 2
    assert ran.err.strip()


def test_runs_lists_those_of_a_session_or_shows_one(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    list(client.say(session, "FAIL no luck"))
    (run,) = client.runs(session)

    listed = tenure("runs", session)
    shown = tenure("runs", run.id)
    as_json = tenure("runs", run.id, "--json")

    assert listed.out.splitlines()[1].split()[:4] == [run.id, "failed", "no", "luck"]
    assert run.id in shown.out and "no luck" in shown.out
    assert as_json.values[0]["status"] == "failed"


def test_watch_prints_events_from_a_number_on_until_the_session_is_deleted(
    started: Began, client: Client
) -> None:
    session = client.open_session("scripted").id
    list(client.say(session, "SAY hi"))

    watch = started("watch", session, "--after", "3")
    lines = [watch.line() for _ in range(3)]
    client.delete_session(session)

    assert [line.split()[0] for line in lines] == ["4", "5", "6"]
    assert [line.split()[2] for line in lines] == [
        "message.delta",
        "message.completed",
        "run.finished",
    ]
    assert "session.deleted" in watch.line()
    assert watch.ended() == (0, "", "")


def test_watch_with_raw_prints_the_events_as_they_are_stored(started: Began, client: Client) -> None:
    session = client.open_session("scripted").id
    list(client.say(session, "SAY hi"))
    stored = [event.raw for event in client.events(session).data]

    watch = started("watch", session, "--raw")
    lines = [watch.line() for _ in stored]
    client.delete_session(session)

    assert lines == stored
    assert watch.ended().code == 0


def test_watch_interrupted_by_ctrl_c_exits_with_130_and_says_nothing(started: Began, client: Client) -> None:
    watch = started("watch", client.open_session("scripted").id)
    watch.line()

    watch.process.send_signal(signal.SIGINT)

    assert watch.ended() == (130, "", "")


def test_output_that_nobody_reads_any_more_ends_quietly(started: Began, client: Client) -> None:
    session = client.open_session("scripted").id
    list(client.say(session, "BURST 2000"))

    watch = started("watch", session)
    watch.line()
    watch.stop_reading()

    assert watch.ended() == (0, "", "")


def test_key_is_created_printed_once_listed_and_revoked(tenure: Run, hosted: Hosted, client: Client) -> None:
    made = tenure("keys", "create", "--user", "ann", "--role", "viewer", "--tenant", "acme")
    key = made.out.strip()

    with Client(hosted.url, key) as ann:
        me = ann.whoami()
    listed = tenure("keys", "--json").values
    revoked = tenure("keys", "revoke", me.key_id)

    assert (me.user, me.tenant, me.role) == ("ann", "acme", "viewer")
    assert "shown only now" in made.err
    assert [value["user"] for value in listed if value["id"] == me.key_id] == ["ann"]
    assert "key" not in listed[0]
    assert revoked == (0, "", "")
    assert [k.revoked_at is None for k in client.keys() if k.id == me.key_id] == [False]  # noqa: SIM118


def test_unknown_session_exits_with_3_and_names_it(tenure: Run) -> None:
    for command in (("sessions", "show"), ("runs",), ("watch",), ("stop",)):
        ran = tenure(*command, NOWHERE)

        assert (ran.code, ran.out) == (3, "")
        assert NOWHERE in ran.err and "Traceback" not in ran.err


def test_unknown_agent_exits_with_3(tenure: Run) -> None:
    ran = tenure("sessions", "open", "nobody")

    assert ran.code == 3
    assert "nobody" in ran.err


def test_wrong_key_exits_with_4(tenure: Run) -> None:
    ran = tenure("agents", "--key", "tnr_wrong")

    assert ran.code == 4
    assert "tnr_wrong" not in ran.err and ran.err.strip()


def test_role_that_is_too_weak_exits_with_4(tenure: Run, client: Client) -> None:
    viewer = client.create_key("vera", Role.VIEWER, tenant="acme")

    ran = tenure("sessions", "open", "scripted", "--key", viewer.key)

    assert ran.code == 4
    assert "viewer" in ran.err


def test_full_queue_exits_with_5(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    client.send(session, "SLOW 1000 100")
    for _ in range(100):
        client.send(session, "SAY hi")

    ran = tenure("send", session, "SAY one too many")
    client.delete_session(session)

    assert ran.code == 5
    assert "100" in ran.err


def test_unreachable_server_exits_with_6_and_says_how_to_start_one(tenure: Run, tmp_path: Path) -> None:
    nobody = tenure("agents", "--server", "http://127.0.0.1:1")
    no_home = tenure("agents", "--home", str(tmp_path))

    assert (nobody.code, no_home.code) == (6, 6)
    assert nobody.err == (
        "http://127.0.0.1:1 can't be reached: [Errno 111] Connection refused. Start the server "
        "with `tenure serve`, or name another with --server or TENURE_SERVER.\n"
    )
    assert str(tmp_path) in no_home.err and "tenure serve" in no_home.err


def test_address_that_is_none_exits_with_2(tenure: Run) -> None:
    ran = tenure("agents", "--server", "127.0.0.1")

    assert ran.code == 2
    assert "'127.0.0.1'" in ran.err


@pytest.mark.parametrize(
    "wrong",
    [
        ("fly",),
        ("agents", "--fast"),
        ("send", NOWHERE),
        ("watch", NOWHERE, "--after", "-1"),
        ("keys", "create", "--user", "ann", "--role", "king"),
    ],
)
def test_wrong_usage_exits_with_2(tenure: Run, wrong: tuple[str, ...]) -> None:
    ran = tenure(*wrong)

    assert (ran.code, ran.out) == (2, "")
    assert "Usage: tenure" in ran.err


def test_help_lists_every_command_and_each_command_has_its_own(tenure: Run) -> None:
    whole = tenure("--help").out

    for name in COMMANDS:
        assert f" {name} " in whole
        ran = tenure(name, "--help")
        assert ran.code == 0
        assert f"Usage: tenure {name}" in ran.out


ASKING_NOBODY = {"serve", "demo", "doctor", "backup", "restore", "migrate", "import"}
"""They are a server, or work on a home or a database themselves."""
ASKING = [
    pytest.param(one.command, id=one.words)
    for one in listed()
    if isinstance(one.command, TyperCommand) and one.words not in ASKING_NOBODY
]


@pytest.mark.parametrize("command", ASKING)
def test_every_command_that_asks_a_server_can_name_it_and_answer_in_json(command: TyperCommand) -> None:
    offered = {option for parameter in command.params for option in parameter.opts}

    assert offered >= {"--server", "--key", "--home", "--json"}


def test_a_session_is_exported_to_one_file_and_never_over_another(
    tenure: Run, client: Client, tmp_path: Path
) -> None:
    session = client.open_session("scripted")
    path = tmp_path / "kept.tenure"

    first = tenure("export", session.id, "--out", str(path), "--json")
    again = tenure("export", session.id, "--out", str(path))
    forced = tenure("export", session.id, "--out", str(path), "--force")

    assert (first.code, first.values[0]["head_seq"]) == (0, 1)
    assert (again.code, again.out) == (2, "")
    assert f"{path} is there already" in again.err
    assert (forced.code, forced.out.splitlines()[0].split()[-1]) == (0, str(path))


def test_a_live_run_is_steered_from_the_terminal(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted")
    client.send(session.id, "SLOW 1000 20")
    waiting = client.send(session.id, "later")

    steered = tenure("steer", session.id, "faster", "--json")
    sent_now = tenure("steer", session.id, "--message", waiting.message_id, "--json")
    neither = tenure("steer", session.id)

    assert (steered.code, steered.values[0]["disposition"]) == (0, "steered")
    assert (sent_now.code, sent_now.values[0]["message_id"]) == (0, waiting.message_id)
    assert neither.code == 2
