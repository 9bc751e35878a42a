"""A run: one execution of a runner in a session. Its states, and what ends it."""

from enum import StrEnum

from tenure.core.machine import Machine


class RunState(StrEnum):
    """Where a run is. The last five are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    INTERRUPTING = "interrupting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"


class RunSignal(StrEnum):
    """What can happen to a run."""

    CLAIM = "claim"
    ASK = "ask"
    ANSWER = "answer"
    EXPIRE = "expire"
    CONTINUE = "continue"
    INTERRUPT = "interrupt"
    DEADLINE = "deadline"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    TIME_OUT = "time_out"
    LOSE_LEASE = "lose_lease"
    GIVE_UP = "give_up"
    DELETE = "delete"


_S, _G = RunState, RunSignal

RUN: Machine[RunState, RunSignal] = Machine(
    "run",
    _S.QUEUED,
    {
        _S.QUEUED: {
            _G.CLAIM: _S.RUNNING,
            _G.INTERRUPT: _S.CANCELLED,
            _G.DELETE: _S.CANCELLED,
        },
        _S.RUNNING: {
            _G.ASK: _S.WAITING,
            _G.INTERRUPT: _S.INTERRUPTING,
            _G.DEADLINE: _S.INTERRUPTING,
            _G.COMPLETE: _S.COMPLETED,
            _G.FAIL: _S.FAILED,
            _G.CANCEL: _S.CANCELLED,
            _G.TIME_OUT: _S.TIMED_OUT,
            _G.LOSE_LEASE: _S.QUEUED,
            _G.GIVE_UP: _S.LOST,
            _G.DELETE: _S.CANCELLED,
        },
        _S.WAITING: {
            _G.ANSWER: _S.QUEUED,
            _G.EXPIRE: _S.QUEUED,
            _G.CONTINUE: _S.RUNNING,
            _G.INTERRUPT: _S.CANCELLED,
            _G.DELETE: _S.CANCELLED,
        },
        _S.INTERRUPTING: {
            _G.COMPLETE: _S.COMPLETED,
            _G.CANCEL: _S.CANCELLED,
            _G.TIME_OUT: _S.TIMED_OUT,
            _G.LOSE_LEASE: _S.CANCELLED,
            _G.DELETE: _S.CANCELLED,
        },
    },
)

LIVE_RUNS: tuple[RunState, ...] = RUN.live
SLOT_STATES: tuple[RunState, ...] = (_S.RUNNING, _S.INTERRUPTING)
FAULTS: tuple[RunState, ...] = (_S.FAILED, _S.TIMED_OUT, _S.LOST)
"""The ends that nobody wanted."""

ENDINGS: dict[RunState, RunSignal] = {
    _S.COMPLETED: _G.COMPLETE,
    _S.FAILED: _G.FAIL,
    _S.CANCELLED: _G.CANCEL,
    _S.TIMED_OUT: _G.TIME_OUT,
    _S.LOST: _G.GIVE_UP,
}


def ending(state: RunState, verdict: RunState, *, by_deadline: bool) -> RunState:
    """The terminal status of a run in `state` whose runner ended with `verdict`.

    While a run is being interrupted only `completed` stands, for what was finished was finished; any
    other end is `cancelled`, or `timed_out` if a deadline began the interrupt.
    """
    if state is RunState.INTERRUPTING and verdict is not RunState.COMPLETED:
        verdict = RunState.TIMED_OUT if by_deadline else RunState.CANCELLED
    return RUN.advance(state, ENDINGS[verdict])
