"""Cases: numbers without gap or repetition, blocks in order before an act returns, pages of ranges."""

import asyncio

import pytest

from tenure.core.command import UpdateSession
from tenure.core.entry import entry, lines_of
from tenure.core.event import MessageAdmitted, MessageDelta, RunnerWarning, SessionUpdated
from tenure.errors import Code, TenureError
from tenure.ports.store import Append, Block, Span
from tenure.stores.contract.stage import ADA, BOB, Cases, Stage, Stages


def whole(spans: list[Span]) -> list[tuple[int, bytes]]:
    """Every entry of some ranges, with its number."""
    return [pair for span in spans for pair in enumerate(lines_of(span.body), span.first)]


class JournalCases(Cases):
    """One journal, one cursor."""

    @pytest.mark.sources("P3")
    async def test_many_acts_at_once_number_every_session_from_one_without_a_gap(self, stage: Stage) -> None:
        starts = [await stage.begin() for _ in range(10)]
        said = {start.run_id: await stage.say(start.run_id, "first") for start in starts}

        async def work(number: int) -> None:
            start = starts[number % 10]
            if number % 3:
                await stage.say(start.run_id, *"abc", message_id=said[start.run_id])
            elif number % 2:
                await stage.send(start.session_id, by=[ADA, BOB][number % 4 // 2])
            else:
                ask = UpdateSession(title=str(number))
                await stage.store.update_session(stage.stamp(), start.session_id, ask)

        await asyncio.gather(*(work(number) for number in range(300)))
        for start in starts:
            page = await stage.store.page(start.session_id, 0, 1_000)
            numbers = [number for number, _ in whole(page.spans)]
            assert numbers == list(range(1, page.head + 1))
            assert page.head == await stage.store.head(start.session_id)

    async def test_blocks_are_the_journal_in_order_and_each_comes_once(self, stage: Stage) -> None:
        starts = [await stage.begin() for _ in range(5)]
        said = {start.run_id: await stage.say(start.run_id, "0") for start in starts}
        await asyncio.gather(
            *(
                stage.say(start.run_id, f"{n}", message_id=said[start.run_id])
                for n in range(1, 40)
                for start in starts
            )
        )
        for start in starts:
            page = await stage.store.page(start.session_id, 0, 1_000)
            blocks = stage.delivered(start.session_id)
            assert [Span(b.first, b.last, b.body) for b in blocks] == page.spans
            texts = [e.event.text for b in blocks for e in b.entries if isinstance(e.event, MessageDelta)]
            assert texts == [str(n) for n in range(40)]

    async def test_a_block_is_handed_on_before_its_act_returns(self, stage: Stage) -> None:
        start = await stage.begin()
        message_id = await stage.say(start.run_id, "0")
        for n in range(1, 20):
            await stage.say(start.run_id, str(n), message_id=message_id)
            last = stage.blocks[-1]
            assert (last.session_id, last.last) == (start.session_id, 4 + n)
            assert await stage.store.head(start.session_id) == 4 + n

    @pytest.mark.sources("O14", "D-M18")
    async def test_what_a_block_says_is_already_durable(self, stage: Stage) -> None:
        start = await stage.begin()
        looks: list[asyncio.Future[int]] = []

        def look(block: Block) -> None:
            looks.append(asyncio.ensure_future(stage.store.head(block.session_id)))

        stage.store.on_commit(look)
        message_id = await stage.say(start.run_id, "0")
        seen = [await one for one in looks]
        await stage.say(start.run_id, "1", "2", message_id=message_id)
        seen += [await one for one in looks[1:]]

        assert seen == [4, 6]

    async def test_a_block_carries_its_entries_as_they_were_encoded(self, stage: Stage) -> None:
        start = await stage.begin()
        entries = stage.entries(start.run_id, RunnerWarning(code="a", detail="\n{"))
        await stage.store.append(stage.lease, Append(start.run_id, entries))
        block = stage.blocks[-1]

        assert block == Block(
            session_id=start.session_id,
            first=4,
            last=4,
            body=entries[0].line,
            entries=tuple(entries),
        )

    async def test_entries_of_one_act_are_one_range(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.say(start.run_id, *"abcdef")
        page = await stage.store.page(start.session_id, 3, 100)

        assert [(span.first, span.last) for span in page.spans] == [(4, 9)]

    async def test_an_act_that_is_refused_leaves_no_entry_and_no_number(self, stage: Stage) -> None:
        start = await stage.begin()
        tried = await asyncio.gather(
            *(stage.say("run_" + "0" * 32, "x") for _ in range(5)),
            stage.say(start.run_id, "fine"),
            *(stage.say("run_" + "0" * 32, "x") for _ in range(5)),
            return_exceptions=True,
        )

        assert [isinstance(outcome, TenureError) for outcome in tried] == [
            *[True] * 5,
            False,
            *[True] * 5,
        ]
        assert await stage.store.head(start.session_id) == 4

    async def test_an_act_that_breaks_fails_alone(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "0")
        admitted = (await stage.events(start.session_id))[1]
        assert isinstance(admitted, MessageAdmitted)
        again = entry(stage.at(), admitted)

        async def good(n: int) -> None:
            await stage.say(start.run_id, str(n), message_id=said)

        bad = stage.store.note(start.session_id, [again])
        tried = await asyncio.gather(good(1), bad, good(2), return_exceptions=True)
        texts = [e.text for e in await stage.events(start.session_id) if isinstance(e, MessageDelta)]

        assert [isinstance(outcome, Exception) for outcome in tried] == [False, True, False]
        assert sorted(texts) == ["0", "1", "2"]

    async def test_a_note_stands_in_the_journal_without_a_lease(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.settle(start.run_id)
        late = RunnerWarning(code="late_result", detail="too late")
        await stage.store.note(start.session_id, stage.entries(start.run_id, late))
        last = (await stage.journal(start.session_id))[-1]

        assert (last.event, last.run_id) == (late, start.run_id)

    # --- pages

    async def _paged(self, stage: Stage) -> str:
        """A session whose journal holds ranges of 1, 2, 3, 1, 5, 1 and 4 entries after the first."""
        start = await stage.begin()
        said = await stage.say(start.run_id, "0")
        for length in (2, 3, 1, 5, 1, 4):
            await stage.say(start.run_id, *"x" * length, message_id=said)
        return start.session_id

    @pytest.mark.parametrize("after", range(21))
    async def test_a_page_begins_with_the_range_that_holds_the_next_entry(
        self, stage: Stage, after: int
    ) -> None:
        session_id = await self._paged(stage)
        everything = (await stage.store.page(session_id, 0, 1_000)).spans
        page = await stage.store.page(session_id, after, 1_000)

        assert page.head == 20
        assert page.min_available == 1
        assert page.spans == [span for span in everything if span.last > after]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 1_000])
    async def test_reading_on_from_each_page_gives_the_whole_journal_once(
        self, stage: Stage, limit: int
    ) -> None:
        session_id = await self._paged(stage)
        read: list[int] = []
        while (page := await stage.store.page(session_id, len(read), limit)).spans:
            fresh = [number for number, _ in whole(page.spans) if number > len(read)]
            assert len(fresh) >= min(limit, 20 - len(read))
            read += fresh[:limit]

        assert read == list(range(1, 21))

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 1_000])
    async def test_reading_backwards_gives_the_whole_journal_once(self, stage: Stage, limit: int) -> None:
        session_id = await self._paged(stage)
        before, read = 21, list[int]()
        while before > 1:
            page = await stage.store.page_back(session_id, before, limit)
            older = [number for number, _ in whole(page.spans) if number < before]
            assert page.spans == sorted(page.spans)
            assert len(older) >= min(limit, before - 1)
            read = [*older[-limit:], *read]
            before = read[0]

        assert read == list(range(1, 21))

    async def test_large_entries_make_short_pages_either_way(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "0")
        for _ in range(8):
            await stage.say(start.run_id, "x" * (1 << 20), message_id=said)
        head = (await stage.store.page(start.session_id, 0, 1)).head

        forwards = await stage.store.page(start.session_id, head - 8, 1_000)
        backwards = await stage.store.page_back(start.session_id, head + 1, 1_000)

        assert 0 < len(whole(forwards.spans)) < 8
        assert 0 < len(whole(backwards.spans)) < 8
        assert whole(forwards.spans)[0][0] == head - 7
        assert whole(backwards.spans)[-1][0] == head

    async def test_beyond_the_head_there_is_nothing(self, stage: Stage) -> None:
        session_id = await self._paged(stage)

        assert (await stage.store.page(session_id, 20, 10)).spans == []
        assert (await stage.store.page(session_id, 99, 10)).spans == []
        assert (await stage.store.page_back(session_id, 1, 10)).spans == []

    async def test_a_session_that_isnt_there_has_an_empty_page(self, stage: Stage) -> None:
        page = await stage.store.page("ses_" + "f" * 32, 0, 10)

        assert (page.spans, page.head) == ([], 0)

    async def test_a_cursor_taken_anywhere_in_a_long_journal_resumes_with_the_next_entry(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "0")
        for n in range(60):
            size = (1, 1, 2, 17, 60)[n * n % 5]
            await stage.say(start.run_id, *"x" * size, message_id=said)
        head = await stage.store.head(start.session_id)
        everything = dict(whole((await stage.store.page(start.session_id, 0, head)).spans))
        for after in range(0, head, 5):
            page = await stage.store.page(start.session_id, after, 5)
            fresh = [(n, line) for n, line in whole(page.spans) if n > after][:5]
            assert fresh == [(n, everything[n]) for n in range(after + 1, min(after + 5, head) + 1)]

    async def test_the_journal_is_the_same_after_a_restart(self, stages: Stages) -> None:
        stage = await stages.open()
        session_id = await self._paged(stage)
        before = await stage.store.page(session_id, 0, 1_000)
        again = await stages.restart(stage)

        assert await again.store.page(session_id, 0, 1_000) == before
        await again.store.update_session(again.stamp(), session_id, UpdateSession(title="x"))
        assert (await again.journal(session_id))[-1].event == SessionUpdated(by="ada", title="x")
        assert await again.store.head(session_id) == 21

    async def test_the_history_of_a_store_stays_what_it_is(self, stages: Stages) -> None:
        stage = await stages.open()
        history = stage.store.history
        again = await stages.restart(stage)

        assert history
        assert again.store.history == history

    async def test_the_writer_counts_what_it_committed(self, stage: Stage) -> None:
        before = stage.store.commits()
        start = await stage.begin()
        await stage.say(start.run_id, *"abc")
        after = stage.store.commits()

        assert after.events - before.events == 6
        assert after.made > before.made
        assert all(seconds >= 0 for seconds in after.recent)
        assert stage.store.healthy()

    async def test_an_unknown_run_is_fenced(self, stage: Stage) -> None:
        with pytest.raises(TenureError) as refused:
            await stage.say("run_" + "0" * 32, "x")

        assert refused.value.code is Code.FENCED
