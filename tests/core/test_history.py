"""The rules of undo and compaction, by themselves."""

import pytest

from tenure.core.history import (
    KEPT_TURNS,
    SUMMARY,
    SUMMARY_CHARACTERS,
    Cut,
    Line,
    Split,
    Summarizing,
    Turn,
    UndoTurns,
    cut,
    extract,
    split,
    turns_back,
)
from tenure.core.view import TranscriptItem
from tenure.errors import Code, TenureError

pytestmark = pytest.mark.anyio


def line(message_id: str, run_id: str, seq: int) -> Line:
    """A line of a user if its id begins with u, else of the agent."""
    return Line(message_id, run_id, "user" if message_id.startswith("u") else "assistant", seq)


SAID = [
    line("u1", "r1", 2),
    line("a1", "r1", 3),
    line("u2", "r2", 10),
    line("a2", "r2", 11),
    line("u3", "r2", 12),
    line("a3", "r2", 13),
    line("u4", "r3", 20),
]


def test_a_turn_is_a_run_with_its_message_its_steering_and_its_output() -> None:
    assert [*turns_back(reversed(SAID))] == [
        Turn(("r3",), ("u4",), 20),
        Turn(("r2",), ("u2", "a2", "u3", "a3"), 10),
        Turn(("r1",), ("u1", "a1"), 2),
    ]


def test_a_message_that_was_tried_again_is_one_turn_with_all_that_was_said_for_it() -> None:
    tried = [line("u1", "r1", 2), line("u2", "r3", 10), line("a2", "r2", 11), line("a3", "r3", 20)]

    assert [*turns_back(reversed(tried))] == [
        Turn(("r3", "r2"), ("u2", "a2", "a3"), 10),
        Turn(("r1",), ("u1",), 2),
    ]


@pytest.mark.sources("M21")
def test_no_undo_reaches_beyond_the_first_message() -> None:
    taken = cut(reversed(SAID), UndoTurns(turns=100), "ses_1")

    assert taken == Cut(("r1", "r2", "r3"), ("u1", "a1", "u2", "a2", "u3", "a3", "u4"), 1)


@pytest.mark.parametrize("message_id", ["u2", "a2", "u3", "a3"])
def test_an_undo_to_a_message_takes_the_whole_turn_of_it(message_id: str) -> None:
    ask = UndoTurns(to_message_id=message_id)

    assert cut(reversed(SAID), ask, "ses_1") == Cut(("r2", "r3"), ("u2", "a2", "u3", "a3", "u4"), 9)


def test_only_as_many_lines_are_read_as_the_undo_needs() -> None:
    lines = iter(SAID[::-1])
    cut(lines, UndoTurns(), "ses_1")

    assert [*lines] == SAID[4::-1]


def test_an_undo_without_anything_to_undo_says_so() -> None:
    with pytest.raises(TenureError, match="no turn to undo") as refused:
        cut([], UndoTurns(), "ses_1")

    assert refused.value.code is Code.CONFLICT


def item(number: int, role: str, run: int, text: str | None = None) -> TranscriptItem:
    """A line of a transcript."""
    return TranscriptItem(
        message_id=f"msg_{number}",
        role=role,
        content=text or f"{role} {number}",
        run_id=f"run_{run}",
        status="settled",
        seq=10 * number,
        actor="ann" if role == "user" else None,
    )


def talk(turns: int) -> list[TranscriptItem]:
    """So many turns of a message and an answer."""
    return [item(2 * n + i, role, n) for n in range(turns) for i, role in enumerate(("user", "assistant"))]


@pytest.mark.parametrize(("turns", "kept"), [(1, 0), (2, 1), (3, 1), (4, 2), (9, 4), (10, 5), (50, 5)])
def test_a_compaction_keeps_the_last_turns_but_always_covers_half(turns: int, kept: int) -> None:
    said = talk(turns)
    found = split(said, 10_000)

    assert kept <= KEPT_TURNS
    first = len(said) - 2 * kept
    through = said[first].seq - 1 if kept else 9_999
    assert found == Split(tuple(said[:first]), through)


def test_steering_doesnt_make_a_turn_for_compaction_either() -> None:
    said = [item(1, "user", 1), item(2, "assistant", 1), item(3, "user", 1), item(4, "user", 2)]

    assert split(said, 100) == Split(tuple(said[:3]), 39)


def test_there_is_nothing_to_compact_in_an_empty_transcript_or_a_summary() -> None:
    assert split([], 5) is None
    assert split([item(1, SUMMARY, 1)], 5) is None


async def test_the_summary_without_a_model_holds_the_first_message_and_a_line_a_turn() -> None:
    summary = await extract(Summarizing((*talk(2),), ""))

    assert summary.splitlines() == [
        "It began with: user 0",
        "ann: user 0",
        "agent: assistant 1",
        "ann: user 2",
        "agent: assistant 3",
    ]


async def test_the_summary_without_a_model_begins_with_the_one_before() -> None:
    said = (item(0, SUMMARY, 0, "It began with: sums"), *talk(1)[1:])

    assert (await extract(Summarizing(said, ""))).splitlines() == [
        "It began with: sums",
        "agent: assistant 1",
    ]


async def test_the_summary_without_a_model_stays_within_its_budget() -> None:
    said = [item(n, "user", n, "x" * 10_000) for n in range(500)]
    summary = await extract(Summarizing((*said,), ""))

    assert len(summary) <= SUMMARY_CHARACTERS + 60
    assert "earlier lines are left out" in summary
