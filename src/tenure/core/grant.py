"""A grant: the frozen snapshot of what one run may touch.

It is made once, when a message starts, from the agent's policy, the runner's manifest and the author's
rights; it is stored with the run before anyone can claim it, and it can only shrink.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from tenure.core.principal import Author, Role, includes
from tenure.core.tool import ALWAYS, NEVER, ApprovalRule, ToolTerms

HISTORY = "history"
"""The right to read the session's transcript."""

RECALLS = "recalls"
"""The right to make schedules in the session."""

ANY = ("*",)
"""What a runner asks for that takes whatever the operator allows."""


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
    tools: tuple[str, ...] = ANY
    resources: dict[str, tuple[str, ...]] = {}
    storage: tuple[str, ...] = ()
    description: str = ""


class StatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an agent's runs have state, and in which scopes."""

    enabled: bool = True
    scopes: tuple[str, ...] = ("conversation", "actor")


class BudgetScope(StrEnum):
    """Over what a budget is summed."""

    RUN = "run"
    SESSION = "session"
    USER_DAY = "user_day"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What may be spent: tokens of both directions, money, tool calls. None is no limit.

    `ask_at` is the share of the budget at which a person is asked, None for never.
    """

    tokens: int | None = None
    cost: float | None = None
    tool_calls: int | None = None
    scope: BudgetScope = BudgetScope.RUN
    ask_at: float | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows an agent, whatever its runner asks for.

    `deadline_s` counts running time and `idle_s` time without output, both in seconds, None for no
    limit; `max_output_bytes` counts the journaled bytes of one run. `tools` are patterns of names, and
    `approvals` says for which of them people are asked, in place of what the tool itself says.
    `resources` are ids by type, such as `model` or `knowledge_base`, and `operations` what may be done
    with those of a type, anything where none are given; `storage` names storage areas.
    """

    apis: tuple[str, ...] = (HISTORY, RECALLS)
    tools: tuple[str, ...] = ()
    approvals: dict[str, ApprovalRule] = {}
    state: StatePolicy = StatePolicy()
    resources: dict[str, tuple[str, ...]] = {}
    operations: dict[str, tuple[str, ...]] = {}
    storage: tuple[str, ...] = ()
    budget: Budget | None = None
    deadline_s: float | None = 3_600.0
    idle_s: float | None = None
    max_output_bytes: int = 16 * 1024 * 1024
    max_attempts: int = 5


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Manifest and policy of one agent, met: everything a grant needs besides its author.

    `tools` are those that the policy's patterns and the runner's own ask for, among those that exist.
    """

    agent: str
    descriptor: Descriptor
    policy: Policy
    tools: tuple[ToolTerms, ...] = ()


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
    tools: tuple[ToolTerms, ...] = ()
    resources: dict[str, tuple[str, ...]] = {}
    operations: dict[str, tuple[str, ...]] = {}
    storage: tuple[str, ...] = ()
    state: StatePolicy = StatePolicy(enabled=False, scopes=())
    budget: Budget | None = None

    def allows(self, api: str) -> bool:
        """Whether the run may use `api`. An empty name never authorises."""
        return bool(api) and api in self.apis

    def tool(self, name: str) -> ToolTerms | None:
        """The terms on which the run may use a tool; None if it may not."""
        return next((tool for tool in self.tools if tool.name == name), None)

    def allows_resource(self, kind: str, name: str | None, operation: str | None = None) -> bool:
        """Whether the run may use the resource `name` of a type, and do this operation with it.

        Types are those of `resources`, and `storage` and `tool`. A missing name never authorises.
        """
        if not name or (operation is not None and not self._allows_operation(kind, operation)):
            return False
        if kind == "storage":
            return name in self.storage
        if kind == "tool":
            return self.tool(name) is not None
        return name in self.resources.get(kind, ())

    def _allows_operation(self, kind: str, operation: str) -> bool:
        allowed = self.operations.get(kind, ANY)
        return bool(operation) and (allowed == ANY or operation in allowed)

    def names(self) -> frozenset[str]:
        """Everything it allows, by name: `api:history`, `tool:send_mail`, `model:small`, `state:actor` …"""
        return frozenset(
            [
                *(f"api:{api}" for api in self.apis),
                *(f"tool:{tool.name}" for tool in self.tools),
                *(f"storage:{area}" for area in self.storage),
                *(f"state:{scope}" for scope in self.state.scopes if self.state.enabled),
                *(f"{kind}:{name}" for kind, names in self.resources.items() for name in names),
            ]
        )

    def without(self, removed: Iterable[str]) -> "Grant":
        """What is left of it. A grant can only shrink."""
        gone = frozenset(removed)
        return msgspec.structs.replace(
            self,
            apis=tuple(api for api in self.apis if f"api:{api}" not in gone),
            tools=tuple(tool for tool in self.tools if f"tool:{tool.name}" not in gone),
            storage=tuple(area for area in self.storage if f"storage:{area}" not in gone),
            state=msgspec.structs.replace(
                self.state, scopes=tuple(s for s in self.state.scopes if f"state:{s}" not in gone)
            ),
            resources={
                kind: left
                for kind, names in self.resources.items()
                if (left := tuple(name for name in names if f"{kind}:{name}" not in gone))
            },
        )

    def covers(self, other: "Grant") -> bool:
        """Whether everything that `other` allows is allowed here too."""
        return (
            set(other.apis) <= set(self.apis)
            and {tool.name for tool in other.tools} <= {tool.name for tool in self.tools}
            and set(other.storage) <= set(self.storage)
            and all(set(ids) <= set(self.resources.get(kind, ())) for kind, ids in other.resources.items())
            and all(self._covers_operations(kind, other) for kind in self.operations)
        )

    def _covers_operations(self, kind: str, other: "Grant") -> bool:
        """Whether `other` may do no more with resources of a type, where it has any."""
        mine, others = self.operations[kind], other.operations.get(kind, ANY)
        return mine == ANY or kind not in other.resources or (others != ANY and set(others) <= set(mine))


NOTHING = Grant(
    agent="",
    runner="",
    author=Author(tenant="", user="", role=Role.VIEWER),
    apis=(),
    deadline_s=None,
    idle_s=None,
    max_output_bytes=Policy().max_output_bytes,
    max_attempts=Policy().max_attempts,
)
"""The cap that allows nothing."""


def make_grant(
    terms: Terms, author: Author, deadline_s: float | None = None, cap: Grant | None = None
) -> Grant:
    """The grant of a run that `author`'s message starts. A message may only shorten the deadline.

    `cap` is the grant of the run that made its schedule, where a run did: nothing goes beyond that.
    """
    grant = _made(terms, author, deadline_s)
    return grant if cap is None else _capped(grant, cap)


def _capped(grant: Grant, cap: Grant) -> Grant:
    """What is allowed by both. Where people are asked under the cap, they are asked still."""
    both = grant.without(grant.names() - cap.names())
    rules = {tool.name: tool.approval for tool in cap.tools}
    return msgspec.structs.replace(
        both,
        deadline_s=_least(grant.deadline_s, cap.deadline_s),
        idle_s=_least(grant.idle_s, cap.idle_s),
        max_output_bytes=min(grant.max_output_bytes, cap.max_output_bytes),
        max_attempts=min(grant.max_attempts, cap.max_attempts),
        tools=tuple(
            msgspec.structs.replace(tool, approval=_stricter(tool.approval, rules[tool.name]))
            for tool in both.tools
        ),
        operations={**cap.operations, **_narrowed(grant.operations, cap.operations)},
        budget=grant.budget or cap.budget,
    )


def _stricter(one: ApprovalRule, other: ApprovalRule) -> ApprovalRule:
    """A rule that asks whenever one of the two does: of two different conditions only `always` does."""
    if one == other or other == NEVER:
        return one
    return other if one == NEVER else ALWAYS


def _least(one: float | None, other: float | None) -> float | None:
    return min((s for s in (one, other) if s is not None), default=None)


def _narrowed(
    operations: dict[str, tuple[str, ...]], cap: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """What may be done with the resources of each type, where either of two grants says so."""
    return {
        kind: allowed if cap.get(kind, ANY) == ANY else _both(cap[kind], allowed)
        for kind, allowed in operations.items()
    }


def _made(terms: Terms, author: Author, deadline_s: float | None) -> Grant:
    policy, asked = terms.policy, terms.descriptor
    # As floats, because 600 and 600.0 would have different digests, and only one survives storage.
    limits = [float(s) for s in (policy.deadline_s, deadline_s) if s is not None]
    return Grant(
        agent=terms.agent,
        runner=asked.runner,
        author=author,
        apis=_both(policy.apis, asked.permissions),
        deadline_s=min(limits) if limits else None,
        idle_s=None if policy.idle_s is None else float(policy.idle_s),
        max_output_bytes=policy.max_output_bytes,
        max_attempts=policy.max_attempts,
        tools=tuple(tool for tool in terms.tools if includes(author.role, tool.role)),
        resources={
            kind: both
            for kind, names in sorted(policy.resources.items())
            if (both := _both(names, asked.resources.get(kind, ())))
        },
        operations={kind: tuple(sorted(set(names))) for kind, names in sorted(policy.operations.items())},
        storage=_both(policy.storage, asked.storage),
        state=policy.state,
        budget=policy.budget,
    )


def _both(allowed: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """What is allowed and asked for, in order. Who asks for any gets all; an empty name is nobody's."""
    both = set(allowed) if asked == ANY else set(allowed) & set(asked)
    return tuple(sorted(both - {""}))


def grant_digest(grant: Grant) -> str:
    """SHA-256 over the canonical JSON of the grant, in hex."""
    return hashlib.sha256(msgspec.json.encode(grant, order="sorted")).hexdigest()
