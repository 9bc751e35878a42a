"""From what an ACP agent tells of its turn to outputs. Pure: the turn (`turn`) gives it the time.

An agent tells of each call of its tools in pieces, in any order, and may ask for permission in between. A
call is shown late on purpose, so that one that a person is asked about stands in the journal once.
"""

import base64
import binascii
import math
import mimetypes
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, TypeAlias, cast

from acp.schema import (
    AgentMessageChunk,
    AgentPlanContentUpdate,
    AgentPlanUpdate,
    AgentThoughtChunk,
    AudioContentBlock,
    BlobResourceContents,
    ContentToolCallContent,
    EmbeddedResourceContentBlock,
    FileEditToolCallContent,
    ImageContentBlock,
    PlanEntry,
    PlanUpdateFile,
    PlanUpdateItems,
    PlanUpdateMarkdown,
    PromptResponse,
    ResourceContentBlock,
    TerminalToolCallContent,
    TextContentBlock,
    TextResourceContents,
    ToolCall,
    ToolCallProgress,
    ToolCallStart,
    ToolCallUpdate,
    Usage,
    UsageUpdate,
)

from tenure.core.effect import CallStatus
from tenure.core.ids import EFFECT
from tenure.core.output import Artifact, Output, Reasoning, Spent, Text, ToolCompleted, ToolStarted
from tenure.core.output import Usage as Used
from tenure.ports.runner import Permit
from tenure.runners.acp.extensions import Meta, printed, used_by_a_call, used_by_a_turn
from tenure.runners.acp.permissions import is_of_host, own_name, tool_name

HOLD_S = 1.0
"""How long a call whose input is known is held back after the agent last told of it, in seconds.

Some agents say that a call goes on before they ask about it: opencode took 0.11 s on an idle machine.
"""
HOLD_BLIND_S = 3.0
"""The same, as long as its input isn't known, or it is pending: the model may still be writing, or the agent
about to ask."""

MOST_TERMINALS = 32
"""Of how many terminals, the newest, the output is kept for the calls that show them."""

MOST_SHOWN = 1024 * 1024
"""How many characters of a terminal's output are kept, its end."""

MOST_LEVELS = 64
"""How deep a value may be nested that is shown."""

Chunk: TypeAlias = (
    TextContentBlock
    | ImageContentBlock
    | AudioContentBlock
    | ResourceContentBlock
    | EmbeddedResourceContentBlock
)
Told: TypeAlias = ToolCall | ToolCallUpdate


class Settle(NamedTuple):
    """A call that a person permitted has ended."""

    call_id: str
    status: CallStatus
    result: object


class Unask(NamedTuple):
    """The agent gave up, or didn't wait for, what it asked a person."""

    call_id: str


class Odd(NamedTuple):
    """Something for the journal to warn of."""

    code: str
    detail: str


Item: TypeAlias = Output | Settle | Unask | Odd


class Stage(StrEnum):
    """How far a call is."""

    UNASKED = "unasked"
    ASKED = "asked"
    PERMITTED = "permitted"
    DENIED = "denied"
    OVER = "over"


class Ran(NamedTuple):
    """A terminal that a call shows: what it put out is told of elsewhere."""

    id: str

    @property
    def plain(self) -> object:
        """How it is named where nobody told what it put out."""
        return {"terminal": self.id}


