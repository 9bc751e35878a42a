"""Cases: what lists show of sessions besides themselves, how they are filtered, and runs over sessions."""

import msgspec
import pytest

from tenure.core.command import CloseSession, OpenSession, UpdateSession
from tenure.core.event import MessageCompleted
from tenure.core.history import UndoTurns
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.run import RunState
from tenure.core.view import (
    Facet,
    Found,
    LastLine,
    LastRun,
    ListedRun,
    ListedSession,
    RunFault,
    SessionFacets,
)
from tenure.errors import Code, TenureError
from tenure.ports.overviews import RunFilter
from tenure.ports.store import SessionFilter
from tenure.stores.contract.recoveries import die_and_retry
from tenure.stores.contract.stage import ADA, BOB, STRANGER, Cases, Stage, Stages

ANY = SessionFilter(None, None)


async def listed(stage: Stage, which: SessionFilter = ANY) -> list[ListedSession]:
    """The sessions that a list shows."""
    return (await stage.store.sessions(which, None, 100)).data


async def answered(stage: Stage, question: str, answer: str, verdict: RunState = RunState.COMPLETED) -> str:
    """A session with one turn that has ended. Its id."""
    start = await stage.begin(question)
    said = MessageCompleted(message_id=stage.ids.new("msg_"), role="assistant", content=answer)
    await stage.append(start.run_id, said)
    await stage.settle(start.run_id, verdict, "boom" if verdict is RunState.FAILED else "")
    return start.session_id


class ListedSessionCases(Cases):
    """Sessions as lists show them."""

    async def test_a_session_without_a_turn_has_neither_run_nor_line(self, stage: Stage) -> None:
        await stage.open()
        (session,) = await listed(stage)

        assert (session.last_run, session.last_line, session.found) == (None, None, None)

    async def test_a_list_tells_how_the_last_run_fared_and_what_was_said_last(self, stage: Stage) -> None:
        session_id = await answered(stage, "Where to?", "To  Lisbon,\nof course.", RunState.FAILED)
        (session,) = await listed(stage)
        (run,) = (await stage.store.runs(session_id, None, 10)).data
        live = (await stage.send(session_id, "And then? " * 50)).start
        await stage.say(live.run_id, "Well, ")
        (again,) = await listed(stage)

        assert session.last_run == LastRun(
            id=run.id, status="failed", reason="boom", finished_at=run.finished_at
        )
        assert session.last_line == LastLine(role="assistant", text="To Lisbon, of course.")
        assert again.last_run == LastRun(id=live.run_id, status="running", reason="", finished_at=None)
        assert again.last_line is not None
        assert again.last_line == LastLine(role="user", text=again.last_line.text)
        assert (again.last_line.text[:20], len(again.last_line.text)) == ("And then? And then? ", 160)

    async def test_what_was_undone_or_superseded_is_no_last_line(self, stages: Stages, stage: Stage) -> None:
        session_id = await answered(stage, "one", "first")
        undone = await stage.send(session_id, "two")
        await stage.settle(undone.start.run_id)
        await stage.store.histories.undo(stage.stamp(), session_id, UndoTurns())
        (before,) = await listed(stage)
        start = (await stage.send(session_id, "three")).start
        said = MessageCompleted(message_id=stage.ids.new("msg_"), role="assistant", content="draft")
        await stage.append(start.run_id, said)
        await die_and_retry(stages, stage, start)
        (after,) = await listed(stage)

        assert before.last_line == LastLine(role="assistant", text="first")
        assert after.last_line == LastLine(role="user", text="three")

    async def test_a_list_is_narrowed_by_how_the_last_run_fared(self, stage: Stage) -> None:
        fine = await answered(stage, "a", "b")
        bad = await answered(stage, "a", "b", RunState.FAILED)
        mended = await answered(stage, "a", "b", RunState.FAILED)
        await stage.settle((await stage.send(mended, "again")).start.run_id)
        live = (await stage.begin()).session_id
        await stage.open()

        async def ids(status: str) -> list[str]:
            return [s.id for s in await listed(stage, ANY._replace(last_run=status))]

        assert [await ids(s) for s in ("failed", "completed", "running", "lost")] == [
            [bad],
            [mended, fine],
            [live],
            [],
        ]

    async def test_a_search_shows_where_it_found_its_words(self, stage: Stage) -> None:
        titled = await stage.open(ask=OpenSession(agent="greeter", title="Trip to Lisbon"))
        said = await answered(stage, "Lisbon?", "Yes: Lisbon it is, lisbon.")
        found = {s.id: s.found for s in await listed(stage, SessionFilter("acme", None, words="lisbon"))}
        page = await stage.store.transcript(said, None, 10)

        assert found == {
            titled: Found(message_id=None, text="Trip to Lisbon", marks=((8, 14),)),
            said: Found(
                message_id=page.data[-1].message_id,
                text="Yes: Lisbon it is, lisbon.",
                marks=((5, 11), (19, 25)),
            ),
        }


