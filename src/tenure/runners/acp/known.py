"""The agents that Tenure knows how to start, as data: for the runner, `tenure agents --detect`, and the docs.

It needs nothing of the protocol, so that it can be read where the extra isn't installed.
"""

from enum import StrEnum

import msgspec


class Registry(StrEnum):
    """Where an agent is installed from."""

    NPM = "npm"
    PYPI = "PyPI"


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """An environment variable that an agent heeds. One that is a `key` is enough to use the agent."""

    name: str
    meaning: str
    key: bool = False


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent was seen to do.

    `asks`: before it changes something, in the mode that Tenure sets. `loads`: goes on with its own memory
    of a session after it was started anew; where not, the session's transcript is given to it. `forks`: of
    its own sessions. `steers`: takes a message in the middle of a turn. `images`: takes them in a message.
    `gateway`: reaches the tools of the host. `tokens`, `cost`: says what a run spent.
    """

    asks: bool = True
    loads: bool = True
    forks: bool = False
    steers: bool = False
    images: bool = True
    gateway: bool = True
    tokens: bool = True
    cost: bool = False


class KnownAgent(msgspec.Struct, frozen=True, kw_only=True):
    """How one agent is installed and started, and what it can do.

    `version` is the one that was tried, `megabytes` what it takes on the disk. `env`, `auth_method`, `mode`,
    `options` and `host_files`, whether files are read and written through the host, are what it is started
    with where its table says nothing else.
    """

    id: str
    title: str
    registry: Registry
    package: str
    version: str
    megabytes: int
    program: str
    arguments: tuple[str, ...] = ()
    variables: tuple[Variable, ...]
    env: dict[str, str] = {}
    auth_method: str | None = None
    mode: str | None = None
    options: dict[str, str] = {}
    host_files: bool = True
    abilities: Abilities
    notes: tuple[str, ...] = ()

    @property
    def install(self) -> str:
        """The command that installs it."""
        match self.registry:
            case Registry.NPM:
                return f"npm install -g {self.package}"
            case Registry.PYPI:
                return f"uv tool install {self.package}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The variables of which any one is enough to use it."""
        return tuple(variable.name for variable in self.variables if variable.key)

    @property
    def command(self) -> tuple[str, ...]:
        """How it is started where its program is on the PATH."""
        return (self.program, *self.arguments)


