"""Settings -> a host behind its HTTP face. The only module that names adapters.

Everything that a host gets from outside is chosen and connected here; nothing else in Tenure knows which
store, clock or runner it works with.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from socket import gethostname
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import urlsplit

import msgspec
import structlog
from starlette.types import ASGIApp

import tenure
from tenure.agent_tables import AcpAgent, AguiAgent, AnyAgentSettings, PydanticAIAgent, PythonAgent
from tenure.config import McpSettings, Settings
from tenure.core.binding import check_bindings
from tenure.core.command import CreateKey
from tenure.core.grant import ANY, Policy, StatePolicy
from tenure.core.ids import KEY
from tenure.core.invariants import Violation
from tenure.core.limits import Limits
from tenure.core.principal import DEFAULT_TENANT, Principal, Role
from tenure.core.rules import Rules
from tenure.core.scope import SCOPES
from tenure.core.tool import Replay
from tenure.errors import Code, ConfigError, TenureError
from tenure.host.admission import secret_hash
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.clock import RandomIds, SystemClock
from tenure.host.context import Attempt
from tenure.host.doctor import examine
from tenure.host.host import Host, Parts
from tenure.host.landmarks import DieAt
from tenure.http.app import create_app
from tenure.http.call import Options, RunFace
from tenure.ports.files import Fetched, Folders
from tenure.ports.hosts import HostCard
from tenure.ports.landmarks import Landmarks, NoLandmarks
from tenure.ports.made import Made
from tenure.ports.signals import Signals, Silence
from tenure.ports.store import Figures, Stamp, Store
from tenure.runners.acp.known import Checkup
from tenure.runners.agent import AnyAgent
from tenure.runners.demo.concierge import concierge
from tenure.runners.demo.longhaul import longhaul
from tenure.runners.demo.reporter import reporter
from tenure.runners.demo.scripted import ScriptedRunner
from tenure.runners.inprocess import InProcessRunner
from tenure.runners.loader import (
    by_name,
    installed_agents,
    installed_runners,
    installed_things,
    load_agents,
    load_runner,
    load_things,
)
from tenure.stores.folders import DiskFolders
from tenure.stores.sqlite.files import check_home, lock
from tenure.stores.sqlite.lane import ThreadLane
from tenure.stores.sqlite.look import LookLane
from tenure.stores.sqlite.store import SqliteStore
from tenure.tools import demo as demo_tools
from tenure.tools.calling import FunctionTool
from tenure.tools.function import AnyTool, ToolDefinition
from tenure.tools.registry import Registry, ToolServer
from tenure.tools.servers import TALKATIVE, Endpoint, Program, ServerTable

if TYPE_CHECKING:
    from tenure.stores.postgres.tables import PostgresDraft, PostgresTables

log = logging.getLogger("tenure")

DATABASE = "tenure.db"
SESSIONS = "sessions"
ADMIN_KEY_FILE = "admin.key"
ADMIN = "admin"


class OpenStore(NamedTuple):
    """A store, and what closes it."""

    store: Store
    close: Callable[[], Awaitable[None]]
    folders: Folders
    signals: Signals = Silence()


class Served(NamedTuple):
    """A host that is up, its HTTP face, and the bootstrap admin's key."""

    host: Host
    app: ASGIApp
    admin_key: str
    store: OpenStore
    lock: IO[str]
    tools: Registry

    async def close(self) -> None:
        """Drain, settle, and let the home go."""
        await self.host.stop()
        await self.tools.stop()
        await self.store.close()
        self.lock.close()


