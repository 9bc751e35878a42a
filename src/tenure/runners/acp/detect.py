"""Looks for the known agents on this machine, for `tenure agents --detect`; it asks nobody else.

Of environment variables it sees whether they are set, and never a value.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tenure.runners.acp.known import KNOWN, KnownAgent, Variable

VERSION_S = 15.0
"""How long an agent may take to say its version, in seconds."""

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")


class SetVariable(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that an agent heeds, and whether it is set here."""

    name: str
    meaning: str
    key: bool
    is_set: bool


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one known agent.

    `path` is None if it isn't installed, and `version` if it didn't say one. `lacking` are the things to do
    before it can be used, `toml` is its table for tenure.toml.
    """

    agent: str
    title: str
    path: str | None
    version: str | None
    tried_version: str
    variables: tuple[SetVariable, ...]
    lacking: tuple[str, ...]
    install: str
    toml: str


def detect(environ: Mapping[str, str], folder: Path) -> list[Detected]:
    """What is there of each known agent, on the PATH and in the `node_modules` of `folder` and above it."""
    with ThreadPoolExecutor(len(KNOWN)) as threads:
        looks = [threads.submit(_detected, known, environ, folder) for known in KNOWN.values()]
        return [look.result() for look in looks]


def _detected(known: KnownAgent, environ: Mapping[str, str], folder: Path) -> Detected:
    on_path = shutil.which(known.program, path=environ.get("PATH", ""))
    path = on_path or shutil.which(known.program, path=os.pathsep.join(_beside(folder)))
    version = _version(path, environ) if path else None
    variables = tuple(_variable(one, environ) for one in known.variables)
    return Detected(
        agent=known.id,
        title=known.title,
        path=path,
        version=version,
        tried_version=known.version,
        variables=variables,
        lacking=tuple(_lacking(known, path, version, variables)),
        install=known.install,
        toml=_toml(known, None if path == on_path else path, variables),
    )


def _beside(folder: Path) -> Iterator[str]:
    """Where a project keeps the programs that it installed."""
    for place in (folder, *folder.parents):
        yield str(place / "node_modules" / ".bin")
        yield str(place / ".venv" / "bin")


def _variable(variable: Variable, environ: Mapping[str, str]) -> SetVariable:
    is_set = bool(environ.get(variable.name))
    return SetVariable(name=variable.name, meaning=variable.meaning, key=variable.key, is_set=is_set)


def _lacking(
    known: KnownAgent, path: str | None, version: str | None, variables: tuple[SetVariable, ...]
) -> Iterator[str]:
    if path is None:
        yield f"Install it: {known.install}"
    elif version is None:
        yield f"{path} --version says nothing usable: is it {known.title}?"
    if not any(variable.key and variable.is_set for variable in variables):
        yield f"Set {' or '.join(known.keys)}"


def _toml(known: KnownAgent, path: str | None, variables: tuple[SetVariable, ...]) -> str:
    """Its table; with a command if the PATH doesn't lead to it."""
    lines = [f"[agents.{known.id}]", 'runner = "acp"', f'agent = "{known.id}"']
    if path is not None:
        words = ", ".join(_quoted(word) for word in (path, *known.arguments))
        lines.append(f"command = [{words}]")
    names = [variable.name for variable in variables if variable.is_set] or [known.keys[0]]
    lines.append(f"inherit = [{', '.join(map(_quoted, names))}]")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # Between quotes TOML takes what JSON takes.
    return msgspec.json.encode(text).decode()


def _version(path: str, environ: Mapping[str, str]) -> str | None:
    """What the program says of its version, in a home of its own so that it leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="tenure-detect-", ignore_cleanup_errors=True) as home:
        said = _said([path, "--version"], {"PATH": environ.get("PATH", ""), "HOME": home, "LANG": "C.UTF-8"})
    found = _VERSION.search(said)
    return found[0] if found else None


def _said(command: list[str], env: dict[str, str]) -> str:
    """What a program prints in bounded time; nothing if it can't be started or doesn't end."""
    try:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return ""
    with process:
        try:
            out, _ = process.communicate(timeout=VERSION_S)
        except subprocess.TimeoutExpired:
            # With all that it started: the pipe of one that lives on would never close.
            os.killpg(process.pid, signal.SIGKILL)
            return ""
        return out[:10_000].decode("utf-8", "replace")
