"""Cases: an outline tells where in a journal what people look for stands, from rows alone."""

import pytest

from tenure.core.event import ArtifactFailed, ToolCallCompleted, ToolCallStarted
from tenure.core.run import RunState
from tenure.core.view import Outline, OutlineMark
from tenure.stores.contract.calling import calls_of
from tenure.stores.contract.forks import forked
from tenure.stores.contract.histories import compacted, redo, turns, undo
from tenure.stores.contract.recalling import planned
from tenure.stores.contract.recoveries import die_and_retry
from tenure.stores.contract.retention import A_DAY, first_stored, retire
from tenure.stores.contract.retention import turn as long_turn
from tenure.stores.contract.stage import Cases, Stage, Stages


async def marks(stage: Stage, session_id: str) -> tuple[OutlineMark, ...]:
    """All marks of a journal, page by page."""
    found: tuple[OutlineMark, ...] = ()
    before: int | None = None
    while True:
        page = await stage.store.overviews.outline(session_id, before, 2)
        assert len(page.data) >= 2 or page.next_before is None
        found = (*page.data, *found)
        before = page.next_before
        if before is None:
            whole = await stage.store.overviews.outline(session_id, None, 1_000)
            assert whole == Outline(data=found, head_seq=whole.head_seq, next_before=None)
            return found


async def kinds(stage: Stage, session_id: str) -> list[tuple[int, str]]:
    """Where they are, and what."""
    return [(mark.seq, mark.kind) for mark in await marks(stage, session_id)]


class OutlineCases(Cases):
    """Outlines."""

    async def test_an_outline_has_messages_runs_and_calls_where_the_journal_has_them(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        called = ToolCallStarted(call_id="call_1", tool="look", arguments={})
        await stage.append(start.run_id, called, ToolCallCompleted(call_id="call_1", status="ok"))
        await stage.append(start.run_id, ArtifactFailed(name="x", reason="y"))
        said = await stage.say(start.run_id, "So ", "far")

        assert await marks(stage, start.session_id) == (
            OutlineMark(seq=3, kind="user", id=start.message_id, status="started"),
            OutlineMark(seq=3, kind="run", id=start.run_id, status="running"),
            OutlineMark(seq=4, kind="call", id="call_1", name="look"),
            OutlineMark(seq=7, kind="assistant", id=said, status="streaming"),
        )
        types = await stage.types(start.session_id)
        assert [types[seq - 1] for seq in (3, 4, 7)] == ["run.started", "tool.call.started", "message.delta"]

    async def test_a_question_stands_at_its_call(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        found = await marks(stage, calls.start.session_id)
        call = found[-2]

        assert (call.kind, call.name) == ("call", "mail")
        assert found[-1] == OutlineMark(
            seq=call.seq, kind="approval", id=approval_id, status="pending", name="mail"
        )

    async def test_what_was_undone_shows_as_undone_until_it_is_redone(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 2)
        await undo(stage, session_id)
        undone = await marks(stage, session_id)
        head = await stage.store.head(session_id)
        await redo(stage, session_id)
        redone = await marks(stage, session_id)

        assert [(mark.kind, mark.undone) for mark in undone] == [
            ("user", False),
            ("run", False),
            ("assistant", False),
            ("user", True),
            ("run", True),
            ("assistant", True),
            ("undo", False),
        ]
        assert undone[-1] == OutlineMark(seq=head, kind="undo")
        assert [mark.id for mark in undone[3:6]] == [
            said[1].start.message_id,
            said[1].start.run_id,
            said[1].reply,
        ]
        assert [mark.undone for mark in redone] == [False] * 6

    async def test_a_summary_stands_where_it_took_the_place_of_what_was_said(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        run = await compacted(stage, session_id, await stage.store.head(session_id))
        last = (await marks(stage, session_id))[-1]
        types = await stage.types(session_id)

        assert last == OutlineMark(
            seq=types.index("transcript.compacted") + 1, kind="compaction", id=run.run_id
        )

    async def test_what_a_lost_attempt_said_is_no_mark(self, stages: Stages, stage: Stage) -> None:
        start = await stage.begin()
        await stage.say(start.run_id, "draft")
        await die_and_retry(stages, stage, start)
        await stage.say(start.run_id, "again")

        assert await kinds(stage, start.session_id) == [(3, "user"), (3, "run"), (6, "assistant")]

    async def test_a_fork_shows_what_it_began_with_and_where(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        head = await stage.store.head(session_id)
        child = await forked(stage, session_id)
        parents = [mark for mark in await marks(stage, session_id) if mark.kind != "run"]

        assert await marks(stage, child) == (
            *parents,
            OutlineMark(seq=head + 1, kind="fork", id=session_id),
        )

    async def test_a_recall_shows_the_schedule_that_it_came_of(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        start = await plan.start()

        assert [(mark.kind, mark.id) for mark in await marks(stage, start.session_id)] == [
            ("recall", plan.id),
            ("user", start.message_id),
            ("run", start.run_id),
        ]

    async def test_a_retired_beginning_shows_as_a_gap(self, stage: Stage) -> None:
        session_id = await stage.open()
        for _ in range(3):
            await long_turn(stage, session_id, 800)
        stage.pass_time(2 * A_DAY)
        await retire(stage)
        first = await first_stored(stage, session_id)

        assert OutlineMark(seq=first, kind="gap") in await marks(stage, session_id)

    @pytest.mark.parametrize("limit", [1, 2, 5, 100])
    async def test_pages_hold_everything_once(self, stage: Stage, limit: int) -> None:
        session_id, _ = await turns(stage, 4)
        start = (await stage.send(session_id)).start
        await stage.settle(start.run_id, RunState.FAILED)
        whole = (await stage.store.overviews.outline(session_id, None, 1_000)).data
        found: tuple[OutlineMark, ...] = ()
        before: int | None = None
        while True:
            page = await stage.store.overviews.outline(session_id, before, limit)
            found = (*page.data, *found)
            before = page.next_before
            if before is None:
                break

        assert found == whole
        assert len(found) == 14

    async def test_a_session_that_isnt_there_has_none(self, stage: Stage) -> None:
        nothing = Outline(data=(), head_seq=0, next_before=None)

        assert await stage.store.overviews.outline("ses_" + "f" * 32, None, 10) == nothing
