"""The page of the command line, from the table of commands and what each says of its options."""

from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple, cast

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from tenure.cli.main import COMMANDS, CommandModule
from tenure.cli.outcome import Exit
from tools.reference.markdown import code, document, table

INTRO = """\
`tenure COMMAND --help` says the same in the terminal. A command finds its server by `--server` and
`--key` (or `TENURE_SERVER` and `TENURE_KEY`), else by the home of the server that runs on this machine.
With `--json` it prints one JSON value a line and nothing else. Errors go to stderr, as one sentence that
says what happened and the way out."""

EXITS: dict[Exit, str] = {
    Exit.OK: "It worked.",
    Exit.FAILED: "The run failed.",
    Exit.USAGE: "The command line or the settings can't be used.",
    Exit.NOT_FOUND: "There is no such thing.",
    Exit.DENIED: "The key doesn't allow it.",
    Exit.CAPACITY: "A limit is reached.",
    Exit.UNREACHABLE: "The server can't be reached.",
    Exit.INTERRUPTED: "Ctrl-C ended it.",
}


class Listed(NamedTuple):
    """One command or command of a group, by the words that are typed."""

    words: str
    command: TyperCommand | TyperGroup


def listed() -> Iterator[Listed]:
    """Every command, each followed by those of its group."""
    for name, place in COMMANDS.items():
        module = cast("CommandModule", import_module(f"tenure.cli.{place.module}"))
        made = typer.main.get_command(module.app)
        command = made.commands.get(name, made) if isinstance(made, TyperGroup) else made
        assert isinstance(command, TyperCommand | TyperGroup)
        yield Listed(name, command)
        if isinstance(command, TyperGroup):
            for word, inner in command.commands.items():
                assert isinstance(inner, TyperCommand)
                yield Listed(f"{name} {word}", inner)


def page() -> str:
    """The whole page."""
    summary = table(
        ["command", "does"], [[f"[{code(n)}](#tenure-{n})", place.help] for n, place in COMMANDS.items()]
    )
    exits = table(["exit code", "meaning"], [[str(int(code)), text] for code, text in EXITS.items()])
    return document("Commands", INTRO, summary, *(_section(one) for one in listed()), "## Exit codes", exits)


def _section(one: Listed) -> str:
    level = "###" if " " in one.words else "##"
    text = " ".join((one.command.help or "").split())
    rows = [row for parameter in one.command.params if (row := _row(parameter))]
    options = table(["", "meaning", "environment"], rows) if rows else ""
    return "\n\n".join(part for part in (f"{level} tenure {one.words}", text, options) if part)


def _row(parameter: object) -> list[str] | None:
    """A parameter's line, or None for those that every program has."""
    if isinstance(parameter, TyperArgument):
        name = parameter.metavar or parameter.name.upper()
        return [code(name), parameter.help or "", ""]
    if not isinstance(parameter, TyperOption) or parameter.name in ("install_completion", "show_completion"):
        return None
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    variable = code(str(parameter.envvar)) if parameter.envvar else ""
    text = " ".join((parameter.help or "").split())
    if not parameter.is_flag and parameter.default is not None:
        text = f"{text} [default: {parameter.default}]"
    return [code(", ".join(parameter.opts) + value), text, variable]
