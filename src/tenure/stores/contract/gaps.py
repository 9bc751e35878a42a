"""Cases: what a host reads of many sessions at once, to learn what others wrote into them."""

from tenure.core.entry import record
from tenure.core.event import SessionDeleted
from tenure.stores.contract.journals import whole
from tenure.stores.contract.stage import Cases, Stage


class GapCases(Cases):
    """Heads and pages of several sessions by one read."""

    async def test_heads_tell_of_every_session_that_is_there(self, stage: Stage) -> None:
        one, other = await stage.begin(), await stage.begin()
        await stage.say(other.run_id, "a")
        ids = [one.session_id, other.session_id]
        heads = await stage.store.heads([*ids, "ses_none"])
        assert heads == {session_id: await stage.store.head(session_id) for session_id in ids}
        assert await stage.store.heads([]) == {}

    async def test_pages_bring_what_each_session_has_after_its_cursor(self, stage: Stage) -> None:
        one, other, quiet = [await stage.begin() for _ in range(3)]
        said = await stage.say(other.run_id, "a")
        for text in "bcd":
            await stage.say(other.run_id, text, message_id=said)
        cursors = {
            one.session_id: 1,
            other.session_id: other.seq,
            quiet.session_id: await stage.store.head(quiet.session_id),
            "ses_none": 0,
        }
        pages = await stage.store.pages(cursors, 100)
        assert set(pages) == {one.session_id, other.session_id, quiet.session_id}
        for session_id, page in pages.items():
            alone = await stage.store.page(session_id, cursors[session_id], 1_000)
            assert (whole(page.spans), page.head) == (whole(alone.spans), alone.head)
            assert page.min_available == 1
        assert pages[quiet.session_id].spans == []

    async def test_pages_bring_no_more_ranges_than_asked_for_and_the_oldest_first(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "a")
        for text in "bcdef":
            await stage.say(start.run_id, text, message_id=said)
        page = (await stage.store.pages({start.session_id: start.seq}, 2))[start.session_id]
        alone = await stage.store.page(start.session_id, start.seq, 1_000)
        assert page.spans == alone.spans[:2]
        assert page.head == alone.head

    async def test_a_deleted_session_tells_of_its_end_until_it_is_purged(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.store.delete_session(stage.stamp(), start.session_id)
        page = (await stage.store.pages({start.session_id: start.seq}, 10))[start.session_id]
        events = [record(seq, b"{" + line).event for seq, line in whole(page.spans)]
        assert type(events[-1]) is SessionDeleted
        assert await stage.store.heads([start.session_id]) == {start.session_id: page.head}
        while await stage.store.purge(stage.stamp().at):
            pass
        assert await stage.store.heads([start.session_id]) == {}
        assert await stage.store.pages({start.session_id: 0}, 10) == {}
