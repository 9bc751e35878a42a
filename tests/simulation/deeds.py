"""The judgement of what was done and told outside: deeds against the ledger, steering, counters, events."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tenure.core.approval import BY_RULE
from tenure.core.effect import EffectState
from tenure.core.entry import Recorded, lines_of, record
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    RunRetried,
    RunStarted,
    SessionCreated,
    StateUpdated,
    SteeringConsumed,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.evidence import Stored
from tenure.core.grant import BudgetScope
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.run import RUN
from tenure.core.session import SessionState
from tenure.core.spending import QUESTION
from tenure.core.tool import Arguments
from tenure.errors import Code
from tests.simulation.everyone import PENDING
from tests.simulation.outside import NEVER_TWICE, Deed
from tests.simulation.sayings import judge_talk
from tests.simulation.workers import BUDGETS, COUNTER
from tests.simulation.world import Life, World

GRACE_S = 10


class Call(msgspec.Struct):
    """What the journal tells of one tool call of the host's."""

    tool: str
    arguments: Arguments
    run_id: str
    started: int
    starts: int = 1
    attempts: set[int] = msgspec.field(default_factory=set[int])
    asked: int | None = None
    decision: str | None = None
    by: str = ""
    decided: int = 0
    approved: Arguments | None = None
    own: bool = False
    ends: list[ToolCallCompleted] = []


class Result(msgspec.Struct):
    """What a simulated tool answers."""

    call: str


class Journal(NamedTuple):
    """A session's journal as far as deeds are concerned."""

    session_id: str
    calls: dict[str, Call]
    entries: list[Recorded]


def journal_of(stored: Stored) -> list[Recorded]:
    """All entries of a session, those that it shares with its parent included."""
    return [
        record(seq, b"{" + rest)
        for span in stored.spans
        for seq, rest in enumerate(lines_of(span.body), span.first)
    ]


async def judge_deeds(world: World, life: Life) -> None:
    """Everything that happened outside, against all journals."""
    journals: dict[str, Journal] = {}
    for session_id in await life.store.session_ids("", 1_000):
        stored = await life.store.audit(session_id)
        if stored is not None and stored.state != SessionState.DELETED:
            entries = journal_of(stored)
            journals[session_id] = Journal(session_id, _calls(entries), entries)
    for deed in world.outside.deeds:
        if deed.session_id in journals:
            _judge_deed(world, deed, journals[deed.session_id])
    _judge_repetition(world, journals)
    _judge_entries(world)
    _judge_answers(world, journals)
    _judge_steering(world, journals)
    _judge_counters(world, journals)
    await _judge_rules(world, life, journals)
    for journal in journals.values():
        _judge_budget(world, journal)
        judge_talk(world, journal.session_id, journal.entries)
    for approval_id, asked in world.outside.decided.items():
        if len(asked) > 1:
            world.fault(f"the approval {approval_id} was decided by each of {sorted(asked)}")
    for event_id, messages in world.outside.received.items():
        if len(messages) > 1:
            world.fault(f"the event {event_id} became each of {sorted(messages)}")
    await _judge_expiry(world, life)


def _calls(entries: Iterable[Recorded]) -> dict[str, Call]:
    calls: dict[str, Call] = {}
    questions: dict[str, Call] = {}
    attempt: dict[str | None, int] = {}
    for seq, _, run_id, event in entries:
        match event:
            case RunStarted(attempt=number) | RunRetried(attempt=number):
                attempt[run_id] = number
            case ToolCallStarted(call_id=call_id) if call_id.startswith("eff_"):
                fresh = Call(event.tool, event.arguments, run_id or "", seq, starts=0)
                call = calls.setdefault(call_id, fresh)
                call.starts += 1
                call.attempts.add(attempt.get(run_id, 0))
            case ApprovalRequested(call_id=call_id):
                questions[event.approval_id] = calls[call_id]
                calls[call_id].asked = seq
                calls[call_id].approved = event.arguments
                calls[call_id].own = event.own
            case ApprovalResolved() if event.approval_id in questions:
                call = questions[event.approval_id]
                call.decision, call.by, call.decided = event.decision, event.by, seq
                call.approved = event.arguments or call.approved
            case ToolCallCompleted(call_id=call_id) if call_id in calls:
                calls[call_id].ends = [*calls[call_id].ends, event]
            case _:
                pass
    return calls