class FacetCases(Cases):
    """What lists can be filtered by."""

    async def test_facets_count_what_is_within_reach(self, stage: Stage) -> None:
        await stage.open(ADA, OpenSession(agent="greeter", labels={"team": "blue", "env": "test"}))
        await stage.open(ADA, OpenSession(agent="other", labels={"team": "blue"}))
        closed = await stage.open(BOB, OpenSession(agent="greeter", labels={"team": "red"}))
        await stage.store.close_session(stage.stamp(BOB), closed, CloseSession())
        await stage.begin(by=BOB)
        gone = await stage.open(BOB, OpenSession(agent="gone"))
        await stage.store.delete_session(stage.stamp(BOB), gone)
        await stage.open(STRANGER)
        reads = stage.store.overviews

        assert await reads.facets("acme", None) == SessionFacets(
            agents=(Facet(name="greeter", count=3), Facet(name="other", count=1)),
            statuses=(
                Facet(name="idle", count=2),
                Facet(name="closed", count=1),
                Facet(name="running", count=1),
            ),
            owners=(Facet(name="ada", count=2), Facet(name="bob", count=2)),
            labels={"team": ("blue", "red"), "env": ("test",)},
        )
        assert (await reads.facets("acme", "bob")).owners == (Facet(name="bob", count=2),)
        assert (await reads.facets(None, None)).owners == (
            Facet(name="ada", count=3),
            Facet(name="bob", count=2),
        )

    async def test_without_a_session_there_is_nothing_to_filter_by(self, stage: Stage) -> None:
        nothing = SessionFacets(agents=(), statuses=(), owners=(), labels={})

        assert await stage.store.overviews.facets("acme", None) == nothing

    async def test_no_more_than_fifty_values_of_a_kind_are_told(self, stage: Stage) -> None:
        for n in range(60):
            labels = {"n": str(n), f"name{n}": "x", "all": "same"}
            await stage.open(ask=OpenSession(agent=f"agent{n:02}", labels=labels))
        found = await stage.store.overviews.facets("acme", None)

        assert [facet.name for facet in found.agents] == [f"agent{n:02}" for n in range(50)]
        assert len(found.labels) == 50
        assert len(found.labels["n"]) == 50
        assert found.labels["all"] == ("same",)


