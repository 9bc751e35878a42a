"""Cases: sessions are found by the words of their titles and of their finished messages, and by no others."""

import pytest

from tenure.core.command import OpenSession, SendMessage, UpdateSession
from tenure.core.content import TextPart
from tenure.core.event import MessageCompleted
from tenure.core.history import ForkSession, RedoTurns, UndoTurns
from tenure.core.ids import SESSION
from tenure.core.message import BusyPolicy
from tenure.ports.store import SessionFilter
from tenure.stores.contract.stage import ADA, BOB, Cases, Stage, Stages


async def found(stage: Stage, words: str, **which: str) -> list[str]:
    """The ids of the sessions of Acme that hold these words, the latest first."""
    filtered = SessionFilter("acme", None, words=words)._replace(**which)
    return [s.id for s in (await stage.store.sessions(filtered, None, 100)).data]


async def said(stage: Stage, text: str, answer: str = "") -> str:
    """A session in which this was said, and answered. Its id."""
    start = await stage.begin(text)
    if answer:
        completed = MessageCompleted(message_id=stage.ids.new("msg_"), role="assistant", content=answer)
        await stage.append(start.run_id, completed)
    await stage.settle(start.run_id)
    return start.session_id


class SearchCases(Cases):
    """Full-text search."""

    async def test_a_session_is_found_by_its_title_and_by_what_both_sides_said(self, stage: Stage) -> None:
        titled = await stage.open(ask=OpenSession(agent="greeter", title="Lisbon trip"))
        asked = await said(stage, "Shall we fly to Lisbon?")
        answered = await said(stage, "Where to?", "To Lisbon, of course.")
        await said(stage, "Porto")

        assert await found(stage, "lisbon") == [answered, asked, titled]

    @pytest.mark.parametrize(
        ("words", "hits"),
        [
            ("quick fox", True),
            ("fox quick", True),
            ("quick dragon", False),
            ('"quick brown"', True),
            ('"brown quick"', False),
            ('"quick brown" fox', True),
            ("quick bro", True),
            ("bro quick", False),
            ("qui", True),
            ("uick", False),
            ('"qui"', False),
            ("QUICK", True),
            ("cafe", True),
            ("café", True),
            ("quick-brown", True),
            ("brown-quick", False),
            ("你好", True),
            ("好世", True),
            ("世你", False),
            ('"', False),
            ("*", False),
            ("quick*", True),
            ("quick AND", False),
            ("NOT quick", False),
            ("quick OR dragon", False),
            ("text:quick", False),
            ("whose:t61", False),
            ("NEAR(quick fox)", False),
            ("quick)", True),
            ("^quick", True),
            ("-quick", True),
            ("'; DROP TABLE search; --", False),
            ('quick" OR "dragon', False),
            ("{quick}", True),
            ("\\ / + quick", True),
        ],
    )
    async def test_words_are_all_wanted_and_no_character_has_a_meaning_of_its_own(
        self, stage: Stage, words: str, *, hits: bool
    ) -> None:
        session = await said(stage, "The quick brown fox drinks café au lait. 你好世界")

        assert await found(stage, words) == ([session] if hits else [])

    async def test_parts_of_a_message_count_as_one(self, stage: Stage) -> None:
        start = await stage.begin("Hello")
        parts = (TextPart("red"), TextPart("green"))
        completed = MessageCompleted(message_id=stage.ids.new("msg_"), role="assistant", content=parts)
        await stage.append(start.run_id, completed)

        assert await found(stage, "red green") == [start.session_id]

    async def test_what_is_still_being_said_isnt_found_until_it_is_whole(self, stage: Stage) -> None:
        start = await stage.begin("Hello")
        await stage.say(start.run_id, "Unfin", "ished")
        before = await found(stage, "unfinished")
        await stage.settle(start.run_id)

        assert (before, await found(stage, "unfinished")) == ([], [start.session_id])

    async def test_a_message_that_waits_or_was_withdrawn_isnt_found(self, stage: Stage) -> None:
        start = await stage.begin("Hello")
        await stage.send(start.session_id, "Patience")
        waiting = await found(stage, "patience")
        await stage.hold(start.session_id)

        assert (waiting, await found(stage, "patience")) == ([], [])

    async def test_what_a_lost_attempt_said_isnt_found(self, stages: Stages) -> None:
        stage = await stages.open()
        start = await stage.begin("Hello")
        completed = MessageCompleted(message_id=stage.ids.new("msg_"), role="assistant", content="Draft")
        await stage.append(start.run_id, completed)
        again = await stages.restart(stage)
        await again.store.reap(again.lease, again.at())
        await again.claim()

        assert await found(again, "draft") == []
        assert await found(again, "hello") == [start.session_id]

    async def test_what_was_undone_isnt_found_until_it_is_redone(self, stage: Stage) -> None:
        session = await said(stage, "Regrettable", "Indeed")
        await stage.store.histories.undo(stage.stamp(), session, UndoTurns())
        undone = [await found(stage, word) for word in ("regrettable", "indeed")]
        await stage.store.histories.redo(stage.stamp(), session, RedoTurns())

        assert (undone, await found(stage, "indeed")) == ([[], []], [session])

    async def test_what_joined_a_waiting_message_is_found_with_it(self, stage: Stage) -> None:
        start = await stage.begin("Hello")
        await stage.send(start.session_id, "first")
        await stage.send(start.session_id, SendMessage(content="second", when_busy=BusyPolicy.MERGE))
        await stage.settle(start.run_id)

        assert await found(stage, "first second") == [start.session_id]

    async def test_a_fork_is_found_by_what_it_took_over(self, stage: Stage) -> None:
        parent = await said(stage, "Heirloom")
        child = stage.ids.new(SESSION)
        await stage.store.histories.fork(stage.stamp(), parent, ForkSession(title="Branch"), child)
        stage.sessions.append(child)

        assert await found(stage, "heirloom") == [child, parent]
        assert await found(stage, "branch") == [child]

    async def test_a_new_title_takes_the_place_of_the_old_one(self, stage: Stage) -> None:
        session = await stage.open(ask=OpenSession(agent="greeter", title="Alpha"))
        await stage.store.update_session(stage.stamp(), session, UpdateSession(title="Beta"))
        renamed = [await found(stage, word) for word in ("alpha", "beta")]
        await stage.store.update_session(stage.stamp(), session, UpdateSession(title=None))

        assert (renamed, await found(stage, "beta")) == ([[], [session]], [])

    @pytest.mark.sources("P12")
    async def test_words_are_found_within_reach_and_together_with_other_conditions(
        self, stage: Stage
    ) -> None:
        mine = await stage.open(ADA, OpenSession(agent="greeter", title="Plan", labels={"team": "blue"}))
        yours = await stage.open(BOB, OpenSession(agent="greeter", title="Plan"))

        assert await found(stage, "plan") == [yours, mine]
        assert await found(stage, "plan", owner="bob") == [yours]
        assert await found(stage, "plan", tenant="globex") == []
        blue = SessionFilter("acme", None, labels=(("team", "blue"),), words="plan")
        assert [s.id for s in (await stage.store.sessions(blue, None, 100)).data] == [mine]
        assert await found(stage, "plan", agent="nobody") == []

    async def test_hits_come_in_pages_the_latest_first(self, stage: Stage) -> None:
        made = [await stage.open(ask=OpenSession(agent="greeter", title="Twin")) for _ in range(5)]
        which, cursor = SessionFilter("acme", None, words="twin"), None
        seen: list[str] = []
        while True:
            page = await stage.store.sessions(which, cursor, 2)
            seen += [s.id for s in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert seen == made[::-1]

    async def test_a_deleted_session_is_found_no_more_before_and_after_its_rows_go(
        self, stage: Stage
    ) -> None:
        session = await said(stage, "Secret")
        await stage.store.delete_session(stage.stamp(), session)
        at_once = await found(stage, "secret")
        while await stage.store.purge(stage.at()):
            pass

        assert (at_once, await found(stage, "secret")) == ([], [])
