"""The registry: which tools there are, by name, and which names an operator may write."""

from collections.abc import Callable

import pytest

import tenure
from tenure.errors import ConfigError
from tenure.ports.tool import Tool
from tenure.tools.calling import FunctionTool
from tenure.tools.registry import Registry

pytestmark = pytest.mark.anyio


@tenure.tool
def send_mail(to: str) -> None: ...


@tenure.tool
def look_up(word: str) -> None: ...


@tenure.tool("mail")
def served(to: str) -> None: ...


class FakeServer:
    """A server of tools that offers what a test says."""

    name = "github"

    def __init__(self) -> None:
        self.tools: tuple[Tool, ...] = ()
        self._changed: Callable[[], None] | None = None
        self.log: list[str] = []

    async def start(self, changed: Callable[[], None]) -> None:
        """Remember whom to tell."""
        self._changed = changed
        self.log.append("started")

    async def stop(self) -> None:
        """Leave."""
        self.log.append("stopped")

    def offer(self, *tools: Tool) -> None:
        """From now on these."""
        self.tools = tools
        assert self._changed is not None
        self._changed()


def names(registry: Registry) -> list[str]:
    """Whatever is there."""
    return [tool.info.name for tool in registry.all()]


def test_tools_are_there_by_name_in_order() -> None:
    mail, word = FunctionTool(send_mail), FunctionTool(look_up)
    registry = Registry([mail, word])

    assert registry.all() == (word, mail)
    assert registry.get("send_mail") is mail
    assert registry.get("nothing") is None
    assert registry.get("") is None


def test_two_tools_of_one_name_are_refused_with_both_places() -> None:
    @tenure.tool("send_mail")
    def other() -> None: ...

    with pytest.raises(ConfigError) as refusal:
        Registry([FunctionTool(send_mail), FunctionTool(other)])

    assert send_mail.source in str(refusal.value) and other.source in str(refusal.value)


async def test_tools_of_servers_come_and_go_and_each_time_is_news() -> None:
    server = FakeServer()
    registry = Registry([FunctionTool(look_up)], [server])
    seen: list[list[str]] = []
    registry.on_change(lambda: seen.append(names(registry)))
    await registry.start()
    server.offer(FunctionTool(served))
    server.offer()
    await registry.stop()

    assert seen == [["look_up", "mail"], ["look_up"]]
    assert server.log == ["started", "stopped"]


@pytest.mark.parametrize(
    "pattern", ["send_mail", "send*", "*", "mcp:github/*", "mcp:github/x", "mcp:*", "x*"]
)
def test_names_that_are_there_or_may_come_can_be_written(pattern: str) -> None:
    Registry([FunctionTool(send_mail)], [FakeServer()]).check("agent", [pattern])


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("send_mial", "'send_mial', which isn't here. Tools are: look_up, send_mail"),
        ("mcp:gitlab/*", r"there is no \[mcp.gitlab\]. Servers of tools are: github"),
        ("", "the tool '', which isn't here"),
    ],
)
def test_a_name_that_can_never_be_there_is_refused_with_those_that_are(pattern: str, says: str) -> None:
    registry = Registry([FunctionTool(send_mail), FunctionTool(look_up)], [FakeServer()])

    with pytest.raises(ConfigError, match=says):
        registry.check("agent", [pattern])


def test_what_covers_nothing_as_yet_is_told() -> None:
    registry = Registry([FunctionTool(send_mail)], [FakeServer()])

    assert registry.absent(["send_mail", "mcp:github/*", "x*", "*"]) == ["mcp:github/*", "x*"]