class Call:
    """One call of the agent's own tools, as far as it told of it."""

    def __init__(self, call_id: str, terminals: Mapping[str, str]) -> None:
        self.id = call_id
        self._terminals = terminals
        self.stage = Stage.UNASKED
        self.shown = False
        self.size = 0
        """How many bytes the longest of the messages has that told of it."""
        self.told_at = 0.0
        self.permits: list[str] = []
        self.asked = 0
        """How often people were asked about it."""
        self.permitted: object = None
        """The input that a person permitted."""
        self._name: str | None = None
        self._own_name: str | None = None
        self._title = ""
        self._begun = True
        self.input: object = None
        self._output: object = None
        self._places: list[str] = []
        self._parts: list[object] = []
        self._changes: list[dict[str, object]] = []
        self.ended: bool | None = None
        """Whether it ended well; None while it goes on."""

    def fold(self, told: Told, now: float) -> None:
        """Take in what the agent says anew: what it leaves out stays."""
        self.told_at = now
        self._title = told.title or self._title
        if told.kind is not None or (told.title and self._name is None):
            self._name = tool_name(told.kind, self._title, told.field_meta)
        self._own_name = own_name(told.field_meta) or self._own_name
        if told.status is not None:
            self._begun = told.status != "pending"
        if told.raw_input is not None:
            self.input = told.raw_input
        if told.raw_output is not None:
            self._output = told.raw_output
        if told.locations is not None:
            self._places = [p.path if p.line is None else f"{p.path}:{p.line}" for p in told.locations]
        if told.content is not None:
            self._parts = [_part(part) for part in told.content]
            self._changes = [
                _change(part) for part in told.content if isinstance(part, FileEditToolCallContent)
            ]
        if told.status in ("completed", "failed"):
            self.ended = told.status == "completed"

    @property
    def name(self) -> str:
        """Which tool it is, by a name that stays the same from call to call."""
        if self._name in (None, "other"):
            return self._own_name or "other"
        return readable(self._name)

    @property
    def own_name(self) -> str | None:
        """The name that the agent's adapter knows the tool by, as far as it told."""
        return self._own_name

    @property
    def arguments(self) -> dict[str, object]:
        """What the agent shows of it: its input, and beside that title, places, and changes to files.

        A title that is the tool's name says nothing. The input's own words win over ours.
        """
        shown: dict[str, object] = {
            "title": "" if readable(self._title) == self.name else self._title,
            "locations": self._places,
            "changes": self._changes,
        }
        beside = {name: value for name, value in shown.items() if value}
        given = self.input
        if isinstance(given, dict):
            return beside | cast("dict[str, object]", given)
        return beside if given is None else beside | {"input": given}

    @property
    def result(self) -> object:
        """What came of it: text where there is nothing else."""
        parts = [
            self._terminals.get(part.id, part.plain) if isinstance(part, Ran) else part
            for part in self._parts
        ]
        texts = [part for part in parts if isinstance(part, str)]
        content = "".join(texts) if len(texts) == len(parts) else parts
        if self._output is None:
            return storable(content or None)
        return storable({"output": self._output, "content": content} if content else self._output)

    @property
    def due_at(self) -> float:
        """When it is shown, if nothing else is heard of it."""
        return self.told_at + (HOLD_S if self.input and self._begun else HOLD_BLIND_S)

    @property
    def is_held(self) -> bool:
        """Whether nobody was shown it, or asked about it, so far."""
        return self.stage is Stage.UNASKED and not self.shown

    def forget(self) -> None:
        """It is over, and told of: what it took and brought isn't needed any more."""
        self.input = self._output = self.permitted = None
        self._places, self._parts, self._changes = [], [], []

    def start(self) -> ToolStarted:
        """The output that shows it."""
        self.shown = True
        arguments = cast("dict[str, object]", storable(self.arguments))
        return ToolStarted(call_id=self.id, tool=self.name, arguments=arguments)


