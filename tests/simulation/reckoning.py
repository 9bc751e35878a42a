"""The reckoning of schedules: what people were told of them, against rows, journals and runs."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import NamedTuple

import msgspec

from tenure.core.moment import SECOND, Micros
from tenure.core.recall import Missed
from tenure.core.run import RUN, RunState
from tests.simulation.almanac import Dates, Plan
from tests.simulation.planners import admitted, rests
from tests.simulation.world import Life, World

PATIENCE = 3 * SECOND
"""A host that is up, and left alone, looks at nothing later than this."""
CHUNK = 150
"""Of more than this that passed at once, the host may write a part that it admits nothing of."""
MOST = 20_000


class Row(NamedTuple):
    """An occurrence as it is stored."""

    id: str
    due_at: Micros
    manual: int
    state: str
    reason: str | None
    session_no: int | None
    message_id: str | None
    run_id: str | None
    outcome: str | None
    attempts: int
    retry_at: int | None
    seen_at: Micros


class State(NamedTuple):
    """A schedule as it is stored."""

    no: int
    state: str
    reason: str | None
    next_at: Micros | None
    runs: int


class Line(msgspec.Struct):
    """As much of a stored entry as is reckoned with."""

    type: str
    data: dict[str, object]


async def keeps_time(world: World, life: Life) -> None:
    """Nothing that is due is left lying."""
    at = await life.store.schedules.next_at()
    now = life.host.clock.now()
    if at is not None and at < now - PATIENCE and not world.disk.full:
        world.fault(f"something has been due for {(now - at) / SECOND} s, and nobody looks")


def reckon(world: World) -> None:
    """Account for every instant of every schedule that was acknowledged."""
    for fault in world.almanac.faults:
        world.fault(fault)
    told = _told(world) if world.almanac.plans else {}
    for plan in world.almanac.plans.values():
        state = _state(world, plan)
        if state is None:
            _gone(world, plan)
            continue
        for fault in _faults(world, plan, state, told):
            world.fault(f"{plan.id}: {fault}")


def _gone(world: World, plan: Plan) -> None:
    """It goes with its session alone."""
    if plan.session_id is None or not world.notes_of(plan.session_id).deletion_asked:
        world.fault(f"{plan.id} was acknowledged and is lost")


def _state(world: World, plan: Plan) -> State | None:
    query = "SELECT no, state, reason, next_at, runs FROM schedule WHERE id = ?"
    row = world.disk.db.execute(query, (plan.id,)).fetchone()
    return None if row is None else State(*row)


def _rows(world: World, state: State) -> list[Row]:
    query = (
        "SELECT id, due_at, manual, state, reason, session_no, message_id, run_id, outcome, attempts, "
        "retry_at, seen_at FROM occurrence WHERE schedule_no = ? ORDER BY due_at"
    )
    return [Row(*row) for row in world.disk.db.execute(query, (state.no,))]


def _faults(world: World, plan: Plan, state: State, told: dict[str, Counter[str]]) -> Iterator[str]:
    rows = _rows(world, state)
    named = [row for row in rows if not row.manual]
    yield from _accounts(plan, state, [row.due_at for row in named])
    for group in _looks(named):
        yield from _policy(plan, group)
    for row in rows:
        yield from _in_time(plan, row)
        if row.state == "admitted":
            yield from _admission(world, plan, row, told[row.id])
        elif told[row.id]["fired"]:
            yield f"{row.id} is {row.state}, and the journal says that it fired"
    came = [row for row in named if row.state == "admitted"]
    if state.runs != len(came):
        yield f"{state.runs} runs are counted of {len(came)}"
    if plan.ask.max_runs is not None and len(came) > plan.ask.max_runs:
        yield f"{len(came)} came of {plan.ask.max_runs} at most"
    if not plan.manual <= {row.id for row in rows if row.manual}:
        yield f"one of {plan.manual} was asked for, and is lost"
    if plan.ended is not None:
        if state.state != "cancelled":
            yield f"its end was acknowledged, and it is {state.state}"
        if admitted(world, plan.id) != plan.ended:
            yield f"it fired after its end: {admitted(world, plan.id)} after {plan.ended}"
    rests(world, plan)


# --- every instant once


def _accounts(plan: Plan, state: State, seen: list[Micros]) -> Iterator[str]:
    """Each instant from the first to where the schedule stands has a row, and nothing else has one."""
    if plan.loose or len(plan.eras) > 2:
        return
    now = set(seen)
    if len(plan.eras) == 2:
        recent = set(_between(plan, plan.eras[1].dates, plan.eras[1].first, state.next_at, seen))
        early = sorted(now - recent)
        wanted = _first_of(plan.eras[0].dates, plan.eras[0].first, len(early) + len(recent & now))
        if early != sorted(set(wanted[: _reach(wanted, early)]) - recent):
            yield f"{_dates(early)} were seen before its dates were changed, of {_dates(wanted)}"
        if not state.next_at:
            return
        missing = sorted(recent - now)
    else:
        wanted = _between(plan, plan.eras[0].dates, plan.eras[0].first, state.next_at, seen)
        missing = sorted(set(wanted) - now)
        if now - set(wanted):
            yield f"{_dates(sorted(now - set(wanted)))} are none of its instants"
    if missing:
        yield f"{_dates(missing)} are lost: it stands at {state.next_at}, {state.state}"
    if state.state == "done" and not plan.ask.max_runs:
        yield from _ended_well(plan, seen)


def _ended_well(plan: Plan, seen: list[Micros]) -> Iterator[str]:
    """Without a limit of runs it is done when no instant is left."""
    era = plan.eras[-1]
    left = next(_until(plan, era.dates, max([*seen, Micros(era.first - 1)])), None)
    if left is not None:
        yield f"it is done before {left}"


def _reach(wanted: list[Micros], early: list[Micros]) -> int:
    """How many of the wanted ones come up to the last of the early ones."""
    return len([at for at in wanted if early and at <= early[-1]])


def _until(plan: Plan, dates: Dates, after: Micros) -> Iterator[Micros]:
    return takewhile(lambda at: plan.ends_at is None or at <= plan.ends_at, dates.after(after))


def _first_of(dates: Dates, first: Micros, most: int) -> list[Micros]:
    return list(islice(dates.after(Micros(first - 1)), most + 1))


def _between(
    plan: Plan, dates: Dates, first: Micros, stands: Micros | None, seen: list[Micros]
) -> list[Micros]:
    """The instants from the first to where it stands; of one that is over, to the last that was seen."""
    coming = _until(plan, dates, Micros(first - 1))
    last = max(seen, default=Micros(0)) + 1 if stands is None else stands
    return list(islice(takewhile(lambda at: at < last, coming), MOST))


def _dates(instants: list[Micros]) -> str:
    shown = ", ".join(str(at / SECOND) for at in instants[:3])
    return f"{len(instants)} instants ({shown} …)"


# --- what was missed


def _looks(rows: list[Row]) -> list[list[Row]]:
    """The instants that were seen together, oldest first."""
    looks: dict[Micros, list[Row]] = defaultdict(list)
    for row in rows:
        looks[row.seen_at].append(row)
    return list(looks.values())


def _policy(plan: Plan, group: list[Row]) -> Iterator[str]:
    kept = [row for row in group if row.state != "missed"]
    if kept != group[len(group) - len(kept) :]:
        yield f"others than the newest came of {_dates([row.due_at for row in group])}"
    if not any(_keeps(missed, most, plan, group, kept) for missed, most in plan.missed):
        states = Counter(f"{row.state} {row.reason}" for row in group)
        yield f"{states} of those seen at {group[0].seen_at / SECOND} isn't {plan.missed}"


def _keeps(missed: Missed, most: int, plan: Plan, group: list[Row], kept: list[Row]) -> bool:
    if len(group) >= CHUNK and not kept:
        return True
    late = group[-1].reason in ("late", "paused")
    match missed:
        case Missed.SKIP:
            return len(kept) == (0 if late else 1)
        case Missed.ONCE:
            return len(kept) == 1
        case Missed.ALL:
            least = 1 if plan.ask.max_runs is not None else min(most, len(group))
            return least <= len(kept) <= max(most, 1)


def _in_time(plan: Plan, row: Row) -> Iterator[str]:
    """Nothing comes before its time, and nothing that is called late isn't."""
    if row.manual:
        return
    if row.seen_at < row.due_at:
        yield f"{row.id} was seen {(row.due_at - row.seen_at) / SECOND} s before its time"


