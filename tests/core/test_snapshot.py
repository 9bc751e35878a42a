"""What is kept of retired entries: enough to fold the journal, and nothing of what tools were told."""

from tenure.core.entry import Recorded
from tenure.core.event import MessageCompleted, MessageDelta, ToolCallCompleted, ToolCallStarted
from tenure.core.moment import Micros
from tenure.core.snapshot import bare, kept, unfolded
from tenure.core.transcript import Transcript
from tests.core.samples import SAMPLES

NOW = Micros(1_795_205_400_000_000)


def journal(*events: object) -> list[Recorded]:
    """Entries of one run, from 1 on."""
    return [Recorded(seq, NOW, "r1", event) for seq, event in enumerate(events, 1)]  # pyright: ignore[reportArgumentType]


def test_a_whole_message_leaves_its_first_piece_without_words_and_its_end() -> None:
    entries = journal(
        MessageDelta("m1", "Good "),
        MessageDelta("m1", "day"),
        MessageCompleted(message_id="m1", role="assistant", content="Good day"),
    )

    assert list(unfolded(kept(entries, set()))) == [
        Recorded(1, NOW, "r1", MessageDelta("m1", "")),
        entries[2],
    ]


def test_a_message_that_goes_on_keeps_its_words() -> None:
    entries = journal(MessageDelta("m1", "Good "), MessageDelta("m1", "day"))

    assert list(unfolded(kept(entries, set()))) == entries


def test_the_rest_of_a_message_that_began_in_an_older_snapshot_leaves_its_end() -> None:
    entries = journal(
        MessageDelta("m1", "day"),
        MessageCompleted(message_id="m1", role="assistant", content="Good day"),
    )

    assert list(unfolded(kept(entries, {"m1"}))) == entries[1:]


def test_a_call_leaves_neither_its_arguments_nor_its_result() -> None:
    call = ToolCallStarted(call_id="c1", tool="t", arguments={"secret": "hush"})
    answer = ToolCallCompleted(call_id="c1", status="ok", result="hush")

    assert [bare(call), bare(answer)] == [
        ToolCallStarted(call_id="c1", tool="t", arguments={}),
        ToolCallCompleted(call_id="c1", status="ok"),
    ]


def test_whatever_the_fold_goes_by_folds_to_the_same() -> None:
    """Every event that changes a row is kept, with all that the fold looks at."""
    for name, event, _ in SAMPLES:
        whole, left = Transcript(), Transcript()
        try:
            whole.add(Recorded(1, NOW, "r1", event))
        except LookupError:
            continue  # it needs a message that isn't there
        for recorded in unfolded(kept(journal(event), set())):
            left.add(recorded)
        assert (left.items, left.runs) == (whole.items, whole.runs), name