class Telling:
    """What one turn of an agent tells, as outputs in order. `model` is the name that usage is booked under.

    `cost` is what the agent's session had cost before; agents tell the sum.
    """

    def __init__(self, model: str, cost: float = 0.0) -> None:
        self._model = model
        self.cost = cost
        self._costs = False
        self._calls: dict[str, Call] = {}
        self._message_id: str | None = None
        self._plan = ""
        self._thinks = False
        self._warned: set[str] = set()
        self._unshown: dict[str, Call] = {}
        self.held_size = 0
        """How many bytes the calls take up, at least, that are held back."""
        self._ids: set[str] = set()
        self._named: Counter[str] = Counter()
        self._overheard: list[Used] = []
        self._terminals: dict[str, str] = {}

    # --- what is heard

    def take(self, update: object, now: float, size: int = 0) -> list[Item]:
        """The outputs that an update of so many bytes becomes. Most kinds become none."""
        match update:
            case AgentMessageChunk(content=content, message_id=message_id):
                self._overhear(update.field_meta)
                return [*self._say(content, message_id)]
            case AgentThoughtChunk(content=TextContentBlock(text=text)):
                return [*self._think(text)]
            case ToolCallStart() | ToolCallProgress():
                self._overhear(update.field_meta)
                return self._follow(update, now, size)
            case AgentPlanUpdate(entries=entries):
                return [*self._plans(_listed(entries))]
            case AgentPlanContentUpdate(plan=plan):
                return [*self._plans(_planned(plan))]
            case UsageUpdate():
                return [*self._costed(update)]
            case dict():
                return [*self._unread(cast("dict[object, object]", update))]
            case _:
                return []

    def showed(self, terminal_id: str, output: str) -> None:
        """What a terminal has put out so far, for the calls that show it."""
        self._terminals.pop(terminal_id, None)
        self._terminals[terminal_id] = output
        if len(self._terminals) > MOST_TERMINALS:
            del self._terminals[next(iter(self._terminals))]

    def is_of_host(self, told: ToolCallUpdate) -> bool:
        """Whether the agent asks about a tool of the host: that is judged where it is called."""
        call = self._calls.get(told.tool_call_id)
        return is_of_host(own_name(told.field_meta) or (call and call.own_name))

    def asked(self, told: ToolCallUpdate, now: float) -> tuple[Call, list[Item]]:
        """The call that the agent asks a person about, and what is to be put out first."""
        call = self._of(told, now)
        first = self._given_up(call) if call.stage is Stage.ASKED else []
        call.fold(told, now)
        call.stage, call.permitted = Stage.ASKED, call.input
        call.asked += 1
        return call, first

    def answered(self, call: Call, permit: Permit) -> None:
        """A person decided."""
        if permit.granted:
            call.permits.append(permit.call_id)
        if call.stage is Stage.ASKED:
            call.stage = Stage.PERMITTED if permit.granted else Stage.DENIED

    def unanswered(self, call: Call, asked: int) -> None:
        """The question was withdrawn, or couldn't be put; unless the agent asked again since."""
        if call.stage is Stage.ASKED and call.asked == asked:
            call.stage = Stage.DENIED

    # --- what falls due

    def due(self, now: float) -> list[Item]:
        """The calls that were held back long enough."""
        return [call.start() for call in self._held() if call.due_at <= now]

    @property
    def next_due(self) -> float | None:
        """When a call falls due next."""
        return min((call.due_at for call in self._held()), default=None)

    def finish(self) -> list[Output]:
        """What is left when the turn is over: calls that nobody was shown."""
        return [call.start() for call in self._held()]

    def spent(self, answer: PromptResponse) -> list[Output]:
        """The tokens of a prompt that was answered: as the protocol tells them, else as the agent does."""
        overheard, self._overheard = self._overheard, []
        if answer.usage is not None:
            return [Spent(_tokens(answer.usage, self._model, 0.0 if self._costs else None))]
        return [Spent(used) for used in used_by_a_turn(answer.field_meta) or overheard]

    def _overhear(self, meta: Meta) -> None:
        """Take in what is told beside the protocol."""
        told, used = printed(meta), used_by_a_call(meta, self._model)
        if told is not None:
            before = self._terminals.get(told.terminal_id, "") if told.more else ""
            self.showed(told.terminal_id, (before + told.text)[-MOST_SHOWN:])
        if used is not None:
            self._overheard.append(used)

    def _held(self) -> list[Call]:
        if not all(call.is_held for call in self._unshown.values()):
            self._unshown = {name: call for name, call in self._unshown.items() if call.is_held}
            self.held_size = sum(call.size for call in self._unshown.values())
        return [*self._unshown.values()]

    # --- words

    def _say(self, content: Chunk, message_id: str | None) -> Iterator[Item]:
        said = [*_content(content)]
        if said and message_id is not None:
            before, self._message_id = self._message_id, message_id
            if before not in (None, message_id) and isinstance(said[0], Text):
                yield Text("\n\n")
        self._thinks = False
        yield from said

    def _think(self, text: str) -> Iterator[Item]:
        if text:
            self._thinks = True
            yield Reasoning(readable(text))

    def _plans(self, plan: str) -> Iterator[Item]:
        """A plan is a thought that people can see; one that says nothing new isn't repeated."""
        if plan and plan != self._plan:
            self._plan = plan
            between = "\n\n" if self._thinks else ""
            yield from self._think(f"{between}Plan:\n{plan}\n")

    def _costed(self, update: UsageUpdate) -> Iterator[Item]:
        if update.cost is None or not 0 <= update.cost.amount < math.inf:
            return
        amount, currency = update.cost.amount, update.cost.currency
        if currency.upper() != "USD":
            detail = f"The agent tells what it costs in {currency[:20]}; only USD is booked."
            yield from self._warn_once("cost_currency", detail)
            return
        # A sum that fell begins anew: the agent counts since it loaded the session.
        more = amount - self.cost if amount >= self.cost else amount
        self.cost, self._costs = amount, True
        if more > 0:
            yield Spent(Used(model=self._model, cost=more))

    def _unread(self, update: dict[object, object]) -> Iterator[Item]:
        kind = str(update.get("sessionUpdate"))
        if kind in _READ:
            detail = f"The agent sent an update {kind} that doesn't fit the protocol; it was left out."
            yield from self._warn_once("payload_invalid", detail)

    def _warn_once(self, code: str, detail: str) -> Iterator[Odd]:
        if detail not in self._warned:
            self._warned.add(detail)
            yield Odd(code, detail)

    # --- calls

    def _of(self, told: Told, now: float) -> Call:
        """The call that is told of; a new one if that wasn't heard of, or begins again."""
        call = self._calls.get(told.tool_call_id)
        if call is None or (call.stage is Stage.OVER and _begins(told)):
            call = self._calls[told.tool_call_id] = Call(self._call_id(told.tool_call_id), self._terminals)
            self._unshown[call.id] = call
        return call

    def _call_id(self, told: str) -> str:
        """An id that isn't one of the host's, and names one call of the run alone."""
        readable_id = readable(told)
        plain = f"call_{readable_id}" if told.startswith(EFFECT) or not told else readable_id
        while True:
            self._named[plain] += 1
            name = plain if self._named[plain] == 1 else f"{plain}#{self._named[plain]}"
            if name not in self._ids:
                self._ids.add(name)
                return name

    def _follow(self, told: Told, now: float, size: int) -> list[Item]:
        call = self._of(told, now)
        if call.stage is Stage.OVER:
            return []
        call.fold(told, now)
        if size > call.size:
            self.held_size += size - call.size
            call.size = size
        if call.ended is None:
            return []
        items = [*self._end(call, well=call.ended)]
        call.forget()
        return items

    def _end(self, call: Call, *, well: bool) -> Iterator[Item]:
        stage, call.stage = call.stage, Stage.OVER
        status = CallStatus.OK if well else CallStatus.ERROR
        if stage is Stage.ASKED:
            yield Unask(call.id)
        if call.permits and _differs(call.permitted, call.input):
            yield Odd(
                "changed_after_approval", f"{_named(call)} was made with other input than was approved."
            )
        for permit in call.permits:
            yield Settle(permit, status, call.result)
        if stage in (Stage.ASKED, Stage.DENIED) and well and not call.permits:
            how = "though it was denied" if stage is Stage.DENIED else "without waiting for the answer"
            yield Odd("not_permitted", f"{_named(call)} was made {how}. Don't trust this agent's asking.")
            if not call.shown:
                yield call.start()
        elif stage is Stage.UNASKED and not call.shown:
            yield call.start()
        if call.shown:
            yield ToolCompleted(call_id=call.id, status=status, result=call.result)

    def _given_up(self, call: Call) -> list[Item]:
        """It asks again before it was answered: the first question counts no more."""
        return [Unask(call.id)]


