"""What runs are granted of the host's tools: policy ∩ manifest ∩ author; frozen, and live for later runs."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from tenure.core.grant import Budget, Descriptor, Grant, Policy, StatePolicy, Terms, make_grant
from tenure.core.output import Output, Text, completed
from tenure.core.principal import Author, Role
from tenure.core.tool import ALWAYS, NEVER, ApprovalRule, Condition, Replay, ToolTerms
from tenure.host.authorization import terms_of
from tenure.host.catalogue import Agent, Catalogue
from tenure.ports.runner import RunContext
from tenure.ports.tool import Tool
from tests.host.rooms import Plain, Rooms, agent, in_virtual_time, said
from tests.host.workshop import FakeTool

ADA = Author(tenant="acme", user="ada", role=Role.MEMBER)
NAMES = ("send_mail", "look_up", "mcp:github/list", "mcp:github/push")


class Shelf:
    """Tools that a test puts there and takes away."""

    def __init__(self, *tools: Tool) -> None:
        self.tools = tools

    def get(self, name: str) -> Tool | None:
        """One of them."""
        return next((tool for tool in self.tools if tool.info.name == name), None)

    def all(self) -> tuple[Tool, ...]:
        """All of them."""
        return self.tools


def granted(policy: Policy, asked: tuple[str, ...] = ("*",), author: Author = ADA) -> Grant:
    """The grant of a run among four tools."""
    tools = [FakeTool(name, approval=ALWAYS) for name in NAMES]
    return make_grant(terms_of("a", Descriptor(runner="r", tools=asked), policy, tools), author)


def names(grant: Grant) -> list[str]:
    """The granted tools."""
    return [tool.name for tool in grant.tools]


@pytest.mark.parametrize(
    ("allowed", "asked", "both"),
    [
        ((), ("*",), []),
        (("*",), (), []),
        (("*",), ("*",), list(NAMES)),
        (("send_mail", "mcp:github/*"), ("*",), ["send_mail", "mcp:github/list", "mcp:github/push"]),
        (("*",), ("mcp:github/l*",), ["mcp:github/list"]),
        (("send_mail", "look_up"), ("look_up", "mcp:github/list"), ["look_up"]),
        (("send",), ("*",), []),
    ],
)
@pytest.mark.sources("R07")
def test_a_run_is_granted_the_tools_that_policy_and_runner_both_name(
    allowed: tuple[str, ...], asked: tuple[str, ...], both: list[str]
) -> None:
    grant = granted(Policy(tools=allowed), asked)

    assert names(grant) == both
    assert [name for name in NAMES if grant.allows_resource("tool", name)] == both


@pytest.mark.sources("R20")
def test_terms_of_a_tool_are_its_own_with_the_operators_word_on_approval() -> None:
    rule = ApprovalRule(when={"amount": Condition(gt=100)})
    own = FakeTool("pay", approval=rule, replay=Replay.VERIFY, source="python:shop:pay#1")
    words: list[dict[str, ApprovalRule]] = [{}, {"pay": ALWAYS}, {"*": NEVER}, {"*": NEVER, "pa*": ALWAYS}]
    policies = [Policy(tools=("*",), approvals=approvals) for approvals in words]
    found = [terms_of("a", Descriptor(runner="r"), policy, [own]) for policy in policies]

    assert [terms.tools[0].approval for terms in found] == [rule, ALWAYS, NEVER, ALWAYS]
    assert found[0].tools == (
        ToolTerms(name="pay", source="python:shop:pay#1", approval=rule, replay=Replay.VERIFY),
    )


@pytest.mark.sources("P8")
def test_a_tool_for_a_stronger_role_is_not_granted_to_a_weaker_one() -> None:
    tool = FakeTool("purge")
    tool.role = Role.OPERATOR
    terms = terms_of("a", Descriptor(runner="r"), Policy(tools=("*",)), [tool])
    roles = {role: names(make_grant(terms, Author(tenant="t", user="u", role=role))) for role in Role}

    assert roles == {Role.ADMIN: ["purge"], Role.OPERATOR: ["purge"], Role.MEMBER: [], Role.VIEWER: []}


# resources


RESOURCES = Policy(
    resources={"model": ("small", "big", ""), "knowledge_base": ("kb",), "skill": ("s",)},
    operations={"model": ("invoke", "count_tokens")},
    storage=("plugin",),
)
ASKED = Descriptor(
    runner="r",
    resources={"model": ("*",), "knowledge_base": ("kb", "other")},
    storage=("plugin", "workspace"),
)


def resources() -> Grant:
    """A grant of models, a knowledge base and one storage area."""
    return make_grant(Terms(agent="a", descriptor=ASKED, policy=RESOURCES), ADA)


@pytest.mark.sources("R03", "R07")
def test_resources_are_those_that_policy_and_runner_both_name_by_type() -> None:
    grant = resources()

    assert grant.resources == {"knowledge_base": ("kb",), "model": ("big", "small")}
    assert grant.storage == ("plugin",)


@pytest.mark.parametrize(
    ("kind", "name", "operation", "allowed"),
    [
        ("model", "small", None, True),
        ("model", "small", "invoke", True),
        ("model", "small", "rerank", False),
        ("model", "small", "", False),
        ("model", "other", "invoke", False),
        ("model", "", "invoke", False),
        ("model", None, "invoke", False),
        ("knowledge_base", "kb", "retrieve", True),
        ("knowledge_base", "kb", "", False),
        ("skill", "s", None, False),
        ("storage", "plugin", "read", True),
        ("storage", "workspace", None, False),
    ],
)
@pytest.mark.sources("R20", "R16", "D-R3")
def test_a_resource_may_be_used_by_id_and_operation(
    kind: str, name: str | None, operation: str | None, allowed: bool
) -> None:
    assert resources().allows_resource(kind, name, operation) is allowed


@pytest.mark.sources("R06")
def test_defaults_grant_no_tools_no_resources_and_state_of_conversation_and_actor() -> None:
    grant = make_grant(Terms(agent="a", descriptor=Descriptor(runner="r"), policy=Policy()), ADA)

    assert (grant.tools, grant.resources, grant.operations, grant.storage) == ((), {}, {}, ())
    assert grant.state == StatePolicy(enabled=True, scopes=("conversation", "actor"))


def test_a_grant_covers_another_only_if_it_covers_tools_resources_and_operations() -> None:
    whole = resources()
    less = msgspec.structs.replace(whole, operations={"model": ("invoke",)})
    tools = msgspec.structs.replace(whole, tools=(ToolTerms(name="t", source="s"),))

    assert whole.covers(whole) and whole.covers(less) and tools.covers(whole)
    assert not less.covers(whole) and not whole.covers(tools)
    assert not less.covers(msgspec.structs.replace(whole, operations={}))


@pytest.mark.sources("O05")
def test_a_stored_grant_comes_back_whole() -> None:
    grant = make_grant(
        terms_of(
            "a",
            ASKED,
            msgspec.structs.replace(RESOURCES, tools=("*",), budget=Budget(tokens=5)),
            [FakeTool("pay", approval=ApprovalRule(when={"to": Condition(in_=("a", None))}))],
        ),
        ADA,
    )

    assert msgspec.json.decode(msgspec.json.encode(grant), type=Grant) == grant


# the catalogue


def test_terms_follow_the_tools_that_are_there() -> None:
    shelf = Shelf()
    catalogue = Catalogue([Agent(name="a", runner=Plain(speak), policy=Policy(tools=("mcp:github/*",)))])
    terms = catalogue.terms()
    catalogue.equip(shelf)
    before = terms["a"].tools
    shelf.tools = (FakeTool("mcp:github/list"), FakeTool("other"))
    catalogue.refresh()

    assert before == ()
    assert [tool.name for tool in terms["a"].tools] == ["mcp:github/list"]
    assert (list(terms), len(terms)) == (["a"], 1)


def test_the_catalogue_tells_what_runs_are_granted_and_which_names_cover_nothing() -> None:
    policy = msgspec.structs.replace(
        RESOURCES, tools=("look_up", "mcp:github/*"), state=StatePolicy(enabled=False)
    )
    catalogue = Catalogue([Agent(name="a", runner=Plain(speak), policy=policy)])
    catalogue.equip(Shelf(FakeTool("look_up")))
    (info,) = catalogue.agents()

    assert [tool.name for tool in info.tools] == ["look_up"]
    assert info.tools_absent == ("mcp:github/*",)
    assert (info.resources, info.storage, info.state_scopes) == ({}, (), ())


async def speak(run: RunContext) -> AsyncIterator[Output]:
    """Say which tools the run was granted."""
    yield Text(",".join(tool.name for tool in run.grant.tools))
    yield completed()


@pytest.mark.sources("R04", "P8")
@in_virtual_time
async def test_runs_that_begin_later_have_a_tool_that_came_and_earlier_ones_dont(rooms: Rooms) -> None:
    shelf = Shelf(FakeTool("look_up"))
    rooms.tools = shelf
    await rooms.up(agent(speak, Policy(deadline_s=None, tools=("*",))))
    talk = await rooms.open()
    first = await talk.send()
    first_said = said(await talk.answer(first))
    shelf.tools = (FakeTool("look_up"), FakeTool("send_mail"))
    rooms.host.catalogue.refresh()
    second = await talk.send()

    assert first_said == "look_up"
    assert said(await talk.answer(second)) == "look_up,send_mail"
    assert [tool.name for tool in (await talk.run(first)).grant.tools] == ["look_up"]
    assert [tool.name for tool in (await talk.run(second)).grant.tools] == ["look_up", "send_mail"]