async def build(settings: Settings) -> Served:
    """Open the home and start a host on it. Raises ConfigError that says what is wrong and the way out."""
    home = settings.home
    on_postgres(settings.store)
    hosted = [*agents(settings)]
    catalogue, tools = Catalogue(hosted), registry(settings)
    check_tools(hosted, tools)
    bindings = check_bindings((b.binding() for b in settings.bindings), catalogue.terms())
    check_home(home)
    marks = landmarks()
    async with AsyncExitStack() as undo:
        held = undo.enter_context(lock(home))
        opened = await open_store(home, catalogue, settings, marks)
        undo.push_async_callback(opened.close)
        host = Host(
            Parts(
                store=opened.store,
                card=card(settings),
                clock=SystemClock(),
                ids=RandomIds(),
                catalogue=catalogue,
                limits=settings.limits.limits(),
                landmarks=marks,
                folders=opened.folders,
                signals=opened.signals,
                fetch=LateFetch(),
                version=tenure.__version__,
                bindings=bindings,
                tools=tools,
                retention_days=settings.retention.after_days,
                sampled=True,
            )
        )
        tools.on_change(catalogue.refresh)
        key = await bootstrap(host, home)
        undo.push_async_callback(tools.stop)
        await tools.start()
        tell_absent(hosted, tools)
        await host.start()
        undo.pop_all()
    face = run_face(host)
    app = create_app(host, options(settings), version=tenure.__version__, run_face=face)
    return Served(host, app, key, opened, held, tools)


class LateFetch:
    """Loads the client for other servers when a file is first fetched: most servers never need it."""

    async def fetch(self, url: str, most: int) -> Fetched:
        """What the URL names."""
        from tenure.fetch import HttpsFetch

        return await HttpsFetch().fetch(url, most)


class LateRunFace:
    """Loads the MCP server of the run gateway when an agent first asks: most servers never need it."""

    def __init__(self) -> None:
        self._loading: asyncio.Future[RunFace] | None = None

    async def serve(self, host: Host, attempt: Attempt) -> ASGIApp:
        """What answers one request."""
        if self._loading is None:
            # In a thread, because it takes most of a second, and runs are being streamed.
            self._loading = asyncio.ensure_future(asyncio.to_thread(load_run_face))
        face = await asyncio.shield(self._loading)
        return await face.serve(host, attempt)


def load_run_face() -> RunFace:
    """The MCP server of the run gateway."""
    from tenure.http.protocols.run_gateway import RunGateway

    return RunGateway(tenure.__version__)


def run_face(host: Host) -> RunFace | None:
    """The protocol of the run gateway; without the extra mcp there is none, and no run is told of it."""
    if find_spec("mcp") is None:
        host.gateway.withdraw()
        return None
    return LateRunFace()


POSTGRES = ("postgres://", "postgresql://")


def on_postgres(url: str | None) -> bool:
    """Whether a store's URL names a Postgres database. Raises ConfigError for any other."""
    if url is None or url.startswith(POSTGRES):
        return url is not None
    # Of what isn't understood, any part may be a password.
    scheme, found, _ = url.partition("://")
    raise ConfigError(
        f"The store {f'{scheme}://…' if found else 'that is given'} can't be used. Give "
        "postgres://user@host/database with --store or TENURE_STORE, or leave it out: then everything is "
        "kept in the home."
    )


class Examination(NamedTuple):
    """What a look at a home's database found, without a server."""

    history: str
    figures: Figures
    violations: list[Violation]


async def examine_home(home: Path) -> Examination:
    """Check everything that is stored in a home; it may have a live server. Raises ConfigError."""
    lane = LookLane(home / DATABASE)
    try:
        history = lane.history()
        store = SqliteStore(lane, Rules(limits=Limits(), terms={}), RandomIds(), history)
        return Examination(history, await store.figures(), await examine(store))
    finally:
        lane.close()


async def open_store(home: Path, catalogue: Catalogue, settings: Settings, marks: Landmarks) -> OpenStore:
    """The store that the settings name. Raises ConfigError where it can't be used."""
    rules = Rules(limits=settings.limits.limits(), terms=catalogue.terms())
    if on_postgres(settings.store):
        return await open_postgres(settings, rules)
    store = await SqliteStore.opened(ThreadLane(str(home / DATABASE), marks, die), rules, RandomIds())

    async def close() -> None:
        store.close()

    return OpenStore(store, close, DiskFolders(home / SESSIONS))


async def open_postgres(settings: Settings, rules: Rules) -> OpenStore:
    """The store in Postgres. Raises ConfigError where the extra isn't installed, or the server is unsafe."""
    with needing("postgres", "A store in Postgres"):
        from tenure.signals.postgres import PostgresSignals
        from tenure.stores.postgres.files import open_folders
        from tenure.stores.postgres.lane import PostgresLane
        from tenure.stores.postgres.store import PostgresStore
    assert settings.store is not None
    lane = await PostgresLane.opened(settings.store, settings.lease_s)
    store = await PostgresStore.opened(lane, rules, RandomIds())
    url, local, shared = settings.store, DiskFolders(settings.home / SESSIONS), settings.files_dir
    try:
        folders = await open_folders(url, settings.lease_s, local, shared, store.history)
    except ConfigError:
        await store.aclose()
        raise

    async def close() -> None:
        await folders.aclose()
        await store.aclose()

    return OpenStore(store, close, folders.folders, PostgresSignals(settings.store))