# --- what came


def _admission(world: World, plan: Plan, row: Row, told: Counter[str]) -> Iterator[str]:
    state, run = _message(world, row)
    if state is None:
        return  # its session was deleted
    if told["fired"] != 1:
        yield f"{row.id} came, and the journal says so {told['fired']} times"
    if told["admitted"] != row.attempts:
        yield f"{row.id} counts {row.attempts} attempts, and {told['admitted']} messages were admitted"
    if row.attempts > 1 + plan.ask.retries:
        yield f"{row.id} was tried {row.attempts} times"
    if told["retrying"] < row.attempts - 1:
        yield f"{row.id} was tried {row.attempts} times, and the journal says so {told['retrying']} times"
    if state == "withdrawn" and row.outcome not in ("withdrawn", "cancelled"):
        yield f"the message of {row.id} was withdrawn, and its outcome is {row.outcome}"
    if run is not None and RunState(run) in RUN.terminal and row.outcome != run:
        yield f"the run of {row.id} is {run}, and its outcome is {row.outcome}"
    if row.retry_at is not None and world.life and row.retry_at < world.life.clock.now() - PATIENCE:
        yield f"{row.id} is never tried again"


def _message(world: World, row: Row) -> tuple[str | None, str | None]:
    """How the newest message of an occurrence stands, and its run."""
    query = (
        "SELECT m.state, r.state FROM message m JOIN session s ON s.no = m.session_no "
        "LEFT JOIN run r ON r.id = m.run_id WHERE m.session_no = ? AND m.id = ? AND s.state <> 'deleted'"
    )
    found = world.disk.db.execute(query, (row.session_no, row.message_id)).fetchone()
    return (None, None) if found is None else (found[0], found[1])


def _told(world: World) -> dict[str, Counter[str]]:
    """What the journals say of each occurrence: that it fired, is tried again, and its messages."""
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in world.disk.journals():
        line = msgspec.json.decode(entry[entry.index("{") :], type=Line)
        if line.type in ("recall.fired", "recall.retrying", "recall.deferred", "recall.skipped"):
            told[str(line.data["occurrence"])][line.type.removeprefix("recall.")] += 1
    query = (
        "SELECT json_extract(origin, '$.recall.occurrence'), count(DISTINCT id) FROM message "
        "WHERE json_extract(origin, '$.recall.occurrence') IS NOT NULL GROUP BY 1"
    )
    for occurrence, messages in world.disk.db.execute(query):
        told[str(occurrence)]["admitted"] = messages
    return told
