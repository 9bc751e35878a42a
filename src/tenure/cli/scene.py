"""What the steps of the smoke test work with, and how they judge what they see."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from tenure.cli.child import ChildServer
from tenure.cli.outcome import Exit, Stop
from tenure.client import Client, JournalEvent
from tenure.core.content import text_of
from tenure.core.event import MessageCompleted, RunFinished
from tenure.core.run import RunState
from tenure.core.view import SessionInfo

Until: TypeAlias = Callable[[JournalEvent], bool]


class Scene(NamedTuple):
    """What every step works with."""

    server: ChildServer
    client: Client
    session: SessionInfo


def journal(scene: Scene, after: int = 0) -> list[JournalEvent]:
    """The journal after a number, up to the end of the run that is live, or of the last one."""
    head = scene.client.session(scene.session.id)
    live = head.run_id

    def over(event: JournalEvent) -> bool:
        if live is None:
            return event.seq >= head.head_seq
        return event.run_id == live and ends(event)

    return followed(scene, scene.session.id, after, over)


def followed(scene: Scene, session: str, after: int, until: Until) -> list[JournalEvent]:
    """The journal of a session after a number, up to an event for which `until` holds."""
    items = scene.client.follow(session, after, until=until)
    return [item for item in items if isinstance(item, JournalEvent)]


def ends(event: JournalEvent) -> bool:
    """Whether the event ends a run."""
    return isinstance(event.event, RunFinished)


def said_in(events: list[JournalEvent]) -> str:
    """What the agent has said in full."""
    said = [event.event for event in events if isinstance(event.event, MessageCompleted)]
    return "".join(text_of(message.content) for message in said)


def words(count: int) -> str:
    """What SLOW says."""
    return "".join(f"w{number} " for number in range(count))


def expect_status(events: list[JournalEvent], status: RunState) -> RunFinished:
    """The end of the last run that ended, which must be this."""
    finished = [event.event for event in events if isinstance(event.event, RunFinished)]
    expect("the end of the run", bool(finished) and finished[-1].status == status, finished)
    return finished[-1]


def expect(what: str, holds: bool, seen: object) -> None:
    """Raise Stop with `failed` unless it holds."""
    if not holds:
        raise Stop(Exit.FAILED, f"FAILED  {what} isn't as it must be: {seen}")
