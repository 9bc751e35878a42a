"""Calls of tools without a host: what a tool is given, as the tools room gives it."""

from pathlib import Path

from tenure.core.tool import Arguments
from tenure.ports.tool import ToolCall


def a_call(arguments: Arguments, folder: Path = Path("/nowhere")) -> ToolCall:
    """One call of ada's run."""
    return ToolCall(
        run_id="run_1",
        session_id="ses_1",
        call_id="eff_1",
        idempotency_key="eff_1",
        tenant="acme",
        user="ada",
        folder=folder,
        arguments=arguments,
    )