class PostgresSides(NamedTuple):
    """Both sides of a move in Postgres, and a store of which one moment is examined."""

    source: "type[PostgresTables]"
    target: "type[PostgresDraft]"
    examined: "Callable[[str, RandomIds], AbstractAsyncContextManager[Store]]"


def postgres_sides() -> PostgresSides:
    """What `tenure.moving` needs of Postgres. Raises ConfigError where the extra isn't installed."""
    with needing("postgres", "A store in Postgres"):
        from tenure.stores.postgres.tables import PostgresDraft, PostgresTables, examined
    return PostgresSides(PostgresTables, PostgresDraft, examined)


def card(settings: Settings) -> HostCard:
    """What this host says of itself to the others."""
    name = settings.address or f"{gethostname()}:{settings.port}"
    slots = settings.limits.limits().live_runs if settings.slots is None else settings.slots
    return HostCard(name=name, version=tenure.__version__, slots=slots, lease_s=settings.lease_s)


def die(reason: str) -> NoReturn:
    """End the process at once: what the last commit came to is unknown, and recovery decides."""
    log.critical("%s The process ends; start it again.", reason)
    os._exit(70)


def landmarks() -> Landmarks:
    """Where this process must die, if a crash test says so; else nothing."""
    text = os.environ.get("TENURE_CRASH_AT")
    return DieAt.parse(text) if text else NoLandmarks()


def options(settings: Settings) -> Options:
    """The operator's settings of the HTTP face."""
    own = f"[{settings.host}]" if ":" in settings.host else settings.host
    # Agents elsewhere come by the name that their runs are given, and browsers by the name of the proxy.
    named = [urlsplit(url).netloc for url in (settings.gateway_url, settings.public_url) if url]
    hosts = (own, *named, *settings.allowed_hosts)
    return Options(hosts, settings.allowed_origins, public_url=settings.public_url)


def agents(settings: Settings) -> Iterator[Agent]:
    """Every agent that the settings name: from files, installed packages, tenure.toml, and the demo."""
    found = [agent for module in settings.modules for agent in agents_in(module)]
    if settings.entry_points:
        found += installed_agents()
    if settings.demo:
        found += [longhaul, concierge, reporter]
    attempts = settings.limits.max_attempts
    hosted = {name: in_process(definition, attempts) for name, definition in by_name(found).items()}
    for name, made in installed_runners().items() if settings.entry_points else ():
        check_free(name, hosted)
        hosted[name] = assembled(name, made, msgspec.structs.replace(made.policy, max_attempts=attempts))
    if settings.demo:
        check_free("scripted", hosted)
        policy = Policy(max_attempts=attempts, tools=ANY, state=StatePolicy(scopes=SCOPES))
        scripted = Agent(name="scripted", runner=ScriptedRunner(), policy=policy)
        hosted["scripted"] = scripted
    for name, table in settings.agents.items():
        hosted[name] = configured(name, table, settings, hosted)
    return iter(hosted.values())


def agents_in(module: str) -> list[AnyAgent]:
    """The agents of a module, which may hold tools alone. Raises ConfigError if it holds neither."""
    return load_agents(module, required=not load_things(module, ToolDefinition))


def registry(settings: Settings) -> Registry:
    """Every tool that the settings name: of the modules that hold agents, of servers, and the demo's."""
    found: list[AnyTool] = [*demo_tools.TOOLS] if settings.demo else []
    tables = settings.agents.values()
    targets = [
        table.target
        for table in tables
        if isinstance(table, PythonAgent | PydanticAIAgent) and table.target is not None
    ]
    for module in (*settings.modules, *targets):
        found += load_things(module, ToolDefinition)
    if settings.entry_points:
        found += installed_things(ToolDefinition)
    called = [FunctionTool(tool) for tool in distinct(found)]
    return Registry(called, [server(name, table) for name, table in settings.mcp.items()])


