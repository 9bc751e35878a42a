"""The bug zoo's third house: bugs of schedules and their occurrences."""

from collections.abc import Callable
from typing import Any

import msgspec

from tenure.core import recall
from tenure.core.moment import Micros
from tenure.core.recall import Instant, Missed, RecallPolicy
from tenure.core.schedule import OccurrenceState
from tenure.core.timing import Every
from tenure.host import occurrences
from tenure.host import recalls as room
from tenure.host.recalls import Recalls
from tenure.ports.schedules import Firing
from tenure.stores.relational.acts import ends, outcomes, recalls, starts
from tenure.stores.relational.tx import Tx
from tenure.stores.sqlite import queries
from tests.simulation.zoo import Bug, Patch, returns, sql, swap

BUGS: list[Bug] = []


def bug(plant: Bug) -> Bug:
    BUGS.append(plant)
    return plant


acts: Any = recalls
judging: Any = recall


# --- once


@bug
def forgets_that_it_fired(patch: Patch) -> None:
    """It stands where it stood, and fires again at once."""

    def stand(move: Any) -> Any:
        def moved(tx: Tx, schedule: Any, firing: Firing, runs: int) -> Any:
            if firing.next_at is None or not runs:
                return move(tx, schedule, firing, runs)
            return True

        return moved

    def as_given(tx: Tx, schedule: Any, firing: Firing, *_: Any) -> Firing:
        return firing

    swap(patch, recalls, "_move", stand)
    patch.setattr(recalls, "_unseen", as_given)
    statement = queries.SQL["occurrence_insert"]
    patch.setitem(
        queries.SQL, "occurrence_insert", statement.replace("INSERT INTO", "INSERT OR REPLACE INTO")
    )


@bug
def lets_the_life_that_was_replaced_go_on_firing(patch: Patch) -> None:
    """It writes half of what it wants, and takes the refusal for one of the session's."""

    def come(original: Any) -> Any:
        def came(tx: Tx, *rest: Any) -> Any:
            patch.setattr(Tx, "mark", returns(None))
            try:
                return original(tx, *rest)
            finally:
                patch.setattr(Tx, "mark", mark)

        return came

    mark = Tx.mark
    patch.setattr(recalls, "_check", returns(None))
    swap(patch, recalls, "_come", come)


@bug
def says_again_that_it_fired_when_it_tries_again(patch: Patch) -> None:
    def anew(send: Any) -> Any:
        def sent(tx: Tx, schedule: Any, visit: Any, *rest: Any) -> Any:
            return send(tx, schedule, msgspec.structs.replace(visit, again=False), *rest)

        return sent

    swap(patch, recalls, "_send", anew)


@bug
def tells_nobody_that_it_fired(patch: Patch) -> None:
    def quiet(send: Any) -> Any:
        def sent(tx: Tx, schedule: Any, visit: Any, *rest: Any) -> Any:
            return send(tx, schedule, msgspec.structs.replace(visit, again=True), *rest)

        return sent

    swap(patch, recalls, "_send", quiet)


# --- on time


@bug
def drifts(patch: Patch) -> None:
    """The next instant of a grid is an interval from now."""

    def drifting(decide: Any) -> Any:
        def decided(standing: Any, now: Micros, *rest: Any) -> Any:
            made = decide(standing, now, *rest)
            if not isinstance(standing.timing, Every) or made.firing.next_at is None:
                return made
            off = Micros(now + standing.timing.every)
            return made._replace(firing=made.firing._replace(next_at=off, wake_at=off))

        return decided

    swap(patch, room, "decide", drifting)


@bug
def fires_a_second_early(patch: Patch) -> None:
    def early(at: Callable[..., Micros]) -> Any:
        def woken(schedule_id: str, due_at: Micros, jitter_s: float) -> Micros:
            return Micros(at(schedule_id, due_at, jitter_s) - 1_000_000)

        return woken

    swap(patch, occurrences, "wake_at", early)


