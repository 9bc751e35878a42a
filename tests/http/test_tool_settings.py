"""Tools as an operator configures them: modules, tables, servers of tools, and what is refused."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from tenure import wiring
from tenure.config import load
from tenure.core.command import OpenSession, SendMessage
from tenure.core.content import text_of
from tenure.core.principal import Principal, Role
from tenure.core.tool import ALWAYS, NEVER, ApprovalRule, Condition, Replay
from tenure.core.view import AgentInfo
from tenure.errors import ConfigError
from tenure.host.fanout import Delivery
from tenure.tools.servers import Endpoint, Program

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_imports")]

TOOL_SERVER = Path(__file__).parents[1] / "tools" / "toolserver.py"

SHOP = '''
import tenure


@tenure.tool(approval={"amount": {"gt": 100}})
def pay(amount: float) -> str:
    """Pay."""
    return f"paid {amount}"


@tenure.tool(replay="safe")
def look_up(word: str) -> str:
    """Look up."""
    return word


@tenure.agent("shop", tools=(pay, "look_up"))
async def shop(run: tenure.Run):
    """Sells."""
    yield str(await run.tools.call("pay", amount=5))
'''

TOOLS_ONLY = '''
import tenure


@tenure.tool
def lonely() -> str:
    """Alone."""
    return "alone"
'''


class Home:
    """The home of a server: its modules and its tenure.toml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "shop_module.py").write_text(SHOP)
        (folder / "tools_module.py").write_text(TOOLS_ONLY)

    def path(self, name: str) -> str:
        """Where a module is."""
        return str(self.folder / name)

    @asynccontextmanager
    async def served(
        self, toml: str = "", modules: Sequence[str] = ("shop_module.py",), *, demo: bool = False
    ) -> AsyncGenerator[wiring.Served, None]:
        """A server with these settings."""
        (self.folder / "tenure.toml").write_text(toml)
        paths = tuple(self.path(module) for module in modules)
        flags: dict[str, object] = {"home": self.folder, "modules": paths, "demo": demo}
        served = await wiring.build(load(flags | {"entry_points": False}))
        try:
            yield served
        finally:
            await served.close()

    async def refused(self, toml: str) -> str:
        """Why a server doesn't start with these settings."""
        with pytest.raises(ConfigError) as refusal:
            async with self.served(toml):
                pass
        return str(refusal.value)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own."""
    return Home(tmp_path)


def info(served: wiring.Served, agent: str) -> AgentInfo:
    """One entry of the catalogue."""
    return next(info for info in served.host.catalogue.agents() if info.name == agent)


def names(served: wiring.Served, agent: str) -> list[str]:
    """The tools that an agent's runs are granted."""
    return [tool.name for tool in info(served, agent).tools]


def the_server(extra: str = "") -> str:
    """A table for a server of tools."""
    return f'[mcp.calc]\ncommand = ["{sys.executable}", "{TOOL_SERVER}"]\n{extra}\n'


# agents and their tools


async def test_an_agent_gets_the_tools_that_its_code_asks_for_without_any_table(home: Home) -> None:
    async with home.served() as served:
        pay = next(tool for tool in info(served, "shop").tools if tool.name == "pay")

        assert names(served, "shop") == ["look_up", "pay"]
        assert pay.approval == ApprovalRule(when={"amount": Condition(gt=100)})
        assert pay.source.startswith("python:shop_module:pay#")


async def test_a_table_without_a_target_gives_other_terms_to_an_agent_that_is_there(home: Home) -> None:
    toml = '[agents.shop]\ntools = ["pay"]\napprovals = { pay = "always" }\ndeadline_s = 5\n'
    async with home.served(toml) as served:
        assert names(served, "shop") == ["pay"]
        assert info(served, "shop").tools[0].approval == ALWAYS
        assert info(served, "shop").deadline_s == 5


async def test_a_table_cant_grant_what_the_code_doesnt_ask_for(home: Home) -> None:
    toml = '[agents.shop]\ntools = ["*"]\n'
    async with home.served(toml, ("shop_module.py", "tools_module.py")) as served:
        assert names(served, "shop") == ["look_up", "pay"]


async def test_a_module_may_hold_tools_alone(home: Home) -> None:
    async with home.served(modules=("tools_module.py",)) as served:
        assert served.tools.get("lonely") is not None


async def test_tools_of_a_tables_target_are_there_too(home: Home) -> None:
    toml = f'[agents.till]\ntarget = "{home.path("shop_module.py")}:shop"\n'
    async with home.served(toml, modules=()) as served:
        assert names(served, "till") == ["look_up", "pay"]


