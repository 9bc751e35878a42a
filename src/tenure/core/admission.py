"""The decision about one message, on what the store read under the session's lock. No I/O."""

from typing import NamedTuple

from tenure.core.command import SendMessage
from tenure.core.limits import Limits, full
from tenure.core.message import BusyPolicy, Disposition
from tenure.core.run import RunState
from tenure.core.session import SessionState
from tenure.errors import Code, TenureError


class Scene(NamedTuple):
    """What admission looks at: the session, its live run and its queue.

    `starting` says that the live run has not begun yet: its message waits for a slot, before all others.
    """

    session_id: str
    state: SessionState
    head_seq: int
    run: RunState | None
    waiting: int
    held: bool
    starting: bool = False


class Decision(NamedTuple):
    """What becomes of the message. A released queue goes on with its first message."""

    disposition: Disposition
    starts_next: bool
    releases: bool
    position: int


def decide(scene: Scene, ask: SendMessage, limits: Limits) -> Decision:
    """Decide in the order of the contract: session open, preconditions, policy, queue limit.

    `starts_next` says that the first waiting message, which may be this one, becomes a run now.
    Raises TenureError `session_closed`, `precondition_failed`, `busy` or `capacity`.
    """
    _check_open(scene)
    _check_preconditions(scene, ask)
    busy = scene.run is not None or (scene.waiting > 0 and not scene.held)
    if busy and ask.when_busy is BusyPolicy.REJECT:
        raise TenureError(
            Code.BUSY,
            f"Session {scene.session_id} is busy and the message says when_busy=reject. "
            "Wait for the run to end, interrupt it, or send with when_busy=queue.",
            session_id=scene.session_id,
        )
    # With a live run the message stands behind all that wait; without one the first of them starts
    # now and makes room, so that the queue grows in the first case only.
    position = scene.waiting if scene.run is None else scene.waiting + scene.starting + 1
    if scene.run is not None:
        _check_room(scene, limits)
    disposition = Disposition.QUEUED if position else Disposition.STARTED
    return Decision(disposition, scene.run is None, scene.held and scene.waiting > 0, position)


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


def _check_room(scene: Scene, limits: Limits) -> None:
    most = limits.queued_messages_per_session
    if scene.waiting >= most:
        way_out = "Wait until the session has worked some off, or interrupt its run."
        raise full("per_session", "waiting messages", most, scene.waiting, way_out)
