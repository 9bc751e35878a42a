"""Cases: the oldest entries go when they are too old, what they fold to stays, and readers are told."""

import pytest

from tenure.core.event import MessageCompleted, ToolCallCompleted, ToolCallStarted
from tenure.core.history import ForkSession
from tenure.core.ids import SESSION
from tenure.core.message import Role
from tenure.core.moment import SECOND, Micros
from tenure.core.view import SessionInfo, TranscriptPage
from tenure.stores.contract.stage import Cases, Stage, Stages

A_DAY = 86_400
KEPT = 1_000


async def turn(stage: Stage, session_id: str, pieces: int, *, ends: bool = True) -> str:
    """A message and its answer in so many pieces, a hundred to a commit. The id of its run."""
    start = (await stage.send(session_id, "Go on")).start
    texts = [f"w{n} " for n in range(pieces)]
    said = await stage.say(start.run_id, *texts[:100])
    for at in range(100, pieces, 100):
        await stage.say(start.run_id, *texts[at : at + 100], message_id=said)
    if ends:
        whole = MessageCompleted(message_id=said, role=Role.ASSISTANT, content="".join(texts))
        await stage.settle(start.run_id, final=[whole])
    return start.run_id


async def retire(stage: Stage, *, older_than_s: float = A_DAY) -> int:
    """Keep entries for a day."""
    return await stage.store.limits.retire(Micros(stage.at() - round(older_than_s * SECOND)))


async def first_stored(stage: Stage, session_id: str) -> int:
    """The number with which the journal begins now."""
    return (await stage.store.page(session_id, 0, 1)).min_available


async def fork(stage: Stage, parent: str, at_seq: int) -> str:
    """A fork of a session. Its id."""
    child = stage.ids.new(SESSION)
    await stage.store.histories.fork(stage.stamp(), parent, ForkSession(at_seq=at_seq), child)
    stage.sessions.append(child)
    return child


async def models(stage: Stage, session_id: str) -> tuple[SessionInfo, TranscriptPage, list[object]]:
    """Everything that readers are told of a session."""
    runs = await stage.store.runs(session_id, None, 100)
    return (
        await stage.info(session_id),
        await stage.store.transcript(session_id, None, 1_000),
        list(runs.data),
    )


class RetentionCases(Cases):
    """Retention. Every case ends with the invariant checker, which begins with the snapshot."""

    async def test_old_entries_go_and_nothing_else_changes(self, stage: Stage) -> None:
        session = await stage.open()
        for _ in range(3):
            await turn(stage, session, 800)
        stage.pass_time(2 * A_DAY)
        before = await models(stage, session)
        went = await retire(stage)
        first = await first_stored(stage, session)

        assert went == first - 1 > 1_000
        assert await models(stage, session) == before
        assert (await stage.info(session)).head_seq - first + 1 >= KEPT

    @pytest.mark.sources("A14")
    async def test_a_reader_is_told_what_is_gone_and_goes_on_behind_it(self, stage: Stage) -> None:
        session = await stage.open()
        for _ in range(3):
            await turn(stage, session, 800)
        whole = await stage.store.page(session, 0, 10_000)
        stage.pass_time(2 * A_DAY)
        await retire(stage)
        first = await first_stored(stage, session)
        rest = await stage.store.page(session, first - 1, 10_000)
        back = await stage.store.page_back(session, first + 5, 100)
        nothing = await stage.store.page_back(session, first, 100)

        assert rest.spans == [span for span in whole.spans if span.first >= first]
        assert (rest.min_available, back.min_available) == (1, first)
        assert (nothing.spans, nothing.min_available) == ([], first)

    async def test_what_is_young_stays(self, stage: Stage) -> None:
        session = await stage.open()
        await turn(stage, session, 1_200)
        old = (await stage.info(session)).head_seq
        stage.pass_time(2 * A_DAY)
        await turn(stage, session, 1_200)

        assert await retire(stage) == old
        assert await retire(stage) == 0

    async def test_the_last_thousand_entries_stay_however_old(self, stage: Stage) -> None:
        short, long = await stage.open(), await stage.open()
        await turn(stage, short, 900)
        await turn(stage, long, 1_500)
        stage.pass_time(1_000 * A_DAY)
        await retire(stage)

        assert await first_stored(stage, short) == 1
        assert (await stage.info(long)).head_seq - await first_stored(stage, long) + 1 >= KEPT

    @pytest.mark.parametrize("lost", [False, True])
    async def test_nothing_of_a_live_run_goes(self, stages: Stages, *, lost: bool) -> None:
        stage = await stages.open()
        session = await stage.open()
        await turn(stage, session, 50)
        since = (await stage.info(session)).head_seq
        await turn(stage, session, 2_000, ends=False)
        stage.pass_time(2 * A_DAY)
        if lost:
            stage = await stages.restart(stage)
            await stage.store.reap(stage.lease, stage.at())
        await retire(stage)

        assert await first_stored(stage, session) <= since + 1

    async def test_a_journal_is_retired_again_and_again(self, stages: Stages) -> None:
        stage = await stages.open()
        session = await stage.open()
        firsts = [1]
        for _ in range(4):
            run = await turn(stage, session, 1_100)
            stage.pass_time(2 * A_DAY)
            await retire(stage)
            firsts.append(await first_stored(stage, session))
            assert (await stage.run(run)).status == "completed"
            await stage.check()
        again = await stages.restart(stage)

        assert firsts == sorted(set(firsts))
        assert await first_stored(again, session) == firsts[-1]

    async def test_what_a_fork_still_needs_stays_and_a_fork_of_the_rest_is_whole(self, stage: Stage) -> None:
        parent = await stage.open()
        await turn(stage, parent, 300)
        cut = (await stage.info(parent)).head_seq
        child = await fork(stage, parent, cut)
        await turn(stage, parent, 2_500)
        stage.pass_time(2 * A_DAY)
        await retire(stage)
        held = await first_stored(stage, parent)
        await turn(stage, child, 1_500)
        stage.pass_time(2 * A_DAY)
        await retire(stage)
        later = await fork(stage, parent, (await stage.info(parent)).head_seq)

        assert held == 1
        assert await first_stored(stage, parent) > cut
        assert await first_stored(stage, child) > 1
        assert await first_stored(stage, later) == await first_stored(stage, parent)
        said = [item.content for item in (await stage.store.transcript(parent, None, 1_000)).data]
        copied = [item.content for item in (await stage.store.transcript(later, None, 1_000)).data]
        assert copied == said

    async def test_tools_arguments_and_results_are_not_kept(self, stage: Stage) -> None:
        session = await stage.open()
        start = (await stage.send(session, "Go")).start
        await stage.append(
            start.run_id,
            ToolCallStarted(call_id="c1", tool="t", arguments={"secret": "hush"}),
            ToolCallCompleted(call_id="c1", status="ok", result="hush"),
        )
        await stage.settle(start.run_id)
        await turn(stage, session, 1_500)
        stage.pass_time(2 * A_DAY)
        await retire(stage)
        stored = await stage.store.audit(session)

        assert stored is not None
        assert b"hush" not in b"".join(stored.snapshot)
        assert b"Go on" in b"".join(stored.snapshot)

    async def test_a_session_whose_oldest_part_is_gone_can_be_deleted(self, stage: Stage) -> None:
        session = await stage.open()
        await turn(stage, session, 1_500)
        stage.pass_time(2 * A_DAY)
        await retire(stage)
        await stage.store.delete_session(stage.stamp(), session)
        while await stage.store.purge(stage.at()):
            pass

        assert await stage.store.audit(session) is None
