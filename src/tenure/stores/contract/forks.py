"""Cases: a fork begins with its parent's journal, goes on by itself, and outlives it."""

import pytest

from tenure.core.command import CloseSession, OpenSession, SendMessage
from tenure.core.entry import lines_of
from tenure.core.event import (
    MessageCompleted,
    Parent,
    SessionCreated,
    SessionForked,
    ToolCallCompleted,
    ToolCallStarted,
    TranscriptUndone,
)
from tenure.core.history import MOST_STRANDS, ForkSession, UndoTurns
from tenure.core.ids import SESSION
from tenure.core.limits import Limits
from tenure.core.principal import Principal, Role
from tenure.core.view import SessionInfo
from tenure.errors import Code
from tenure.ports.acts import Answer
from tenure.stores.contract.histories import compacted, redo, refused, shown, turn, turns, undo
from tenure.stores.contract.stage import ADA, BOB, Cases, Stage, Stages, person


async def fork(
    stage: Stage,
    session_id: str,
    at_seq: int | None = None,
    *,
    by: Principal = ADA,
    title: str | None = None,
    key: str | None = None,
) -> Answer[SessionInfo]:
    """Fork a session. The whole answer."""
    ask = ForkSession(at_seq=at_seq, title=title)
    answer = await stage.store.histories.fork(stage.stamp(by, key), session_id, ask, stage.ids.new(SESSION))
    if not answer.replayed:
        stage.sessions.append(answer.value.id)
    return answer


async def forked(stage: Stage, session_id: str, at_seq: int | None = None) -> str:
    """Fork a session. The id of the fork."""
    return (await fork(stage, session_id, at_seq)).value.id


async def lines(stage: Stage, session_id: str, through: int) -> list[bytes]:
    """The stored entries of a journal up to a number."""
    page = await stage.store.page(session_id, 0, 1_000)
    return [line for span in page.spans for line in lines_of(span.body)][:through]


