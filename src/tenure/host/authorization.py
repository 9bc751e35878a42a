"""Authorization: what a run may touch. The terms meet the author when a run is stored; each use is judged.

The grant itself is made by core inside the transaction that stores the run, so that no run exists
without one. This room brings the terms in and stands at the door when a run uses something.
"""

from tenure.core.grant import Descriptor, Grant, Policy, Terms
from tenure.errors import Code, TenureError


def terms_of(agent: str, descriptor: Descriptor, policy: Policy) -> Terms:
    """Manifest and policy of one agent, met."""
    return Terms(agent=agent, descriptor=descriptor, policy=policy)


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
