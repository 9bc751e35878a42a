"""`tenure demo --smoke`: one scripted conversation with a real server, over HTTP, through two crashes.

Each step says what it saw; the first that sees something else ends the program with `failed`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from tenure.cli import smoke_deeds as deeds
from tenure.cli import smoke_gateway as gateway
from tenure.cli import smoke_recalls as recalls
from tenure.cli import smoke_runs as runs
from tenure.cli.child import ChildServer
from tenure.cli.scene import Scene
from tenure.cli.screen import print_json, put
from tenure.client import Client


class Step(msgspec.Struct, frozen=True):
    """One step that went well, and what it saw."""

    step: str
    saw: str
    seconds: float


SURROUNDINGS = {"TENURE_BINDINGS": msgspec.json.encode([deeds.BINDING]).decode()}
"""What the server is told on top of its home's configuration."""

Act: TypeAlias = Callable[[Scene], str]

ACTS: tuple[Act, ...] = (
    runs.opens_a_session,
    runs.streams_an_answer,
    runs.resumes_at_a_cursor,
    runs.survives_a_dropped_stream,
    deeds.steers_a_run,
    runs.stops_a_run,
    runs.goes_on_with_what_waits,
    runs.reports_a_failure,
    runs.refuses_what_is_wrong,
    deeds.approves_an_edited_call,
    deeds.undoes_and_redoes,
    deeds.forks,
    deeds.keeps_state,
    deeds.exchanges_a_file,
    deeds.takes_an_event_once,
    deeds.finds_what_was_said,
    recalls.recalls_itself_on_time,
    recalls.recalls_across_a_crash,
    gateway.reaches_a_run_by_its_token,
    deeds.answers_after_a_crash,
    runs.survives_a_crash,
    runs.stops_in_good_order,
)


def converse(home: Path, port: int, *, as_json: bool) -> None:
    """Hold the conversation. Raises Stop with `failed` at the first surprise."""
    began = time.monotonic()
    with ChildServer(home, port, SURROUNDINGS) as server, Client(server.url, home=home) as client:
        session = client.open_session(runs.AGENT, title="smoke")
        for act in ACTS:
            perform(act, Scene(server, client, session), as_json=as_json)
    if not as_json:
        put(f"All {len(ACTS)} steps went well, in {time.monotonic() - began:.1f} s.")


def perform(act: Act, scene: Scene, *, as_json: bool) -> None:
    """Carry out one step, and say what it saw."""
    began = time.monotonic()
    name = (act.__doc__ or "").strip().rstrip(".")
    saw = act(scene)
    step = Step(name, saw, round(time.monotonic() - began, 3))
    if as_json:
        print_json(step)
    else:
        put(f"ok  {step.seconds:5.2f} s  {step.step}: {step.saw}")
