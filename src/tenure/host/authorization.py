"""Authorization: what a run may touch. The terms meet the author when a run is stored; each use is judged.

The grant itself is made by core inside the transaction that stores the run, so that no run exists
without one. This room brings the terms in and stands at the door when a run uses something.
"""

from collections.abc import Iterable

from tenure.core.grant import Descriptor, Grant, Policy, Terms
from tenure.core.tool import ToolTerms, matches, most_exact
from tenure.errors import Code, TenureError
from tenure.ports.tool import Tool


def terms_of(agent: str, descriptor: Descriptor, policy: Policy, tools: Iterable[Tool] = ()) -> Terms:
    """Manifest and policy of one agent, met among the tools that there are."""
    both = [tool for tool in tools if _covered(tool, policy.tools) and _covered(tool, descriptor.tools)]
    granted = tuple(tool_terms(tool, policy) for tool in both)
    return Terms(agent=agent, descriptor=descriptor, policy=policy, tools=granted)


def tool_terms(tool: Tool, policy: Policy) -> ToolTerms:
    """The terms of one tool: its own, but for when people are asked, which the policy may say."""
    name = tool.info.name
    rule = most_exact(policy.approvals, name)
    return ToolTerms(
        name=name,
        source=tool.source,
        approval=tool.approval if rule is None else policy.approvals[rule],
        replay=tool.replay,
        role=tool.role,
    )


def _covered(tool: Tool, patterns: Iterable[str]) -> bool:
    return any(matches(pattern, tool.info.name) for pattern in patterns)


def require(grant: Grant, api: str) -> None:
    """Let a use pass. Raises TenureError `forbidden` that says what the run may use instead."""
    if grant.allows(api):
        return
    allowed = ", ".join(grant.apis) or "nothing"
    raise TenureError(
        Code.FORBIDDEN,
        f"This run may not use {api!r}; its grant allows: {allowed}. "
        "Let the runner ask for it and the agent's policy allow it.",
        api=api,
    )
