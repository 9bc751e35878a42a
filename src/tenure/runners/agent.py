"""The face that agent code sees: the decorator `agent`, what it makes, and the `Run` it is given.

Users import these from `tenure`; the in-process runner and the loader work on them. Nothing here
starts anything or touches the machine, and importing it is cheap.
"""

import inspect
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import FunctionType
from typing import Generic, Protocol, TypeAlias, TypeVar

import msgspec

from tenure.core.grant import ANY, HISTORY, Capabilities, Descriptor, Grant, Policy
from tenure.core.history import Summarize
from tenure.core.origin import Origin
from tenure.core.output import Output
from tenure.core.view import TranscriptItem, TranscriptPage
from tenure.errors import ConfigError
from tenure.ports.runner import (
    FileAccess,
    GatewayAccess,
    IncomingMessage,
    RunContext,
    StateAccess,
    StateEntry,
    Steering,
)
from tenure.runners.calls import RunTools
from tenure.runners.recalls import RunRecalls

PYTHON = "python"
"""The runner of all agents made with `agent`, as descriptors and journals name it."""

Yielded: TypeAlias = AsyncIterator[str | Output]
Returned: TypeAlias = Awaitable[str | Output | None]

Work = TypeVar("Work", bound=Yielded | Returned, covariant=True)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class State:
    """The state that the host keeps for an agent, in the scopes conversation, actor, subject and runner.

    `state["actor"].get("mail")` reads the snapshot that the attempt began with, all scopes in one cut:
    nothing can change it, and each value read is a copy. `get`, `set` and `delete` work on what is kept
    now. What the grant doesn't hold raises TenureError `forbidden`; a scope that belongs to nobody here,
    such as the subject of a plain message, is `invalid`.
    """

    __slots__ = ("_access",)

    def __init__(self, access: StateAccess) -> None:
        self._access = access

    def __getitem__(self, scope: str) -> Mapping[str, object]:
        """One scope as it was when the attempt began. Raises KeyError for a scope that doesn't exist."""
        return self._access.snapshot[scope]

    @property
    def snapshot(self) -> Mapping[str, Mapping[str, object]]:
        """All four scopes as they were when the attempt began. One that isn't enabled is empty."""
        return self._access.snapshot

    async def get(self, scope: str, key: str) -> StateEntry | None:
        """The `value` and `version` under a key as they are now, None if there is nothing."""
        return await self._access.get(scope, key)

    async def entries(self, scope: str) -> Mapping[str, StateEntry]:
        """Every value of a scope as it is now, by its key."""
        return await self._access.entries(scope)

    async def set(
        self,
        scope: str,
        key: str,
        value: object,
        *,
        if_version: int | None = None,
        ttl_s: float | None = None,
    ) -> int:
        """Keep a value, any JSON of at most 256 KiB, and return its version.

        With `if_version`, only over that version (0: only if there is none yet), else TenureError
        `stale`. `ttl_s` is how long it lasts, in seconds. Returns once it is durable.
        """
        return await self._access.set(scope, key, value, if_version=if_version, ttl_s=ttl_s)

    async def delete(self, scope: str, key: str, *, if_version: int | None = None) -> bool:
        """Delete a value. False if there was none."""
        return await self._access.delete(scope, key, if_version=if_version)


class Run:
    """What an agent is given: the message to answer, and what it may use while it does.

    Each use is judged by the run's grant. What that doesn't hold raises TenureError `forbidden`.
    """

    __slots__ = ("_context",)

    def __init__(self, context: RunContext) -> None:
        self._context = context

    @property
    def id(self) -> str:
        """The id of this run. It stays the same over attempts."""
        return self._context.run_id

    @property
    def session_id(self) -> str:
        """The id of the session that the run belongs to."""
        return self._context.session_id

    @property
    def attempt(self) -> int:
        """1 for the first attempt. A later one starts over: nothing said before it counts."""
        return self._context.attempt

    @property
    def message(self) -> IncomingMessage:
        """The message to answer: its `id`, `text`, `content` and the `user` who sent it."""
        return self._context.message

    @property
    def origin(self) -> Origin:
        """The outside event that the message was made of; of a message of the API it says nothing."""
        return self._context.origin

    @property
    def steering(self) -> Steering:
        """The messages that people send to this run while it works. `take` them at safe points."""
        return self._context.steering

    @property
    def grant(self) -> Grant:
        """What this run may touch. It was frozen before the run began."""
        return self._context.grant

    @property
    def state(self) -> State:
        """What the host keeps for this agent, across runs."""
        return State(self._context.state)

    @property
    def tools(self) -> RunTools:
        """The host's tools that this run may call: `await run.tools.call("send_mail", to="x")`."""
        return RunTools(self._context.tools)

    @property
    def recalls(self) -> RunRecalls:
        """What is said later in this session: `await run.recalls.schedule("Look again", in_s=600)`."""
        return RunRecalls(self._context.recalls)

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop. Look at it often; then say what is left and return."""
        return self._context.stopping

    @property
    def seconds_left(self) -> float | None:
        """Running time left before the deadline in seconds, or None if there is no deadline."""
        return self._context.seconds_left

    @property
    def files(self) -> FileAccess:
        """The session's folder, its files, and the way to keep one: `await run.files.save(name, data)`."""
        return self._context.files

    @property
    def gateway(self) -> GatewayAccess | None:
        """`url` and `token` of the run gateway, for a program elsewhere that works for this run.

        None on a host without one. Whoever has the token may do what the run's grant holds, so give it to
        that program alone.
        """
        return self._context.gateway

    async def stopped(self) -> None:
        """Wait until the run is asked to stop."""
        await self._context.stopped()

    async def transcript(self, cursor: str | None = None, limit: int = 100) -> TranscriptPage:
        """A page of what was said in the session so far, oldest first.

        The page's `next_cursor` leads to the next one, None at the end. Raises TenureError
        `forbidden` if the grant doesn't hold the right `history`.
        """
        return await self._context.transcript(cursor, limit)

    async def history(self) -> list[TranscriptItem]:
        """All that was said in the session so far, oldest first, up to the message to answer.

        Each item has a `role` (`user`, `assistant`, or `summary` where a compaction stands for what was said
        before) and a `text`. What an earlier attempt of this run took up isn't among it: steering hands it
        out again. Raises TenureError as `transcript` does.
        """
        said: list[TranscriptItem] = []
        cursor: str | None = None
        while True:
            page = await self._context.transcript(cursor)
            for item in page.data:
                said.append(item)
                if item.message_id == self.message.id:
                    return said
            if (cursor := page.next_cursor) is None:
                return said


