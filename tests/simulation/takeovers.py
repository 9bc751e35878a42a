"""The judgement of one writer: who wrote what of a run, by the notes of the simulated database."""

from collections import defaultdict

from tenure.core.approval import Resumption
from tenure.core.entry import Entry
from tenure.core.event import (
    MessageAdmitted,
    MessageDelta,
    MessagePromoted,
    MessageWithdrawn,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    RunResumed,
    RunRetried,
    RunStarted,
    RunWaiting,
    SteeringConsumed,
)
from tenure.core.message import Disposition
from tests.simulation.cluster import Cluster
from tests.simulation.shore import Written

HEARD_S = 8
"""How long steering may be on its way to a run, in seconds: a lost hint, a poll, and a slow database."""


def judge_writers(cluster: Cluster) -> None:
    """Of every session, in the order of its numbers."""
    sessions: dict[str, list[Written]] = defaultdict(list)
    for written in cluster.shore.written:
        sessions[written.session_id].append(written)
    for found in sessions.values():
        owners: dict[str, int | None] = {}
        over: set[str] = set()
        for written in sorted(found, key=_place):
            for seq, entry in enumerate(written.entries, written.first):
                _judge_entry(cluster, owners, over, written, seq, entry)


def _place(written: Written) -> int:
    return written.first


def _judge_entry(
    cluster: Cluster,
    owners: dict[str, int | None],
    over: set[str],
    written: Written,
    seq: int,
    entry: Entry,
) -> None:
    run_id, event = entry.run_id, entry.event
    if run_id is None:
        return
    about = f"{type(event).__name__} of {run_id} at {seq} by {written.node}"
    if run_id in over and not isinstance(event, RunnerWarning):
        cluster.fault(f"{about}, after the run's end")
    match event:
        case RunStarted() | RunRetried():
            owners[run_id] = written.incarnation
        case RunResumed(mode=mode) if mode is not Resumption.HELD:
            owners[run_id] = written.incarnation
        case _ if written.run_id == run_id and owners.get(run_id) not in (None, written.incarnation):
            cluster.fault(f"{about} (life {written.incarnation}), which life {owners[run_id]} had taken over")
        case _:
            pass
    if isinstance(event, RunFinished):
        over.add(run_id)


def judge_steering(cluster: Cluster) -> None:
    """A run that speaks on is told of steering soon, whichever host admitted it."""
    waits: dict[str, tuple[str, float]] = {}
    for written in cluster.shore.written:
        for entry in written.entries:
            match entry.event:
                case MessageAdmitted(disposition=Disposition.STEERED, run_id=str() as run_id) as said:
                    waits[said.message_id] = run_id, written.at
                case SteeringConsumed(message_ids=taken):
                    for message_id in taken:
                        waits.pop(message_id, None)
                case MessageWithdrawn() | MessagePromoted():
                    waits.pop(entry.event.message_id, None)
                case RunInterrupting() | RunFinished() | RunRetried() | RunWaiting():
                    waits = {m: (run_id, at) for m, (run_id, at) in waits.items() if run_id != entry.run_id}
                case MessageDelta(text=text) if text.startswith("w") and written.node not in cluster.harmed:
                    for message_id, (run_id, at) in waits.items():
                        if run_id == entry.run_id and written.at > at + HEARD_S:
                            cluster.fault(f"{run_id} speaks on and was never told of {message_id}")
                case _:
                    pass


def judge_hosts(cluster: Cluster) -> None:
    """In the end every host stands, and began anew only if something had happened to it."""
    for berth in cluster.berths:
        lives = cluster.shore.lives.get(berth.node, [])
        if not lives or lives[-1] not in cluster.shore.rows():
            cluster.fault(f"{berth.node} serves, and no life of it stands: {lives}")
        if len(lives) > 1 and berth.node not in cluster.harmed:
            cluster.fault(f"{berth.node} began anew though nothing had happened to it: {lives}")
