"""`tenure agents`: what the server hosts, and the coding agents of this machine."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Protocol, cast

import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_json, print_table, put, shown
from tenure.core.view import AgentInfo
from tenure.runners.acp.detect import Detected, SetVariable, detect

app = typer.Typer()

HEADINGS = ("NAME", "RUNNER", "WELL", "DEADLINE", "DESCRIPTION")
FOUND = ("AGENT", "FOUND", "VERSION", "TRIED", "KEY", "TO DO")


@app.command("agents")
def agents(
    server: Server = None,
    key: Key = None,
    home: Home = None,
    on_this_machine: Annotated[
        bool,
        typer.Option("--detect", help="Look for coding agents on this machine instead; needs no server."),
    ] = False,
    examined: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="NAME",
            help="Start an ACP agent of the home's tenure.toml once, and show what it says of itself.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the agents that the server hosts."""
    if examined is not None:
        check_one(examined, home, as_json=as_json)
        return
    if on_this_machine:
        show_detected(detect(os.environ, Path.cwd()), as_json=as_json)
        return
    with connected(server, key, home) as client:
        show(client.agents(), as_json=as_json)


class CheckModule(Protocol):
    """The module that starts agents."""

    def check(self, name: str, home: Path | None, *, as_json: bool) -> None: ...


def check_one(name: str, home: Path | None, *, as_json: bool) -> None:
    """Start one agent, and show what it says of itself."""
    # Starting one takes what a server takes; listing them is quick without it.
    module = cast("CheckModule", import_module("tenure.cli.checkup"))
    module.check(name, home, as_json=as_json)


def show(found: Sequence[AgentInfo], *, as_json: bool) -> None:
    """Print the agents of a server, and below them what is wrong with those that aren't well."""
    if as_json:
        for agent in found:
            print_json(agent)
        return
    print_table(HEADINGS, [row(agent) for agent in found])
    for agent in found:
        if agent.fault is not None:
            put(f"\n{shown(agent.name)}: {shown(agent.fault)}")


def row(agent: AgentInfo) -> tuple[object, ...]:
    """One agent of a server as a line of the table."""
    deadline = None if agent.deadline_s is None else f"{agent.deadline_s:g} s"
    return (agent.name, agent.runner, agent.healthy, deadline, agent.description)


def show_detected(found: list[Detected], *, as_json: bool) -> None:
    """Print what is on this machine, and the tables for tenure.toml of what was found."""
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(FOUND, [detected_row(one) for one in found])
    there = [one for one in found if one.path is not None]
    if not there:
        put("\nNone of them is on the PATH, or in node_modules or .venv here. Install one, and look again.")
        return
    put("\nFor tenure.toml:")
    for one in there:
        put(f"\n{shown(one.toml)}")


def detected_row(one: Detected) -> tuple[object, ...]:
    """One known agent as a line of the table."""
    keys = [variable for variable in one.variables if variable.key]
    return (
        one.agent,
        one.path is not None,
        one.version,
        one.tried_version,
        any(map(is_set, keys)),
        "; ".join(one.lacking) or None,
    )


def is_set(variable: SetVariable) -> bool:
    """Whether the environment has a value for it."""
    return variable.is_set
