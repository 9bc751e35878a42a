"""Cases: transcripts, lists, figures, and the recount that the counters must equal."""

import asyncio

import msgspec
import pytest

from tenure.core.command import CloseSession, OpenSession
from tenure.core.event import MessageCompleted
from tenure.core.limits import Limits
from tenure.core.output import Usage
from tenure.core.run import RunState
from tenure.core.view import SessionInfo, TranscriptItem, TranscriptPage
from tenure.errors import Code, TenureError
from tenure.ports.store import Figures, Ground, SessionFilter
from tenure.stores.contract.stage import (
    ADA,
    BOB,
    EVE,
    STRANGER,
    Cases,
    Stage,
    Stages,
)

EVERYTHING = SessionFilter(None, None)
LONG = 4 << 20
"""The length of a text of which no page of a transcript holds more than a few."""


async def talk(stage: Stage, turns: int) -> str:
    """A session of finished turns: a question and an answer each."""
    session_id = await stage.open()
    for n in range(turns):
        start = (await stage.send(session_id, f"question {n}")).start
        said = await stage.say(start.run_id, "answer ", str(n))
        whole = MessageCompleted(message_id=said, role="assistant", content=f"answer {n}")
        await stage.settle(start.run_id, final=[whole])
    return session_id


class ReadCases(Cases):
    """Every read model answers as of one moment."""

    async def test_a_transcript_shows_what_was_said_and_what_waits(self, stage: Stage) -> None:
        start = await stage.begin("question")
        said = await stage.say(start.run_id, "so ", "far")
        waiting = await stage.send(start.session_id, "next", by=BOB)
        page = await stage.store.transcript(start.session_id, None, 10)

        assert page == TranscriptPage(
            data=(
                TranscriptItem(
                    message_id=start.message_id,
                    role="user",
                    content="question",
                    run_id=start.run_id,
                    status="started",
                    seq=3,
                    actor="ada",
                ),
                TranscriptItem(
                    message_id=said,
                    role="assistant",
                    content="so far",
                    run_id=start.run_id,
                    status="streaming",
                    seq=4,
                ),
            ),
            waiting=(
                TranscriptItem(
                    message_id=waiting.receipt.message_id,
                    role="user",
                    content="next",
                    run_id=None,
                    status="queued",
                    seq=6,
                    actor="bob",
                    queue_position=1,
                ),
            ),
            queue_held=False,
            as_of_seq=6,
            next_cursor=None,
        )

    async def test_a_message_whose_run_waits_for_a_slot_is_among_the_waiting(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=0))
        session_id = await stage.open()
        first = await stage.send(session_id, "first")
        second = await stage.send(session_id, "second")
        page = await stage.store.transcript(session_id, None, 10)

        assert page.data == ()
        assert [(i.content, i.run_id, i.queue_position) for i in page.waiting] == [
            ("first", first.receipt.run_id, 1),
            ("second", None, 2),
        ]
        assert (first.receipt.queue_position, second.receipt.queue_position) == (1, 2)

    async def test_what_follows_a_transcript_begins_behind_its_as_of_seq(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "Good ")
        page = await stage.store.transcript(start.session_id, None, 10)
        await stage.say(start.run_id, "morning", message_id=said)

        assert page.data[-1].content == "Good "
        assert await stage.types(start.session_id, page.as_of_seq) == ["message.delta"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_a_long_transcript_is_read_page_by_page(self, stage: Stage, limit: int) -> None:
        session_id = await talk(stage, 5)
        pages = [await stage.store.transcript(session_id, None, limit)]
        while pages[-1].next_cursor is not None:
            pages.append(await stage.store.transcript(session_id, pages[-1].next_cursor, limit))

        assert [item.content for page in pages for item in page.data] == [
            text for n in range(5) for text in (f"question {n}", f"answer {n}")
        ]
        assert [len(page.data) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert {item.status for page in pages for item in page.data} == {"settled", "completed"}

    async def test_long_messages_make_short_pages_whose_cursor_leads_on(self, stage: Stage) -> None:
        session_id = await stage.open()
        texts = [str(n) * LONG for n in range(5)]
        for text in texts:
            start = (await stage.send(session_id, text)).start
            await stage.settle(start.run_id)
        pages = [await stage.store.transcript(session_id, None, 100)]
        while pages[-1].next_cursor is not None:
            pages.append(await stage.store.transcript(session_id, pages[-1].next_cursor, 100))

        assert len(pages) > 1
        assert [item.content for page in pages for item in page.data] == texts

    async def test_the_transcript_of_a_session_that_isnt_there_is_empty(self, stage: Stage) -> None:
        page = await stage.store.transcript("ses_" + "f" * 32, None, 10)

        assert page == TranscriptPage(data=(), waiting=(), queue_held=False, as_of_seq=0, next_cursor=None)

    # --- lists

    async def _listed(self, stage: Stage, which: SessionFilter) -> list[str]:
        pages = [await stage.store.sessions(which, None, 2)]
        while pages[-1].next_cursor is not None:
            pages.append(await stage.store.sessions(which, pages[-1].next_cursor, 2))
        assert all(0 < len(page.data) <= 2 for page in pages[:-1])
        return [info.id for page in pages for info in page.data]

    async def test_sessions_are_listed_newest_first_page_by_page(self, stage: Stage) -> None:
        opened = [await stage.open() for _ in range(7)]

        assert await self._listed(stage, EVERYTHING) == opened[::-1]

    @pytest.mark.sources("M19")
    async def test_a_listed_session_is_the_session(self, stage: Stage) -> None:
        start = await stage.begin()
        (info,) = (await stage.store.sessions(EVERYTHING, None, 10)).data

        listed = msgspec.structs.asdict(info)
        assert await stage.info(start.session_id) == SessionInfo(
            **{name: listed[name] for name in SessionInfo.__struct_fields__}
        )

    async def test_a_list_shows_what_its_filter_asks_for(self, stage: Stage) -> None:
        mine = await stage.open(ADA, OpenSession(agent="greeter", labels={"a": "1", "b": "2"}))
        other = await stage.open(ADA, OpenSession(agent="other", labels={"a": "2"}))
        bobs = await stage.open(BOB, OpenSession(agent="greeter", labels={"a": "1"}))
        foreign = await stage.open(STRANGER)
        expected = {
            EVERYTHING: [foreign, bobs, other, mine],
            SessionFilter("acme", None): [bobs, other, mine],
            SessionFilter("globex", None): [foreign],
            SessionFilter("acme", "ada"): [other, mine],
            SessionFilter("globex", "ada"): [foreign],
            SessionFilter("globex", "bob"): [],
            SessionFilter("acme", None, agent="greeter"): [bobs, mine],
            SessionFilter("acme", None, labels=(("a", "1"),)): [bobs, mine],
            SessionFilter("acme", None, labels=(("a", "1"), ("b", "2"))): [mine],
            SessionFilter("acme", None, labels=(("a", ""),)): [],
            SessionFilter("acme", "ada", agent="other", labels=(("a", "2"),)): [other],
        }

        assert {which: await self._listed(stage, which) for which in expected} == expected

    async def test_a_list_can_be_narrowed_to_a_status(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        idle = await stage.open()
        running = (await stage.begin()).session_id
        queued = await stage.open()
        await stage.send(queued)
        closed = await stage.open()
        await stage.store.close_session(stage.stamp(), closed, CloseSession())
        deleted = await stage.open()
        await stage.store.delete_session(stage.stamp(), deleted)

        expected = {
            None: [closed, queued, running, idle],
            "idle": [idle],
            "running": [queued, running],
            "waiting": [],
            "closed": [closed],
        }
        assert {
            status: await self._listed(stage, SessionFilter("acme", None, status=status))
            for status in expected
        } == expected
        assert {i: (await stage.info(i)).status for i in (idle, running, queued, closed)} == {
            idle: "idle",
            running: "running",
            queued: "running",
            closed: "closed",
        }

    async def test_sessions_opened_while_a_list_is_read_repeat_nothing(self, stage: Stage) -> None:
        opened = [await stage.open() for _ in range(4)]
        first = await stage.store.sessions(EVERYTHING, None, 2)
        await stage.open()
        second = await stage.store.sessions(EVERYTHING, first.next_cursor, 10)

        assert [info.id for page in (first, second) for info in page.data] == opened[::-1]

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "٣", " 1", "9" * 40])
    async def test_a_cursor_that_no_list_gave_is_refused(self, stage: Stage, cursor: str) -> None:
        session_id = await talk(stage, 1)
        for read in (
            stage.store.sessions(EVERYTHING, cursor, 10),
            stage.store.runs(session_id, cursor, 10),
            stage.store.keys(None, cursor, 10),
            stage.store.transcript(session_id, cursor, 10),
        ):
            with pytest.raises(TenureError) as refused:
                await read
            assert refused.value.code is Code.BAD_CURSOR

    @pytest.mark.sources("R10", "R17")
    async def test_the_runs_of_a_session_are_listed_newest_first(self, stage: Stage) -> None:
        start = await stage.begin()
        runs = [start.run_id]
        for _ in range(4):
            await stage.send(start.session_id)
            (start,) = (await stage.settle(runs[-1])).wake.starts
            runs.append(start.run_id)
        await stage.begin()
        pages = [await stage.store.runs(start.session_id, None, 2)]
        while pages[-1].next_cursor is not None:
            pages.append(await stage.store.runs(start.session_id, pages[-1].next_cursor, 2))

        listed = [info for page in pages for info in page.data]
        assert [info.id for info in listed] == runs[::-1]
        assert listed == [await stage.run(run_id) for run_id in runs[::-1]]
        assert await stage.store.ground_of_run(runs[0]) == Ground(start.session_id, "acme", "ada", "greeter")
        assert await stage.store.ground_of_run("run_0") is None
        assert await stage.store.run("run_0") is None

    async def test_every_session_is_walked_once_for_the_checker(self, stage: Stage) -> None:
        opened = sorted([await stage.open() for _ in range(7)])
        walked: list[str] = []
        while page := await stage.store.session_ids(walked[-1] if walked else "", 3):
            walked += page

        assert walked == opened
        assert await stage.store.audit("ses_0") is None

    # --- figures

    @pytest.mark.sources("R17", "M20")
    async def test_figures_count_what_is_there(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=2))
        assert await stage.store.figures() == Figures(0, 0, 0, 0, 0)
        first = await stage.begin()
        await stage.begin()
        waiting = await stage.open()
        await stage.send(waiting)
        closed = await stage.open()
        await stage.store.close_session(stage.stamp(), closed, CloseSession())
        heads = sum([await stage.store.head(session_id) for session_id in stage.sessions])

        assert await stage.store.figures() == Figures(
            sessions=4, open_sessions=3, live_runs=2, queued_runs=1, events=heads
        )
        await stage.settle(first.run_id)
        assert (await stage.store.figures()).live_runs == 1

    async def test_after_a_storm_every_counter_equals_its_recount(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=4, live_runs_per_user=2, open_sessions=12))
        people = [ADA, BOB, EVE]

        async def life(number: int) -> None:
            by = people[number % 3]
            session_id = await stage.open(by)
            sent = await stage.send(session_id, by=by, here=number % 5 != 0)
            await stage.send(session_id, by=people[number % 2])
            for start in sent.wake.starts:
                if number % 4 == 0:
                    await stage.interrupt(session_id)
                await stage.settle(start.run_id, RunState.COMPLETED, usage=(Usage(model="m"),))
            for start in (await stage.claim(number % 3)).starts:
                if number % 2:
                    await stage.settle(start.run_id, RunState.FAILED)
            if number % 6 == 1:
                await stage.store.close_session(stage.stamp(), session_id, CloseSession())
            if number % 6 == 2:
                await stage.store.delete_session(stage.stamp(), session_id)

        await asyncio.gather(*(life(number) for number in range(60)), return_exceptions=True)
        while await stage.store.purge(stage.at()):
            pass
        await stage.check()

        figures = await stage.store.figures()
        infos = (await stage.store.sessions(EVERYTHING, None, 100)).data
        assert figures.sessions == len(infos)
        assert figures.open_sessions == sum(info.status != "closed" for info in infos)
        assert figures.live_runs + figures.queued_runs == sum(info.run_id is not None for info in infos)
