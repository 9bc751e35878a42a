"""Every machine, every state, every signal; and the four other readers of the tables."""

import sqlite3
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, TypeVar

import pytest

from tenure.core.approval import APPROVAL, ApprovalSignal
from tenure.core.effect import EFFECT, EffectSignal
from tenure.core.machine import Machine
from tenure.core.message import MESSAGE, REPLY, MessageSignal, ReplySignal
from tenure.core.run import ENDINGS, LIVE_RUNS, RUN, SLOT_STATES, RunSignal, RunState, ending
from tenure.core.schedule import OCCURRENCE, SCHEDULE, OccurrenceSignal, ScheduleSignal
from tenure.core.session import SESSION, SessionSignal, SessionState, SessionStatus, status_of
from tenure.errors import IllegalTransition

S = TypeVar("S", bound=StrEnum)
G = TypeVar("G", bound=StrEnum)

CONTRACT: dict[str, str] = {
    "run": """
        queued claim running
        queued interrupt cancelled
        queued delete cancelled
        running ask waiting
        running interrupt interrupting
        running deadline interrupting
        running complete completed
        running fail failed
        running cancel cancelled
        running time_out timed_out
        running lose_lease queued
        running give_up lost
        running delete cancelled
        waiting answer queued
        waiting expire queued
        waiting continue running
        waiting interrupt cancelled
        waiting delete cancelled
        interrupting complete completed
        interrupting cancel cancelled
        interrupting time_out timed_out
        interrupting lose_lease cancelled
        interrupting delete cancelled
    """,
    "message": """
        queued start started
        queued steer steered
        queued merge merged
        queued withdraw withdrawn
        steered take consumed
        steered promote queued
        steered withdraw withdrawn
        started settle settled
        consumed settle settled
        merged settle settled
        merged withdraw withdrawn
        settled retry started
    """,
    "reply": """
        streaming finish completed
        streaming cut partial
    """,
    "session": """
        open close closed
        open delete deleted
        closed reopen open
        closed delete deleted
    """,
    "approval": """
        pending approve granted
        pending deny denied
        pending expire expired
        pending withdraw withdrawn
    """,
    "effect": """
        intended dispatch dispatched
        intended refuse settled
        dispatched settle settled
        dispatched lose unknown
        dispatched repeat dispatched
        unknown settle settled
        unknown repeat dispatched
    """,
    "schedule": """
        active pause paused
        active finish done
        active cancel cancelled
        paused resume active
        paused finish done
        paused cancel cancelled
        done cancel cancelled
    """,
    "occurrence": """
        due admit admitted
        due skip skipped
        due miss missed
    """,
}
"""What the tables must say, written a second time: changing a table changes the contract."""


class Pair(NamedTuple):
    """One state met by one signal, with the machine's readers bound to it."""

    noun: str
    state: str
    signal: str
    advance: Callable[[], StrEnum]
    allowed: bool
    listed: bool
    guard: str

    @property
    def after(self) -> str | None:
        """The state after it by the contract, or None if the contract has no such pair."""
        rows = (line.split() for line in CONTRACT[self.noun].split("\n") if line.strip())
        return next((to for state, signal, to in rows if (state, signal) == self[1:3]), None)


def pairs_of(machine: Machine[S, G], signals: type[G]) -> list[Pair]:
    """Every state of the machine with every signal."""

    def pair(state: S, signal: G) -> Pair:
        def advance() -> S:
            return machine.advance(state, signal)

        listed = signal in machine.signals(state)
        guard = machine.guard("state", signal)
        return Pair(machine.noun, state, signal, advance, machine.allows(state, signal), listed, guard)

    return [pair(state, signal) for state in machine.states for signal in signals]


PAIRS = [
    *pairs_of(RUN, RunSignal),
    *pairs_of(MESSAGE, MessageSignal),
    *pairs_of(REPLY, ReplySignal),
    *pairs_of(SESSION, SessionSignal),
    *pairs_of(APPROVAL, ApprovalSignal),
    *pairs_of(EFFECT, EffectSignal),
    *pairs_of(SCHEDULE, ScheduleSignal),
    *pairs_of(OCCURRENCE, OccurrenceSignal),
]


def name(pair: Pair) -> str:
    """How a pair is called in the list of tests."""
    return f"{pair.noun}-{pair.state}-{pair.signal}"


every_pair = pytest.mark.parametrize("pair", PAIRS, ids=name)


@pytest.mark.sources("N10")
@every_pair
def test_a_signal_leads_where_the_contract_says_or_is_refused_naming_both(pair: Pair) -> None:
    if pair.after is not None:
        assert (pair.advance(), pair.allowed, pair.listed) == (pair.after, True, True)
        return
    with pytest.raises(IllegalTransition) as refused:
        pair.advance()
    assert str(refused.value) == (f"A {pair.noun} that is {pair.state} can't take the signal {pair.signal}.")
    assert (pair.allowed, pair.listed) == (False, False)


@every_pair
def test_the_guard_lets_an_update_through_exactly_where_the_table_has_the_pair(pair: Pair) -> None:
    assert truth(pair.guard, pair.state) == pair.allowed


def test_the_contract_names_no_pair_that_the_enums_lack() -> None:
    known = {(pair.noun, pair.state, pair.signal) for pair in PAIRS}
    written = {
        (noun, *line.split()[:2])
        for noun, table in CONTRACT.items()
        for line in table.split("\n")
        if line.strip()
    }

    assert written <= known