def _named(call: Call) -> str:
    return f"The agent's call {call.id[:100]} of {call.name[:100]}"


def _differs(permitted: object, made: object) -> bool:
    """Whether a call was made with other input than was permitted. Some agents add to it, say the folder."""
    if isinstance(permitted, dict) and isinstance(made, dict):
        more = cast("dict[str, object]", made)
        return any(more.get(name) != value for name, value in cast("dict[str, object]", permitted).items())
    return permitted is not None and permitted != made


def _begins(told: Told) -> bool:
    return isinstance(told, ToolCall) or type(told) is ToolCallUpdate


_READ = frozenset(
    {"agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan", "usage_update"}
)


# --- content


def readable(text: str) -> str:
    """A text without U+0000, which a program may put out and no journal can hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable(value: object, levels: int = MOST_LEVELS) -> object:
    """A value of JSON's kinds, all of its texts readable. What lies deeper than `levels` is left out."""
    match value:
        case str():
            return readable(value)
        case dict() | list() if levels == 0:
            return "[…]"
        case dict():
            members = cast("dict[str, object]", value)
            return {readable(name): storable(member, levels - 1) for name, member in members.items()}
        case list():
            return [storable(member, levels - 1) for member in cast("list[object]", value)]
        case _:
            return value


def _content(content: Chunk) -> Iterable[Item]:
    """What a piece of a message is said as: text, a link in text, or a file."""
    match content:
        case TextContentBlock(text=text):
            return [Text(readable(text))] if text else []
        case ImageContentBlock(data=data, mime_type=kind) | AudioContentBlock(data=data, mime_type=kind):
            return [_file(content.type, data, kind)]
        case ResourceContentBlock(name=name, uri=uri):
            return [Text(readable(f"[{name}]({uri})"))]
        case EmbeddedResourceContentBlock(resource=TextResourceContents(text=text, uri=uri) as resource):
            return [Artifact(_last(uri), text.encode("utf-8", "replace"), resource.mime_type)]
        case EmbeddedResourceContentBlock(resource=BlobResourceContents(blob=blob, uri=uri) as resource):
            return [_file(_last(uri), blob, resource.mime_type)]
        case EmbeddedResourceContentBlock():
            return []