class RunListCases(Cases):
    """Runs over sessions."""

    async def _ids(self, stage: Stage, which: RunFilter) -> list[str]:
        pages = [await stage.store.overviews.runs(which, None, 2)]
        while pages[-1].next_cursor is not None:
            pages.append(await stage.store.overviews.runs(which, pages[-1].next_cursor, 2))
        return [run.id for page in pages for run in page.data]

    async def test_runs_of_many_sessions_are_listed_newest_first_within_reach(self, stage: Stage) -> None:
        starts = [await stage.begin(by=by) for by in (ADA, BOB, STRANGER, ADA)]
        (a, b, s, c) = (start.run_id for start in starts)
        await stage.store.update_session(stage.stamp(), starts[3].session_id, UpdateSession(title="Trip"))
        (newest,) = (await stage.store.overviews.runs(RunFilter(None, None), None, 1)).data
        deleted = await stage.begin()
        await stage.store.delete_session(stage.stamp(), deleted.session_id)

        run = msgspec.structs.asdict(await stage.run(c))
        assert newest == ListedRun(**run, session_title="Trip", session_owner="ada")
        assert await self._ids(stage, RunFilter(None, None)) == [c, s, b, a]
        assert await self._ids(stage, RunFilter("acme", None)) == [c, b, a]
        assert await self._ids(stage, RunFilter("acme", "ada")) == [c, a]
        assert await self._ids(stage, RunFilter(None, "ada")) == [c, s, a]
        assert await self._ids(stage, RunFilter("globex", "bob")) == []

    async def test_runs_are_narrowed_by_status_agent_and_time(self, stage: Stage) -> None:
        first = await stage.begin()
        await stage.settle(first.run_id)
        stage.pass_time(10_000)
        failed, lost = await stage.begin(), await stage.begin()
        await stage.settle(failed.run_id, RunState.FAILED)
        await stage.settle(lost.run_id, RunState.TIMED_OUT)
        noon = stage.at()
        old = await stage.begin(by=BOB)
        stage.pass_time(100)
        new = await stage.begin()
        a, f, t, o, n = (start.run_id for start in (first, failed, lost, old, new))
        every = RunFilter("acme", None)

        assert {
            which: await self._ids(stage, which)
            for which in (
                every._replace(state=RunState.FAILED),
                every._replace(state=RunState.RUNNING),
                every._replace(state=RunState.COMPLETED),
                every._replace(state=RunState.QUEUED),
                every._replace(agent="greeter", state=RunState.TIMED_OUT),
                every._replace(agent="other"),
                every._replace(since=noon),
                every._replace(since=Micros(noon - 5_000 * SECOND)),
                every._replace(since=Micros(noon + 10_000 * SECOND)),
                every._replace(live_since=noon),
                every._replace(live_since=Micros(noon + 50 * SECOND)),
                every._replace(live_since=Micros(noon + 5_000 * SECOND)),
                RunFilter("acme", "bob", state=RunState.RUNNING),
                RunFilter("acme", "bob", state=RunState.FAILED),
                RunFilter("acme", "ada", since=noon),
            )
        } == {
            every._replace(state=RunState.FAILED): [f],
            every._replace(state=RunState.RUNNING): [n, o],
            every._replace(state=RunState.COMPLETED): [a],
            every._replace(state=RunState.QUEUED): [],
            every._replace(agent="greeter", state=RunState.TIMED_OUT): [t],
            every._replace(agent="other"): [],
            every._replace(since=noon): [n, o],
            every._replace(since=Micros(noon - 5_000 * SECOND)): [n, o, t, f],
            every._replace(since=Micros(noon + 10_000 * SECOND)): [],
            every._replace(live_since=noon): [],
            every._replace(live_since=Micros(noon + 50 * SECOND)): [o],
            every._replace(live_since=Micros(noon + 5_000 * SECOND)): [n, o],
            RunFilter("acme", "bob", state=RunState.RUNNING): [o],
            RunFilter("acme", "bob", state=RunState.FAILED): [],
            RunFilter("acme", "ada", since=noon): [n],
        }

    async def test_what_went_wrong_is_put_together_by_agent_status_and_reason(self, stage: Stage) -> None:
        begun = stage.at()
        for reason in ("boom", "boom", "bang"):
            await stage.settle((await stage.begin()).run_id, RunState.FAILED, reason)
        stage.pass_time(100)
        noon = stage.at()
        late, slow = await stage.begin(by=BOB), await stage.begin(by=STRANGER)
        await stage.settle(late.run_id, RunState.FAILED, "boom")
        await stage.settle(slow.run_id, RunState.TIMED_OUT, "deadline")
        await stage.settle((await stage.begin()).run_id, RunState.CANCELLED)
        finished = {r: (await stage.run(r)).finished_at for r in (late.run_id, slow.run_id)}
        reads = stage.store.overviews
        boom = RunFault(
            agent="greeter",
            status="failed",
            reason="boom",
            count=3,
            latest_at=finished[late.run_id] or "",
            latest_run_id=late.run_id,
            latest_session_id=late.session_id,
        )
        everywhere = await reads.faults(None, None, begun, 10)

        assert [(f.status, f.reason, f.count) for f in everywhere] == [
            ("timed_out", "deadline", 1),
            ("failed", "boom", 3),
            ("failed", "bang", 1),
        ]
        assert everywhere[1] == boom
        assert [f.reason for f in await reads.faults("acme", None, begun, 10)] == ["boom", "bang"]
        assert [f.count for f in await reads.faults("acme", "ada", begun, 10)] == [1, 2]
        assert [f.count for f in await reads.faults("acme", None, noon, 10)] == [1]
        assert await reads.faults(None, None, begun, 1) == everywhere[:1]
        assert await reads.faults("acme", None, Micros(noon + 1_000 * SECOND), 10) == []
        assert timestamp(noon) < boom.latest_at

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "9" * 40])
    async def test_a_cursor_that_no_list_of_runs_gave_is_refused(self, stage: Stage, cursor: str) -> None:
        with pytest.raises(TenureError) as refused:
            await stage.store.overviews.runs(RunFilter(None, None), cursor, 10)
        assert refused.value.code is Code.BAD_CURSOR
