"""The states of a schedule and of its occurrences."""

from enum import StrEnum

from tenure.core.machine import Machine


class ScheduleState(StrEnum):
    """Whether a schedule will fire again."""

    ACTIVE = "active"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class ScheduleSignal(StrEnum):
    """What can happen to a schedule."""

    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    CANCEL = "cancel"


SCHEDULE: Machine[ScheduleState, ScheduleSignal] = Machine(
    "schedule",
    ScheduleState.ACTIVE,
    {
        ScheduleState.ACTIVE: {
            ScheduleSignal.PAUSE: ScheduleState.PAUSED,
            ScheduleSignal.FINISH: ScheduleState.DONE,
            ScheduleSignal.CANCEL: ScheduleState.CANCELLED,
        },
        ScheduleState.PAUSED: {
            ScheduleSignal.RESUME: ScheduleState.ACTIVE,
            ScheduleSignal.FINISH: ScheduleState.DONE,
            ScheduleSignal.CANCEL: ScheduleState.CANCELLED,
        },
        ScheduleState.DONE: {ScheduleSignal.CANCEL: ScheduleState.CANCELLED},
    },
)


class OccurrenceState(StrEnum):
    """What became of one nominal instant of a schedule."""

    DUE = "due"
    ADMITTED = "admitted"
    SKIPPED = "skipped"
    MISSED = "missed"


class OccurrenceSignal(StrEnum):
    """What can happen to an occurrence."""

    ADMIT = "admit"
    SKIP = "skip"
    MISS = "miss"


OCCURRENCE: Machine[OccurrenceState, OccurrenceSignal] = Machine(
    "occurrence",
    OccurrenceState.DUE,
    {
        OccurrenceState.DUE: {
            OccurrenceSignal.ADMIT: OccurrenceState.ADMITTED,
            OccurrenceSignal.SKIP: OccurrenceState.SKIPPED,
            OccurrenceSignal.MISS: OccurrenceState.MISSED,
        },
    },
)
