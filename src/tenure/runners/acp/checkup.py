"""Starts an ACP agent once, as a run would, and tells what it says of itself: for `tenure agents --check`."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from acp import RequestError
from acp.schema import AgentCapabilities, InitializeResponse, NewSessionResponse
from pydantic import ValidationError

from tenure.agent_tables import AcpAgent
from tenure.runners.acp.assembly import launch_of
from tenure.runners.acp.defaults import completed, key_way_out
from tenure.runners.acp.known import Checkup
from tenure.runners.acp.link import Link, Person
from tenure.runners.acp.memory import OPEN_S, told
from tenure.runners.acp.pool import Pool

NOBODY = Person("default", "check")


async def checkup(name: str, table: AcpAgent) -> Checkup:
    """Start the agent of a table in a home of its own, and open a session. Nothing of it is left.

    Raises ConfigError, and TenureError `runner_unavailable`, as a run would.
    """
    full = completed(name, table)
    began = time.monotonic()
    with (
        TemporaryDirectory(prefix="tenure-check-", ignore_cleanup_errors=True) as home,
        TemporaryDirectory(prefix="tenure-check-", ignore_cleanup_errors=True) as folder,
    ):
        pool = Pool(launch_of(name, full, Path(home)))
        try:
            async with pool.use(NOBODY, Path(folder)) as link:
                opened = await _opened(link, folder, key_way_out(full))
                return _said(name, link.hello, opened, time.monotonic() - began)
        finally:
            await pool.close()


async def _opened(link: Link, folder: str, out: str) -> NewSessionResponse | str:
    """What the agent says of a new session, or why there is none and the way out."""
    try:
        async with asyncio.timeout(OPEN_S):
            return await link.agent.new_session(cwd=folder, mcp_servers=[])
    except (RequestError, ValidationError, TimeoutError) as error:
        return f"{told(error).rstrip('.')}. {out}".rstrip()
    except (ConnectionError, OSError):
        return link.last_words


def _said(name: str, hello: InitializeResponse, opened: NewSessionResponse | str, seconds: float) -> Checkup:
    info, can = hello.agent_info, hello.agent_capabilities or AgentCapabilities()
    takes, mcp, kept = can.prompt_capabilities, can.mcp_capabilities, can.session_capabilities
    modes = opened.modes if isinstance(opened, NewSessionResponse) else None
    return Checkup(
        agent=name,
        name="" if info is None else info.title or info.name,
        version="" if info is None else info.version,
        seconds=round(seconds, 2),
        loads=bool(can.load_session),
        images=bool(takes and takes.image),
        gateway=bool(mcp and mcp.http),
        steers=_steers(hello),
        sessions=() if kept is None else tuple(sorted(kept.model_dump(by_alias=True, exclude_none=True))),
        auth_methods=tuple(method.id for method in hello.auth_methods or ()),
        mode=None if modes is None else modes.current_mode_id,
        modes=() if modes is None else tuple(mode.id for mode in modes.available_modes),
        fault=opened if isinstance(opened, str) else None,
    )


def _steers(hello: InitializeResponse) -> bool:
    match (hello.field_meta or {}).get("steering"):
        case {"supported": True}:
            return True
        case _:
            return False