def _file(name: str, encoded: str, media_type: str | None) -> Item:
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return Odd("payload_invalid", f"The agent sent {name[:100]} as something that isn't base64.")
    ending = mimetypes.guess_extension(media_type or "") or ""
    return Artifact(name if "." in name else name + ending, data, media_type)


def _last(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2] or "file"


def _part(content: ContentToolCallContent | FileEditToolCallContent | TerminalToolCallContent) -> object:
    """One piece of what a call shows or brought."""
    match content:
        case FileEditToolCallContent():
            return _change(content)
        case TerminalToolCallContent(terminal_id=terminal_id):
            return Ran(terminal_id)
        case ContentToolCallContent(content=shown):
            return _shown(shown)


def _shown(content: Chunk) -> object:
    match content:
        case TextContentBlock(text=text):
            return text
        case ResourceContentBlock(uri=uri):
            return {"link": uri}
        case EmbeddedResourceContentBlock(resource=resource):
            return resource.text if isinstance(resource, TextResourceContents) else {"link": resource.uri}
        case ImageContentBlock(mime_type=kind) | AudioContentBlock(mime_type=kind):
            return {"media_type": kind}


def _change(edit: FileEditToolCallContent) -> dict[str, object]:
    """What is to become of a file. `old` is None for one that is new."""
    return {"path": edit.path, "old": edit.old_text, "new": edit.new_text}


def _listed(entries: Iterable[PlanEntry]) -> str:
    marks = {"completed": "x", "in_progress": "~"}
    return "\n".join(f"- [{marks.get(entry.status, ' ')}] {entry.content}" for entry in entries)


def _planned(plan: PlanUpdateItems | PlanUpdateFile | PlanUpdateMarkdown) -> str:
    match plan:
        case PlanUpdateItems(entries=entries):
            return _listed(entries)
        case PlanUpdateMarkdown(content=content):
            return content
        case PlanUpdateFile(uri=uri):
            return uri


def _tokens(usage: Usage, model: str, cost: float | None) -> Used:
    """The tokens of a turn. Cached and thought tokens count, if the agent counts them beside the others."""
    cached = (usage.cached_read_tokens or 0) + (usage.cached_write_tokens or 0)
    thought = usage.thought_tokens or 0
    beside = usage.total_tokens - usage.input_tokens - usage.output_tokens
    return Used(
        model=model,
        input_tokens=usage.input_tokens + (cached if beside >= cached else 0),
        output_tokens=usage.output_tokens + (thought if beside >= cached + thought else 0),
        cost=cost,
    )