@pytest.mark.parametrize(
    ("noun", "initial", "live", "terminal"),
    [
        (
            RUN,
            "queued",
            "queued running waiting interrupting",
            "completed failed cancelled timed_out lost",
        ),
        (MESSAGE, "queued", "queued steered started consumed merged settled", "withdrawn"),
        (REPLY, "streaming", "streaming", "completed partial"),
        (SESSION, "open", "open closed", "deleted"),
        (APPROVAL, "pending", "pending", "granted denied expired withdrawn"),
        (EFFECT, "intended", "intended dispatched unknown", "settled"),
        (SCHEDULE, "active", "active paused done", "cancelled"),
        (OCCURRENCE, "due", "due", "admitted skipped missed"),
    ],
    ids=lambda value: value.noun if isinstance(value, Machine) else None,
)
def test_a_machine_begins_lives_and_ends_in_these_states(
    noun: Machine[S, G], initial: str, live: str, terminal: str
) -> None:
    assert noun.initial == initial
    assert list(noun.live) == live.split()
    assert noun.terminal == set(terminal.split())


def test_the_check_of_the_schema_admits_the_states_and_nothing_else() -> None:
    check = RUN.check("status")

    assert check == (
        "status IN ('queued', 'running', 'waiting', 'interrupting', 'completed', 'failed', "
        "'cancelled', 'timed_out', 'lost')"
    )
    assert [truth(RUN.check("state"), word) for word in ("lost", "LOST", "", "busy")] == [
        True,
        False,
        False,
        False,
    ]


def test_among_is_the_condition_for_a_choice_of_states() -> None:
    assert RUN.among("r.state", SLOT_STATES) == "r.state IN ('running', 'interrupting')"


def test_sources_are_the_states_that_can_take_a_signal_in_table_order() -> None:
    assert RUN.sources(RunSignal.INTERRUPT) == (
        RunState.QUEUED,
        RunState.RUNNING,
        RunState.WAITING,
    )


def test_the_signals_of_a_state_are_a_copy_that_cannot_change_the_table() -> None:
    offered = dict(SESSION.signals(SessionState.OPEN))
    offered.clear()

    assert SESSION.signals(SessionState.OPEN) == {
        SessionSignal.CLOSE: SessionState.CLOSED,
        SessionSignal.DELETE: SessionState.DELETED,
    }


def test_the_diagram_shows_every_pair_of_the_table() -> None:
    assert REPLY.mermaid() == (
        "stateDiagram-v2\n"
        "    [*] --> streaming\n"
        "    streaming --> completed: finish\n"
        "    streaming --> partial: cut\n"
        "    completed --> [*]\n"
        "    partial --> [*]\n"
    )
    drawn = {line.strip() for line in RUN.mermaid().splitlines()}
    assert {
        f"{pair.state} --> {pair.after}: {pair.signal}" for pair in PAIRS if pair.noun == "run" and pair.after
    } <= drawn


def test_a_run_is_live_until_it_ends_and_only_a_moving_one_costs_a_slot() -> None:
    assert set(LIVE_RUNS) == set(RunState) - set(ENDINGS)
    assert SLOT_STATES == (RunState.RUNNING, RunState.INTERRUPTING)


@pytest.mark.parametrize("verdict", list(ENDINGS))
def test_a_running_run_ends_as_its_runner_says(verdict: RunState) -> None:
    assert ending(RunState.RUNNING, verdict, by_deadline=False) is verdict


@pytest.mark.parametrize("verdict", list(ENDINGS))
@pytest.mark.parametrize(
    ("by_deadline", "stopped"), [(False, RunState.CANCELLED), (True, RunState.TIMED_OUT)]
)
def test_an_interrupted_run_ends_as_stopped_unless_it_was_finished(
    verdict: RunState, by_deadline: bool, stopped: RunState
) -> None:
    outcome = ending(RunState.INTERRUPTING, verdict, by_deadline=by_deadline)

    assert outcome is (RunState.COMPLETED if verdict is RunState.COMPLETED else stopped)


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.WAITING, *ENDINGS])
@pytest.mark.parametrize("verdict", list(ENDINGS))
def test_a_run_that_isnt_moving_takes_no_verdict(state: RunState, verdict: RunState) -> None:
    with pytest.raises(IllegalTransition):
        ending(state, verdict, by_deadline=False)


@pytest.mark.sources("N08")
@pytest.mark.parametrize(
    ("state", "run", "status"),
    [
        (SessionState.OPEN, None, SessionStatus.IDLE),
        (SessionState.OPEN, RunState.QUEUED, SessionStatus.RUNNING),
        (SessionState.OPEN, RunState.RUNNING, SessionStatus.RUNNING),
        (SessionState.OPEN, RunState.INTERRUPTING, SessionStatus.RUNNING),
        (SessionState.OPEN, RunState.WAITING, SessionStatus.WAITING),
        (SessionState.CLOSED, None, SessionStatus.CLOSED),
        (SessionState.CLOSED, RunState.RUNNING, SessionStatus.CLOSED),
        (SessionState.DELETED, None, SessionStatus.CLOSED),
    ],
)
def test_the_status_of_a_session_follows_from_its_state_and_its_run(
    state: SessionState, run: RunState | None, status: SessionStatus
) -> None:
    assert status_of(state, run) is status


def truth(condition: str, state: str) -> bool:
    """Whether a database finds the condition true of a row whose `state` is this."""
    with sqlite3.connect(":memory:") as database:
        (row,) = database.execute(f"SELECT {condition} FROM (SELECT ? AS state)", (state,))
    database.close()
    return row[0] == 1
