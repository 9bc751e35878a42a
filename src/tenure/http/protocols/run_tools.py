"""What a run has of its own behind the run gateway: itself, its state, its history, steering, files.

Each is a tool with a name, arguments and what it does; which of them a run has is told by its grant. Nothing
here knows the protocol that they are called in.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, cast

import msgspec

from tenure.core.artifact import FileInfo
from tenure.core.budget import Level
from tenure.core.content import Content
from tenure.core.grant import HISTORY, RECALLS, Budget, Grant
from tenure.core.scheduling import Recall
from tenure.core.scope import Json
from tenure.core.tool import Arguments, ToolInfo
from tenure.errors import Code, TenureError
from tenure.host.context import Attempt
from tenure.host.host import Host

MOST_READ = 8 * 1024 * 1024
"""How many bytes of a file one call reads, or saves, at most."""

_READ = 1024 * 1024
"""How many it reads unless told otherwise."""


class Visit(NamedTuple):
    """Who asks: the attempt that is live, on its host, with what its grant holds at this moment."""

    host: Host
    attempt: Attempt
    grant: Grant


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all arguments."""


class Nothing(Wish, frozen=True, kw_only=True):
    """Takes no arguments."""


class InScope(Wish, frozen=True, kw_only=True):
    """Takes a scope of the state."""

    scope: str


class AtKey(InScope, frozen=True, kw_only=True):
    """Takes a scope and a key."""

    key: str


class Deleting(AtKey, frozen=True, kw_only=True):
    """With `if_version` only that version is deleted."""

    if_version: int | None = None


class Setting(AtKey, frozen=True, kw_only=True):
    """`if_version` 0 sets only what isn't there. `ttl_s` is how long the value lasts, in seconds."""

    value: Json
    if_version: int | None = None
    ttl_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class Paging(Wish, frozen=True, kw_only=True):
    """A page begins at the `next_cursor` of the one before it."""

    cursor: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


class Taking(Wish, frozen=True, kw_only=True):
    """At most so many messages; without a limit all that wait."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None


class Reading(Wish, frozen=True, kw_only=True):
    """`offset` and `limit` count bytes."""

    id: str
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_READ)] = _READ


class Saving(Wish, frozen=True, kw_only=True):
    """Either `text`, or bytes in `base64`."""

    name: str
    text: str | None = None
    base64: str | None = None
    media_type: str | None = None


class Cancelling(Wish, frozen=True, kw_only=True):
    """Takes the id of a schedule."""

    id: str


W = TypeVar("W", bound=msgspec.Struct)


class RunTool(NamedTuple, Generic[W]):
    """One tool. `kept` says that a repeat of a call whose asker left must get that call's answer."""

    name: str
    description: str
    wish: type[W]
    work: Callable[[Visit, W], Awaitable[object]]
    kept: bool = False
    offered: Callable[[Visit], bool] = lambda visit: True

    def info(self, visit: Visit) -> ToolInfo:
        """The tool as this run sees it."""
        return ToolInfo(name=self.name, description=self.description, parameters=self._schema(visit))

    def _schema(self, visit: Visit) -> dict[str, object]:
        whole = msgspec.json.schema_components([self.wish], ref_template="#/$defs/{name}", schema_hook=_any)
        schema: dict[str, Any] = whole[1][self.wish.__name__]
        plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
        others = {name: part for name, part in whole[1].items() if name != self.wish.__name__}
        if others:
            plain["$defs"] = others
        if "scope" in schema["properties"]:
            scope = {"type": "string", "enum": list(visit.grant.state.scopes)}
            plain["properties"] = {**schema["properties"], "scope": scope}
        return plain

    async def call(self, visit: Visit, arguments: Arguments) -> object:
        """Do it. Raises TenureError `invalid` for arguments that don't fit, and what the deed raises."""
        try:
            wish = msgspec.convert(arguments, self.wish)
        except msgspec.ValidationError as misfit:
            detail = f"The arguments of {self.name} don't fit: {misfit}. Look at its schema."
            raise TenureError(Code.INVALID, detail, tool=self.name) from None
        return await self.work(visit, wish)


def _any(kind: type) -> dict[str, object]:
    """The schema of `object`, as which we write values that may be any JSON."""
    if kind is not object:
        raise NotImplementedError
    return {}