class ForkCases(Cases):
    """What a fork begins with, and what it leaves behind."""

    async def test_a_fork_has_its_parents_entries_under_the_same_numbers(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        at_seq = await stage.store.head(session_id)
        child = (await fork(stage, session_id)).value

        assert await lines(stage, child.id, at_seq) == await lines(stage, session_id, at_seq)
        journal = await stage.journal(child.id)
        assert [entry.seq for entry in journal] == [*range(1, at_seq + 2)]
        created = SessionCreated(
            agent="greeter", owner="ada", parent=Parent(session_id=session_id, seq=at_seq)
        )
        assert journal[-1].event == created
        assert (await stage.events(session_id))[-1] == SessionForked(child_id=child.id, at_seq=at_seq)
        assert await shown(stage, child.id) == ["1", "1!", "2", "2!"]
        assert (child.status, child.head_seq, child.message_count) == ("idle", at_seq + 1, 4)
        assert child.usage == (await stage.info(await stage.open())).usage

    async def test_parent_and_fork_go_on_without_each_other(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        child = await forked(stage, session_id)
        await turn(stage, session_id, "parent", "parent!")
        await turn(stage, child, "child", "child!")

        assert await shown(stage, session_id) == ["1", "1!", "parent", "parent!"]
        assert await shown(stage, child) == ["1", "1!", "child", "child!"]
        assert (await stage.info(session_id)).status == (await stage.info(child)).status == "idle"

    async def test_without_a_number_it_is_the_end_of_the_last_finished_turn(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        finished = await stage.store.head(session_id)
        start = (await stage.send(session_id, "2")).start
        await stage.say(start.run_id, "unfinished")
        await stage.send(session_id, "3")
        child = (await fork(stage, session_id)).value

        assert child.head_seq == finished + 1
        assert await shown(stage, child.id) == ["1", "1!"]

    async def test_a_session_without_a_turn_is_forked_at_its_beginning(self, stage: Stage) -> None:
        start = await stage.begin()
        child = (await fork(stage, start.session_id)).value

        assert child.head_seq == 2
        assert await stage.types(child.id) == ["session.created", "session.created"]

    async def test_what_is_undone_stays_off_in_a_fork(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        await undo(stage, session_id)
        child = await forked(stage, session_id)

        assert await shown(stage, child) == ["1", "1!"]
        assert await refused(redo(stage, child)) is Code.CONFLICT
        await redo(stage, session_id)
        assert await shown(stage, child) == ["1", "1!"]

    async def test_at_any_number_it_shows_what_stood_there(self, stage: Stage) -> None:
        start = await stage.begin("Hello")
        said = await stage.say(start.run_id, "Good ", "mor", "ning")
        await stage.append(start.run_id, ToolCallStarted(call_id="call_1", tool="x", arguments={}))
        whole = MessageCompleted(message_id=said, role="assistant", content="Good morning")
        answered = ToolCallCompleted(call_id="call_1", status="ok")
        await stage.settle(start.run_id, final=[answered, whole])
        waits = start.seq - 1
        expected: dict[int, list[tuple[object, str]]] = {
            1: [],
            waits: [],
            start.seq: [("Hello", "settled")],
            start.seq + 2: [("Hello", "settled"), ("Good mor", "partial")],
            start.seq + 4: [("Hello", "settled"), ("Good morning", "partial")],
            start.seq + 6: [("Hello", "settled"), ("Good morning", "completed")],
        }
        for at_seq, what in expected.items():
            child = await forked(stage, start.session_id, at_seq)
            page = await stage.store.transcript(child, None, 10)
            assert [(item.content, item.status) for item in page.data] == what
            assert page.waiting == ()
            await turn(stage, child, "on", "on!")

    @pytest.mark.parametrize("beyond", [1, 1_000])
    async def test_a_number_beyond_the_head_is_refused(self, stage: Stage, beyond: int) -> None:
        session_id, _ = await turns(stage, 1)
        head = await stage.store.head(session_id)

        assert await refused(fork(stage, session_id, head + beyond)) is Code.INVALID
        assert await stage.store.head(session_id) == head

    async def test_it_belongs_to_the_forker_and_counts_as_open(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions_per_user=1))
        olga = person("olga", Role.OPERATOR)
        session_id = await stage.open(ask=OpenSession(agent="greeter", title="Trip", labels={"a": "b"}))
        child = (await fork(stage, session_id, by=olga, title="Other")).value

        assert (child.owner, child.tenant, child.title, child.labels) == ("olga", "acme", "Other", {"a": "b"})
        assert await refused(fork(stage, session_id, by=olga)) is Code.CAPACITY
        assert await refused(fork(stage, session_id)) is Code.CAPACITY

    async def test_the_same_fork_asked_for_twice_is_one(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        first = await fork(stage, session_id, key="k")

        assert await fork(stage, session_id, key="k") == Answer(first.value, replayed=True)
        assert [e for e in await stage.types(session_id) if e == "session.forked"] == ["session.forked"]

    async def test_a_closed_session_can_be_forked(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        await stage.store.close_session(stage.stamp(), session_id, CloseSession())
        child = await forked(stage, session_id)

        await turn(stage, child, "2", "2!")
        assert await shown(stage, child) == ["1", "1!", "2", "2!"]

    async def test_the_turns_of_the_parent_can_be_undone_in_the_fork_alone(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 2)
        child = await forked(stage, session_id)
        await undo(stage, child)

        assert await shown(stage, child) == ["1", "1!"]
        assert await shown(stage, session_id) == ["1", "1!", "2", "2!"]
        undone = (await stage.events(child))[-1]
        assert isinstance(undone, TranscriptUndone) and undone.message_ids == said[1].message_ids

    async def test_a_summary_goes_with_the_fork(self, stage: Stage) -> None:
        session_id, said = await turns(stage, 3)
        await compacted(stage, session_id, said[2].start.seq - 1)
        child = await forked(stage, session_id)
        await undo(stage, session_id, UndoTurns(turns=2))

        assert await shown(stage, child) == ["Summary.", "3", "3!"]
        await undo(stage, child, UndoTurns(turns=2))
        assert await shown(stage, child) == ["1", "1!"]

    async def test_a_message_that_only_waited_may_be_sent_again_in_the_fork(self, stage: Stage) -> None:
        start = await stage.begin()
        message_id = "msg_" + "a" * 32
        await stage.send(start.session_id, SendMessage(content="later", message_id=message_id))
        child = await forked(stage, start.session_id, await stage.store.head(start.session_id))
        again = await stage.send(child, SendMessage(content="now", message_id=message_id))

        assert again.replayed is False
        await stage.settle(again.start.run_id)


class StrandCases(Cases):
    """Forks of forks share strands; what nobody reads is freed."""

    async def test_forks_of_forks_read_through_all_of_them(self, stage: Stage) -> None:
        newest, _ = await turns(stage, 1)
        for n in range(2, MOST_STRANDS + 4):
            newest = await forked(stage, newest)
            await turn(stage, newest, f"{n}", f"{n}!")

        said = [text for n in range(1, MOST_STRANDS + 4) for text in (f"{n}", f"{n}!")]
        assert await shown(stage, newest) == said
        journal = await stage.journal(newest)
        assert [entry.seq for entry in journal] == [*range(1, await stage.store.head(newest) + 1)]

    @pytest.mark.parametrize("limit", [1, 3, 7, 1_000])
    async def test_a_fork_is_read_forwards_and_backwards_from_anywhere(
        self, stage: Stage, limit: int
    ) -> None:
        first, _ = await turns(stage, 2)
        second = await forked(stage, first, await stage.store.head(first) - 2)
        await turn(stage, second, "3", "3!")
        third = await forked(stage, second)
        await turn(stage, third, "4", "4!")
        head = await stage.store.head(third)
        whole = await lines(stage, third, head)
        for cursor in range(head + 2):
            ahead = await stage.store.page(third, cursor, limit)
            seen = {n: x for s in ahead.spans for n, x in enumerate(lines_of(s.body), s.first) if n > cursor}
            behind = await stage.store.page_back(third, cursor, limit)
            back = {n: x for s in behind.spans for n, x in enumerate(lines_of(s.body), s.first) if n < cursor}

            assert [*seen] == [*range(cursor + 1, cursor + 1 + len(seen))]
            assert len(seen) >= min(limit, max(0, head - cursor))
            assert [*back] == [*range(min(cursor, head + 1) - len(back), min(cursor, head + 1))]
            assert len(back) >= min(limit, min(cursor, head + 1) - 1) or cursor == 0
            assert all(whole[n - 1] == line for n, line in (seen | back).items())

    async def test_a_fork_cut_inside_a_commit_ends_there(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.say(start.run_id, *"abcdef")
        at_seq = await stage.store.head(start.session_id) - 3
        child = await forked(stage, start.session_id, at_seq)

        assert await shown(stage, child) == ["Hello", "abc"]
        assert await stage.store.head(child) == at_seq + 1

    async def test_a_deleted_parent_leaves_its_forks_whole(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 2)
        child = await forked(stage, session_id, await stage.store.head(session_id) - 1)
        await turn(stage, session_id, "3", "3!")
        before = await lines(stage, child, 1_000)
        await stage.store.delete_session(stage.stamp(), session_id)
        await purge(stage)

        assert await stage.store.audit(session_id) is None
        assert await lines(stage, child, 1_000) == before
        assert await shown(stage, child) == ["1", "1!", "2", "2!"]
        grandchild = await forked(stage, child)
        await stage.store.delete_session(stage.stamp(), child)
        await purge(stage)
        assert await shown(stage, grandchild) == ["1", "1!", "2", "2!"]
        await stage.store.delete_session(stage.stamp(), grandchild)
        await purge(stage)
        assert (await stage.store.figures()).events == 0

    async def test_a_cascade_deletes_the_forks_of_forks_too(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        child = await forked(stage, session_id)
        grandchild = await forked(stage, child, 2)
        await stage.store.histories.delete_family(stage.stamp(), session_id)

        assert [await stage.store.ground(one) for one in (session_id, child, grandchild)] == [None] * 3
        await purge(stage)
        assert (await stage.store.figures()).events == 0

    async def test_a_cascade_that_meets_somebody_elses_fork_deletes_nothing(self, stage: Stage) -> None:
        session_id, _ = await turns(stage, 1)
        child = (await fork(stage, session_id, by=BOB)).value.id

        family = stage.store.histories.delete_family(stage.stamp(), session_id)
        assert await refused(family) is Code.FORBIDDEN
        assert await stage.store.ground(session_id) and await stage.store.ground(child)


async def purge(stage: Stage) -> None:
    """Free everything that can be freed."""
    while await stage.store.purge(stage.at()):
        pass