async def test_under_demo_its_tools_can_be_granted_to_any_agent(home: Home) -> None:
    toml = f'[agents.till]\ntarget = "{home.path("tools_module.py")}:greeter"\ntools = ["confirm", "once"]\n'
    (home.folder / "tools_module.py").write_text(
        'import tenure\n\n\n@tenure.agent("greeter")\n'
        'async def greeter(run: tenure.Run):\n    yield "Hello"\n'
    )
    async with home.served(toml, demo=True) as served:
        assert names(served, "till") == ["confirm", "once"]
        assert names(served, "concierge") == ["book_table", "opening_hours", "weather"]
        assert set(names(served, "scripted")) >= {"confirm", "once", "pay"}


async def test_resources_operations_and_storage_come_from_the_table_where_the_code_asks(home: Home) -> None:
    (home.folder / "shop_module.py").write_text(
        "import tenure\n\n\n"
        '@tenure.agent("shop", resources={"model": ("*",)}, storage=("plugin",))\n'
        'async def shop(run: tenure.Run):\n    yield "Hello"\n'
    )
    toml = (
        '[agents.shop]\nresources = { model = ["small"], skill = ["s"] }\n'
        'operations = { model = ["invoke"] }\nstorage = ["plugin", "workspace"]\n'
    )
    async with home.served(toml) as served:
        shop = info(served, "shop")

    assert (shop.resources, shop.operations) == ({"model": ("small",)}, {"model": ("invoke",)})
    assert (shop.storage, shop.state_scopes) == (("plugin",), ("conversation", "actor"))


# servers of tools


async def test_tools_of_a_configured_server_are_granted_by_pattern_with_the_operators_word(
    home: Home,
) -> None:
    toml = the_server('replay = { "add" = "safe" }') + (
        f'[agents.till]\ntarget = "{home.path("free.py")}:till"\n'
        'tools = ["mcp:calc/*"]\napprovals = { "mcp:calc/s*" = "never" }\n'
    )
    (home.folder / "free.py").write_text(
        'import tenure\n\n\n@tenure.agent("till")\nasync def till(run: tenure.Run):\n    yield "Hello"\n'
    )
    async with home.served(toml) as served:
        tools = {tool.name: tool for tool in info(served, "till").tools}

    assert (tools["mcp:calc/add"].replay, tools["mcp:calc/add"].approval) == (Replay.SAFE, ALWAYS)
    assert (tools["mcp:calc/shout"].replay, tools["mcp:calc/shout"].approval) == (Replay.NEVER, NEVER)


async def test_a_pattern_that_covers_nothing_as_yet_is_told_in_the_log(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    toml = '[mcp.calc]\ncommand = ["/no/such/program"]\n[agents.shop]\ntools = ["pay", "mcp:calc/*"]\n'
    async with home.served(toml):
        pass

    assert "The agent shop may use 'mcp:calc/*', which covers no tool as yet." in caplog.text


def test_a_server_is_reached_as_its_table_says(tmp_path: Path) -> None:
    (tmp_path / "tenure.toml").write_text(
        '[mcp.one]\ncommand = ["prog", "--stdio"]\nenv = { KEY = "s3cret" }\nfolder = "/srv"\n'
        '[mcp.two]\nurl = "https://tools.example/mcp"\nheaders = { Authorization = "Bearer s3cret" }\n'
    )
    tables = load({"home": tmp_path}).mcp

    assert wiring.reach(tables["one"]) == Program(
        command=("prog", "--stdio"), env={"KEY": "s3cret"}, folder=Path("/srv")
    )
    assert wiring.reach(tables["two"]) == Endpoint(
        url="https://tools.example/mcp", headers={"Authorization": "Bearer s3cret"}
    )
    assert tables["one"].env == {"KEY": SecretStr("s3cret")}
    assert "s3cret" not in repr(tables) + repr([wiring.reach(table) for table in tables.values()])


# what is refused


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (
            '[agents.shop]\ntools = ["pya"]',
            "The agent shop names the tool 'pya', which isn't here. Tools are",
        ),
        ('[agents.shop]\napprovals = { pya = "always" }', "names the tool 'pya', which isn't here"),
        ('[agents.shop]\ntools = ["mcp:calc/*"]', "there is no [mcp.calc]. Servers of tools are: none"),
        ("[agents.nobody]\ntools = []", "agents.nobody has no target, and no agent of that name is here"),
        ("[mcp.calc]", "give either command or url"),
        ('[mcp.calc]\ncommand = ["a"]\nurl = "http://b"', "give either command or url"),
        ('[mcp.calc]\ncommand = ["a"]\nheaders = { A = "b" }', "headers go with url"),
        ('[mcp.calc]\nurl = "http://b"\nenv = { A = "b" }', "env and folder with command"),
        ('[mcp.calc]\nurl = "ftp://b"', "the url begins with neither http:// nor https://"),
        ("[mcp.calc]\ncommand = []", "mcp.calc.command"),
        ('[mcp."a/b"]\nurl = "http://b"', "String should match pattern"),
        ('[agents.shop]\napprovals = { pay = { amount = { gt = "x" } } }', "valid number"),
        ("[agents.shop]\napprovals = { pay = {} }", "at least 1 item"),
        ("[agents.shop]\napprovals = { pay = { amount = {} } }", "give one or more of eq, ne, in"),
        ('[agents.shop]\napprovals = { pay = { amount = { matches = "(" } } }', "no regular expression"),
    ],
)
async def test_settings_that_cant_be_meant_are_refused_with_the_reason(
    home: Home, toml: str, says: str
) -> None:
    assert says in await home.refused(toml)


