"""From outputs to events: what is one message, what closes it, and what is left at the end of a run."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.assembly import Assembly, Piece
from tenure.core.content import TextPart
from tenure.core.event import (
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    ToolCallCompleted,
    ToolCallStarted,
    UsageRecorded,
)
from tenure.core.output import (
    Output,
    Reasoning,
    Said,
    Spent,
    Text,
    ToolCompleted,
    ToolStarted,
    Usage,
    Verdict,
    completed,
    failed,
)
from tests.core.properties import properties


def assembly() -> Assembly:
    """An assembly that calls its messages m1, m2 …"""
    numbers = count(1)
    return Assembly(lambda: f"m{next(numbers)}")


def taken(*outputs: Output, partial: bool | None = None) -> list[Piece]:
    """What a fresh assembly makes of the outputs, and of the end of the run if `partial` is given."""
    fresh = assembly()
    pieces = [piece for output in outputs for piece in fresh.take(output)]
    return pieces if partial is None else [*pieces, *fresh.finish(partial=partial)]


def begins(message_id: str, text: str) -> Piece:
    return Piece(MessageDelta(message_id, text), opens=True)


def goes_on(message_id: str, text: str) -> Piece:
    return Piece(MessageDelta(message_id, text))


def thinks(message_id: str, text: str) -> Piece:
    return Piece(ReasoningDelta(message_id, text))


def said(message_id: str, text: str, *, partial: bool = False) -> Piece:
    return Piece(MessageCompleted(message_id=message_id, role="assistant", content=text, partial=partial))


def thought(message_id: str, text: str, *, partial: bool = False) -> Piece:
    return Piece(ReasoningCompleted(message_id=message_id, role="assistant", content=text, partial=partial))


def test_text_in_a_row_is_one_message() -> None:
    assert taken(Text("He"), Text("llo"), Text(""), Text("!"), partial=False) == [
        begins("m1", "He"),
        goes_on("m1", "llo"),
        goes_on("m1", ""),
        goes_on("m1", "!"),
        said("m1", "Hello!"),
    ]


def test_reasoning_closes_a_message_and_text_closes_reasoning() -> None:
    assert taken(Text("A"), Reasoning("b"), Reasoning("c"), Text("D"), partial=False) == [
        begins("m1", "A"),
        said("m1", "A"),
        thinks("m2", "b"),
        thinks("m2", "c"),
        thought("m2", "bc"),
        begins("m3", "D"),
        said("m3", "D"),
    ]


def test_a_whole_message_closes_what_was_being_said_and_stands_by_itself() -> None:
    parts = (TextPart("x"), TextPart("y"))

    assert taken(Text("A"), Said(parts), Text("B"), partial=False) == [
        begins("m1", "A"),
        said("m1", "A"),
        Piece(MessageCompleted(message_id="m2", role="assistant", content=parts)),
        begins("m3", "B"),
        said("m3", "B"),
    ]


def test_a_tool_call_closes_what_was_being_said() -> None:
    start = ToolStarted(call_id="c1", tool="look", arguments={"at": 1})
    done = ToolCompleted(call_id="c1", status="ok", result=[2])

    assert taken(Text("A"), start, Reasoning("b"), done, partial=False) == [
        begins("m1", "A"),
        said("m1", "A"),
        Piece(ToolCallStarted(call_id="c1", tool="look", arguments={"at": 1})),
        thinks("m2", "b"),
        thought("m2", "b"),
        Piece(ToolCallCompleted(call_id="c1", status="ok", result=[2])),
    ]


def test_usage_interrupts_no_message() -> None:
    usage = Usage(model="m", input_tokens=1, output_tokens=2)

    assert taken(Text("A"), Spent(usage), Text("B"), partial=False) == [
        begins("m1", "A"),
        Piece(UsageRecorded(model="m", input_tokens=1, output_tokens=2)),
        goes_on("m1", "B"),
        said("m1", "AB"),
    ]


@pytest.mark.parametrize("verdict", [completed(), failed("no"), Verdict()])
def test_a_verdict_is_no_event(verdict: Verdict) -> None:
    assert taken(Text("A"), verdict) == [begins("m1", "A")]


def test_a_run_that_didnt_complete_leaves_its_last_message_partial() -> None:
    assert taken(Text("A"), partial=True) == [begins("m1", "A"), said("m1", "A", partial=True)]
    assert taken(Reasoning("a"), partial=True) == [
        thinks("m1", "a"),
        thought("m1", "a", partial=True),
    ]
    assert taken(Said("A"), partial=True) == [said("m1", "A")]


def test_calls_that_never_answered_are_unknown_at_the_end() -> None:
    calls = [ToolStarted(call_id=call, tool="look") for call in ("c3", "c1", "c2")]
    answer = ToolCompleted(call_id="c1", status="error")

    assert taken(*calls, answer, Text("A"), partial=True)[-3:] == [
        said("m1", "A", partial=True),
        Piece(ToolCallCompleted(call_id="c2", status="unknown")),
        Piece(ToolCallCompleted(call_id="c3", status="unknown")),
    ]


def test_finishing_twice_adds_nothing() -> None:
    one = assembly()
    one.take(Text("A"))
    one.take(ToolStarted(call_id="c1", tool="look"))
    one.finish(partial=True)

    assert one.finish(partial=True) == []
    assert one.close() == []


def spent(*usages: Usage) -> tuple[Usage, ...]:
    """The sum of some usages."""
    one = assembly()
    for usage in usages:
        one.take(Spent(usage))
    return one.usage


def test_usage_is_summed_per_model() -> None:
    assert spent() == ()
    assert spent(
        Usage(model="a", input_tokens=1, output_tokens=2, cost=0.5),
        Usage(model="b", input_tokens=10),
        Usage(model="a", input_tokens=3, output_tokens=4, cost=0.25),
    ) == (
        Usage(model="a", input_tokens=4, output_tokens=6, cost=0.75),
        Usage(model="b", input_tokens=10, output_tokens=0, cost=None),
    )


@pytest.mark.parametrize("costs", [[None], [None, 0.5], [0.5, None], [0.5, None, 0.5]], ids=repr)
def test_one_unknown_cost_makes_the_sum_unknown(costs: list[float | None]) -> None:
    (total,) = spent(*(Usage(model="a", input_tokens=1, cost=cost) for cost in costs))

    assert total == Usage(model="a", input_tokens=len(costs), cost=None)


def test_a_cost_of_nothing_is_known() -> None:
    assert spent(Usage(model="a", cost=0.0)) == (Usage(model="a", cost=0.0),)


# --- whatever a runner yields

outputs = st.one_of(
    st.text(max_size=4).map(Text),
    st.text(max_size=4).map(Reasoning),
    st.text(max_size=4).map(Said),
    st.sampled_from("abc").map(lambda call: ToolStarted(call_id=call, tool="t")),
    st.sampled_from("abc").map(lambda call: ToolCompleted(call_id=call, status="ok")),
    st.integers(0, 9).map(lambda n: Spent(Usage(model="m", input_tokens=n))),
    st.just(Verdict()),
)


def deltas_and_ends(pieces: list[Piece]) -> Iterator[tuple[str, str, bool]]:
    """(message id, text, whether that is its end) of everything said or thought."""
    for piece in pieces:
        match piece.event:
            case MessageDelta() | ReasoningDelta() as delta:
                yield delta.message_id, delta.text, False
            case MessageCompleted() | ReasoningCompleted() as end:
                yield end.message_id, str(end.content), True
            case _:
                pass


@properties
@given(st.lists(outputs, max_size=30), st.booleans())
def test_every_message_is_closed_once_with_exactly_what_was_said(
    yielded: list[Output], partial: bool
) -> None:
    told: dict[str, str] = {}
    ended: dict[str, str] = {}
    for message_id, text, end in deltas_and_ends(taken(*yielded, partial=partial)):
        assert message_id not in ended
        if end:
            ended[message_id] = text
        else:
            told[message_id] = told.get(message_id, "") + text

    assert told.items() <= ended.items()
    assert sum(isinstance(output, Said) for output in yielded) == len(ended) - len(told)


@properties
@given(st.lists(outputs, max_size=30), st.booleans())
def test_nothing_that_was_said_is_lost_or_reordered(yielded: list[Output], partial: bool) -> None:
    expected = "".join(o.text for o in yielded if isinstance(o, Text | Reasoning))
    pieces = taken(*yielded, partial=partial)

    assert expected == "".join(text for _, text, end in deltas_and_ends(pieces) if not end)


@properties
@given(st.lists(outputs, max_size=30), st.booleans())
def test_only_the_first_piece_of_a_message_opens_it(yielded: list[Output], partial: bool) -> None:
    seen: set[str] = set()
    for piece in taken(*yielded, partial=partial):
        if isinstance(piece.event, MessageDelta):
            assert piece.opens is (piece.event.message_id not in seen)
            seen.add(piece.event.message_id)
        else:
            assert not piece.opens


@properties
@given(st.lists(outputs, max_size=30), st.booleans())
def test_every_call_that_began_has_an_answer_in_the_end(yielded: list[Output], partial: bool) -> None:
    waiting: set[str] = set()
    for piece in taken(*yielded, partial=partial):
        if isinstance(piece.event, ToolCallStarted):
            waiting.add(piece.event.call_id)
        if isinstance(piece.event, ToolCallCompleted):
            waiting.discard(piece.event.call_id)

    assert waiting == set()
