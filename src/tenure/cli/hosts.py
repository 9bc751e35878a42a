"""`tenure hosts`: the hosts that share one store."""

import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_json, print_table
from tenure.core.view import HostInfo

app = typer.Typer()

HEADINGS = ("HOST", "ID", "VERSION", "RUNS", "SLOTS", "STATE", "LEASE", "SINCE")


@app.command("hosts")
def hosts(server: Server = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """List the hosts that share the store. The one that answers is marked with a star."""
    with connected(server, key, home) as client:
        found = client.hosts()
    if as_json:
        for host in found:
            print_json(host)
        return
    print_table(HEADINGS, [_row(host) for host in found])


def _row(host: HostInfo) -> tuple[object, ...]:
    return (
        f"{host.name}{' *' if host.answers else ''}",
        host.id,
        host.version,
        host.live_runs,
        host.slots,
        state(host),
        "-" if host.lease_left_s is None else f"{host.lease_left_s:.1f} s",
        host.joined_at,
    )


def state(host: HostInfo) -> str:
    """What a host does, in a word: one that is late will be given up soon."""
    if host.lease_left_s == 0:
        return "late"
    return "draining" if host.draining else "serving"
