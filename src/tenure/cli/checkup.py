"""`tenure agents --check NAME`: starts one agent of tenure.toml as a run would, and ends it again."""

import asyncio
from pathlib import Path

import msgspec

from tenure.cli.options import expanded
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json, shown
from tenure.config import load
from tenure.wiring import check_agent


def check(name: str, home: Path | None, *, as_json: bool) -> None:
    """Print what the agent says of itself. Raises Stop with 1 if it opens no session."""
    folder = expanded(home)
    found = asyncio.run(check_agent(name, load({} if folder is None else {"home": folder})))
    if as_json:
        print_json(found)
    else:
        print_fields(msgspec.structs.asdict(found).items())
    if found.fault is not None:
        raise Stop(Exit.FAILED, f"The agent {name} opens no session. {shown(found.fault)}")
