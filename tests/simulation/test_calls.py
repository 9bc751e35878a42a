"""Seeded schedules with tools and approvals: nothing is done twice, nothing without leave."""

from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest

from tenure.core import ledger
from tenure.core.approval import ApprovalState
from tenure.core.tool import Replay
from tenure.ports.acts import Wake
from tenure.stores.relational.acts import effects, waits
from tenure.stores.sqlite import queries
from tests.simulation.calling import run
from tests.simulation.schedule import Outcome
from tests.simulation.zoo import sql

SEEDS = 160
PER_TEST = 40


@cache
def outcome(seed: int) -> Outcome:
    """What came of a seed."""
    return run(seed)


@pytest.mark.sources("P4", "P7", "A17")
@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_no_schedule_makes_a_call_twice_or_without_leave(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        assert outcome(seed).faults == [], f"seed {seed}"


def test_the_same_seed_tells_the_same_story_twice() -> None:
    assert [run(seed).journals for seed in range(4)] == [outcome(seed).journals for seed in range(4)]


Bug = Callable[[pytest.MonkeyPatch], None]


def repeats_what_must_not_be_repeated(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(ledger._OPEN, Replay.NEVER, ledger.Step.EXECUTE)  # pyright: ignore[reportPrivateUsage]


def forgets_what_ended(patch: pytest.MonkeyPatch) -> None:
    sql(patch, "effect_same", "e.nth = :nth", "e.nth = -:nth")
    patch.setitem(queries.SQL, "effect_insert", queries.SQL["effect_insert"].replace("INSERT", "REPLACE"))


def asks_nobody(patch: pytest.MonkeyPatch) -> None:
    def judge(*_: object, **__: object) -> ledger.Ruling:
        return ledger.Ruling(ledger.Step.EXECUTE)

    patch.setattr(effects, "judge", judge)


def makes_what_was_asked_for_instead_of_what_was_approved(patch: pytest.MonkeyPatch) -> None:
    edited = "coalesce(a.arguments, e.arguments), coalesce(a.digest, e.digest)"
    for name in ("effect_row", "effect_same"):
        sql(patch, name, edited, "e.arguments, e.digest")


def never_goes_on(patch: pytest.MonkeyPatch) -> None:
    def go_on(*_: object) -> Wake:
        return Wake()

    patch.setattr(waits, "go_on", go_on)


def keeps_the_slot_of_a_waiting_run(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(waits, "SLOT_STATES", ())


def leaves_calls_open(patch: pytest.MonkeyPatch) -> None:
    sql(patch, "effect_open", "'intended', 'dispatched'", "'intended'")


def lets_an_old_attempt_call(patch: pytest.MonkeyPatch) -> None:
    sql(patch, "run_let_go", "SET held_by = NULL, owner = NULL", "SET held_by = held_by")


BUGS: tuple[Bug, ...] = (
    repeats_what_must_not_be_repeated,
    forgets_what_ended,
    asks_nobody,
    makes_what_was_asked_for_instead_of_what_was_approved,
    never_goes_on,
    keeps_the_slot_of_a_waiting_run,
    leaves_calls_open,
    lets_an_old_attempt_call,
)


@pytest.mark.parametrize("plant", BUGS, ids=[bug.__name__ for bug in BUGS])
def test_a_planted_bug_is_caught(plant: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    assert any(run(seed).faults for seed in range(SEEDS))


@cache
def census() -> Counter[str]:
    """How often what matters occurs."""
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        told = outcome(seed)
        counts.update(" ".join(words.split()[2:]) for words in told.log)
        for entry in told.journals:
            for word in WORDS:
                counts[word] += word in entry
    return counts


WORDS = (
    *(f'"decision":"{state}"' for state in ApprovalState if state is not ApprovalState.PENDING),
    *(f'"mode":"{mode}"' for mode in ("held", "rerun")),
    '"by":"rule"',
    '"by":"runner"',
    '"status":"unknown"',
    '"replayed":true',
    "changed_after_retry",
    '"type":"effect.resolved"',
    "kill",
)


@pytest.mark.parametrize("what", [*WORDS[:-1], "at call.before", "at call.after"])
def test_the_schedules_go_where_bugs_live(what: str) -> None:
    found = sum(count for told, count in census().items() if what in told)
    assert found >= 3
