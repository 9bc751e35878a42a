"""Cases: a brief journal has no pieces of what stands whole in it, and folds to the same transcript."""

import pytest

from tenure.core.entry import Recorded, record
from tenure.core.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    ToolCallCompleted,
    ToolCallStarted,
    UsageRecorded,
)
from tenure.core.ids import MESSAGE
from tenure.core.run import RunState
from tenure.core.transcript import Transcript
from tenure.ports.overviews import BriefPage
from tenure.stores.contract.forks import forked
from tenure.stores.contract.recoveries import die_and_retry
from tenure.stores.contract.retention import A_DAY, first_stored, retire, turn
from tenure.stores.contract.stage import Cases, Stage, Stages, type_of

HEAD = 1 << 60
VERDICTS = (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED)


def brief(page: BriefPage) -> list[Recorded]:
    """The entries of a brief page."""
    return [record(seq, b"{" + rest) for seq, rest in page.lines]


def told(page: BriefPage) -> list[tuple[int, str]]:
    """Numbers and types of a brief page."""
    return [(recorded.seq, type_of(recorded.event)) for recorded in brief(page)]


def folded(journal: list[Recorded]) -> tuple[object, ...]:
    """Everything that a journal comes to."""
    transcript = Transcript.fold(journal)
    lines = transcript.lines()
    return (
        lines,
        transcript.items,
        transcript.runs,
        transcript.approvals,
        transcript.files,
        transcript.summaries,
    )


async def think(stage: Stage, run_id: str, *texts: str) -> str:
    """Stream reasoning that isn't closed yet, an act for each piece. Its id."""
    thought = stage.ids.new(MESSAGE)
    for text in texts:
        await stage.append(run_id, ReasoningDelta(thought, text))
    return thought


async def utter(stage: Stage, run_id: str, *texts: str, message_id: str | None = None) -> str:
    """Stream a message that isn't closed yet, an act for each piece. Its id."""
    said = message_id or await stage.say(run_id, texts[0])
    for text in texts if message_id else texts[1:]:
        await stage.say(run_id, text, message_id=said)
    return said


def whole(message_id: str, text: str, *, partial: bool = False) -> Event:
    """The event that ends a message."""
    return MessageCompleted(message_id=message_id, role="assistant", content=text, partial=partial)


def thoughts(message_id: str, text: str) -> Event:
    """The event that ends a piece of reasoning."""
    return ReasoningCompleted(message_id=message_id, role="assistant", content=text)


async def everything_before(stage: Stage, session_id: str, limit: int) -> list[Recorded]:
    """A whole journal in brief pages, from its head backwards."""
    before, found = HEAD, list[Recorded]()
    top = await stage.store.head(session_id)
    while before > 1:
        page = await stage.store.overviews.brief_before(session_id, before, limit)
        assert page.last == min(before - 1, top)
        assert len(page.lines) <= limit
        found = [*brief(page), *found]
        before = page.first
    return found


async def everything_after(stage: Stage, session_id: str, limit: int) -> list[Recorded]:
    """A whole journal in brief pages, from its beginning."""
    after, found = 0, list[Recorded]()
    while after < await stage.store.head(session_id):
        page = await stage.store.overviews.brief_after(session_id, after, limit)
        assert page.first == after + 1
        assert len(page.lines) <= limit
        found += brief(page)
        after = page.last
    return found


