"""Functions under `tool`: their schema, what is checked of a call, and what becomes of what they do."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import pytest

import tenure
from tenure.core.principal import Role
from tenure.core.tool import ALWAYS, NEVER, ApprovalRule, Condition, Replay, ToolInfo
from tenure.errors import Code, ConfigError, TenureError
from tenure.ports.tool import Outcome, Verified
from tenure.tools.calling import FunctionTool
from tenure.tools.function import AnyTool
from tests.tools.calls import a_call

pytestmark = pytest.mark.anyio


@dataclass
class Address:
    """Where something goes."""

    street: str
    number: int


@tenure.tool
async def send(
    to: Address,
    subject: str = "",
    copies: Annotated[int, msgspec.Meta(ge=1, description="How many.")] = 1,
    tags: list[str] = ["new"],  # noqa: B006 (what a user may write, and what must do no harm)
) -> dict[str, object]:
    """Send something.

    This part isn't told.
    """
    tags.append("sent")
    return {"to": to.street, "subject": subject, "copies": copies, "tags": tags}


@tenure.tool("pay", description="Pay.", approval={"amount": {"gt": 100}}, replay="safe", role="operator")
def pay_out(call: tenure.ToolCall, amount: float) -> str:
    """Unused."""
    return f"{call.user} paid {amount} under {call.idempotency_key}"


def function_of(parameters: str) -> Callable[..., object]:
    """A function with these parameters, as text, so that it may be one that no type checker takes."""
    room: dict[str, Any] = {"ToolCall": tenure.ToolCall, "Lock": type(threading.Lock())}
    exec(f"def act({parameters}): ...", room)  # noqa: S102
    return room["act"]


async def made(tool: AnyTool, **arguments: object) -> object:
    """What one call comes to."""
    return await FunctionTool(tool).call(a_call(arguments))


def refused(tool: AnyTool, **arguments: object) -> tuple[Code, str, object]:
    """Why arguments don't fit: code, text, and the field."""
    with pytest.raises(TenureError) as refusal:
        FunctionTool(tool).check(arguments)
    return refusal.value.code, refusal.value.detail, refusal.value.facts["field"]


# the definition