# --- the run itself


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The message that started the run."""

    id: str
    user: str
    text: str
    content: Content


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that the run has reached, or the share of it at which a person is asked."""

    limit_of: str
    spent: float
    limit: float


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """The budget, how much of it is left, and which of its limits says so if little is."""

    terms: Budget
    level: Level
    reached: Reached | None


class RunCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is told of itself. `seconds_left` is running time before the deadline, None for no end."""

    run_id: str
    session_id: str
    attempt: int
    agent: str
    message: Message
    stopping: bool
    waiting: bool
    steering_pending: int
    seconds_left: float | None
    tools: tuple[str, ...]
    apis: tuple[str, ...]
    state_scopes: tuple[str, ...]
    budget: Spending | None


async def _info(visit: Visit, wish: Nothing) -> RunCard:
    attempt, grant = visit.attempt, visit.grant
    message = attempt.message
    return RunCard(
        run_id=attempt.run_id,
        session_id=attempt.session_id,
        attempt=attempt.attempt,
        agent=grant.agent,
        message=Message(id=message.id, user=message.user, text=message.text, content=message.content),
        stopping=attempt.stopping,
        waiting=attempt.tools.waiting,
        steering_pending=attempt.steering.pending,
        seconds_left=attempt.seconds_left,
        tools=tuple(tool.name for tool in grant.tools),
        apis=grant.apis,
        state_scopes=grant.state.scopes if grant.state.enabled else (),
        budget=None if grant.budget is None else await _spending(visit, grant.budget),
    )


async def _spending(visit: Visit, budget: Budget) -> Spending:
    host = visit.host
    found = await host.store.limits.standing(visit.attempt.run_id, budget, host.clock.now())
    reached = Reached(limit_of=found.limit_of, spent=found.spent, limit=found.limit)
    return Spending(terms=budget, level=found.level, reached=None if found.level is Level.WITHIN else reached)


# --- its state


async def _get(visit: Visit, wish: AtKey) -> object:
    found = await visit.attempt.state.get(wish.scope, wish.key)
    return {"value": None, "version": 0} if found is None else _value(found.value, found.version)


def _value(value: object, version: int) -> dict[str, object]:
    return {"value": value, "version": version}


async def _set(visit: Visit, wish: Setting) -> object:
    state = visit.attempt.state
    version = await state.set(wish.scope, wish.key, wish.value, if_version=wish.if_version, ttl_s=wish.ttl_s)
    return {"version": version}


async def _list(visit: Visit, wish: InScope) -> object:
    entries = await visit.attempt.state.entries(wish.scope)
    return {"values": {key: _value(entry.value, entry.version) for key, entry in entries.items()}}


async def _delete(visit: Visit, wish: Deleting) -> object:
    gone = await visit.attempt.state.delete(wish.scope, wish.key, if_version=wish.if_version)
    return {"deleted": gone}


def _has_state(visit: Visit) -> bool:
    state = visit.grant.state
    return state.enabled and bool(state.scopes)


# --- what was said, and is said now


async def _history(visit: Visit, wish: Paging) -> object:
    page = await visit.attempt.transcript(wish.cursor, wish.limit)
    return {"messages": page.data, "next_cursor": page.next_cursor, "as_of_seq": page.as_of_seq}


def _has_history(visit: Visit) -> bool:
    return visit.grant.allows(HISTORY)


async def _take(visit: Visit, wish: Taking) -> object:
    taken = await visit.attempt.steering.take(limit=wish.limit)
    return {
        "messages": [
            {"id": one.id, "user": one.user, "text": one.text, "content": one.content}
            | {"redelivered": one.redelivered}
            for one in taken
        ]
    }


def _steers(visit: Visit) -> bool:
    agent = visit.host.catalogue.agent(visit.grant.agent)
    return agent.runner.descriptor.capabilities.steering


# --- its files


async def _files(visit: Visit, wish: Nothing) -> object:
    return {"files": await visit.attempt.files.infos()}


async def _read(visit: Visit, wish: Reading) -> object:
    files = visit.attempt.files
    data = await files.read(wish.id)
    info: FileInfo = next(one for one in await files.infos() if one.id == wish.id)
    part = data[wish.offset : wish.offset + wish.limit]
    about = {"name": info.name, "media_type": info.media_type, "size": len(data), "offset": wish.offset}
    try:
        return {**about, "text": part.decode()}
    except UnicodeDecodeError:
        return {**about, "base64": base64.b64encode(part).decode()}


async def _save(visit: Visit, wish: Saving) -> object:
    return await visit.attempt.files.save(wish.name, _bytes_of(wish), wish.media_type)


def _bytes_of(wish: Saving) -> bytes:
    if (wish.text is None) == (wish.base64 is None):
        detail = "files_save was given both text and base64, or neither. Give one of the two."
        raise TenureError(Code.INVALID, detail, tool="files_save")
    try:
        data = wish.text.encode() if wish.text is not None else _decoded(wish.base64 or "")
    except (UnicodeEncodeError, binascii.Error, ValueError) as fault:
        raise TenureError(Code.INVALID, f"The content of the file can't be read: {fault}.") from None
    if len(data) > MOST_READ:
        detail = f"The file has {len(data)} bytes; at most {MOST_READ} are taken here. Save it in parts."
        raise TenureError(Code.TOO_LARGE, detail, limit=MOST_READ)
    return data


def _decoded(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)


# --- what is said later


async def _schedule(visit: Visit, wish: Recall) -> object:
    return await visit.attempt.recalls.schedule(wish)


async def _schedules(visit: Visit, wish: Nothing) -> object:
    return {"schedules": await visit.attempt.recalls.entries()}


async def _cancel(visit: Visit, wish: Cancelling) -> object:
    return await visit.attempt.recalls.cancel(wish.id)


def _may_recall(visit: Visit) -> bool:
    return visit.grant.allows(RECALLS)


# --- all of them

_TOOLS: tuple[RunTool[Any], ...] = (
    RunTool(
        "run_info",
        "This run: its message, session, attempt, deadline, grant and budget, and whether it is to stop.",
        Nothing,
        _info,
    ),
    RunTool(
        "state_get",
        "The value that is kept under a key, and its version; version 0 if there is none.",
        AtKey,
        _get,
        offered=_has_state,
    ),
    RunTool(
        "state_set",
        "Keep a JSON value under a key, beyond this run. Answers its version.",
        Setting,
        _set,
        kept=True,
        offered=_has_state,
    ),
    RunTool(
        "state_list",
        "All values that are kept in a scope, by their keys.",
        InScope,
        _list,
        offered=_has_state,
    ),
    RunTool(
        "state_delete",
        "Delete the value under a key.",
        Deleting,
        _delete,
        kept=True,
        offered=_has_state,
    ),
    RunTool(
        "history",
        "What was said in this session so far, a page at a time, oldest first.",
        Paging,
        _history,
        offered=_has_history,
    ),
    RunTool(
        "steering_take",
        "Take the messages that people sent to this run while it works. Each is handed out once.",
        Taking,
        _take,
        kept=True,
        offered=_steers,
    ),
    RunTool("files_list", "The files of this session.", Nothing, _files),
    RunTool(
        "files_read",
        "A part of a file of this session, as text if it is text, else in base64.",
        Reading,
        _read,
    ),
    RunTool("files_save", "Keep a file in this session.", Saving, _save, kept=True),
    RunTool(
        "recall_schedule",
        "Have a message said later in this session, once or again and again: to you, as a message of the "
        "user, or, with kind reminder, to the people as it stands. Give exactly one of at (an instant with "
        "an offset), in_s, every_s (both in seconds) and cron (five fields, with timezone); max_runs or "
        "ends_at ends it.",
        Recall,
        _schedule,
        kept=True,
        offered=_may_recall,
    ),
    RunTool(
        "recall_list",
        "What is to be said later in this session, newest first.",
        Nothing,
        _schedules,
        offered=_may_recall,
    ),
    RunTool(
        "recall_cancel",
        "End something that was to be said later, by its id. What a person made can't be ended here.",
        Cancelling,
        _cancel,
        kept=True,
        offered=_may_recall,
    ),
)
"""In the order in which they are listed."""

RUN_TOOLS: dict[str, RunTool[Any]] = {tool.name: tool for tool in _TOOLS}
"""By name. A tool of the host with one of these names is shown under another."""


def plain(value: object) -> object:
    """A result as plain JSON."""
    return cast("object", msgspec.to_builtins(value, str_keys=True))
