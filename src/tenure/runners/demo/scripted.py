"""The demo agent that does what the message says, for trying any client against any behaviour.

It obeys the lines of a message in order, and answers "ok" if there is none it knows. It is written
against the runner port itself, since some of what it does, `VANISH` for one, no `@tenure.agent` can.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeAlias, assert_never

import msgspec

from tenure.core import scheduling
from tenure.core.grant import HISTORY, RECALLS, Capabilities, Descriptor
from tenure.core.output import Output, Reasoning, Text, Verdict, completed, failed
from tenure.core.run import RunState
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError
from tenure.ports.runner import GatewayAccess, Recalls, RunContext, StateAccess, Steering, ToolCalls

DEFAULT_MS = 100
DEFAULT_BYTES = 100
DEAF_S = 60.0
"""How long `HANG` ignores that it was cancelled, in seconds."""

STOPPED = Verdict(status=RunState.CANCELLED, reason="interrupted")

_MOST = 10_000_000
_YEAR = 31_536_000.0
_LEAST_S = 0.001
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}")


class Say(NamedTuple):
    """Say one delta."""

    text: str


class Slow(NamedTuple):
    """Say `words` deltas `w0 w1 …`, word k at start + k × `ms`."""

    words: int
    ms: int


class Burst(NamedTuple):
    """Say `deltas` deltas at once, each `size` bytes long."""

    deltas: int
    size: int


class Reason(NamedTuple):
    """Think one delta."""

    text: str


class Fail(NamedTuple):
    """End with the verdict failed."""

    reason: str


class Crash(NamedTuple):
    """Raise an exception."""


class Vanish(NamedTuple):
    """End without a verdict."""


class Hang(NamedTuple):
    """Never return, and ignore cancellation for a minute."""


class Seq(NamedTuple):
    """Say one delta for each of these runner sequence numbers."""

    numbers: list[str]


class Put(NamedTuple):
    """Keep a value in a scope of the state. Says nothing, unless it is refused."""

    scope: str
    key: str
    value: object


class Get(NamedTuple):
    """Say a value of the state as JSON."""

    scope: str
    key: str


class Ask(NamedTuple):
    """Have a person confirm a text, and say what came of it."""

    text: str


class Recall(NamedTuple):
    """Have `text` obeyed in so many seconds, and say under which id."""

    seconds: float
    text: str


class Token(NamedTuple):
    """Say how the run gateway is reached, as JSON: its address, and the token of this session."""


class Use(NamedTuple):
    """Call a tool that the run was granted, and say its result as JSON, or why not."""

    tool: str
    arguments: Arguments


Order: TypeAlias = (
    Say | Slow | Burst | Reason | Fail | Crash | Vanish | Hang | Seq | Put | Get | Ask | Use | Recall | Token
)


class ScriptedRunner:
    """The runner behind the agent *scripted*. It keeps nothing between runs."""

    @property
    def descriptor(self) -> Descriptor:
        """What it says of itself."""
        return Descriptor(
            runner="scripted",
            description="Obeys the lines of a message, for example: SAY text, SLOW 20, FAIL reason.",
            capabilities=Capabilities(tools=True, steering=True, approvals=True),
            permissions=(HISTORY, RECALLS),
        )

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """One attempt: the orders of the message, one after the other."""
        orders = orders_of(context.message.text) or [Say("ok")]
        for order in orders:
            match order:
                case Say(text):
                    yield Text(text)
                case Reason(text):
                    yield Reasoning(text)
                case Burst(deltas, size):
                    for text in _pieces(deltas, size):
                        yield Text(text)
                case Seq(numbers):
                    for number in numbers:
                        yield Text(f"#{number} ", sequence=number)
                case Slow(words, ms):
                    start = asyncio.get_running_loop().time()
                    for word in range(words):
                        await _until(start + word * ms / 1_000)
                        if context.stopping:
                            yield STOPPED
                            return
                        for text in await _steered(context.steering):
                            yield Text(text)
                        yield Text(f"w{word} ")
                case Ask(text):
                    yield Text(await _confirmed(context.tools, text))
                case Use(tool, arguments):
                    yield Text(await _called(context.tools, tool, arguments))
                case Put() | Get():
                    for text in await _state(context.state, order):
                        yield Text(text)
                case Recall(seconds, text):
                    yield Text(await _recalled(context.recalls, seconds, text))
                case Token():
                    yield Text(_gateway(context.gateway))
                case Fail(reason):
                    yield failed(reason)
                    return
                case Crash():
                    raise RuntimeError("The message asked for a CRASH.")
                case Vanish():
                    return
                case Hang():
                    await _hang()
                case _:
                    assert_never(order)
        yield completed()


def orders_of(text: str) -> list[Order]:
    """The orders in a message; lines that aren't orders are left out.

    An order whose arguments are wrong becomes the order to say what is wrong with them.
    """
    lines = (line.lstrip().rstrip("\r").partition(" ") for line in text.split("\n"))
    return [_ORDERS[verb](rest) for verb, _, rest in lines if verb in _ORDERS]


def _say(rest: str) -> Order:
    return Say(rest) if rest.strip() else Say("SAY needs a text, for example: SAY hello. ")


def _reason(rest: str) -> Order:
    return Reason(rest) if rest.strip() else Say("REASON needs a text, for example: REASON let me see. ")


def _fail(rest: str) -> Order:
    return Fail(rest.strip() or "The message asked for it.")


def _slow(rest: str) -> Order:
    match _numbers(rest):
        case [words]:
            return Slow(words, DEFAULT_MS)
        case [words, ms]:
            return Slow(words, ms)
        case _:
            return _wrong("SLOW", rest, "a number of words and perhaps of milliseconds", "SLOW 20 100")


def _burst(rest: str) -> Order:
    match _numbers(rest):
        case [deltas]:
            return Burst(deltas, DEFAULT_BYTES)
        case [deltas, size]:
            return Burst(deltas, size)
        case _:
            return _wrong("BURST", rest, "a number of deltas and perhaps of bytes", "BURST 100 50")


def _seq(rest: str) -> Order:
    if not rest.strip():
        return Say("SEQ needs numbers with commas between them, for example: SEQ 0,1,1,x,5. ")
    return Seq([number.strip() for number in rest.split(",")])


def _put(rest: str) -> Order:
    match rest.split(None, 2):
        case [scope, key, json]:
            try:
                return Put(scope, key, msgspec.json.decode(json))
            except msgspec.DecodeError as error:
                return Say(f"SET needs a value in JSON, for example: SET actor visits 3; {error}. ")
        case _:
            return Say("SET needs a scope, a key and a value, for example: SET actor visits 3. ")


def _get(rest: str) -> Order:
    match rest.split():
        case [scope, key]:
            return Get(scope, key)
        case _:
            return Say("GET needs a scope and a key, for example: GET actor visits. ")


def _ask(rest: str) -> Order:
    return Ask(rest) if rest.strip() else Say("ASK needs a text, for example: ASK shall I go on? ")


def _once(rest: str) -> Order:
    path = rest.strip()
    return Use("once", {"path": path}) if path else Say("ONCE needs a path, for example: ONCE log.txt. ")


def _use(rest: str) -> Order:
    tool, _, json = rest.strip().partition(" ")
    try:
        arguments = msgspec.json.decode(json.strip() or "{}", type=dict[str, object])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return Say(f'TOOL needs arguments in JSON, for example: TOOL confirm {{"text": "hi"}}; {error}. ')
    return Use(tool, arguments) if tool else Say('TOOL needs a name, for example: TOOL once {"path": "a"}. ')


def _recall(rest: str) -> Order:
    seconds, _, text = rest.strip().partition(" ")
    if not (_SECONDS.fullmatch(seconds) and _LEAST_S <= float(seconds) <= _YEAR and text.strip()):
        got = repr(rest[:80]) if rest.strip() else "nothing"
        return Say(
            f"RECALL needs seconds, from {_LEAST_S} to {_YEAR:,.0f}, and what is to be done then, "
            f"for example: RECALL 1.5 SAY hello; got {got}. "
        )
    return Recall(float(seconds), text.strip())


async def _recalled(recalls: Recalls, seconds: float, text: str) -> str:
    """The id of what is to be obeyed later, or why it isn't."""
    try:
        made = await recalls.schedule(scheduling.Recall(message=text, in_s=seconds))
    except TenureError as refusal:
        return _refused(refusal)
    return f"recall {made.id} "


