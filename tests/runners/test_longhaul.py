"""The demo agent *longhaul*: a minute of words, and a stop that says where."""

from tenure.core.output import Text, Verdict, completed
from tenure.core.run import RunState
from tenure.runners.demo.longhaul import WORDS, WORDS_PER_SECOND, longhaul
from tenure.runners.inprocess import InProcessRunner
from tenure.runners.rehearsal import FakeRun
from tests.runners.virtual import Spoken, timeline


def test_it_talks_for_about_a_minute_at_its_pace_and_completes() -> None:
    said = timeline(InProcessRunner(longhaul), FakeRun("go"))

    assert said[:-1] == [Spoken(round(k / WORDS_PER_SECOND, 6), Text(word)) for k, word in enumerate(WORDS)]
    assert said[-1].output == completed()
    assert 55 <= said[-1].at <= 65


def test_stopped_it_says_where_at_its_next_word() -> None:
    said = timeline(InProcessRunner(longhaul), FakeRun("go"), stop_at=10.01)

    assert len(said) == 203
    assert said[-2:] == [
        Spoken(10.05, Text(f"\n\n(Stopped after 201 of {len(WORDS):,} words.)")),
        Spoken(10.05, Verdict(status=RunState.CANCELLED, reason="interrupted")),
    ]
