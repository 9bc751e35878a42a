"""The server as a program: how it starts, whom it refuses, and how it ends."""

import json
import signal
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tenure.cli.server import check_bind
from tenure.client import Client
from tenure.config import Settings
from tenure.errors import ConfigError
from tests.cli.conftest import Began, Begun, Run
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted

GREETER = """
import tenure


@tenure.agent("greeter")
async def greeter(run: tenure.Run):
    yield f"Hello, {run.message.text}!"
"""


def begun(started: Began, home: Path, *more: str) -> tuple[Begun, str]:
    """A server on a home of its own, and its address."""
    server = started("serve", "--home", str(home), "--port", "0", "--json", *more)
    said = server.line()
    assert said, server.ended()
    return server, json.loads(said)["url"]


def test_server_answers_where_it_says_and_leaves_its_address_in_the_home(
    started: Began, tmp_path: Path
) -> None:
    server, url = begun(started, tmp_path, "--demo")

    address = tmp_path / "server.json"
    assert json.loads(address.read_text()) == {"url": url, "pid": server.process.pid}
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    with Client(home=tmp_path) as client:
        assert client.address == url
        assert [agent.name for agent in client.agents()] == ["concierge", "longhaul", "reporter", "scripted"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_server_in_good_order(started: Began, tmp_path: Path, number: signal.Signals) -> None:
    server, _ = begun(started, tmp_path)

    server.process.send_signal(number)

    assert server.ended() == (0, "", "")
    assert not (tmp_path / "server.json").exists()


def test_people_are_told_address_home_agents_how_to_chat_and_the_way_into_the_console(
    started: Began, tmp_path: Path
) -> None:
    server = started("serve", "--home", str(tmp_path), "--port", "0", "--demo")
    lines = [server.line() for _ in range(6)]

    url = json.loads((tmp_path / "server.json").read_text())["url"]
    assert url in lines[0] and str(tmp_path) in lines[0]
    assert lines[1] == "Agents: concierge, longhaul, reporter, scripted."
    assert f"tenure chat --home {tmp_path}" in lines[2]
    assert lines[3].startswith(f"Open the console:  {url}/sign-in/")
    assert lines[4].endswith(f"tenure sign-in --home {tmp_path}")
    assert "Ctrl-C" in lines[5]


def test_people_whose_server_hosts_no_agent_are_told_how_to_have_one(started: Began, tmp_path: Path) -> None:
    server = started("serve", "--home", str(tmp_path), "--port", "0")
    server.line()

    assert server.line() == (
        "It hosts no agent yet. Name a file with agents, write a table into "
        f"{tmp_path}/tenure.toml, or try --demo."
    )


def test_configuration_of_the_folder_that_is_not_read_is_told(
    started: Began, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tenure.toml").write_text("log_level = 'info'")
    monkeypatch.chdir(tmp_path)

    for given, told in (("--json", True), ("--config=tenure.toml", False)):
        server = started("serve", "--home", str(tmp_path / "home"), "--port", "0", given)
        server.line()
        server.process.terminate()
        assert ("tenure.toml isn't read without --config" in server.ended().err) is told


def test_run_that_heeds_nothing_does_not_hold_the_server_up(started: Began, tmp_path: Path) -> None:
    server, url = begun(started, tmp_path, "--demo")
    with Client(url, home=tmp_path) as client:
        session = client.open_session("scripted").id
        client.send(session, "HANG")
        list(client.follow(session, until=lambda event: event.type == "run.started"))
    began = time.monotonic()

    server.process.send_signal(signal.SIGTERM)

    ran = server.ended()
    assert ran.code == 0
    assert time.monotonic() - began < 15
    assert "Traceback" not in ran.err


def test_second_signal_ends_the_server_at_once(started: Began, tmp_path: Path) -> None:
    server, url = begun(started, tmp_path, "--demo")
    with Client(url, home=tmp_path) as client:
        session = client.open_session("scripted").id
        client.send(session, "HANG")
        list(client.follow(session, until=lambda event: event.type == "run.started"))
    began = time.monotonic()

    server.process.send_signal(signal.SIGINT)
    # Two signals of a kind at once are one: the second is for a server that drains already.
    while httpx.get(f"{url}/readyz", trust_env=False).status_code != 503:
        assert time.monotonic() - began < 5
    server.process.send_signal(signal.SIGINT)

    assert server.ended().code == 0
    assert time.monotonic() - began < 5


def test_home_of_a_killed_server_can_be_served_again(started: Began, tmp_path: Path) -> None:
    server, url = begun(started, tmp_path, "--demo")
    with Client(url, home=tmp_path) as client:
        session = client.open_session("scripted").id
        list(client.say(session, "SAY hi"))
        journal = client.events(session).data
    server.process.kill()
    server.process.wait()

    _, again = begun(started, tmp_path, "--demo")

    with Client(home=tmp_path) as client:
        assert client.address == again
        assert client.events(session).data == journal


def test_agents_of_a_file_are_hosted(started: Began, tmp_path: Path) -> None:
    file = tmp_path / "my_agents.py"
    file.write_text(GREETER)

    _, url = begun(started, tmp_path / "home", str(file))

    with Client(url, home=tmp_path / "home") as client:
        session = client.open_session("greeter").id
        client.send(session, "Ann")
        events_of(client.follow(session, until=is_finished))
        assert client.transcript(session).data[1].content == "Hello, Ann!"


def test_second_server_on_a_home_is_refused_in_one_sentence(piped: Run, hosted: Hosted) -> None:
    ran = piped("serve", "--port", "0", home=hosted.home)

    assert (ran.code, ran.out) == (2, "")
    assert f"already uses the home {hosted.home}" in ran.err
    assert ran.err.count("\n") == 1


def test_port_in_use_is_refused_in_one_sentence(piped: Run, hosted: Hosted, tmp_path: Path) -> None:
    ran = piped("serve", "--port", str(hosted.port), home=tmp_path)

    assert (ran.code, ran.out) == (2, "")
    assert f"The port {hosted.port} of 127.0.0.1 is in use" in ran.err
    assert "--port" in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "tenure.db").exists()


def test_home_that_cannot_be_written_is_refused_in_one_sentence(piped: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ran = piped("serve", "--port", "0", home=tmp_path / "file" / "home")

    assert (ran.code, ran.out) == (2, "")
    assert "can't be written" in ran.err and "--home" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("--host", "0.0.0.0"), "--insecure-bind"),
        (("--host", "192.0.2.1", "--insecure-bind"), "can't be listened on"),
        (("--tls-cert", "cert.pem"), "--tls-key"),
        (("--tls-cert", "cert.pem", "--tls-key", "key.pem"), "No such file"),
        (("--port", "70000"), "70000"),
        (("--store", "postgres://db"), "postgres://db"),
        (("--config", "nowhere.toml"), "nowhere.toml"),
        (("nowhere.py",), "nowhere.py"),
    ],
)
def test_setting_that_cannot_be_used_is_refused_with_its_value(
    tenure: Run, tmp_path: Path, wrong: tuple[str, ...], sentence: str
) -> None:
    port = () if "--port" in wrong else ("--port", "0")

    ran = tenure("serve", "--home", str(tmp_path), *port, *wrong)

    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err and "Traceback" not in ran.err


@pytest.mark.parametrize(
    "settings",
    [
        Settings(host="127.0.0.1"),
        Settings(host="::1"),
        Settings(host="localhost"),
        Settings(host="0.0.0.0", insecure_bind=True),
    ],
)
def test_bind_that_is_safe_or_wanted_is_allowed(settings: Settings) -> None:
    check_bind(settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.5", "example.org"])
def test_bind_to_the_network_is_refused_unless_wanted(host: str) -> None:
    with pytest.raises(ConfigError, match="--insecure-bind"):
        check_bind(Settings(host=host))


def test_request_head_without_end_is_refused_and_not_kept(started: Began, tmp_path: Path) -> None:
    _, url = begun(started, tmp_path)
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(64):
                connection.sendall(b"a" * 65_536)
        with suppress(ConnectionResetError):
            answer = connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert answer.endswith(b"The headers are larger than 64 KiB. Send smaller ones.")
            assert connection.recv(1) == b""
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{url}/healthz").status_code == 200
