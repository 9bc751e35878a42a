"""What the scripted model says: the directives in a user's message, and the reply that they make.

Every wire format reads a request into `Asked` and writes a `Reply`; between the two stands this module.
The last message of the user that holds directives counts, one directive a line:

    SAY text               says the text, word by word; several lines make several lines
    THINK text             thinks it, where the format has a place for thoughts
    SLOW n [ms]            says n words, default 100 ms apart
    TOOL name [json]       calls a tool that the client offered, by name or by the end of its name;
                           without arguments, those that its schema requires are made up
    SHELL command          calls the client's shell tool, whatever it is named
    WRITE path text        calls the client's tool for writing files, else its shell
    THEN                   the rest comes after the results of the calls so far
    USAGE in out           reports so many tokens for this answer (10 and 5 otherwise)
    FAIL status [times [s]]  answers with an HTTP error, the first `times` times, with Retry-After `s` (0)
    CUT [times]            drops the connection after what was said so far
    HANG                   says nothing more until the client goes

Several calls without THEN in between are one answer with parallel calls. After tool results for which
nothing is left to do the model says `done: <the last result, shortened>`; a message without directives it
answers with `heard: <the message, shortened>`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from uuid import uuid4

import msgspec

SHOWN = 200
"""How many characters of a result or message are said back."""

DIRECTIVE = re.compile(
    r"^[ \t>\"'*]*(SAY|THINK|SLOW|TOOL|SHELL|WRITE|THEN|USAGE|FAIL|CUT|HANG)(?:[ \t]+(.*?))?[ \t]*$",
    re.MULTILINE,
)


class Turn(NamedTuple):
    """One entry of the conversation: who (system, user, assistant, tool) said what. A call is one too."""

    role: str
    text: str


class Offered(NamedTuple):
    """A tool that the client offers, with the JSON Schema of its arguments."""

    name: str
    schema: Mapping[str, object]


class Asked(NamedTuple):
    """A request as every format means it."""

    model: str
    stream: bool
    turns: tuple[Turn, ...]
    tools: tuple[Offered, ...]


class Thought(NamedTuple):
    """The model thinks."""

    text: str


class Speech(NamedTuple):
    """The model says something, piece by piece, `pause_s` seconds before each but the first."""

    pieces: tuple[str, ...]
    pause_s: float = 0.0

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


class Call(NamedTuple):
    """The model calls a tool."""

    id: str
    tool: str
    arguments: Mapping[str, object]

    @property
    def json(self) -> str:
        """The arguments as the formats carry them."""
        return json.dumps(self.arguments)


Part: TypeAlias = Thought | Speech | Call


class Failure(NamedTuple):
    """The request fails."""

    status: int
    retry_after_s: float = 0.0


class Reply(NamedTuple):
    """An answer. `cut` drops the connection instead of ending it, `hang` leaves it open."""

    parts: tuple[Part, ...]
    tokens_in: int = 10
    tokens_out: int = 5
    cut: bool = False
    hang: bool = False

    @property
    def speech(self) -> str:
        """All that is said."""
        return "".join(part.text for part in self.parts if isinstance(part, Speech))

    @property
    def thoughts(self) -> str:
        """All that is thought."""
        return "".join(part.text for part in self.parts if isinstance(part, Thought))

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, Call))


class Directive(NamedTuple):
    """One line of a script."""

    verb: str
    rest: str


class Script:
    """Answers requests as their directives say. It remembers only how often something has failed already."""

    def __init__(self) -> None:
        self._used: dict[tuple[object, ...], int] = {}

    def answer(self, asked: Asked) -> Reply | Failure:
        """What the model does about a request."""
        asked = asked._replace(turns=tuple(turn for turn in asked.turns if turn.role != "system"))
        place = _directed(asked.turns)
        if place is None:
            return _said(f"heard: {_shortened(_last(asked.turns, 'user'))}")
        block = _block(asked.turns, place)
        if not block:
            return _said(f"done: {_shortened(_last(asked.turns, 'tool'))}")
        held: list[Directive] = []
        for directive in block:
            if not self._holds(asked, place, directive):
                continue
            if directive.verb == "FAIL":
                status, after = (*directive.rest.split()[::2], "")[:2]
                return Failure(int(status), float(after or 0))
            held.append(directive)
        return _reply(held, asked.tools)

    def _holds(self, asked: Asked, place: int, directive: Directive) -> bool:
        """Whether a directive that holds only so many times holds once more.

        Requests without tools count apart, so that those which agents make beside the conversation, for its
        title say, use nothing up.
        """
        times = directive.rest.split()[_TIMES.get(directive.verb, 9) :][:1]
        if not times:
            return True
        spoken = sum(turn.role == "user" for turn in asked.turns[: place + 1])
        key = (directive, asked.turns[place].text, spoken, _rounds(asked.turns[place:]), bool(asked.tools))
        self._used[key] = self._used.get(key, 0) + 1
        return self._used[key] <= int(times[0])


_TIMES = {"FAIL": 1, "CUT": 0}
"""Which word after a directive says how often it holds."""


def _directed(turns: Sequence[Turn]) -> int | None:
    """Where the message stands that directs the model now: the newest with directives since it last ended."""
    for place in range(len(turns) - 1, -1, -1):
        turn = turns[place]
        if turn.role == "user" and DIRECTIVE.search(turn.text):
            return place
        if turn.role == "assistant" and place + 1 < len(turns) and turns[place + 1].role == "user":
            return None
    return None


def _block(turns: Sequence[Turn], place: int) -> list[Directive]:
    """What is to be done now: of the blocks between THENs, the one after as many rounds of results."""
    blocks: list[list[Directive]] = [[]]
    for match in DIRECTIVE.finditer(turns[place].text):
        if match[1] == "THEN":
            blocks.append([])
        else:
            blocks[-1].append(Directive(match[1], match[2] or ""))
    rounds = _rounds(turns[place + 1 :])
    return blocks[rounds] if rounds < len(blocks) else []


def _rounds(turns: Iterable[Turn]) -> int:
    """How many times results of tools came back."""
    roles = [turn.role for turn in turns if turn.role in {"assistant", "tool"}]
    return sum(role == "tool" and roles[i - 1 : i] != ["tool"] for i, role in enumerate(roles))


def _reply(block: Iterable[Directive], tools: Sequence[Offered]) -> Reply:
    """The reply that the directives make, up to where it is cut or hangs."""
    reply = Reply(())
    for directive in block:
        match directive.verb:
            case "CUT":
                return reply._replace(cut=True)
            case "HANG":
                return reply._replace(hang=True)
            case "USAGE":
                tokens_in, tokens_out = directive.rest.split()
                reply = reply._replace(tokens_in=int(tokens_in), tokens_out=int(tokens_out))
            case _:
                reply = reply._replace(parts=tuple(_joined(reply.parts, directive, tools)))
    return reply


def _joined(parts: tuple[Part, ...], directive: Directive, tools: Sequence[Offered]) -> Iterator[Part]:
    """The parts with one more. Lines that are said one after another are one speech."""
    part = _part(directive, tools)
    if parts and isinstance(part, Speech) and isinstance(parts[-1], Speech) and directive.verb == "SAY":
        yield from parts[:-1]
        yield Speech((*parts[-1].pieces, "\n", *part.pieces), max(part.pause_s, parts[-1].pause_s))
    else:
        yield from parts
        if part is not None:
            yield part


def _part(directive: Directive, tools: Sequence[Offered]) -> Part | None:
    match directive.verb:
        case "SAY":
            return Speech(_words(directive.rest))
        case "THINK":
            return Thought(directive.rest)
        case "SLOW":
            count, pause_ms = (*directive.rest.split(), "100")[:2]
            return Speech(tuple(f"w{number} " for number in range(int(count))), float(pause_ms) / 1000)
        case "TOOL":
            return _tool(directive.rest, tools)
        case "SHELL":
            return _shell(directive.rest, tools)
        case "WRITE":
            path, _, text = directive.rest.partition(" ")
            return _write(path, text, tools)
        case _:
            return None


def _said(text: str) -> Reply:
    return Reply((Speech(_words(text)),))


def _words(text: str) -> tuple[str, ...]:
    """A text in pieces that join to it again."""
    return tuple(re.findall(r"\s*\S+\s*$|\s*\S+", text)) or (text,)


def _last(turns: Sequence[Turn], role: str) -> str:
    return next((turn.text for turn in reversed(turns) if turn.role == role), "")


def _shortened(text: str) -> str:
    return text.strip()[:SHOWN]


# Calls

SHELLS = (
    "bash", "run_shell_command", "exec_command", "shell_command", "shell", "terminal", "execute",
    "local_shell", "run_command",
)  # fmt: skip
WRITERS = ("write", "write_file", "writefile", "create_file", "str_replace_editor", "save_file")


def find(tools: Sequence[Offered], *names: str) -> Offered | None:
    """The first tool of these names: exactly so, then but for case, then as the end of a longer name."""
    for name in names:
        for fits in (_same, _alike, _ending):
            for offered in tools:
                if fits(offered.name, name):
                    return offered
    return None


def _same(offered: str, name: str) -> bool:
    return offered == name


def _alike(offered: str, name: str) -> bool:
    return offered.lower() == name.lower()


def _ending(offered: str, name: str) -> bool:
    return re.search(rf"[^a-z0-9]{re.escape(name.lower())}$", offered.lower()) is not None


def _tool(rest: str, tools: Sequence[Offered]) -> Part:
    name, _, given = rest.partition(" ")
    offered = find(tools, name)
    if offered is None:
        return _without(name, tools)
    arguments = msgspec.json.decode(given, type=dict[str, object]) if given else filled(offered.schema, {})
    return _called(offered, arguments)


def _shell(command: str, tools: Sequence[Offered]) -> Part:
    offered = find(tools, *SHELLS)
    if offered is None:
        return _without("a shell", tools)
    listed = _property(_properties(offered.schema).get("command")).kind == "array"
    return _called(
        offered,
        filled(
            offered.schema,
            {
                "command": ["bash", "-lc", command] if listed else command,
                "cmd": command,
                "description": "Run what the script says",
                "justification": "The script says so",
                "sandbox_permissions": "require_escalated",
            },
        ),
    )


def _write(path: str, text: str, tools: Sequence[Offered]) -> Part:
    offered = find(tools, *WRITERS)
    if offered is None:
        quoted = text.replace("'", "'\\''")
        return _shell(f"printf '%s' '{quoted}' > '{path}'", tools)
    known = dict.fromkeys(("path", "filePath", "file_path", "filename"), path)
    return _called(offered, filled(offered.schema, {**known, "content": text, "file_text": text}))


def _without(name: str, tools: Sequence[Offered]) -> Speech:
    return Speech((f"there is no tool {name} among: {', '.join(offered.name for offered in tools)}",))


def _called(offered: Offered, arguments: Mapping[str, object]) -> Call:
    return Call(f"call_{uuid4().hex[:20]}", offered.name, arguments)


def filled(schema: Mapping[str, object], known: Mapping[str, object]) -> dict[str, object]:
    """Arguments for a schema: what is known of what it has a place for, and whatever else it requires."""
    properties = _properties(schema)
    arguments = {name: value for name, value in known.items() if name in properties}
    for name in msgspec.convert(schema.get("required") or [], list[str]):
        if name not in arguments:
            arguments[name] = _property(properties.get(name)).some()
    return arguments


class _Property(msgspec.Struct, frozen=True):
    """What the schema of one argument says, as far as it matters here."""

    type: str | list[str] = "string"
    default: object = msgspec.UNSET
    const: object = msgspec.UNSET
    enum: list[object] | None = None
    any_of: list[dict[str, object]] | None = msgspec.field(name="anyOf", default=None)

    @property
    def kind(self) -> str:
        """The first type it names, in lower case, for Gemini writes STRING."""
        return (self.type if isinstance(self.type, str) else self.type[0]).lower()

    def some(self) -> object:
        """Some value that it allows."""
        allowed = [self.default, self.const, *(self.enum or ())]
        given = next((value for value in allowed if value is not msgspec.UNSET), msgspec.UNSET)
        if given is not msgspec.UNSET:
            return given
        return _property(self.any_of[0]).some() if self.any_of else _SOME.get(self.kind, "something")


_SOME: dict[str, object] = {
    "boolean": False,
    "integer": 1,
    "number": 1,
    "array": list[object](),
    "object": dict[str, object](),
    "null": None,
}


def _property(schema: object) -> _Property:
    return msgspec.convert({} if isinstance(schema, bool) or schema is None else schema, _Property)


def _properties(schema: Mapping[str, object]) -> dict[str, object]:
    return msgspec.convert(schema.get("properties") or {}, dict[str, object])