def _judge_deed(world: World, deed: Deed, journal: Journal) -> None:
    """What was done stood in the ledger before, and was what was asked for or approved."""
    call = journal.calls.get(deed.call_id)
    if call is None or call.started > deed.head:
        world.fault(f"{deed} was done, but its call isn't in the journal before")
        return
    if (call.tool, call.run_id) != (deed.tool, deed.run_id):
        world.fault(f"{deed} was done for {call}")
    tool = world.tools.get(deed.tool)
    if call.asked is None:
        if tool is not None and tool.approval.asks(call.arguments):
            world.fault(f"{deed} was done, but nobody was asked")
        if call.arguments != deed.arguments:
            world.fault(f"{deed} was done instead of {call.arguments}")
        return
    if call.decision != "granted" or call.decided > deed.head:
        world.fault(f"{deed} was done, but its approval was {call.decision} at {call.decided}")
    if call.approved != deed.arguments:
        world.fault(f"{deed} was done, but {call.approved} was approved")


def _judge_repetition(world: World, journals: dict[str, Journal]) -> None:
    """Nothing that may not be repeated was done twice: by its call, and by what the agent asked for."""
    for call_id, times in Counter(deed.call_id for deed in world.outside.deeds).items():
        (deed, *_) = world.outside.did(call_id)
        if times > 1 and deed.tool in NEVER_TWICE:
            world.fault(f"{deed} was done {times} times")
    asked: Counter[tuple[str, int, str, str, str]] = Counter()
    for wish in world.outside.wishes:
        what = "" if wish.key else _canonical(wish.arguments)
        asked[wish.run_id, wish.attempt, wish.tool, wish.key or "", what] += 1
    most: dict[tuple[str, str, str], int] = defaultdict(int)
    for (run_id, _, tool, _, what), count in asked.items():
        if what:
            most[run_id, tool, what] = max(most[run_id, tool, what], count)
    keyed = {(w.run_id, w.tool, _canonical(w.arguments)) for w in world.outside.wishes if w.key}
    entered: Counter[tuple[str, str, str]] = Counter()
    for call in (call for call in _all_calls(journals).values() if not call.own):
        entered[call.run_id, call.tool, _canonical(call.arguments)] += 1
    for what, count in entered.items():
        if what not in keyed and what[1] != QUESTION and count > most.get(what, 0) > 0:
            world.fault(f"{what} was asked for {most[what]} times an attempt, and has {count} calls")


def _all_calls(journals: dict[str, Journal]) -> dict[str, Call]:
    """Every call. A fork knows its parent's calls too, but may not know how they ended."""
    known: dict[str, Call] = {}
    for journal in journals.values():
        for call_id, call in journal.calls.items():
            if call_id not in known or len(known[call_id].ends) < len(call.ends):
                known[call_id] = call
    return known


def _canonical(arguments: Arguments) -> str:
    return msgspec.json.encode(arguments, order="sorted").decode()


def _judge_entries(world: World) -> None:
    """No tool is called before the ledger says so.

    A run may end while its host is about to call; a zombie's calls may have been written off meanwhile.
    """
    for call_id, states in world.outside.entered:
        call, run = states or (None, None)
        over = run in RUN.terminal or world.disk.shared
        if call != EffectState.DISPATCHED and not (over and call is not None):
            world.fault(f"the tool of {call_id} was called while its call was {call} and its run {run}")


def _judge_answers(world: World, journals: dict[str, Journal]) -> None:
    """What an agent was told is what the ledger says: a result of a real call, or a true refusal."""
    known = _all_calls(journals)
    gone = any(notes.deletion_asked for notes in world.notes.values())
    for wish, refusal, result in world.outside.told:
        if refusal is None:
            call_id = msgspec.convert(result, Result).call
            if not world.outside.did(call_id):
                world.fault(f"{wish} was told {result}, but nothing was done")
            elif call_id not in known and not gone:
                world.fault(f"{wish} was told {result}, which no journal knows")
            elif call_id in known and known[call_id].arguments != wish.arguments:
                world.fault(f"{wish} was told {result}, which is of {known[call_id].arguments}")
            elif call_id in known and all(end.status != "ok" for end in known[call_id].ends):
                world.fault(f"{wish} was told {result}, but {call_id} didn't end well")
        elif refusal is Code.EFFECT_CONFLICT and wish.key is None:
            world.fault(f"{wish} was refused for a key that it doesn't have")
        elif refusal is Code.OUTCOME_UNKNOWN and not gone:
            calls = [c for c in known.values() if (c.run_id, c.tool) == (wish.run_id, wish.tool)]
            if not any(end.status == "unknown" for call in calls for end in call.ends):
                world.fault(f"{wish} was told that its outcome is unknown, but the journal isn't")