class Named(Protocol):
    """A tool, as far as asking for it goes: what `tool` makes."""

    @property
    def name(self) -> str:
        """The name by which agents are granted it."""
        ...


class AgentDefinition(msgspec.Struct, Generic[Work], frozen=True, kw_only=True, eq=False):
    """An agent as `agent` makes it: a name, a function, and what it asks for.

    It can still be called like the function, so that a test can drive it by hand.
    """

    name: str
    function: Callable[[Run], Work]
    descriptor: Descriptor
    tools: tuple[str, ...] = ()
    deadline_s: float | None = None
    summarize: Summarize | None = None

    def __call__(self, run: Run) -> Work:
        """Call the agent's function: an async iterator of outputs, or an awaitable answer."""
        return self.function(run)

    @property
    def policy(self) -> Policy:
        """What its runs may do unless an operator says otherwise."""
        return Policy(
            tools=self.tools,
            resources=self.descriptor.resources,
            storage=self.descriptor.storage,
            deadline_s=Policy().deadline_s if self.deadline_s is None else self.deadline_s,
        )

    @property
    def place(self) -> str:
        """Where the function stands, as `file:line`."""
        return _place(self.function)


AnyAgent: TypeAlias = AgentDefinition[Yielded | Returned]


def agent(
    name: str,
    *,
    description: str | None = None,
    deadline_s: float | None = None,
    steering: bool = False,
    permissions: tuple[str, ...] = (HISTORY,),
    tools: tuple[str | Named, ...] = (),
    resources: Mapping[str, tuple[str, ...]] | None = None,
    storage: tuple[str, ...] = (),
    summarize: Summarize | None = None,
) -> Callable[[Callable[[Run], Work]], AgentDefinition[Work]]:
    """Make an agent of an async generator function, or of an async one that returns its answer.

    What it yields is a str or an output (`Text`, `Said`, `Reasoning`, …). Returning means that the
    work is done, an exception that it failed; a `Verdict` may be yielded instead.

    `description` is by default the first line of the docstring. `deadline_s` is the running time in
    seconds after which a run is stopped; an operator may shorten it. `steering` says that the agent
    takes up messages while it runs. `permissions` are the rights it asks for, `history` and `recalls`; a
    run is granted no others. `tools` are those of the host that it asks for: functions under `tool`,
    names, or patterns such as "mcp:github/*"; `resources` are ids by type, and `storage` areas. An
    operator's table may grant less; one that names no tools takes whatever the table says. `summarize`
    makes the summaries of compactions: an async function of what is to be covered (`said`, and the
    person's `instructions`). Raises ConfigError if the name, the deadline or the function can't be used.
    """
    _check_name(name)
    _check_deadline(name, deadline_s)
    wanted = tuple(one if isinstance(one, str) else one.name for one in tools)

    def define(function: Callable[[Run], Work]) -> AgentDefinition[Work]:
        _check_function(name, function)
        return AgentDefinition(
            name=name,
            function=function,
            deadline_s=deadline_s,
            summarize=summarize,
            tools=wanted,
            descriptor=Descriptor(
                runner=PYTHON,
                capabilities=Capabilities(steering=steering, tools=True, approvals=True),
                permissions=permissions,
                tools=wanted or ANY,
                resources=dict(resources or {}),
                storage=storage,
                description=_first_line(function) if description is None else description,
            ),
        )

    return define


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise ConfigError(
            f'An agent needs a name, but got {name!r}. Write @tenure.agent("greeter") above the function.'
        )
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} can't be the name of an agent. Use 1 to 64 letters, digits, dots, dashes "
            "and underscores, beginning with a letter or digit."
        )


def _check_deadline(name: str, deadline_s: float | None) -> None:
    if deadline_s is not None and not 0 < deadline_s < math.inf:
        raise ConfigError(
            f"The agent {name} has a deadline_s of {deadline_s}. Give a number of seconds above 0, or None."
        )


def _check_function(name: str, function: object) -> None:
    if not (inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function)):
        raise ConfigError(
            f"The agent {name} is {_kind(function)} ({_place(function)}). Make it an `async def` "
            "that yields what it says, or returns it."
        )
    try:
        inspect.signature(function).bind(None)
    except TypeError as misfit:
        raise ConfigError(
            f"The agent {name} ({_place(function)}) can't be called with a run: {misfit}. Let it "
            "take exactly one argument: `async def ...(run: tenure.Run)`."
        ) from misfit


def _kind(thing: object) -> str:
    if inspect.isclass(thing):
        return "a class"
    if inspect.isgeneratorfunction(thing):
        return "a generator function without `async`"
    return "a function without `async`" if inspect.isroutine(thing) else repr(thing)


def _place(function: object) -> str:
    code = function.__code__ if isinstance(function, FunctionType) else None
    return repr(function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def _first_line(function: object) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]
