"""What an adapter makes of an agent's table: a runner, and what goes with it. The wiring adds the policy."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tenure.core.grant import Policy
from tenure.core.history import Summarize
from tenure.core.tool import Arguments
from tenure.ports.runner import Residence, Runner

OwnCheck: TypeAlias = Callable[[str, Arguments], None]
"""Raises TenureError `invalid` for arguments that don't fit an own tool, by the tool's name."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A runner with what the agent's code says of itself. `policy` is what its table may narrow."""

    runner: Runner
    policy: Policy = Policy()
    summarize: Summarize | None = None
    residence: Residence | None = None
    check: OwnCheck | None = None