def distinct(tools: Iterable[AnyTool]) -> list[AnyTool]:
    """The same tools, each once: a module may import those of another."""
    return list({id(tool): tool for tool in tools}.values())


def server(name: str, table: McpSettings) -> ToolServer:
    """A server of tools that tenure.toml names. Raises ConfigError where the extra isn't installed."""
    with needing("mcp", f"[mcp.{name}]"):
        from tenure.tools.mcp import McpServer
    return McpServer(
        ServerTable(
            name=name,
            reach=reach(table),
            replay={pattern: Replay(kind) for pattern, kind in table.replay.items()},
            timeout_s=table.timeout_s,
        ),
        tenure.__version__,
    )


def reach(table: McpSettings) -> Program | Endpoint:
    """How a server of tools is reached."""
    if table.command is not None:
        env = {name: value.get_secret_value() for name, value in table.env.items()}
        return Program(command=table.command, env=env, folder=table.folder)
    assert table.url is not None  # the settings hold one of the two
    headers = {name: value.get_secret_value() for name, value in table.headers.items()}
    return Endpoint(url=table.url, headers=headers)


def check_tools(hosted: Iterable[Agent], tools: Registry) -> None:
    """Refuse agents that name tools which can't be there. Raises ConfigError."""
    for agent in hosted:
        tools.check(agent.name, (*agent.policy.tools, *agent.policy.approvals))


def tell_absent(hosted: Iterable[Agent], tools: Registry) -> None:
    """Warn of what agents may use that isn't there. A server may offer it later."""
    for agent in hosted:
        for pattern in tools.absent(agent.policy.tools):
            log.warning("The agent %s may use %r, which covers no tool as yet.", agent.name, pattern)


def check_free(name: str, hosted: Mapping[str, Agent]) -> None:
    """Refuse two agents of one name. Raises ConfigError."""
    if name in hosted:
        raise ConfigError(
            f"An agent of yours is called {name}, like one of the demo or of an installed package. Rename "
            "it, or leave the other out."
        )


def in_process(definition: AnyAgent, max_attempts: int) -> Agent:
    """An agent that code defines, on its own terms."""
    policy = msgspec.structs.replace(definition.policy, max_attempts=max_attempts)
    runner = InProcessRunner(definition)
    return Agent(name=definition.name, runner=runner, policy=policy, summarize=definition.summarize)


def configured(name: str, table: AnyAgentSettings, settings: Settings, known: Mapping[str, Agent]) -> Agent:
    """An agent that tenure.toml names, or one that is `known` and gets other terms. Raises ConfigError."""
    attempts = settings.limits.max_attempts
    match table:
        case PythonAgent():
            return python_agent(name, table, attempts, known)
        case PydanticAIAgent():
            with needing("pydantic-ai", f"agents.{name}"):
                from tenure.runners.pydantic_ai.assembly import pydantic_ai_agent
            made = pydantic_ai_agent(name, table)
        case AcpAgent():
            with needing("acp", f"agents.{name}"):
                from tenure.runners.acp.assembly import acp_agent
            made = acp_agent(name, table, settings.home)
        case AguiAgent():
            with needing("agui", f"agents.{name}"):
                from tenure.runners.agui.assembly import agui_agent
            made = agui_agent(name, table)
    return assembled(name, made, table.policy(made.policy, attempts))


def assembled(name: str, made: Made, policy: Policy) -> Agent:
    """An agent of what its adapter, or its own code, made."""
    return Agent(
        name=name,
        runner=made.runner,
        policy=policy,
        summarize=made.summarize,
        residence=made.residence,
        check=made.check,
    )


async def check_agent(name: str, settings: Settings) -> Checkup:
    """Start one ACP agent of the settings as a run would, and end it.

    Raises ConfigError, and TenureError `runner_unavailable`.
    """
    table = settings.agents.get(name)
    if not isinstance(table, AcpAgent):
        raise ConfigError(
            f'There is no agents.{name} with runner = "acp" in tenure.toml, and only such agents can be '
            "checked. `tenure agents --detect` writes a table for those that are on this machine."
        )
    with needing("acp", f"agents.{name}"):
        from tenure.runners.acp.checkup import checkup
    return await checkup(name, table)


