"""From an agent's table to its runner: what is known of the program filled in, a pool, a runner on it."""

from pathlib import Path

from tenure.agent_tables import AcpAgent
from tenure.errors import ConfigError
from tenure.ports.made import Made
from tenure.runners.acp.defaults import completed, way_out
from tenure.runners.acp.known import KNOWN
from tenure.runners.acp.launch import Launch
from tenure.runners.acp.memory import Setup, program_of
from tenure.runners.acp.pool import Pool
from tenure.runners.acp.runner import AcpRunner

HOMES = "agents"
"""The folder below the home where the programs keep what they know, for each agent and person."""


def acp_agent(name: str, table: AcpAgent, home: Path) -> Made:
    """The runner of one table. Raises ConfigError for a program or a sandbox that isn't there."""
    full = completed(name, table)
    launch = launch_of(name, full, home)
    setup = Setup(
        name=name,
        program=program_of(launch.command),
        homes=launch.homes,
        mode=full.mode,
        options=full.options,
        steering=full.steering or False,
        way_out=way_out(full),
    )
    known = KNOWN.get(full.agent or "")
    pool = Pool(launch)
    runner = AcpRunner(
        pool,
        setup,
        description="" if known is None else known.title,
        multimodal=known is not None and known.abilities.images,
    )
    return Made(runner=runner, residence=pool)


def launch_of(name: str, table: AcpAgent, home: Path) -> Launch:
    """How the programs of a completed table are started. Raises ConfigError if it names none."""
    if table.command is None:
        raise ConfigError(f'agents.{name} names no program. Add command = ["program", …].')
    return Launch(
        name=name,
        command=table.command,
        homes=home.absolute() / HOMES,
        env={variable: value.get_secret_value() for variable, value in table.env.items()},
        sandbox=table.sandbox,
        auth_method=table.auth_method,
        offers_files=table.host_files is not False,
        reads=tuple(path.expanduser().absolute() for path in table.sandbox_reads),
        handshake_s=table.handshake_s,
        keep_s=table.keep_s,
        max_programs=table.max_programs,
    )