def test_schema_and_description_come_from_the_function() -> None:
    address = {
        "title": "Address",
        "description": "Where something goes.",
        "type": "object",
        "properties": {"street": {"type": "string"}, "number": {"type": "integer"}},
        "required": ["street", "number"],
    }

    assert send.info == ToolInfo(
        name="send",
        description="Send something.",
        parameters={
            "type": "object",
            "properties": {
                "to": {"$ref": "#/$defs/Address"},
                "subject": {"type": "string", "default": ""},
                "copies": {"type": "integer", "minimum": 1, "description": "How many.", "default": 1},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["to"],
            "additionalProperties": False,
            "$defs": {"Address": address},
        },
    )


def test_a_tool_is_as_careful_as_it_can_be_unless_it_says_otherwise() -> None:
    plain = FunctionTool(send)
    assert (plain.approval, plain.replay, plain.role) == (NEVER, Replay.NEVER, Role.VIEWER)


def test_name_approval_replay_and_role_are_what_the_decorator_says() -> None:
    paying = FunctionTool(pay_out)
    assert (paying.info.name, paying.info.description) == ("pay", "Pay.")
    assert paying.approval == ApprovalRule(when={"amount": Condition(gt=100)})
    assert (paying.replay, paying.role) == (Replay.SAFE, Role.OPERATOR)
    assert paying.info.parameters["properties"] == {"amount": {"type": "number"}}


def test_always_is_always() -> None:
    @tenure.tool(approval="always")
    def careful() -> None: ...

    assert FunctionTool(careful).approval == ALWAYS


def test_a_tool_can_still_be_called_like_its_function() -> None:
    @tenure.tool
    def double(n: int) -> int:
        return 2 * n

    assert double(4) == 8


@pytest.mark.sources("R20")
def test_source_names_the_function_and_changes_with_its_arguments() -> None:
    one, same, other = (tenure.tool(function_of(a)) for a in ("a: int", "a: int", "a: str"))

    assert one.source == same.source != other.source
    assert send.source.startswith(f"python:{__name__}:send#")


def test_types_that_only_texts_name_are_found() -> None:
    @tenure.tool
    def written(on: "date") -> "str":
        return on.isoformat()

    assert written.info.parameters["properties"] == {"on": {"type": "string", "format": "date"}}


# what can't be a tool


loose: Any = tenure.tool
"""The decorator, for those who don't look at its types."""


def says_verify(call: tenure.ToolCall) -> bool:
    return True


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("a", "takes 'a' without a type"),
        ("*names: str", "takes *names: str. Arguments are given by name"),
        ("**names: str", "takes **names: str"),
        ("a: str, /", "takes a: str"),
        ("a: str, call: ToolCall", "A ToolCall comes first"),
        ("a: object()", "can't be"),
        ("a: Lock", "can't be written as JSON"),
        ("a: 'Nowhere'", "'Nowhere' is not defined"),
    ],
)
def test_a_function_that_json_cant_call_is_refused_with_the_reason(parameters: str, says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        loose(function_of(parameters))
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"approval": "sometimes"}, "approval='sometimes'"),
        ({"approval": {}}, "has no condition"),
        ({"approval": {"b": {"eq": 1}}}, "looks at 'b'. Its arguments are: a"),
        ({"approval": {"a": {"gte": 1}}}, "says {'gte': 1} of a. Use one or more of: eq, ne, in"),
        ({"approval": {"a": {}}}, "says {} of a. Use one or more of: eq, ne, in"),
        ({"approval": {"a": {"gt": "x"}}}, "Expected `float"),
        ({"approval": {"a": {"matches": "("}}}, "unterminated"),
        ({"replay": "twice"}, "replay='twice'. Choose one of"),
        ({"replay": "verify"}, "no verify function"),
        ({"verify": says_verify}, "a verify function"),
        ({"role": "king"}, "role='king'. Choose one of"),
    ],
)
def test_what_a_decorator_cant_mean_is_refused_with_the_reason(given: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        loose(**given)(function_of("a: str"))
    assert says in str(refusal.value)


def test_a_name_with_a_colon_is_refused_since_those_of_servers_have_one() -> None:
    with pytest.raises(ConfigError, match="'mcp:x/y' can't be the name of a tool"):
        loose("mcp:x/y")(function_of(""))


def test_a_class_is_no_tool() -> None:
    for thing in (threading.Lock, dict, 5):
        with pytest.raises(ConfigError, match=r"Put @tenure\.tool above a function"):
            loose("thing")(thing)


def test_what_yields_is_no_tool() -> None:
    def bits() -> Iterator[int]:
        yield 1

    async def pieces() -> AsyncIterator[int]:
        yield 1

    for function in (bits, pieces):
        with pytest.raises(ConfigError, match=r"yields\. Let it return its result"):
            loose(function)


def test_a_refusal_says_where_the_function_stands() -> None:
    async def act(*names: str) -> None: ...

    with pytest.raises(ConfigError, match=rf"{__file__}:\d+"):
        tenure.tool(act)


# the check of a call


def test_an_unknown_argument_is_named() -> None:
    assert refused(pay_out, amount=1, amuont=2) == (
        Code.INVALID,
        (
            "The tool pay has no argument 'amuont', and got {'amount': 1, 'amuont': 2}. "
            "Its arguments are: amount."
        ),
        "amuont",
    )


def test_a_missing_argument_is_named() -> None:
    assert refused(pay_out) == (
        Code.INVALID,
        "The tool pay needs argument 'amount', and got {}. Its arguments are: amount.",
        "amount",
    )


def test_a_wrong_type_is_told_with_argument_and_value() -> None:
    assert refused(pay_out, amount="much") == (
        Code.INVALID,
        "The tool pay can't take 'much' as amount: expected `float`, got `str`. Correct it and call again.",
        "amount",
    )


def test_a_wrong_value_deep_inside_is_told_with_its_place() -> None:
    assert refused(send, to={"street": "Elm", "number": "7"})[2] == "to.number"
    assert refused(send, to={"street": "Elm", "number": 7}, tags=["a", 5])[2] == "tags[1]"
    assert refused(send, to={"street": "Elm"})[2] == "to.number"
    assert refused(send, to={"street": "Elm", "number": 7}, copies=0)[2] == "copies"


def test_a_long_value_is_cut_in_the_refusal() -> None:
    assert len(refused(pay_out, amount="x" * 10_000)[1]) < 250


def test_the_call_itself_is_no_argument() -> None:
    assert refused(pay_out, amount=1, call={"user": "root"})[2] == "call"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    @tenure.tool
    def count(n: int) -> None: ...

    FunctionTool(count).check({"n": 5.0})
    assert refused(count, n=5.5)[2] == "n"


def test_choices_are_held_to() -> None:
    @tenure.tool
    def turn(way: Literal["left", "right"]) -> None: ...

    FunctionTool(turn).check({"way": "left"})
    assert refused(turn, way="up")[2] == "way"


# the call


async def test_arguments_arrive_as_typed_and_defaults_are_fresh_each_time() -> None:
    there = {"street": "Elm", "number": 7}
    first = await made(send, to=there, copies=2)

    assert first == {"to": "Elm", "subject": "", "copies": 2, "tags": ["new", "sent"]}
    assert await made(send, to=there, copies=2) == first


async def test_a_function_may_want_the_call_itself() -> None:
    assert await made(pay_out, amount=5) == "ada paid 5.0 under eff_1"


async def test_a_plain_function_runs_in_a_thread_while_the_loop_goes_on() -> None:
    go = threading.Event()

    @tenure.tool
    def waits() -> str:
        assert go.wait(10)
        return threading.current_thread().name

    calling = asyncio.ensure_future(made(waits))
    await asyncio.sleep(0)
    go.set()

    assert await calling == "tenure-tool"


async def test_a_cancelled_call_of_a_plain_function_ends_at_once() -> None:
    go = threading.Event()

    @tenure.tool
    def waits() -> bool:
        return go.wait(10)

    calling = asyncio.ensure_future(made(waits))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    go.set()


async def test_results_become_plain_json() -> None:
    @tenure.tool
    def rich() -> object:
        return {"at": date(2026, 11, 1), "to": Address("Elm", 7), "all": (1, 2)}

    assert await made(rich) == {"at": "2026-11-01", "to": {"street": "Elm", "number": 7}, "all": [1, 2]}


@pytest.mark.parametrize("result", [object(), {"a": threading.Event()}, "\ud800", "a\x00b", {1j: 2}])
async def test_a_result_that_json_cant_hold_is_told_as_done_but_untold(result: object) -> None:
    @tenure.tool
    async def strange() -> object:
        return result

    with pytest.raises(TenureError, match="The tool strange did its work, but its result isn't JSON"):
        await made(strange)


@pytest.mark.parametrize("left", [SystemExit(3), KeyboardInterrupt(), StopIteration(1)])
@pytest.mark.parametrize("threaded", [True, False])
async def test_a_tool_that_leaves_the_program_ends_only_its_call(left: BaseException, threaded: bool) -> None:
    def leave() -> None:
        raise left

    async def leave_later() -> None:
        raise left

    with pytest.raises(RuntimeError):
        await made(tenure.tool("leaver")(leave if threaded else leave_later))


async def test_a_cancel_from_within_is_an_error_of_the_call() -> None:
    @tenure.tool
    async def inner() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="waited for something that was cancelled"):
        await made(inner)