class Checkup(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent said of itself. `seconds` is how long it took to start and to open a session.

    `fault` is why it opened none: most agents look at their keys only then.
    """

    agent: str
    name: str
    version: str
    seconds: float
    loads: bool
    images: bool
    gateway: bool
    steers: bool
    sessions: tuple[str, ...]
    auth_methods: tuple[str, ...]
    mode: str | None
    modes: tuple[str, ...]
    fault: str | None


CLAUDE_CODE = KnownAgent(
    id="claude-code",
    title="Claude Code",
    registry=Registry.NPM,
    package="@agentclientprotocol/claude-agent-acp",
    version="0.100.0",
    megabytes=391,
    program="claude-agent-acp",
    variables=(
        Variable(name="ANTHROPIC_API_KEY", meaning="API key", key=True),
        Variable(name="ANTHROPIC_AUTH_TOKEN", meaning="bearer token of a gateway", key=True),
        Variable(name="CLAUDE_CODE_OAUTH_TOKEN", meaning="token of a subscription", key=True),
        Variable(name="ANTHROPIC_BASE_URL", meaning="address of the model server"),
        Variable(name="ANTHROPIC_MODEL", meaning="model"),
        Variable(name="ENABLE_TOOL_SEARCH", meaning="`false`: host tools are shown to the model at once"),
    ),
    env={
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        # Else a first message may be answered before the host's tools are known.
        "MCP_CONNECTION_NONBLOCKING": "false",
    },
    mode="default",
    abilities=Abilities(forks=True, steers=True, cost=True),
    notes=(
        "It starts one more process for each session, of about 100 MB.",
        "Reading files and harmless commands such as `ls` don't ask.",
        "The package holds a proprietary program: its licence is Anthropic's.",
    ),
)

CODEX = KnownAgent(
    id="codex",
    title="Codex",
    registry=Registry.NPM,
    package="@agentclientprotocol/codex-acp",
    version="2.6.0",
    megabytes=457,
    program="codex-acp",
    variables=(
        Variable(name="OPENAI_API_KEY", meaning="API key", key=True),
        Variable(name="CODEX_API_KEY", meaning="API key, before the other", key=True),
        Variable(name="CODEX_CONFIG", meaning="JSON for its configuration: model, `model_providers`"),
        Variable(name="CODEX_PATH", meaning="another `codex` than the one that comes with it"),
    ),
    env={"INITIAL_AGENT_MODE": "read-only", "NO_BROWSER": "1"},
    abilities=Abilities(forks=True, steers=True),
    notes=(
        "In the modes `workspace-write` and `agent` it works in the folder without asking.",
        "It has its own sandbox, and asks when the model wants a command to run outside it.",
        "After a refusal it ends its turn: the run completes with what was said.",
    ),
)

GEMINI = KnownAgent(
    id="gemini",
    title="Gemini CLI",
    registry=Registry.NPM,
    package="@google/gemini-cli",
    version="0.61.0",
    megabytes=100,
    program="gemini",
    arguments=("--acp",),
    variables=(
        Variable(name="GEMINI_API_KEY", meaning="API key", key=True),
        Variable(name="GOOGLE_GEMINI_BASE_URL", meaning="address of the model server"),
        Variable(name="GEMINI_MODEL", meaning="model; without it a small model chooses one"),
    ),
    env={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
    auth_method="gemini-api-key",
    mode="default",
    # It takes a file that isn't there yet for an error, if the host tells it so.
    host_files=False,
    abilities=Abilities(loads=False, tokens=False),
    notes=(
        "Loading a session fails more often than not; it gets the transcript then.",
        "What it asks about has the command as a title, and no arguments of its own.",
        "Without GEMINI_CLI_TRUST_WORKSPACE it leaves the host's tools out.",
    ),
)

OPENCODE = KnownAgent(
    id="opencode",
    title="opencode",
    registry=Registry.NPM,
    package="opencode-ai",
    version="1.18.33",
    megabytes=354,
    program="opencode",
    arguments=("acp",),
    variables=(
        Variable(name="ANTHROPIC_API_KEY", meaning="API key of a provider", key=True),
        Variable(name="OPENAI_API_KEY", meaning="API key of a provider", key=True),
        Variable(name="OPENCODE_API_KEY", meaning="API key of OpenCode Zen", key=True),
        Variable(name="OPENCODE_CONFIG_CONTENT", meaning="JSON for its configuration: model, providers"),
        Variable(name="OPENCODE_PERMISSION", meaning="JSON: which of its tools ask"),
        Variable(name="OPENCODE_DISABLE_PROJECT_CONFIG", meaning="`1`: heed no configuration in the folder"),
    ),
    env={
        # The host's own tools are asked about by the host, where the grant says so.
        "OPENCODE_PERMISSION": '{"*": "ask", "tenure_*": "allow"}',
        "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
    },
    abilities=Abilities(forks=True),
    notes=(
        "Left to itself it asks for next to nothing: OPENCODE_PERMISSION makes it ask for everything.",
        "It takes about 600 MB of memory.",
    ),
)

QWEN_CODE = KnownAgent(
    id="qwen-code",
    title="Qwen Code",
    registry=Registry.NPM,
    package="@qwen-code/qwen-code",
    version="0.24.4",
    megabytes=144,
    program="qwen",
    arguments=("--acp",),
    variables=(
        Variable(name="OPENAI_API_KEY", meaning="API key", key=True),
        Variable(name="OPENAI_BASE_URL", meaning="address of the model server"),
        Variable(name="OPENAI_MODEL", meaning="model"),
    ),
    mode="default",
    abilities=Abilities(tokens=False),
    notes=(
        "Left to itself it starts in the mode `auto`, in which a model decides what needs no asking.",
        "After a refusal it ends its turn without a word.",
        "Its model finds the host's tools by a search, from the second message of a session on.",
        "It needs Node 22 or newer, though 20 was seen to do.",
    ),
)

VIBE = KnownAgent(
    id="vibe",
    title="Mistral Vibe",
    registry=Registry.PYPI,
    package="mistral-vibe",
    version="3.0.3",
    megabytes=339,
    program="vibe-acp",
    variables=(
        Variable(name="MISTRAL_API_KEY", meaning="API key", key=True),
        Variable(name="VIBE_HOME", meaning="folder with its `config.toml`: models, providers"),
    ),
    mode="ask",
    abilities=Abilities(forks=True, gateway=False),
    notes=(
        "Left to itself it edits files without asking: the mode `ask` makes it ask.",
        "It takes no MCP servers over HTTP, so the host's tools can't be given to it.",
        "It needs Python 3.12 or newer.",
    ),
)

KNOWN = {one.id: one for one in (CLAUDE_CODE, CODEX, GEMINI, OPENCODE, QWEN_CODE, VIBE)}
"""By the name that `agent` of a table gives."""