@contextmanager
def needing(extra: str, what: str) -> Generator[None]:
    """Say which extra something needs where it isn't installed. Raises ConfigError."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"{what} needs the extra {extra} ({missing.name} isn't there). Install it: "
            f"pip install 'tenure[{extra}]'."
        ) from missing


def python_agent(name: str, table: PythonAgent, max_attempts: int, known: Mapping[str, Agent]) -> Agent:
    """An agent of Python code that tenure.toml names, or a known one on other terms. Raises ConfigError."""
    if table.target is None:
        if name not in known:
            raise ConfigError(
                f"agents.{name} has no target, and no agent of that name is here. Add target = "
                '"module:agent", or serve the module that defines it.'
            )
        policy = table.policy(known[name].policy, max_attempts)
        return msgspec.structs.replace(known[name], policy=policy)
    made = load_runner(table.target)
    if made is not None:
        return assembled(name, made, table.policy(made.policy, max_attempts))
    definitions = load_agents(table.target)
    if len(definitions) != 1:
        raise ConfigError(
            f"agents.{name}.target is {table.target!r}, which holds {len(definitions)} agents. "
            "Name one as module:agent."
        )
    policy = table.policy(definitions[0].policy, max_attempts)
    runner = InProcessRunner(definitions[0])
    return Agent(name=name, runner=runner, policy=policy, summarize=definitions[0].summarize)


async def bootstrap(host: Host, home: Path) -> str:
    """The bootstrap admin's key: TENURE_ADMIN_KEY, else the home's file, else a fresh one put there.

    A key of the file that was revoked or replaced meanwhile gives way to a fresh one. Raises ConfigError
    for such a key in the environment.
    """
    given = os.environ.get("TENURE_ADMIN_KEY")
    key = given or stored_key(home) or fresh_key(host, home)
    if await is_admins(host, key):
        return key
    if given:
        raise ConfigError(
            "TENURE_ADMIN_KEY holds a key that was revoked, replaced, or made for somebody else. Give a key "
            "that was never used here, or leave the variable out: then a fresh one is put into the home."
        )
    (home / ADMIN_KEY_FILE).unlink()
    return await bootstrap(host, home)


async def is_admins(host: Host, key: str) -> bool:
    """Whether `key` is the bootstrap admin's. One that was never seen becomes it, and replaces the others."""
    known = await host.store.principal(secret_hash(key), host.clock.now())
    if known is not None:
        return known.root
    admin = Principal(tenant=DEFAULT_TENANT, user=ADMIN, role=Role.ADMIN, key_id="", root=True)
    ask = CreateKey(user=ADMIN, role=Role.ADMIN, name="bootstrap admin")
    stamp = Stamp(host.clock.now(), admin)
    try:
        await host.store.create_key(stamp, ask, host.ids.new(KEY), secret_hash(key), root=True)
    except TenureError as refusal:
        if refusal.code is not Code.CONFLICT:
            raise
        # It is there by now: another host that starts with it was quicker, or it was revoked.
        known = await host.store.principal(secret_hash(key), host.clock.now())
        return known is not None and known.root
    return True


def stored_key(home: Path) -> str | None:
    """The key that an earlier start left in the home."""
    path = home / ADMIN_KEY_FILE
    return path.read_text("utf-8").strip() if path.is_file() else None


def fresh_key(host: Host, home: Path) -> str:
    """Make a key and leave it in the home, readable by its owner alone."""
    key = f"tnr_{host.ids.secret()}"
    path = home / ADMIN_KEY_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key + "\n")
    if not host.store.alone:
        log.warning("The admin's key in %s is new and ends others. Set TENURE_ADMIN_KEY on all hosts.", path)
    return key


def set_up_logging(settings: Settings) -> None:
    """Log to stderr: for people, or as JSON. The library itself logs through the standard library."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_json:
        shared.append(structlog.processors.format_exc_info)
    last = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
            # The rich one shows local variables, and those may hold what people said.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=last, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("uvicorn.error").addFilter(is_news)
    for library in TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)


def is_news(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn takes for a fault: a socket that was refused, and got its answer."""
    return record.msg != "ASGI callable returned without completing handshake."
