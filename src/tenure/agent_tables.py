"""The `[agents.NAME]` tables of tenure.toml: which runner an agent has, and what its runs may do."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from tenure.core.grant import Budget, BudgetScope, Policy, StatePolicy
from tenure.core.tool import ALWAYS, CONDITIONS, NEVER, ApprovalRule, Condition

Duration = Annotated[float, Field(gt=0)]


class ConditionSettings(BaseModel):
    """What one argument must be for an approval to be needed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    eq: Any = None
    ne: Any = None
    in_: tuple[Any, ...] | None = Field(default=None, alias="in")
    not_in: tuple[Any, ...] | None = None
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    matches: str | None = None

    @field_validator("matches")
    @classmethod
    def check_matches(cls, pattern: str | None) -> str | None:
        """Refuse what is no regular expression."""
        try:
            re.compile(pattern or "")
        except re.error as fault:
            raise ValueError(f"no regular expression: {fault}") from fault
        return pattern

    @model_validator(mode="after")
    def check_not_empty(self) -> Self:
        """Refuse a condition that says nothing."""
        if not self.model_fields_set:
            raise ValueError(f"give one or more of {', '.join(CONDITIONS)}")
        return self

    def condition(self) -> Condition:
        """As the core knows it: only what was given."""
        return msgspec.convert(self.model_dump(by_alias=True, exclude_unset=True), Condition)


Rule = Literal["never", "always"] | Annotated[dict[str, ConditionSettings], Field(min_length=1)]


def approval_rule(rule: Rule) -> ApprovalRule:
    """As the core knows it."""
    match rule:
        case "never":
            return NEVER
        case "always":
            return ALWAYS
        case _:
            return ApprovalRule(when={name: c.condition() for name, c in rule.items()})


class StateSettings(BaseModel):
    """Whether an agent's runs have state, and in which scopes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    scopes: tuple[Literal["conversation", "actor", "subject", "runner"], ...] = ("conversation", "actor")


class BudgetSettings(BaseModel):
    """What an agent's runs may spend."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: Annotated[int, Field(ge=0)] | None = None
    cost: Annotated[float, Field(ge=0)] | None = None
    tool_calls: Annotated[int, Field(ge=0)] | None = None
    scope: Literal["run", "session", "user_day"] = "run"
    ask_at: Annotated[float, Field(gt=0, le=1)] | None = None

    def budget(self) -> Budget:
        """As the core knows it."""
        return Budget(**self.model_dump(exclude={"scope"}), scope=BudgetScope(self.scope))


class AgentSettings(BaseModel):
    """What every `[agents.NAME]` table of tenure.toml may say: the policy of the agent's runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    deadline_s: Duration | None = None
    idle_s: Duration | None = None
    max_output_bytes: Annotated[int, Field(ge=1)] | None = None
    max_attempts: Annotated[int, Field(ge=1)] | None = None
    apis: tuple[Literal["history", "recalls"], ...] | None = None
    tools: tuple[str, ...] | None = None
    approvals: dict[str, Rule] = {}
    state: StateSettings | None = None
    resources: dict[str, tuple[str, ...]] | None = None
    operations: dict[str, tuple[str, ...]] | None = None
    storage: tuple[str, ...] | None = None
    budget: BudgetSettings | None = None

    def policy(self, base: Policy, max_attempts: int) -> Policy:
        """The policy of the table: what it leaves out is as `base`, which the code asks for, says."""
        return Policy(
            apis=base.apis if self.apis is None else self.apis,
            tools=base.tools if self.tools is None else self.tools,
            approvals={**base.approvals, **{n: approval_rule(r) for n, r in self.approvals.items()}},
            state=base.state if self.state is None else StatePolicy(**self.state.model_dump()),
            resources=base.resources if self.resources is None else self.resources,
            operations=base.operations if self.operations is None else self.operations,
            storage=base.storage if self.storage is None else self.storage,
            budget=base.budget if self.budget is None else self.budget.budget(),
            deadline_s=base.deadline_s if self.deadline_s is None else self.deadline_s,
            idle_s=self.idle_s,
            max_output_bytes=self.max_output_bytes or base.max_output_bytes,
            max_attempts=self.max_attempts or max_attempts,
        )


class PythonAgent(AgentSettings):
    """An agent of Python code. Without a target the table is about the agent of that name."""

    runner: Literal["python"] = "python"
    target: str | None = None


class PydanticAIAgent(AgentSettings):
    """A pydantic-ai agent: an object by reference, or one made from model and instructions.

    `deps` names what its runs depend on: a value, or a function of the `tenure.Run`. `retries` is how often a
    model that fails is asked again, `request_limit` how many calls of a model a run may make.
    """

    runner: Literal["pydantic-ai"]
    target: str | None = None
    model: str | None = None
    base_url: Annotated[str, Field(pattern="^https?://.")] | None = None
    api_key: Annotated[SecretStr, Field(min_length=1)] | None = None
    instructions: str | None = None
    deps: str | None = None
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    request_limit: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def check_source(self) -> Self:
        """Refuse a table that names no agent, or two."""
        if (self.target is None) == (self.model is None):
            raise ValueError('give either target = "module:agent" or model = "provider:name"')
        if self.model is None and (self.base_url, self.api_key) != (None, None):
            raise ValueError("base_url and api_key go with model; the target's model has its own")
        return self


class AcpAgent(AgentSettings):
    """A program that speaks the Agent Client Protocol.

    `env` is its whole environment, with the variables of the server's own that `inherit` names. What is left
    out is as the runner knows it of `agent`.
    """

    runner: Literal["acp"]
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    agent: str | None = None
    env: dict[str, SecretStr] = {}
    inherit: tuple[str, ...] = ()
    auth_method: str | None = None
    mode: str | None = None
    options: dict[str, str] = {}
    steering: bool | None = None
    host_files: bool | None = None
    sandbox: Literal["none", "bubblewrap"] = "none"
    sandbox_reads: tuple[Path, ...] = ()
    handshake_s: Duration = 60.0
    keep_s: Duration = 600.0
    max_programs: Annotated[int, Field(ge=1)] = 32

    @model_validator(mode="after")
    def check_program(self) -> Self:
        """Refuse a table that names no program."""
        if self.command is None and self.agent is None:
            raise ValueError('give command = ["program", …], or agent = the name of a known one')
        return self


class AguiAgent(AgentSettings):
    """An agent behind an AG-UI endpoint."""

    runner: Literal["agui"]
    url: str
    headers: dict[str, SecretStr] = {}
    connect_s: Duration = 10.0
    forward_state: bool = True
    forward_gateway: bool = False

    @model_validator(mode="after")
    def check_url(self) -> Self:
        """Refuse what is no web address."""
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("the url begins with neither http:// nor https://")
        return self


def _kind(table: object) -> str:
    """Which runner a table names; `python` if it names none."""
    if isinstance(table, PythonAgent | PydanticAIAgent | AcpAgent | AguiAgent):
        return table.runner
    given = cast("dict[str, object]", table) if isinstance(table, dict) else {}
    return str(given.get("runner", "python"))


AnyAgentSettings = Annotated[
    Annotated[PythonAgent, Tag("python")]
    | Annotated[PydanticAIAgent, Tag("pydantic-ai")]
    | Annotated[AcpAgent, Tag("acp")]
    | Annotated[AguiAgent, Tag("agui")],
    Discriminator(
        _kind,
        custom_error_type="runner",
        custom_error_message="runner is none of python, pydantic-ai, acp and agui",
    ),
]
"""A table of any runner, told apart by `runner`."""
