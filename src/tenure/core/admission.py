"""The decision about one message, on what the store read under the session's lock. No I/O.

This is the one place where the busy policies stand (SEMANTICS, busy policies).
"""

from typing import NamedTuple

from tenure.core.command import SendMessage
from tenure.core.content import Content, Part, TextPart
from tenure.core.limits import Limits, full
from tenure.core.message import BusyPolicy, Disposition
from tenure.core.run import RunState
from tenure.core.session import SessionState
from tenure.core.steering import MOST_PENDING
from tenure.errors import Code, TenureError

_FRONT = (BusyPolicy.INTERRUPT, BusyPolicy.ROLLBACK)


class Live(NamedTuple):
    """The run that isn't over, as a sender meets it.

    `may_stop` and `may_steer` say what the sender is entitled to; `steers` and `undoes` whether the runner
    takes steering and stands being undone, `pending` how much steering waits already.
    """

    run_id: str
    state: RunState
    may_stop: bool = True
    may_steer: bool = True
    steers: bool = False
    pending: int = 0
    undoes: bool = True


class Scene(NamedTuple):
    """What admission looks at: the session, its live run and its queue.

    `starting` says that the live run has not begun yet: its message waits for a slot, before all others.
    `own_waiting` counts the sender's waiting messages, `last_own` is the last of them if nothing of
    anybody else stands behind it.
    """

    session_id: str
    state: SessionState
    head_seq: int
    run: Live | None
    waiting: int
    held: bool
    starting: bool = False
    own_waiting: int = 0
    last_own: str | None = None


class Decision(NamedTuple):
    """What becomes of the message. A released queue goes on with its first message.

    `stops` names the live run that is stopped for it, `undoes` the run that is taken back before it
    starts; `into` the message that it joins; `fallback` why it doesn't steer although it should.
    """

    disposition: Disposition
    starts_next: bool
    releases: bool
    position: int
    front: bool = False
    steers: str | None = None
    stops: str | None = None
    undoes: str | None = None
    into: str | None = None
    fallback: str | None = None
    replaces_own: bool = False


def decide(scene: Scene, ask: SendMessage, limits: Limits) -> Decision:
    """Decide in the order of the contract: session open, preconditions, rights, policy, queue limit.

    `starts_next` says that the first waiting message, which may be this one, becomes a run now.
    Raises TenureError `session_closed`, `precondition_failed`, `forbidden`, `busy` or `capacity`.
    """
    _check_open(scene)
    _check_preconditions(scene, ask)
    _check_rights(scene, ask)
    busy = scene.run is not None or (scene.waiting > 0 and not scene.held)
    if busy and ask.when_busy is BusyPolicy.REJECT:
        raise TenureError(
            Code.BUSY,
            f"Session {scene.session_id} is busy and the message says when_busy=reject. "
            "Wait for the run to end, interrupt it, or send with when_busy=queue.",
            session_id=scene.session_id,
        )
    return _steered(scene, ask) or _merged(scene, ask) or _placed(scene, ask, limits)


def _steered(scene: Scene, ask: SendMessage) -> Decision | None:
    if ask.when_busy is not BusyPolicy.STEER or scene.run is None:
        return None
    if why_not_steered(scene.run) is not None:
        return None
    return Decision(Disposition.STEERED, False, scene.held, 0, steers=scene.run.run_id)


def why_not_steered(run: Live) -> str | None:
    """Why no message can steer this run now, or None if one can."""
    if run.state is RunState.INTERRUPTING:
        return "run_interrupting"
    if not run.steers:
        return "runner_takes_no_steering"
    if not run.may_steer:
        return "authority_does_not_cover_the_run"
    return "too_much_steering_pending" if run.pending >= MOST_PENDING else None


def _merged(scene: Scene, ask: SendMessage) -> Decision | None:
    if ask.when_busy is not BusyPolicy.MERGE or scene.last_own is None:
        return None
    goes_on = scene.held and scene.run is None
    return Decision(Disposition.MERGED, goes_on, scene.held, 0, into=scene.last_own)


def _placed(scene: Scene, ask: SendMessage, limits: Limits) -> Decision:
    """A place in the queue, which may be its very start."""
    policy, run = ask.when_busy, scene.run
    front = policy in _FRONT
    replaces = policy is BusyPolicy.LATEST and scene.own_waiting > 0
    waiting = scene.waiting - (scene.own_waiting if replaces else 0)
    if run is None:
        front = front and waiting > 0
        # Without a run the first of the queue starts now and makes room, so that it doesn't lengthen.
        position = 0 if front else waiting
        disposition = Disposition.QUEUED if position else Disposition.STARTED
        return Decision(disposition, True, scene.held, position, front=front, replaces_own=replaces)
    _check_room(scene, waiting, limits)
    return Decision(
        Disposition.QUEUED,
        False,
        scene.held,
        1 if front else waiting + scene.starting + 1,
        front=front,
        stops=run.run_id if front else None,
        undoes=run.run_id if policy is BusyPolicy.ROLLBACK else None,
        fallback=why_not_steered(run) if policy is BusyPolicy.STEER else None,
        replaces_own=replaces,
    )


def joined(first: Content, second: Content) -> Content:
    """Two messages as one: texts in order, a line break between."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n{second}"
    return (*_parts(first), *_parts(second))


def _parts(content: Content) -> tuple[Part, ...]:
    return (TextPart(content),) if isinstance(content, str) else content


def _check_open(scene: Scene) -> None:
    if scene.state is not SessionState.OPEN:
        raise TenureError(
            Code.SESSION_CLOSED,
            f"Session {scene.session_id} is closed. Reopen it to send messages.",
            session_id=scene.session_id,
        )


def _check_preconditions(scene: Scene, ask: SendMessage) -> None:
    if ask.if_head_seq is not None and ask.if_head_seq != scene.head_seq:
        raise TenureError(
            Code.PRECONDITION_FAILED,
            f"The message is for head {ask.if_head_seq}, but session {scene.session_id} is at "
            f"{scene.head_seq}. Read what is new, then send again.",
            head_seq=scene.head_seq,
        )
    idle = scene.run is None and (scene.waiting == 0 or scene.held)
    if ask.if_idle and not idle:
        raise TenureError(
            Code.PRECONDITION_FAILED,
            f"The message is for an idle session, but {scene.session_id} is busy. "
            "Wait for the run to end, or send without if_idle.",
            head_seq=scene.head_seq,
        )


def _check_rights(scene: Scene, ask: SendMessage) -> None:
    if ask.when_busy in _FRONT and scene.run is not None and not scene.run.may_stop:
        raise TenureError(
            Code.FORBIDDEN,
            f"when_busy={ask.when_busy} stops the run {scene.run.run_id}, and only its author, the owner of "
            "the session, operators and admins may. Send with when_busy=queue.",
            run_id=scene.run.run_id,
        )
    if ask.when_busy is BusyPolicy.ROLLBACK and scene.run is not None and not scene.run.undoes:
        raise TenureError(
            Code.UNSUPPORTED,
            f"when_busy=rollback takes the run {scene.run.run_id} back, and its runner keeps a memory of its "
            "own that can't be. Send with when_busy=interrupt.",
            run_id=scene.run.run_id,
        )


def _check_room(scene: Scene, waiting: int, limits: Limits) -> None:
    most = limits.queued_messages_per_session
    if waiting >= most:
        way_out = "Wait until the session has worked some off, or interrupt its run."
        raise full("per_session", "waiting messages", most, scene.waiting, way_out)
