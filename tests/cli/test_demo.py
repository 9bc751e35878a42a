"""The demo: at a terminal, without one, and as a test of itself."""

import json
import re
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Began, Run, Start
from tests.cli.terminal import CTRL_D


@pytest.mark.sources("D-O1")
@pytest.mark.timeout(90)
def test_smoke_goes_well_and_says_what_it_saw(piped: Run, tmp_path: Path) -> None:
    ran = piped("demo", "--smoke", "--json", "--home", str(tmp_path))

    assert (ran.code, ran.err) == (0, "")
    steps = {value["step"]: value["saw"] for value in ran.values}
    assert len(steps) == 22
    assert re.match("twice, at most ", str(steps["Let the reporter recall itself twice, a second apart"]))
    token = steps["Reach a live run by its token; when it is over, the token opens nothing"]
    assert token == "a value kept, a tool that wasn't granted refused, and 403 when the run was over"
    answered = steps["Kill the server while an approval waits, and answer after its restart"]
    assert answered == "asked once, answered once, done once"
    crash = steps["Kill the server in the middle of a run, and start it again"]
    assert crash == "nothing lost, the run was taken up as attempt 2"


def test_demo_without_a_terminal_serves_until_it_is_stopped(started: Began) -> None:
    demo = started("demo", "--port", "0", "--json", TENURE_HOME="")
    said = json.loads(demo.line())

    assert (Path(said["home"]) / "admin.key").exists()
    demo.process.send_signal(signal.SIGTERM)

    assert demo.ended() == (0, "", "")
    assert not Path(said["home"]).exists()


def test_demo_at_a_terminal_chats_with_a_server_that_ends_with_it(at_terminal: Start, tmp_path: Path) -> None:
    demo = at_terminal("demo", "--port", "0", "--home", str(tmp_path))

    shown = demo.expect("with concierge; /help says more)")
    assert "Tenure answers at http://127.0.0.1:" in shown
    assert (tmp_path / "server.json").exists()
    demo.expect("> ")
    demo.type(CTRL_D)

    assert demo.ended() == 0
    assert not (tmp_path / "server.json").exists()


def test_demo_that_cannot_start_says_why(piped: Run, tmp_path: Path) -> None:
    (tmp_path / "tenure.toml").write_text("colour = 3\n")

    ran = piped("demo", "--smoke", "--home", str(tmp_path))

    assert (ran.code, ran.out) == (2, "")
    assert "colour" in ran.err
