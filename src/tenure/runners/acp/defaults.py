"""What a table of an ACP agent leaves out, filled in from what is known of its program: for the assembly."""

import os
from collections.abc import Mapping

from pydantic import SecretStr

from tenure.agent_tables import AcpAgent
from tenure.errors import ConfigError
from tenure.runners.acp.known import KNOWN, KnownAgent


def completed(name: str, table: AcpAgent, environ: Mapping[str, str] = os.environ) -> AcpAgent:
    """The table of the agent `name` with all that is known of its program filled in, and `inherit` in `env`.

    Raises ConfigError for a program that isn't known and for variables that aren't set.
    """
    env = {**inherited(name, table, environ), **table.env}
    if table.agent is None:
        return table.model_copy(update={"env": env})
    known = known_agent(name, table.agent)
    defaults = {key: SecretStr(value) for key, value in known.env.items()}
    return table.model_copy(
        update={
            "command": table.command or known.command,
            "env": {**defaults, **env},
            "auth_method": table.auth_method or known.auth_method,
            "mode": table.mode or known.mode,
            "options": {**known.options, **table.options},
            "steering": known.abilities.steers if table.steering is None else table.steering,
            "host_files": known.host_files if table.host_files is None else table.host_files,
        }
    )


def known_agent(name: str, wanted: str) -> KnownAgent:
    """The program that the table of the agent `name` calls `wanted`. Raises ConfigError."""
    known = KNOWN.get(wanted)
    if known is None:
        raise ConfigError(
            f"agents.{name}.agent is {wanted!r}, which isn't known. Known are {', '.join(KNOWN)}; any other "
            'program that speaks ACP is started by command = ["program", …].'
        )
    return known


def inherited(name: str, table: AcpAgent, environ: Mapping[str, str]) -> dict[str, SecretStr]:
    """The variables that a table takes over from the environment of the server. Raises ConfigError."""
    absent = [variable for variable in table.inherit if variable not in environ]
    if absent:
        raise ConfigError(
            f"agents.{name}.inherit names {', '.join(absent)}, not set where the server was started. Set "
            "it there, or take it out."
        )
    return {variable: SecretStr(environ[variable]) for variable in table.inherit}


def way_out(table: AcpAgent) -> str:
    """What to do when the program of a completed table can't be started or refuses to work; may be empty.

    It names variables and never a value.
    """
    known = KNOWN.get(table.agent or "")
    return "" if known is None else f"Is it installed ({known.install})? {key_way_out(table)}"


def key_way_out(table: AcpAgent) -> str:
    """What to do when the program of a completed table isn't let in by its model; may be empty."""
    known = KNOWN.get(table.agent or "")
    if known is None:
        return ""
    if any(key in table.env for key in known.keys):
        return "Is its key good?"
    return f"Give its table {' or '.join(known.keys)} in env or inherit."
