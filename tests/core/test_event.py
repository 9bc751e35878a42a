"""Events: their shape on the wire, their way back, other versions, and the framing of stored ranges."""

import json
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core import event as module
from tenure.core.content import TextPart
from tenure.core.entry import (
    UPCASTERS,
    VERSIONS,
    Entry,
    Recorded,
    Upcaster,
    entry,
    frame,
    lines_of,
    record,
    shell,
)
from tenure.core.event import (
    EVENTS,
    TYPE_OF,
    Event,
    MessageDelta,
    QueueHeld,
    RunFinished,
    SessionCreated,
    SessionUpdated,
    Unknown,
)
from tenure.core.moment import Micros
from tests.core.properties import properties
from tests.core.samples import SAMPLES

AT = Micros(1_795_205_400_123_456)
STAMP = "2026-11-20T20:10:00.123456Z"

# --- strategies: any value that an event's fields may hold

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | integers | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: texts,
    int: integers,
    float: floats,
    bool: st.booleans(),
    object: json_values,
    type(None): st.none(),
    msgspec.UnsetType: st.just(msgspec.UNSET),
}


def values(kind: object) -> st.SearchStrategy[Any]:
    """Any value of an annotated type."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return structs(kind)
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin in (Union, UnionType):
            return st.one_of([values(argument) for argument in arguments])
        case origin if origin is tuple:
            return st.lists(values(arguments[0]), max_size=3).map(tuple)
        case origin if origin is dict:
            return st.dictionaries(texts, values(arguments[1]), max_size=3)
        case _:
            raise NotImplementedError(f"There is no strategy for {kind!r}. Add one.")


def structs(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any instance of a struct."""
    hints = get_type_hints(cls)
    fields = {field.name: values(hints[field.name]) for field in msgspec.structs.fields(cls)}
    return st.fixed_dictionaries(fields).map(lambda chosen: cls(**chosen))


# --- the list of types


def test_every_event_of_the_union_has_one_wire_name() -> None:
    assert set(EVENTS.values()) == set(get_args(Event))
    assert len(TYPE_OF) == len(EVENTS)


def test_the_samples_cover_every_type_and_fill_every_field() -> None:
    assert [name for name, _, _ in SAMPLES] == list(EVENTS)
    assert [
        name
        for name, event, data in SAMPLES
        if len(cast("dict[str, object]", data)) != len(msgspec.structs.fields(event))
    ] == []


# --- the wire


@pytest.mark.parametrize(("name", "event", "data"), SAMPLES, ids=[s[0] for s in SAMPLES])
def test_an_event_has_this_shape_on_the_wire(name: str, event: Event, data: object) -> None:
    line = entry(AT, event, "run_1").line

    assert json.loads(line) == {"at": STAMP, "type": name, "run_id": "run_1", "data": data}
    assert list(json.loads(line)) == ["at", "type", "run_id", "data"]
    assert record(4, line) == Recorded(4, AT, "run_1", event)


def test_an_entry_carries_its_struct_its_line_and_whose_it_is() -> None:
    event = MessageDelta("msg_1", "Hi")

    assert entry(AT, event, "run_1", opens=True) == Entry(
        event,
        b'{"at":"2026-11-20T20:10:00.123456Z","type":"message.delta","run_id":"run_1",'
        b'"data":{"message_id":"msg_1","text":"Hi"}}',
        "run_1",
        AT,
        opens=True,
    )
    assert json.loads(entry(AT, event).line)["run_id"] is None


def test_what_is_not_known_is_left_out_but_the_facts_everybody_reads_are_whole() -> None:
    assert json.loads(entry(AT, SessionUpdated(by="ada")).line)["data"] == {"by": "ada"}
    assert json.loads(entry(AT, SessionUpdated(by="ada", title=None)).line)["data"] == {
        "by": "ada",
        "title": None,
    }
    assert json.loads(entry(AT, SessionCreated(agent="a", owner="ada")).line)["data"] == {
        "agent": "a",
        "owner": "ada",
        "title": None,
        "labels": {},
        "conversation": None,
        "parent": None,
    }
    assert json.loads(entry(AT, RunFinished(status="completed", reason="")).line)["data"] == {
        "status": "completed",
        "reason": "",
        "retryable": False,
        "usage": [],
    }


@pytest.mark.parametrize("name", list(EVENTS))
@settings(properties, max_examples=30)
@given(data=st.data())
def test_any_event_survives_its_stored_form(name: str, data: st.DataObject) -> None:
    event = data.draw(structs(EVENTS[name]))
    run_id = data.draw(st.none() | st.just("run_0123456789abcdef0123456789abcdef"))
    at = Micros(data.draw(st.integers(0, 4_102_444_800_000_000)))
    line = entry(at, event, run_id).line

    assert b"\n" not in line
    assert record(1, line) == Recorded(1, at, run_id, event)


