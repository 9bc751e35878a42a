"""The decision about a message, as a table: what was seen, what was asked, what comes of it."""

import itertools

import pytest

from tenure.core.admission import Decision, Live, Scene, decide, joined, why_not_steered
from tenure.core.command import SendMessage
from tenure.core.content import TextPart
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy, Disposition
from tenure.core.run import LIVE_RUNS, RunState
from tenure.core.session import SessionState
from tenure.errors import Code, TenureError

QUEUE, REJECT = BusyPolicy.QUEUE, BusyPolicy.REJECT
STARTED, QUEUED = Disposition.STARTED, Disposition.QUEUED
FRONT = (BusyPolicy.INTERRUPT, BusyPolicy.ROLLBACK)
LIMITS = Limits(queued_messages_per_session=3)


def scene(
    run: RunState | None = None,
    waiting: int = 0,
    *,
    held: bool = False,
    state: SessionState = SessionState.OPEN,
    head_seq: int = 7,
) -> Scene:
    """What admission looks at."""
    return Scene("ses_1", state, head_seq, None if run is None else Live("run_1", run), waiting, held)


def steerable(run: RunState = RunState.RUNNING, **more: object) -> Scene:
    """A session whose live run takes steering."""
    return scene(run)._replace(run=Live("run_1", run, steers=True)._replace(**more))


def send(policy: BusyPolicy) -> SendMessage:
    """A message with a busy policy."""
    return SendMessage(content="hi", when_busy=policy)


def refusal(seen: Scene, ask: SendMessage, limits: Limits = LIMITS) -> TenureError:
    """What `decide` says no with."""
    with pytest.raises(TenureError) as refused:
        decide(seen, ask, limits)
    return refused.value


@pytest.mark.parametrize("policy", list(BusyPolicy))
def test_an_idle_session_starts_the_message(policy: BusyPolicy) -> None:
    assert decide(scene(), SendMessage(content="hi", when_busy=policy), LIMITS) == Decision(
        STARTED, starts_next=True, releases=False, position=0
    )


@pytest.mark.parametrize("run", LIVE_RUNS)
@pytest.mark.parametrize("waiting", [0, 1, 2])
@pytest.mark.parametrize("held", [False, True])
def test_a_busy_session_queues_the_message_behind_all_that_wait(
    run: RunState, waiting: int, *, held: bool
) -> None:
    seen = scene(run, waiting, held=held)

    assert decide(seen, SendMessage(content="hi"), LIMITS) == Decision(
        QUEUED, starts_next=False, releases=held, position=waiting + 1
    )


@pytest.mark.parametrize("waiting", [1, 2, 3])
@pytest.mark.parametrize("policy", [p for p in BusyPolicy if p not in FRONT])
def test_a_held_queue_goes_on_with_its_first_message_and_this_one_stands_behind(
    waiting: int, policy: BusyPolicy
) -> None:
    ask = SendMessage(content="hi", when_busy=policy)

    assert decide(scene(None, waiting, held=True), ask, LIMITS) == Decision(
        QUEUED, starts_next=True, releases=True, position=waiting
    )


@pytest.mark.parametrize("policy", FRONT)
def test_who_interrupts_goes_before_a_held_queue(policy: BusyPolicy) -> None:
    assert decide(scene(None, 2, held=True), send(policy), LIMITS) == Decision(
        STARTED, starts_next=True, releases=True, position=0, front=True
    )


@pytest.mark.parametrize("run", LIVE_RUNS)
@pytest.mark.parametrize("policy", FRONT)
def test_interrupt_and_rollback_stop_any_live_run_and_stand_at_the_front(
    run: RunState, policy: BusyPolicy
) -> None:
    assert decide(scene(run, 2), send(policy), LIMITS) == Decision(
        QUEUED,
        starts_next=False,
        releases=False,
        position=1,
        front=True,
        stops="run_1",
        undoes="run_1" if policy is BusyPolicy.ROLLBACK else None,
    )