@pytest.mark.parametrize(
    "toml",
    [
        '[mcp.calc]\nurl = "https://b"\nhedaers = { A = "s3cret" }',
        '[mcp.calc]\ncommand = ["a"]\nenv = "s3cret"',
        '[mcp.calc]\ncommand = ["a"]\nheaders = { A = "s3cret" }',
        '[mcp.calc]\nurl = "s3cret"',
    ],
)
async def test_a_refusal_about_a_server_never_shows_its_secrets(home: Home, toml: str) -> None:
    said = await home.refused(toml)

    assert "mcp.calc" in said
    assert "s3cret" not in said


async def test_two_tools_of_one_name_are_refused(home: Home) -> None:
    (home.folder / "tools_module.py").write_text(TOOLS_ONLY.replace("lonely", "pay"))
    with pytest.raises(ConfigError, match="Two tools are called pay: python:shop_module:pay"):
        async with home.served(modules=("shop_module.py", "tools_module.py")):
            pass


async def test_a_server_needs_the_extra(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenure.tools.mcp", None)

    assert "pip install 'tenure[mcp]'" in await home.refused(the_server())


def test_libraries_that_tell_of_messages_are_quiet(tmp_path: Path) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        wiring.set_up_logging(load({"home": tmp_path, "log_level": "debug"}))
        assert [logging.getLogger(name).level for name in ("mcp", "httpx2")] == [logging.WARNING] * 2
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


# a run that calls a server's tools

CALLER = """
import tenure


@tenure.agent("caller", tools=("mcp:calc/*",))
async def caller(run: tenure.Run):
    \"\"\"Calls what the message says.\"\"\"
    name, _, number = run.message.text.partition(" ")
    arguments = {"a": int(number) if number.isdigit() else number, "b": 1} if number else {}
    try:
        yield str(await run.tools.call_with(name, arguments))
    except tenure.TenureError as refusal:
        yield f"{refusal.code}"
"""


async def answers(served: wiring.Served, *messages: str) -> list[str]:
    """What the agent says to messages of the bootstrap admin, one after the other."""
    by = Principal(tenant="default", user="admin", role=Role.ADMIN, key_id="k", root=True)
    commands, follow = served.host.commands, served.host.fanout.follow
    session = (await commands.open_session(by, OpenSession(agent="caller"), None)).value.id
    said: list[str] = []
    for message in messages:
        receipt = (await commands.send(by, session, SendMessage(content=message), None)).value
        text = ""
        with await follow(session, receipt.seq) as follower:
            async with asyncio.timeout(30):
                while b'"run.finished"' not in text.encode():
                    step = await follower.next()
                    text += step.body.decode() if isinstance(step, Delivery) else ""
        page = await served.host.store.transcript(session, None, 100)
        said.append(text_of(page.data[-1].content))
    return said


async def test_a_run_calls_a_servers_tools_and_learns_of_an_unknown_outcome(home: Home) -> None:
    (home.folder / "shop_module.py").write_text(CALLER)
    toml = the_server() + '[agents.caller]\napprovals = { "mcp:calc/*" = "never" }\n'
    async with home.served(toml) as served:
        said = await answers(served, "mcp:calc/add 41", "mcp:calc/die", "mcp:calc/add x", "mcp:calc/nothing")

    assert said == ["{'result': 42}", "outcome_unknown", "invalid", "forbidden"]


async def test_the_operator_says_which_rights_an_agent_may_have(home: Home) -> None:
    toml = """
[agents.scripted]
apis = ["history"]
"""
    async with home.served(demo=True) as usual:
        asked = info(usual, "scripted").apis
    async with home.served(toml, demo=True) as narrowed:
        left = info(narrowed, "scripted").apis

    assert (asked, left) == (("history", "recalls"), ("history",))
    assert "agents.scripted" in await home.refused(toml.replace("history", "root"))