# --- other versions


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """`queue.held` in its third version: `who` became `by`, and before that `user` became `who`."""

    def renamed(old: str, new: str) -> Upcaster:
        return lambda data: {new if name == old else name: v for name, v in data.items()}

    monkeypatch.setitem(VERSIONS, "queue.held", 3)
    monkeypatch.setitem(UPCASTERS, ("queue.held", 1), renamed("user", "who"))
    monkeypatch.setitem(UPCASTERS, ("queue.held", 2), renamed("who", "by"))


def line_of(name: str, data: str, version: str = "") -> bytes:
    """A stored line as some version wrote it."""
    return f'{{"at":"{STAMP}","type":"{name}","run_id":null,"data":{data}{version}}}'.encode()


@pytest.mark.usefixtures("grown")
@pytest.mark.parametrize(
    "line",
    [
        line_of("queue.held", '{"user":"ada"}'),
        line_of("queue.held", '{"user":"ada"}', ',"v":1'),
        line_of("queue.held", '{"who":"ada"}', ',"v":2'),
        line_of("queue.held", '{"by":"ada"}', ',"v":3'),
        line_of("queue.held", '{"by":"ada","why":"added later"}', ',"v":3'),
    ],
    ids=["unmarked", "first", "second", "current", "with a field too many"],
)
def test_older_versions_are_lifted_to_the_current_one(line: bytes) -> None:
    assert record(7, line) == Recorded(7, AT, None, QueueHeld(by="ada"))


@pytest.mark.usefixtures("grown")
def test_the_current_version_is_written_down_and_read_back() -> None:
    made = entry(AT, QueueHeld(by="ada"))

    assert made.line == line_of("queue.held", '{"by":"ada"}', ',"v":3')
    assert record(1, made.line).event == QueueHeld(by="ada")


@pytest.mark.usefixtures("grown")
def test_a_version_from_the_future_passes_through_untouched() -> None:
    line = line_of("queue.held", '{"by":{"id":1}}', ',"v":4')

    assert record(7, line) == Recorded(7, AT, None, Unknown("queue.held", msgspec.Raw(b'{"by":{"id":1}}')))


def test_a_type_from_the_future_passes_through_untouched() -> None:
    line = line_of("dream.dreamt", '{"of": [1,  2]}')

    assert record(7, line) == Recorded(7, AT, None, Unknown("dream.dreamt", msgspec.Raw(b'{"of": [1,  2]}')))
    assert shell(line).type == "dream.dreamt"


def test_every_version_but_the_last_has_what_lifts_it() -> None:
    assert set(UPCASTERS) == {
        (name, version) for name, last in VERSIONS.items() for version in range(1, last)
    }


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b'{"at":1}', line_of("queue.held", "{}"), line_of("queue.held", "7")],
    ids=["empty", "nothing", "a list", "no type", "no data", "data of another shape"],
)
def test_nonsense_is_an_error(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        record(1, line)


# --- stored ranges

NASTY = [
    "",
    "line one\nline two",
    "\n{",
    '\n{"at":"x"}\n{',
    "}\n{",
    "\r\n\x0b\x0c\x1c\x1d\x1e\x85",
    "\u2028\u2029",
    '"quoted" \\ backslash \\n',
    "👩‍👩‍👧‍👦 🏴‍☠️ e\u0301",
    "\u202eabc\u200b\ufeff",
    "\x01\x1f\x7f",
    "</script><!--",
    "x" * 10_000,
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_a_range_is_cut_into_exactly_its_entries_whatever_they_say(text: str) -> None:
    said = [MessageDelta("msg_1", text), MessageDelta(text, "after"), MessageDelta("msg_2", text)]
    lines = [entry(AT, event, "run_1").line for event in said]

    assert [b"{" + rest for rest in lines_of(b"\n".join(lines))] == lines


@properties
@given(st.lists(texts, min_size=1, max_size=8), st.integers(1, 10**12))
def test_a_framed_range_is_the_entries_with_their_numbers(said: list[str], first: int) -> None:
    lines = [entry(AT, MessageDelta("msg_1", text), "run_1").line for text in said]
    framed = [frame(first + i, rest) for i, rest in enumerate(lines_of(b"\n".join(lines)))]

    assert [json.loads(envelope) for envelope in framed] == [
        {
            "seq": first + i,
            "at": STAMP,
            "type": "message.delta",
            "run_id": "run_1",
            "data": {"message_id": "msg_1", "text": text},
        }
        for i, text in enumerate(said)
    ]
    assert [next(iter(json.loads(envelope))) for envelope in framed] == ["seq"] * len(said)


def test_parts_of_a_message_keep_their_type() -> None:
    _, admitted, _ = next(sample for sample in SAMPLES if sample[0] == "message.admitted")
    read = record(1, entry(AT, admitted).line).event

    assert isinstance(read, module.MessageAdmitted)
    assert read.content == (TextPart("Hello"),)