def _judge_steering(world: World, journals: dict[str, Journal]) -> None:
    """What agents were handed, they were handed once each time, durably, by the run's own journal."""
    consumed: Counter[tuple[str, str, bool]] = Counter()
    attempts: Counter[str] = Counter()
    for journal in journals.values():
        for entry in journal.entries:
            if isinstance(entry.event, SteeringConsumed):
                for message_id in entry.event.message_ids:
                    consumed[entry.run_id or "", message_id, entry.event.redelivered] += 1
            elif isinstance(entry.event, RunStarted | RunRetried) and entry.seq > _born(journal.entries):
                attempts[entry.run_id or ""] += 1
    handed = Counter(world.outside.taken)
    for taken, times in handed.items():
        if times > 1:
            world.fault(f"{taken} was handed out {times} times")
        known = consumed[taken.run_id, taken.message_id, taken.redelivered]
        if attempts[taken.run_id] and not known:
            world.fault(f"{taken} was handed out, but the journal doesn't say so")
    first = Counter(
        message_id for (_, message_id, again), n in consumed.items() for _ in range(n) if not again
    )
    for message_id, times in first.items():
        sessions = sum(
            any(
                isinstance(e.event, SteeringConsumed) and message_id in e.event.message_ids for e in j.entries
            )
            for j in journals.values()
        )
        if times > sessions:
            world.fault(f"the steering {message_id} was consumed {times} times")


def _judge_counters(world: World, journals: dict[str, Journal]) -> None:
    """No step of a counter is lost, and no version of a key is given twice."""
    for journal in journals.values():
        if _is_shared(journal.entries):
            continue
        steps = [
            e.event
            for e in journal.entries
            if isinstance(e.event, StateUpdated) and (e.event.scope, e.event.key) == ("conversation", COUNTER)
        ]
        before, value = 0, 0
        for step in steps:
            if step.version <= before:
                world.fault(f"version {step.version} of the counter of {journal.session_id} follows {before}")
            due = 0 if step.deleted else value + 1
            if not step.deleted and step.value != due:
                world.fault(f"the counter of {journal.session_id} went from {value} to {step.value}")
            before, value = step.version, due
        written = {(step.version, step.value) for step in steps}
        told = [c for c in world.outside.counted if c.session_id == journal.session_id]
        for count in told:
            if count.scope == "conversation" and (count.version, count.value) not in written:
                world.fault(f"{count} was told, but isn't in the journal")
    for count, times in Counter(world.outside.counted).items():
        # The people of a group conversation have a counter each.
        if times > 1 and count.scope != "actor":
            world.fault(f"{count} was written {times} times")


async def _judge_rules(world: World, life: Life, journals: dict[str, Journal]) -> None:
    """A rule allows only what somebody said before should be remembered: of this tool, for this author."""
    for journal in journals.values():
        born = _born(journal.entries) if journal.entries else 0
        own = [e for e in journal.entries if e.seq >= born]
        remembered: set[tuple[str, bool, str]] = set()
        asked: dict[str, tuple[str, bool, str]] = {}
        for entry in own:
            if isinstance(entry.event, ApprovalRequested):
                run = await life.store.run(entry.run_id or "")
                author = "" if run is None else run.grant.author.user
                asked[entry.event.approval_id] = entry.event.tool, entry.event.own, author
            elif isinstance(entry.event, ApprovalResolved) and entry.event.approval_id in asked:
                about = asked[entry.event.approval_id]
                if entry.event.by == BY_RULE and about not in remembered:
                    world.fault(f"{entry.event.approval_id} was allowed by a rule that nobody made: {about}")
                if entry.event.remember is not None:
                    remembered.add(about)


def _is_shared(entries: list[Recorded]) -> bool:
    """Whether the session keeps, or took over, what belongs to a conversation of several sessions."""
    return any(isinstance(e.event, SessionCreated) and e.event.conversation is not None for e in entries)


def _born(entries: list[Recorded]) -> int:
    """Where the session's own entries begin."""
    return max(e.seq for e in entries if isinstance(e.event, SessionCreated))


def _judge_budget(world: World, journal: Journal) -> None:
    """Nobody makes more calls than a budget allows, over all attempts."""
    born = _born(journal.entries)
    agent = next(e.event.agent for e in journal.entries if isinstance(e.event, SessionCreated))
    budget = BUDGETS.get(agent)
    if budget is None or budget.tool_calls is None:
        return
    calls = [c for c in journal.calls.values() if c.started > born and c.tool != QUESTION]
    by_run = budget.scope is BudgetScope.RUN
    for about, count in Counter(c.run_id if by_run else journal.session_id for c in calls).items():
        if count > budget.tool_calls:
            world.fault(f"{about} made {count} calls, and {budget.tool_calls} are its budget")


async def _judge_expiry(world: World, life: Life) -> None:
    """Whatever is still asked is asked in a run that waits, and in time."""
    now = timestamp(Micros(life.host.clock.now() - GRACE_S * SECOND))
    for found in (await life.store.approvals.page(PENDING, None, 1_000)).data:
        run = await life.store.run(found.run_id)
        if run is None or run.status != "waiting":
            world.fault(f"{found.id} is asked by {found.run_id}, which doesn't wait")
        if found.expires_at < now:
            world.fault(f"{found.id} should have expired at {found.expires_at}")