@pytest.mark.parametrize("policy", FRONT)
def test_who_may_not_stop_the_run_may_not_interrupt_it(policy: BusyPolicy) -> None:
    seen = steerable(may_stop=False)
    error = refusal(seen, send(policy))
    assert (error.code, error.facts) == (Code.FORBIDDEN, {"run_id": "run_1"})
    assert decide(seen, send(QUEUE), LIMITS).disposition is QUEUED


def test_a_runner_that_can_not_be_undone_is_not_rolled_back() -> None:
    assert refusal(steerable(undoes=False), send(BusyPolicy.ROLLBACK)).code is Code.UNSUPPORTED


@pytest.mark.parametrize("run", [RunState.QUEUED, RunState.RUNNING, RunState.WAITING])
def test_steering_is_kept_for_a_run_that_takes_it_and_meets_no_queue_limit(run: RunState) -> None:
    seen = steerable(run)._replace(waiting=3)
    assert decide(seen, send(BusyPolicy.STEER), LIMITS) == Decision(
        Disposition.STEERED, starts_next=False, releases=False, position=0, steers="run_1"
    )


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (Live("run_1", RunState.INTERRUPTING, steers=True), "run_interrupting"),
        (Live("run_1", RunState.RUNNING), "runner_takes_no_steering"),
        (
            Live("run_1", RunState.RUNNING, steers=True, may_steer=False),
            "authority_does_not_cover_the_run",
        ),
        (Live("run_1", RunState.RUNNING, steers=True, pending=100), "too_much_steering_pending"),
    ],
)
def test_what_can_not_steer_waits_and_says_why(live: Live, reason: str) -> None:
    assert why_not_steered(live) == reason
    assert decide(scene()._replace(run=live), send(BusyPolicy.STEER), LIMITS) == Decision(
        QUEUED, starts_next=False, releases=False, position=1, fallback=reason
    )


def test_latest_takes_the_place_of_all_the_sender_had_waiting() -> None:
    seen = scene(RunState.RUNNING, 3)._replace(own_waiting=2)
    assert decide(seen, send(BusyPolicy.LATEST), LIMITS) == Decision(
        QUEUED, starts_next=False, releases=False, position=2, replaces_own=True
    )


def test_merge_joins_the_senders_last_message_and_lengthens_no_queue() -> None:
    seen = scene(RunState.RUNNING, 3)._replace(own_waiting=1, last_own="msg_1")
    assert decide(seen, send(BusyPolicy.MERGE), LIMITS) == Decision(
        Disposition.MERGED, starts_next=False, releases=False, position=0, into="msg_1"
    )


def test_texts_that_join_keep_their_order_with_a_line_break_between() -> None:
    assert joined("one", "two") == "one\ntwo"
    assert joined("one", (TextPart("two"), TextPart("three"))) == (
        TextPart("one"),
        TextPart("two"),
        TextPart("three"),
    )


@pytest.mark.parametrize("run", LIVE_RUNS)
def test_reject_is_refused_while_a_run_is_live(run: RunState) -> None:
    error = refusal(scene(run), SendMessage(content="hi", when_busy=REJECT))

    assert (error.code, error.facts) == (Code.BUSY, {"session_id": "ses_1"})
    assert error.detail == (
        "Session ses_1 is busy and the message says when_busy=reject. "
        "Wait for the run to end, interrupt it, or send with when_busy=queue."
    )


def test_reject_is_refused_while_a_message_waits() -> None:
    ask = SendMessage(content="hi", when_busy=REJECT)

    assert refusal(scene(None, 1), ask).code is Code.BUSY


@pytest.mark.parametrize("state", [SessionState.CLOSED, SessionState.DELETED])
def test_only_an_open_session_takes_messages(state: SessionState) -> None:
    error = refusal(scene(state=state), SendMessage(content="hi"))

    assert (error.code, error.detail, error.facts) == (
        Code.SESSION_CLOSED,
        "Session ses_1 is closed. Reopen it to send messages.",
        {"session_id": "ses_1"},
    )