class _Dice:
    """Numbers without a pattern, the same for a seed each time."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, most: int) -> int:
        """The next number, from 0 to less than `most`."""
        self._state = (self._state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 64)
        return (self._state >> 33) % most


class _Story:
    """A session in which anything happens."""

    def __init__(self, stage: Stage, stages: Stages, seed: int) -> None:
        self._stage, self._stages, self._dice = stage, stages, _Dice(seed)
        self._open: list[Event] = []

    async def told(self) -> str:
        """Several runs, the last of which may be live. The id of the session."""
        session_id = await self._stage.open()
        for _ in range(1 + self._dice.below(4)):
            await self._run(session_id)
        if self._dice.below(10) < 7:
            await self._words((await self._stage.send(session_id)).start.run_id)
        return session_id

    async def _run(self, session_id: str) -> None:
        start = (await self._stage.send(session_id)).start
        await self._words(start.run_id)
        if self._dice.below(10) < 3:
            start = await die_and_retry(self._stages, self._stage, start)
            self._open.clear()
            await self._words(start.run_id)
        verdict = VERDICTS[self._dice.below(3)]
        await self._stage.settle(start.run_id, verdict, final=[*self._open])
        self._open.clear()

    async def _words(self, run_id: str) -> None:
        for _ in range(self._dice.below(6)):
            await self._some(run_id)
            if self._open and self._dice.below(10) < 7:
                await self._stage.append(run_id, self._open.pop())

    async def _some(self, run_id: str) -> None:
        stage, texts = self._stage, ["some ", "words "] * (1 + self._dice.below(3))
        match self._dice.below(5):
            case 0:
                await stage.append(run_id, UsageRecorded(model="m", input_tokens=1, output_tokens=1))
            case 1:
                call = stage.ids.new("call_")
                await stage.append(run_id, ToolCallStarted(call_id=call, tool="t", arguments={}))
                await stage.append(run_id, ToolCallCompleted(call_id=call, status="ok"))
            case 2:
                self._open.append(thoughts(await think(stage, run_id, *texts), "".join(texts)))
            case 3:
                said = await utter(stage, run_id, *texts)
                cut = self._dice.below(10) < 5
                self._open.append(whole(said, "".join(texts), partial=cut))
            case _:
                said = await stage.say(run_id, *texts)
                await utter(stage, run_id, *texts, message_id=said)
                self._open.append(whole(said, "".join(texts * 2)))


class BriefCases(Cases):
    """Brief pages."""

    async def test_a_finished_turn_shows_all_but_pieces_and_the_first_of_each_message(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        thought = await think(stage, start.run_id, "a", "b")
        await stage.append(start.run_id, thoughts(thought, "ab"))
        said = await utter(stage, start.run_id, *"abcdef")
        await stage.settle(start.run_id, final=[whole(said, "abcdef")])
        page = await stage.store.overviews.brief_before(start.session_id, HEAD, 100)

        assert told(page) == [
            (1, "session.created"),
            (2, "message.admitted"),
            (3, "run.started"),
            (6, "reasoning.completed"),
            (7, "message.delta"),
            (13, "message.completed"),
            (14, "run.finished"),
        ]
        assert page[1:] == (1, 14, 14, 1)
        assert await stage.store.overviews.brief_after(start.session_id, 0, 100) == page

    async def test_entries_of_one_commit_are_told_apart(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, *"abcdef")
        await stage.append(start.run_id, MessageDelta(said, "g"), whole(said, "abcdefg"))
        page = await stage.store.overviews.brief_before(start.session_id, HEAD, 100)

        assert told(page)[3:] == [(4, "message.delta"), (11, "message.completed")]

    async def test_what_is_being_said_now_is_there_piece_by_piece(self, stage: Stage) -> None:
        start = await stage.begin()
        first = await utter(stage, start.run_id, *"abc")
        await stage.append(start.run_id, whole(first, "abc"))
        await utter(stage, start.run_id, *"defg")
        page = await stage.store.overviews.brief_before(start.session_id, HEAD, 100)

        assert [seq for seq, _ in page.lines] == [1, 2, 3, 4, 7, 8, 9, 10, 11]
        assert await stage.store.overviews.brief_after(start.session_id, 0, 100) == page

    async def test_what_is_being_thought_now_is_there_piece_by_piece(self, stage: Stage) -> None:
        start = await stage.begin()
        thought = await think(stage, start.run_id, "a", "b")
        await stage.append(start.run_id, thoughts(thought, "ab"))
        again = await think(stage, start.run_id, "c", "d")
        live = await stage.store.overviews.brief_before(start.session_id, HEAD, 100)
        await stage.settle(start.run_id, RunState.FAILED, final=[thoughts(again, "cd")])
        over = await stage.store.overviews.brief_before(start.session_id, HEAD, 100)

        assert [seq for seq, _ in live.lines] == [1, 2, 3, 6, 7, 8]
        assert [seq for seq, _ in over.lines] == [1, 2, 3, 6, 9, 10]

    async def test_a_long_answer_that_is_being_said_comes_in_pages_the_latest_first(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        await utter(stage, start.run_id, *"x" * 50)
        page = await stage.store.overviews.brief_before(start.session_id, HEAD, 10)
        older = await stage.store.overviews.brief_before(start.session_id, page.first, 100)

        assert [seq for seq, _ in page.lines] == [*range(44, 54)]
        assert (page.first, page.last) == (44, 53)
        assert [seq for seq, _ in older.lines] == [*range(1, 44)]

    async def test_of_what_a_lost_attempt_left_open_only_the_beginning_is_there(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin()
        await utter(stage, start.run_id, *"abc")
        await die_and_retry(stages, stage, start)
        await utter(stage, start.run_id, *"de")
        page = await stage.store.overviews.brief_before(start.session_id, HEAD, 100)

        assert told(page)[3:] == [
            (4, "message.delta"),
            (7, "run.retried"),
            (8, "message.delta"),
            (9, "message.delta"),
        ]

    async def test_what_a_fork_cut_off_is_there_piece_by_piece(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await utter(stage, start.run_id, *"abcdef")
        await stage.settle(start.run_id, final=[whole(said, "abcdef")])
        child = await forked(stage, start.session_id, 7)
        page = await stage.store.overviews.brief_before(child, HEAD, 100)

        assert [seq for seq, _ in page.lines] == [*range(1, 9)]
        assert folded(brief(page)) == folded(await stage.journal(child))

    @pytest.mark.sources("P3")
    @pytest.mark.parametrize("seed", range(10))
    async def test_whatever_happened_brief_pages_fold_to_what_the_whole_journal_folds_to(
        self, stages: Stages, stage: Stage, seed: int
    ) -> None:
        session_id = await _Story(stage, stages, seed).told()
        dice = _Dice(seed)
        child = await forked(stage, session_id, 1 + dice.below(await stage.store.head(session_id)))
        grandchild = await forked(stage, child, 1 + dice.below(await stage.store.head(child)))
        for each in (session_id, child, grandchild):
            journal = await stage.journal(each)
            for limit in (1, 3, 1_000):
                for found in (
                    await everything_before(stage, each, limit),
                    await everything_after(stage, each, limit),
                ):
                    assert found == [r for r in journal if r in found]
                    assert folded(found) == folded(journal)

    async def test_a_page_of_a_retired_journal_begins_where_the_journal_does(self, stage: Stage) -> None:
        session_id = await stage.open()
        for _ in range(3):
            await turn(stage, session_id, 800)
        stage.pass_time(2 * A_DAY)
        await retire(stage)
        first, head = await first_stored(stage, session_id), await stage.store.head(session_id)
        child = await forked(stage, session_id)

        for each in (session_id, child):
            reads = stage.store.overviews
            back, nothing = await reads.brief_before(each, head, 100), await reads.brief_before(each, 5, 100)
            forth = await reads.brief_after(each, 0, 100)
            assert (back.first, back.last, back.min_available) == (first, head - 1, first)
            assert nothing == BriefPage([], first, first - 1, await stage.store.head(each), first)
            assert (forth.first, forth.min_available) == (first, first)

    async def test_beyond_either_end_there_is_nothing(self, stage: Stage) -> None:
        start = await stage.begin()
        reads = stage.store.overviews

        assert await reads.brief_before(start.session_id, 1, 10) == BriefPage([], 1, 0, 3, 1)
        assert await reads.brief_after(start.session_id, 3, 10) == BriefPage([], 4, 3, 3, 1)
