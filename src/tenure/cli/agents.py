"""`tenure agents`: what the server hosts."""

import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_json, print_table

app = typer.Typer()

HEADINGS = ("NAME", "RUNNER", "WELL", "DEADLINE", "DESCRIPTION")


@app.command("agents")
def agents(server: Server = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """List the agents that the server hosts."""
    with connected(server, key, home) as client:
        found = client.agents()
    if as_json:
        for agent in found:
            print_json(agent)
        return
    rows = [
        (
            agent.name,
            agent.runner,
            agent.healthy,
            None if agent.deadline_s is None else f"{agent.deadline_s:g} s",
            agent.description,
        )
        for agent in found
    ]
    print_table(HEADINGS, rows)