async def _confirmed(tools: ToolCalls, text: str) -> str:
    """What a person answered, with the text as it was carried out: a person may have changed it."""
    try:
        done = msgspec.convert(await tools.call("confirm", {"text": text}), dict[str, str])
    except TenureError as refusal:
        return "denied" if refusal.code is Code.DENIED else _refused(refusal)
    return f"approved: {done['text']}"


async def _called(tools: ToolCalls, tool: str, arguments: Arguments) -> str:
    """The result of a call as JSON, or the refusal."""
    try:
        return msgspec.json.encode(await tools.call(tool, arguments)).decode()
    except TenureError as refusal:
        return _refused(refusal)


def _gateway(access: GatewayAccess | None) -> str:
    """The way to the run gateway as JSON, or that there is none. The only place where a token is said."""
    if access is None:
        return "This host has no run gateway. It needs a server with the extra mcp installed. "
    return msgspec.json.encode({"url": access.url, "token": access.token}).decode()


def _refused(refusal: TenureError) -> str:
    if refusal.code is Code.FENCED:
        raise refusal
    return f"{refusal.code}: {refusal.detail} "


async def _steered(steering: Steering) -> list[str]:
    """An echo of each message that was sent to steer the run."""
    taken = await steering.take() if steering.pending else []
    return [f"steered: {message.text} " for message in taken]