async def test_what_a_function_raises_is_raised_where_it_was_called() -> None:
    @tenure.tool
    def broken() -> None:
        raise ValueError("no such account")

    with pytest.raises(ValueError, match="no such account"):
        await made(broken)


# verify


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (True, Verified(outcome=Outcome.DONE)),
        (False, Verified(outcome=Outcome.NOT_DONE)),
        (None, Verified(outcome=Outcome.UNKNOWN)),
        (Verified(outcome=Outcome.DONE, result=(1,)), Verified(outcome=Outcome.DONE, result=[1])),
    ],
)
@pytest.mark.parametrize("threaded", [True, False])
async def test_a_verify_function_says_whether_a_call_was_done(
    answer: Any, outcome: Verified, threaded: bool
) -> None:
    seen: list[tenure.ToolCall] = []

    def look(call: tenure.ToolCall) -> Any:
        seen.append(call)
        return answer

    async def look_later(call: tenure.ToolCall) -> Any:
        return look(call)

    @tenure.tool(replay="verify", verify=look if threaded else look_later)
    def act(a: int) -> None: ...

    assert await FunctionTool(act).verify(a_call({"a": 1})) == outcome
    assert seen == [a_call({"a": 1})]


async def test_a_verify_function_that_says_something_else_is_told_so() -> None:
    def look(call: tenure.ToolCall) -> str:
        return "yes"

    act = loose(replay="verify", verify=look)(function_of(""))

    with pytest.raises(TypeError, match="returned 'yes'"):
        await FunctionTool(act).verify(a_call({}))
