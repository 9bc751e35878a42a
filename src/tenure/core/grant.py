"""A grant: the frozen snapshot of what one run may touch.

It is made once, when a message starts, from the agent's policy, the runner's manifest and the author's
rights; it is stored with the run before anyone can claim it, and it can only shrink.
"""

import hashlib

import msgspec

from tenure.core.principal import Author

HISTORY = "history"
"""The right to read the session's transcript."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner can do. What it can't is declared here, never pretended."""

    streaming: bool = True
    tools: bool = False
    steering: bool = False
    interrupt: bool = True
    approvals: bool = False
    resume: bool = False
    undo: bool = True
    attachments: bool = False
    multimodal: bool = False


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner says of itself: what it can do and which rights it asks for."""

    runner: str
    capabilities: Capabilities = Capabilities()
    permissions: tuple[str, ...] = (HISTORY,)
    description: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows an agent, whatever its runner asks for.

    `deadline_s` counts running time and `idle_s` time without output, both in seconds, None for no
    limit; `max_output_bytes` counts the journaled bytes of one run.
    """

    apis: tuple[str, ...] = (HISTORY,)
    deadline_s: float | None = 3_600.0
    idle_s: float | None = None
    max_output_bytes: int = 16 * 1024 * 1024
    max_attempts: int = 5


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Manifest and policy of one agent, met: everything a grant needs besides its author."""

    agent: str
    descriptor: Descriptor
    policy: Policy


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one run may touch. Immutable; `digest` names exactly this content."""

    agent: str
    runner: str
    author: Author
    apis: tuple[str, ...]
    deadline_s: float | None
    idle_s: float | None
    max_output_bytes: int
    max_attempts: int

    def allows(self, api: str) -> bool:
        """Whether the run may use `api`. An empty name never authorises."""
        return bool(api) and api in self.apis


def make_grant(terms: Terms, author: Author, deadline_s: float | None = None) -> Grant:
    """The grant of a run that `author`'s message starts. A message may only shorten the deadline."""
    policy, asked = terms.policy, terms.descriptor.permissions
    # As floats, because 600 and 600.0 would have different digests, and only one survives storage.
    limits = [float(s) for s in (policy.deadline_s, deadline_s) if s is not None]
    return Grant(
        agent=terms.agent,
        runner=terms.descriptor.runner,
        author=author,
        apis=tuple(sorted(set(policy.apis) & set(asked))),
        deadline_s=min(limits) if limits else None,
        idle_s=None if policy.idle_s is None else float(policy.idle_s),
        max_output_bytes=policy.max_output_bytes,
        max_attempts=policy.max_attempts,
    )


def grant_digest(grant: Grant) -> str:
    """SHA-256 over the canonical JSON of the grant, in hex."""
    return hashlib.sha256(msgspec.json.encode(grant, order="sorted")).hexdigest()
