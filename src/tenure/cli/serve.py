"""`tenure serve`: the server, in this process, until a signal ends it."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer

import tenure
from tenure.cli import server
from tenure.cli.options import AsJson, expanded
from tenure.cli.outcome import Stop
from tenure.cli.screen import print_json, put
from tenure.config import Settings, load
from tenure.wiring import set_up_logging

app = typer.Typer()

log = logging.getLogger("tenure")

CONFIGURATION = "tenure.toml"


class Announcement(msgspec.Struct, frozen=True):
    """What `--json` prints once the server answers."""

    url: str
    home: str
    version: str
    agents: tuple[str, ...] = ()
    console: str = ""


@app.command()
def serve(
    agents: Annotated[
        list[str] | None,
        typer.Argument(metavar="[AGENTS]...", help="Python files or modules with agents."),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Host the demo agents and their tools too.")] = False,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            envvar="TENURE_HOME",
            metavar="DIR",
            help="Where everything is kept.  [default: ~/.tenure]",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="Where to listen.  [default: 127.0.0.1]"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", help="0 takes a free one.  [default: 8321]"),
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="Another store than the home's.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings.  [default: tenure.toml in the home]"),
    ] = None,
    insecure_bind: Annotated[
        bool,
        typer.Option("--insecure-bind", help="Listen beyond this machine without TLS."),
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="The TLS certificate chain.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's key.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the server. Ctrl-C or SIGTERM ends it in good order."""
    given: dict[str, object] = {
        "modules": tuple(agents or ()),
        "demo": demo,
        "home": expanded(home),
        "host": host,
        "port": port,
        "store": store,
        "insecure_bind": insecure_bind,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "log_json": as_json,
    }
    # What wasn't given isn't passed on, so that the environment and tenure.toml can speak.
    flags = {name: value for name, value in given.items() if not _is_left_out(value)}
    settings = load(flags, config)
    host_sessions(settings, as_json=as_json, unread=None if config else _unread(settings.home))


def _unread(home: Path) -> Path | None:
    """A tenure.toml of this folder that somebody may believe to be read."""
    here, read = Path.cwd() / CONFIGURATION, home / CONFIGURATION
    if not here.is_file() or (read.is_file() and read.samefile(here)):
        return None
    return here


def _is_left_out(value: object) -> bool:
    return value is None or value is False or value == ()


def host_sessions(settings: Settings, *, as_json: bool, unread: Path | None = None) -> None:
    """Serve until a signal comes. Raises ConfigError if that can't begin."""
    server.check_bind(settings)
    set_up_logging(settings)
    if unread is not None:
        log.warning("%s isn't read without --config %s.", unread, unread.name)
    # What uvicorn tells of its beginning and end is said better by us.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with server.listen(settings.host, settings.port) as listener:
        server.run_until_signalled(
            settings, listener, lambda answering: announce(settings, answering, as_json=as_json)
        )


def announce(settings: Settings, answering: server.Answering, *, as_json: bool) -> None:
    """Say that the server answers, where, with which agents, and what to do now."""
    url, agents, console = answering
    # A server doesn't end because whoever started it reads no more.
    with suppress(Stop):
        if as_json:
            print_json(Announcement(url, str(settings.home), tenure.__version__, agents, console))
            return
        put(f"Tenure {tenure.__version__} answers at {url}, at home in {settings.home}.")
        if not agents:
            put(
                "It hosts no agent yet. Name a file with agents, write a table into "
                f"{settings.home / CONFIGURATION}, or try --demo."
            )
        else:
            put(f"Agents: {', '.join(agents)}.")
            put(f"To chat, in another terminal:  tenure chat --home {settings.home}")
        put(f"Open the console:  {console}")
        put(f"The link works once, for 10 minutes. For another one:  tenure sign-in --home {settings.home}")
        kept = "the home" if settings.store is None else "the database"
        put(f"Ctrl-C ends the server; everything stays in {kept}.")
