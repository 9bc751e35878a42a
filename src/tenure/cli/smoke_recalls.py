"""Steps of the smoke test: what an agent has said to itself later, on time and once, whatever happens."""

from tenure.cli.scene import Scene, ends, expect, expect_status, followed, said_in
from tenure.client import JournalEvent
from tenure.core.event import RecallFired
from tenure.core.moment import SECOND, micros
from tenure.core.run import RunState

REPORTER = "reporter"
AGENT = "scripted"
LATE_S = 1.0
"""An occurrence that is seen later than this is missed."""


def recalls_itself_on_time(scene: Scene) -> str:
    """Let the reporter recall itself twice, a second apart."""
    session = scene.client.open_session(REPORTER).id
    told = list(scene.client.say(session, "Report every second, 2 times"))
    expect_status(told, RunState.COMPLETED)
    events = _up_to_report(scene, session, 2, told[-1].seq)
    fired = [event for event in events if isinstance(event.event, RecallFired)]
    lateness = [_lateness_s(event) for event in fired]
    expect("how late they were", len(fired) == 2 and all(0 <= late < LATE_S for late in lateness), lateness)
    expect("what was reported", "Report 2 of" in said_in(events), said_in(events))
    (schedule,) = scene.client.schedules(session_id=session)
    expect("what is left of it", (schedule.status, schedule.runs) == ("done", 2), schedule)
    return f"twice, at most {max(lateness) * 1e3:.1f} ms late"


def recalls_across_a_crash(scene: Scene) -> str:
    """Kill the server before a recall is due; it comes once, after the restart."""
    client, session = scene.client, scene.client.open_session(AGENT).id
    planned = list(client.say(session, "RECALL 0.5 SAY back again"))
    expect_status(planned, RunState.COMPLETED)
    scene.server.kill()
    scene.server.start()
    events = followed(scene, session, planned[-1].seq, ends)
    expect_status(events, RunState.COMPLETED)
    expect("what was said", said_in(events) == "back again", said_in(events))
    (schedule,) = client.schedules(session_id=session)
    occurrences = [(one.state, one.outcome) for one in client.occurrences(schedule.id)]
    expect("its occurrences", occurrences == [("admitted", "completed")], occurrences)
    return "once, though nobody was there when it was planned to be"


def _up_to_report(scene: Scene, session: str, count: int, after: int) -> list[JournalEvent]:
    """The journal up to the end of so many more runs."""
    left = count

    def over(event: JournalEvent) -> bool:
        nonlocal left
        left -= ends(event)
        return left == 0

    return followed(scene, session, after, over)


def _lateness_s(event: JournalEvent) -> float:
    fired = event.event
    return (event.at - micros(fired.due_at)) / SECOND if isinstance(fired, RecallFired) else 0.0
