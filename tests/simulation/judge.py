"""The judgement at the end of a simulated schedule: the doctor first, then what only a test can know."""

from collections import Counter

from tenure.core.entry import Recorded
from tenure.core.event import MessageAdmitted
from tenure.core.evidence import Stored
from tenure.core.history import SUMMARY
from tenure.core.message import MessageState
from tenure.core.run import LIVE_RUNS
from tenure.core.session import SessionState
from tenure.core.transcript import Transcript
from tenure.core.view import TranscriptPage
from tenure.host.doctor import examine
from tests.simulation.deeds import journal_of, judge_deeds
from tests.simulation.world import World


async def judge(world: World) -> None:
    """Everything that clients were told and shown, against everything that is stored."""
    life = await world.living()
    observed = {session_id: notes.observed() for session_id, notes in world.notes.items()}
    for violation in await examine(life.store, observed):
        world.fault(f"{violation.invariant} in {violation.session_id}: {violation.sentence}")
    for session_id in await life.store.session_ids("", 1_000):
        stored = await life.store.audit(session_id)
        if stored is not None and stored.state != SessionState.DELETED:
            _judge_session(world, stored)
    await judge_deeds(world, life)
    if life.host.fanout.streams:
        world.fault(f"{life.host.fanout.streams} streams are left after every client has gone")


def _judge_session(world: World, stored: Stored) -> None:
    waits = [m.message_id for m in stored.messages if m.status == MessageState.QUEUED]
    busy = any(run.state in LIVE_RUNS for run in stored.runs)
    if waits and not stored.queue_held and not busy:
        world.fault(f"{waits} wait in {stored.session_id} for nothing")
    journal = journal_of(stored)
    markers = Counter(
        str(e.event.content).rpartition("\n")[2] for e in journal if isinstance(e.event, MessageAdmitted)
    )
    for marker, count in markers.items():
        # What a schedule says comes again and again; it is reckoned elsewhere.
        if count > 1 and not marker.startswith("@"):
            world.fault(f"the one request {marker!r} was admitted {count} times in {stored.session_id}")
    for page in world.notes_of(stored.session_id).transcripts:
        _judge_transcript(world, stored.session_id, journal, page)


def _judge_transcript(world: World, session_id: str, journal: list[Recorded], page: TranscriptPage) -> None:
    """A transcript is exactly what the journal folds to at the number it names."""
    folded = Transcript.fold(journal[: page.as_of_seq])
    due = [(i.message_id, str(i.role), i.content, i.run_id, i.status) for i in folded.lines()]
    shown = [(i.message_id, i.role, i.content, i.run_id, i.status) for i in page.data if i.role != SUMMARY]
    opening = [(i.content, i.run_id) for i in page.data if i.role == SUMMARY]
    standing = [(s.text, s.run_id) for s in folded.summaries if not s.undone][-1:]
    if opening != standing:
        world.fault(f"the summary of {session_id} at {page.as_of_seq} was {opening} instead of {standing}")
    if due != shown:
        world.fault(f"the transcript of {session_id} at {page.as_of_seq} showed {shown} instead of {due}")