@bug
def waits_for_nothing_after_a_restart(patch: Patch) -> None:
    def opened(self: Any) -> None:
        self._open = True

    patch.setattr(Recalls, "open", opened)
    patch.setattr(Recalls, "due", returns(None))


@bug
def goes_by_nothing_but_its_first_timer(patch: Patch) -> None:
    """Who sets the clock, or makes an earlier one, isn't heard."""
    patch.setattr(room, "LOOK_S", 1e9)
    patch.setattr(Recalls, "due", returns(None))


# --- what was missed


@bug
def forgets_what_was_missed(patch: Patch) -> None:
    patch.setattr(recalls, "_miss", returns(None))


@bug
def makes_up_for_all_that_was_missed(patch: Patch) -> None:
    def everything(count: int, policy: RecallPolicy, *, timely: bool) -> int:
        return count if policy.missed is Missed.ALL else admitted(count, policy, timely=timely)

    admitted = judging._admitted
    patch.setattr(recall, "_admitted", everything)


@bug
def makes_up_for_what_was_to_be_skipped(patch: Patch) -> None:
    def least(count: int, policy: RecallPolicy, *, timely: bool) -> int:
        return max(1, admitted(count, policy, timely=timely))

    admitted = judging._admitted
    patch.setattr(recall, "_admitted", least)


@bug
def makes_up_for_the_oldest(patch: Patch) -> None:
    def oldest(judge: Any) -> Any:
        def judged(instants: list[Instant], *rest: Any, **more: Any) -> Any:
            found = judge(instants, *rest, **more)
            states = [each.state for each in found][::-1]
            return [each._replace(state=state) for each, state in zip(found, states, strict=True)]

        return judged

    swap(patch, occurrences, "judge", oldest)


@bug
def loses_what_passed_while_it_rested(patch: Patch) -> None:
    def skip(decide: Any) -> Any:
        def decided(standing: Any, now: Micros, since: Micros, ids: Any) -> Any:
            made = decide(standing, now, since, ids)
            if standing.paused is None:
                return made
            late = [each for each in made.firing.judged if each.state is OccurrenceState.MISSED]
            kept = tuple(each for each in made.firing.judged if each not in late)
            return made._replace(firing=made.firing._replace(judged=kept))

        return decided

    swap(patch, room, "decide", skip)


# --- rest and end


@bug
def wakes_up_when_it_is_edited(patch: Patch) -> None:
    sql(patch, "schedule_revise", "SET name = :name", "SET state = 'active', name = :name")


@bug
def counts_no_runs(patch: Patch) -> None:
    sql(patch, "schedule_move", "runs = runs + :runs", "runs = runs + 0 * :runs")


@bug
def ends_without_its_last_instant(patch: Patch) -> None:
    def left(decide: Any) -> Any:
        def decided(standing: Any, *rest: Any) -> Any:
            made = decide(standing, *rest)
            last = made.firing.judged[-1:]
            if made.firing.next_at is not None or not last or last[0].state is OccurrenceState.ADMITTED:
                return made
            return made._replace(firing=made.firing._replace(judged=made.firing.judged[:-1]))

        return decided

    swap(patch, room, "decide", left)


# --- what came of it


@bug
def forgets_what_came_of_it(patch: Patch) -> None:
    patch.setattr(ends, "settled", returns(None))


@bug
def forgets_that_its_message_was_withdrawn(patch: Patch) -> None:
    patch.setattr(starts, "withdrawn", returns(None))


@bug
def never_tries_again(patch: Patch) -> None:
    sql(patch, "read_retries", "retry_at IS NOT NULL", "retry_at IS NULL")


@bug
def tries_again_for_ever(patch: Patch) -> None:
    def always(retry_at: Any) -> Any:
        def again(schedule: Any, attempts: int, *rest: Any) -> Any:
            return retry_at(schedule, min(attempts, schedule.policy.retries), *rest)

        return again

    swap(patch, outcomes, "_retry_at", always)
