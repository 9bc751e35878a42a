"""The demo agent *reporter*: how it recalls itself, what it reports, and that it stops when told."""

import pytest

from tenure.core.grant import HISTORY, RECALLS
from tenure.core.origin import Origin, Recalled
from tenure.core.output import Text, completed
from tenure.core.recall import RECALL
from tenure.core.scheduling import Recall
from tenure.core.view import TranscriptItem
from tenure.runners.demo.reporter import REPORT, TIMES, reporter
from tenure.runners.inprocess import InProcessRunner
from tenure.runners.rehearsal import FakeRun
from tests.runners.virtual import timeline

BOTH = (HISTORY, RECALLS)
DUE = Origin(
    trigger=RECALL,
    recall=Recalled(schedule_id="sch_1", occurrence="sch_1@8", due_at="2026-11-21T08:00:10.000000Z"),
)


def answer(run: FakeRun) -> str:
    """All that *reporter* says."""
    outputs = [output for _, output in timeline(InProcessRunner(reporter), run)]
    assert outputs[-1] == completed()
    return "".join(output.text for output in outputs if isinstance(output, Text))


def said(number: int, text: str, role: str = "user") -> TranscriptItem:
    """Something that stands in the transcript."""
    return TranscriptItem(
        message_id=f"msg_{number:032x}",
        role=role,
        content=text,
        run_id=None,
        status="completed",
        seq=number,
    )


@pytest.mark.parametrize(
    ("text", "planned"),
    [
        ("Report every 10 seconds, 5 times", {"every_s": 10.0, "max_runs": 5}),
        ("every minute please", {"every_s": 60.0, "max_runs": TIMES}),
        ("every 2 hours", {"every_s": 7_200.0, "max_runs": TIMES}),
        ("in 2 minutes", {"in_s": 120.0}),
        ("at 08:30 in Europe/Berlin", {"cron": "30 8 * * *", "timezone": "Europe/Berlin"}),
        ("at 7:05", {"cron": "5 7 * * *", "timezone": "UTC"}),
    ],
)
def test_it_recalls_itself_when_it_is_told_to(text: str, planned: dict[str, object]) -> None:
    run = FakeRun(text, apis=BOTH)

    told = answer(run)

    assert list(run.recalls.made.values()) == [Recall(message=REPORT, name="report", **planned)]  # pyright: ignore[reportArgumentType]
    assert told == "I will report rehearsed. The first time is 00:00:00 UTC. "


def test_a_report_counts_itself_and_tells_what_people_said() -> None:
    run = FakeRun(
        REPORT,
        apis=BOTH,
        origin=DUE,
        said=[said(5, "hello"), said(6, "hi", "assistant"), said(7, "what a day"), said(1, REPORT)],
        state={"conversation": {"reports": {"count": 2, "occurrence": "sch_1@7"}}},
    )

    assert answer(run) == "Report 3 of 08:00:10 UTC: people said 2 things, the last was 'what a day'. "


def test_an_attempt_that_starts_over_does_not_count_twice() -> None:
    run = FakeRun(
        REPORT,
        apis=BOTH,
        origin=DUE,
        attempt=2,
        state={"conversation": {"reports": {"count": 3, "occurrence": "sch_1@8"}}},
    )

    assert answer(run).startswith("Report 3 of 08:00:10 UTC: ")


def test_it_ends_what_it_planned_and_tells_what_is_planned() -> None:
    run = FakeRun("every minute", apis=BOTH)
    answer(run)

    def again(text: str) -> FakeRun:
        later = FakeRun(text, apis=BOTH, number=2)
        later.recalls = run.recalls
        return later

    assert answer(again("what is planned?")) == "I report rehearsed, next 00:00:00 UTC. "
    assert answer(again("stop")) == "I stopped: 1 ended. "
    assert answer(again("stop")) == "Nothing was planned. "
    assert answer(again("what is planned?")) == "Nothing is planned. "


def test_without_the_right_it_says_so() -> None:
    assert answer(FakeRun("every minute")) == (
        f"That can't be: The grant of run run_{1:032x} doesn't hold the right recalls."
    )