async def _state(state: StateAccess, order: Put | Get) -> list[str]:
    """Do what concerns the state; what is to be said of it."""
    try:
        if isinstance(order, Put):
            await state.set(order.scope, order.key, order.value)
            return []
        found = await state.get(order.scope, order.key)
    except TenureError as refusal:
        if refusal.code is Code.FENCED:
            raise
        return [f"{refusal.detail} "]
    return [msgspec.json.encode(None if found is None else found.value).decode()]


_ORDERS: dict[str, Callable[[str], Order]] = {
    "SAY": _say,
    "SLOW": _slow,
    "BURST": _burst,
    "REASON": _reason,
    "FAIL": _fail,
    "CRASH": lambda _: Crash(),
    "VANISH": lambda _: Vanish(),
    "HANG": lambda _: Hang(),
    "SEQ": _seq,
    "ASK": _ask,
    "TOOL": _use,
    "ONCE": _once,
    "SET": _put,
    "GET": _get,
    "RECALL": _recall,
    "TOKEN": lambda _: Token(),
}


def _numbers(rest: str) -> list[int]:
    """The whole numbers in `rest`, or none if something else stands there too."""
    words = rest.split()
    if not all(word.isascii() and word.isdigit() and len(word) <= 8 for word in words):
        return []
    numbers = [int(word) for word in words]
    return numbers if all(number <= _MOST for number in numbers) else []


def _wrong(verb: str, rest: str, needs: str, example: str) -> Order:
    got = repr(rest[:80]) if rest.strip() else "nothing"
    return Say(f"{verb} needs {needs}, each at most {_MOST:,}, for example: {example}; got {got}. ")


def _pieces(count: int, size: int) -> Iterator[str]:
    """`count` different texts of `size` bytes each, as far as so few bytes can differ."""
    return ((f"b{k}".ljust(size - 1, ".") + " ")[:size] for k in range(count))


async def _until(instant: float) -> None:
    """Wait for an instant of the loop's clock. Waiting for instants, not for spans, doesn't drift."""
    await asyncio.sleep(instant - asyncio.get_running_loop().time())


async def _hang() -> None:
    loop = asyncio.get_running_loop()
    try:
        await asyncio.sleep(_YEAR)
    except asyncio.CancelledError:
        until = loop.time() + DEAF_S
        while loop.time() < until:
            with suppress(asyncio.CancelledError):
                await _until(until)
        raise