@pytest.mark.parametrize("head", [0, 6, 8])
def test_another_head_than_the_expected_one_fails_the_precondition(head: int) -> None:
    error = refusal(scene(), SendMessage(content="hi", if_head_seq=head))

    assert (error.code, error.facts) == (Code.PRECONDITION_FAILED, {"head_seq": 7})
    assert error.detail == (
        f"The message is for head {head}, but session ses_1 is at 7. Read what is new, then send again."
    )


def test_the_expected_head_lets_the_message_in() -> None:
    assert decide(scene(), SendMessage(content="hi", if_head_seq=7), LIMITS).disposition is STARTED


@pytest.mark.parametrize(
    ("seen", "idle"),
    [
        (scene(), True),
        (scene(None, 2, held=True), True),
        (scene(None, 1), False),
        (scene(RunState.QUEUED), False),
        (scene(RunState.RUNNING), False),
        (scene(RunState.WAITING), False),
        (scene(RunState.INTERRUPTING), False),
        (scene(RunState.RUNNING, 1, held=True), False),
    ],
    ids=lambda value: (
        f"{value.run and value.run.state}-{value.waiting}" if isinstance(value, Scene) else None
    ),
)
def test_if_idle_admits_exactly_where_nothing_runs_and_nothing_is_about_to(
    seen: Scene, *, idle: bool
) -> None:
    ask = SendMessage(content="hi", if_idle=True)
    if idle:
        assert decide(seen, ask, LIMITS).starts_next
        return
    error = refusal(seen, ask)
    assert (error.code, error.facts) == (Code.PRECONDITION_FAILED, {"head_seq": 7})


def test_a_message_that_would_lengthen_a_full_queue_is_refused() -> None:
    assert decide(scene(RunState.RUNNING, 2), SendMessage(content="hi"), LIMITS).position == 3
    error = refusal(scene(RunState.RUNNING, 3), SendMessage(content="hi"))

    assert (error.code, error.facts) == (
        Code.CAPACITY,
        {"scope": "per_session", "limit": 3, "current": 3},
    )


def test_a_message_that_starts_or_takes_the_place_of_one_that_starts_never_meets_the_limit() -> None:
    none_may_wait = Limits(queued_messages_per_session=0)

    assert decide(scene(), SendMessage(content="hi"), none_may_wait).disposition is STARTED
    assert decide(scene(None, 3, held=True), SendMessage(content="hi"), LIMITS).position == 3


CLOSED = {"state": SessionState.CLOSED}
FAULTS = [
    (Code.SESSION_CLOSED, "closed"),
    (Code.PRECONDITION_FAILED, "head"),
    (Code.PRECONDITION_FAILED, "idle"),
    (Code.BUSY, "reject"),
    (Code.CAPACITY, "full"),
]


@pytest.mark.parametrize(
    "faults",
    [
        combination
        for size in range(1, len(FAULTS) + 1)
        for combination in itertools.combinations(FAULTS, size)
    ],
    ids=lambda faults: "+".join(fault for _, fault in faults),
)
def test_of_several_reasons_the_first_in_the_order_of_the_contract_is_told(
    faults: tuple[tuple[Code, str], ...],
) -> None:
    wrong = {fault for _, fault in faults}
    seen = Scene(
        "ses_1",
        SessionState.CLOSED if "closed" in wrong else SessionState.OPEN,
        8 if "head" in wrong else 7,
        Live("run_1", RunState.RUNNING) if wrong & {"idle", "reject", "full"} else None,
        3 if "full" in wrong else 0,
        held=False,
    )
    ask = SendMessage(
        content="hi",
        when_busy=REJECT if "reject" in wrong else QUEUE,
        if_head_seq=7,
        if_idle="idle" in wrong,
    )

    assert refusal(seen, ask).code is faults[0][0]
