"""Cases: state, with its versions, its limits, its end, and the copy that a fork gets."""

import asyncio
from collections.abc import Awaitable

import pytest

from tenure.core.command import Conversation, OpenSession
from tenure.core.event import StateUpdated
from tenure.core.history import ForkSession
from tenure.core.ids import SESSION
from tenure.core.principal import Principal
from tenure.core.run import RunState
from tenure.core.scope import (
    MAX_BYTES,
    MAX_KEYS,
    MAX_VALUE_BYTES,
    Expected,
    Parties,
    Place,
    Scope,
    Setting,
    Someone,
    encoded,
    place,
)
from tenure.core.state import StateValue
from tenure.errors import Code, TenureError
from tenure.ports.acts import Start
from tenure.ports.states import ByCaller, ByRun, Write, Writer
from tenure.stores.contract.stage import ADA, STRANGER, Cases, Stage, Stages

ANYTHING, NOTHING = Expected(anything=True), Expected((0,))


def by_caller(stage: Stage, session_id: str, by: Principal = ADA) -> ByCaller:
    """A write by the API, now."""
    return ByCaller(session_id, stage.stamp(by))


def by_run(stage: Stage, start: Start, attempt: int | None = None) -> ByRun:
    """A write by a run that is held here, now."""
    return ByRun(stage.lease, start.run_id, attempt or start.attempt, stage.at())


async def setting(stage: Stage, session_id: str) -> Setting:
    """A session that exists, as state sees it."""
    found = await stage.store.states.setting(session_id)
    assert found is not None
    return found


async def conversation(stage: Stage, session_id: str) -> Place:
    """Where the conversation state of a session is kept."""
    return place(await setting(stage, session_id), Parties(), Scope.CONVERSATION)


async def actor(stage: Stage, session_id: str, name: str = "ada") -> Place:
    """Where the state of a user is kept."""
    return place(await setting(stage, session_id), Parties(Someone("user", name)), Scope.ACTOR)


async def put(
    stage: Stage,
    session_id: str,
    key: str,
    value: object,
    *,
    where: Place | None = None,
    ttl_s: float | None = None,
    expected: Expected | None = None,
    writer: Writer | None = None,
) -> StateValue:
    """Keep a value, in the session's conversation state unless the case says otherwise."""
    write = Write(where or await conversation(stage, session_id), key, encoded(value), ttl_s, expected)
    return (await stage.store.states.set(writer or by_caller(stage, session_id), write)).value


async def drop(
    stage: Stage, session_id: str, key: str, expected: Expected | None = None, where: Place | None = None
) -> int | None:
    """Delete a value."""
    there = where or await conversation(stage, session_id)
    return await stage.store.states.delete(by_caller(stage, session_id), there, key, expected)


async def value(stage: Stage, session_id: str, key: str, where: Place | None = None) -> StateValue | None:
    """A value as it is now."""
    return await stage.store.states.value(where or await conversation(stage, session_id), key, stage.at())


async def values(stage: Stage, where: Place) -> dict[str, object]:
    """Everything in a place."""
    cut = await stage.store.states.cut((where,), stage.at())
    page = await stage.store.states.page("", where, stage.at(), None, 1_000)
    listed = {each.key: each.value for each in page.data}
    assert sorted(cut.get(where.scope, {})) == sorted(listed)
    return listed


class StateCases(Cases):
    """What is kept is there again, by the version it was given, until it is deleted or its time is over."""

    INCREMENTS = 2_000
    """How often four writers count up together. A store whose commits are far away may say less."""

    async def test_a_value_is_kept_with_its_version_and_its_event(self, stage: Stage) -> None:
        session = await stage.open()
        head = await stage.store.head(session)

        first = await put(stage, session, "plan", {"steps": [1, 2]})
        second = await put(stage, session, "plan", None)

        assert first == StateValue(
            scope="conversation", key="plan", value={"steps": [1, 2]}, version=1, expires_at=None
        )
        assert second == StateValue(scope="conversation", key="plan", value=None, version=2)
        assert await value(stage, session, "plan") == second
        assert await stage.events(session, after=head) == [
            StateUpdated(scope="conversation", key="plan", version=1, value={"steps": [1, 2]}, by="ada"),
            StateUpdated(scope="conversation", key="plan", version=2, value=None, by="ada"),
        ]

    async def test_what_was_never_kept_is_not_there(self, stage: Stage) -> None:
        session = await stage.open()
        head = await stage.store.head(session)

        assert await value(stage, session, "plan") is None
        assert await drop(stage, session, "plan") is None
        assert await stage.store.states.weight((await conversation(stage, session),)) == 0
        assert await stage.store.head(session) == head

    async def test_a_deleted_key_is_gone_and_its_versions_are_never_given_again(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "plan", 1)
        await put(stage, session, "plan", 2)

        assert await drop(stage, session, "plan") == 2
        assert await value(stage, session, "plan") is None
        again = await put(stage, session, "plan", 3)

        assert again.version == 4
        events = (await stage.events(session))[-2:]
        assert events == [
            StateUpdated(scope="conversation", key="plan", version=3, deleted=True, by="ada"),
            StateUpdated(scope="conversation", key="plan", version=4, value=3, by="ada"),
        ]

    @pytest.mark.sources("D-S7", "A12")
    async def test_four_writers_who_compare_and_set_lose_no_increment(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "count", 0)

        async def increment() -> None:
            while True:
                now = await value(stage, session, "count")
                assert now is not None and isinstance(now.value, int)
                wanted = Expected((now.version,))
                try:
                    await put(stage, session, "count", now.value + 1, expected=wanted)
                except TenureError as late:
                    if late.code is not Code.STALE:
                        raise
                else:
                    return

        async def their_share() -> None:
            for _ in range(self.INCREMENTS // 4):
                await increment()

        await asyncio.gather(*(their_share() for _ in range(4)))

        last = await value(stage, session, "count")
        assert last is not None
        assert (last.value, last.version) == (self.INCREMENTS, self.INCREMENTS + 1)

    async def test_a_write_over_another_version_is_refused_with_the_one_there_is(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "plan", 1)
        head = await stage.store.head(session)

        for expected in (Expected((2,)), Expected((0,)), Expected()):
            assert (await refused(put(stage, session, "plan", 2, expected=expected))).code is Code.STALE
            late = await refused(drop(stage, session, "plan", expected))
            assert (late.code, late.facts) == (Code.STALE, {"key": "plan", "version": 1})

        assert await stage.store.head(session) == head
        assert (await put(stage, session, "plan", 2, expected=Expected((7, 1)))).version == 2
        assert (await put(stage, session, "plan", 3, expected=ANYTHING)).version == 3

    async def test_a_write_that_is_repeated_under_its_key_happens_once(self, stage: Stage) -> None:
        session = await stage.open()
        write = Write(await conversation(stage, session), "n", encoded(1), 60.0, NOTHING)
        head = await stage.store.head(session)

        def writer(digest: str = "a") -> ByCaller:
            return ByCaller(session, stage.stamp(ADA, "once", digest))

        first = await stage.store.states.set(writer(), write)
        again = await stage.store.states.set(writer(), write)
        other = await refused(stage.store.states.set(writer("b"), write))

        assert (again.value, first.replayed, again.replayed) == (first.value, False, True)
        assert other.code is Code.IDEMPOTENCY_CONFLICT
        assert await stage.store.head(session) == head + 1

    async def test_a_key_that_is_not_there_takes_only_a_write_for_nothing(self, stage: Stage) -> None:
        session = await stage.open()

        for expected in (ANYTHING, Expected((1,))):
            late = await refused(put(stage, session, "plan", 1, expected=expected))
            assert (late.code, late.facts) == (Code.STALE, {"key": "plan", "version": 0})
        assert (await put(stage, session, "plan", 1, expected=NOTHING)).version == 1

    @pytest.mark.sources("D-S6", "A12")
    async def test_a_value_ends_when_its_time_is_over(self, stage: Stage) -> None:
        session = await stage.open()

        kept = await put(stage, session, "code", "1234", ttl_s=60.0)
        assert await value(stage, session, "code") == kept
        event = (await stage.events(session))[-1]
        stage.pass_time(60)

        assert isinstance(event, StateUpdated)
        assert kept.expires_at == event.expires_at is not None
        assert await value(stage, session, "code") is None
        assert await values(stage, await conversation(stage, session)) == {}
        assert await drop(stage, session, "code") is None
        again = await put(stage, session, "code", "5678", expected=NOTHING)
        assert (again.version, again.expires_at) == (2, None)

    async def test_a_new_value_without_an_end_has_none(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "code", "1234", ttl_s=60.0)

        await put(stage, session, "code", "5678")
        stage.pass_time(3_600)
        await stage.store.purge(stage.at())

        assert await value(stage, session, "code") == StateValue(
            scope="conversation", key="code", value="5678", version=2
        )

    async def test_expired_values_are_freed_and_their_versions_stay_used(self, stage: Stage) -> None:
        session = await stage.open()
        for key in ("one", "two"):
            await put(stage, session, key, 1, ttl_s=1.0)
            await put(stage, session, key, 2, ttl_s=1.0)
        head = await stage.store.head(session)
        stage.pass_time(2)

        assert await stage.store.states.weight((await conversation(stage, session),)) > 0
        assert await stage.store.purge(stage.at()) == 2
        assert await stage.store.states.weight((await conversation(stage, session),)) == 0
        assert await stage.store.head(session) == head
        assert (await put(stage, session, "one", 3)).version == 3

    @pytest.mark.sources("D-S6", "A12")
    async def test_one_key_too_many_is_refused_and_room_comes_back(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "k0", 0, ttl_s=60.0)
        await asyncio.gather(*(put(stage, session, f"k{n}", n) for n in range(1, MAX_KEYS)))

        full = await refused(put(stage, session, "more", 1))
        assert (full.code, full.facts) == (
            Code.CAPACITY,
            {"scope": "per_scope", "limit": MAX_KEYS, "current": MAX_KEYS},
        )
        assert (await put(stage, session, "k1", "over")).version == 2
        stage.pass_time(60)
        assert (await put(stage, session, "more", 1)).version == 2
        await drop(stage, session, "k2")
        assert (await put(stage, session, "k2", 2)).version == 3
        assert len(await values(stage, await conversation(stage, session))) == MAX_KEYS

    async def test_more_bytes_than_an_identity_may_have_are_refused(self, stage: Stage) -> None:
        session = await stage.open()
        whole = "x" * (MAX_VALUE_BYTES - 2)
        for n in range(MAX_BYTES // MAX_VALUE_BYTES):
            await put(stage, session, f"k{n}", whole)

        full = await refused(put(stage, session, "more", ""))

        assert (full.code, full.facts["limit"]) == (Code.CAPACITY, MAX_BYTES)
        await put(stage, session, "k0", "")
        await put(stage, session, "more", "")

    async def test_values_are_listed_in_pages_and_none_is_left_out(self, stage: Stage) -> None:
        session = await stage.open()
        for n in range(7):
            await put(stage, session, f"k{n}", n)
        where, cursor = await conversation(stage, session), None
        seen: list[object] = []
        for _ in range(3):
            page = await stage.store.states.page(session, where, stage.at(), cursor, 3)
            seen += [each.value for each in page.data]
            cursor = page.next_cursor
            assert page.as_of_seq == await stage.store.head(session)

        assert (seen, cursor) == ([0, 1, 2, 3, 4, 5, 6], None)

    async def test_large_values_make_short_pages(self, stage: Stage) -> None:
        session = await stage.open()
        for n in range(8):
            await put(stage, session, f"k{n}", "x" * 200_000)

        page = await stage.store.states.page(
            session, await conversation(stage, session), stage.at(), None, 100
        )

        assert [each.key for each in page.data] == [f"k{n}" for n in range(6)]
        assert page.next_cursor is not None

    @pytest.mark.sources("S02", "D-S2", "A10")
    async def test_the_same_names_in_two_tenants_share_nothing(self, stage: Stage) -> None:
        ours, theirs = await stage.open(ADA), await stage.open(STRANGER)

        for scope in (actor, conversation):
            where = await scope(stage, ours), await scope(stage, theirs)
            await put(stage, ours, "mail", "ours", where=where[0])
            assert await value(stage, theirs, "mail", where[1]) is None

    async def test_sessions_of_one_user_share_the_users_state_and_not_their_own(self, stage: Stage) -> None:
        one, other = await stage.open(), await stage.open()
        await put(stage, one, "mail", "a@b", where=await actor(stage, one))
        await put(stage, one, "mail", "mine")

        shared = await value(stage, other, "mail", await actor(stage, other))

        assert shared is not None and shared.value == "a@b"
        assert await value(stage, other, "mail") is None

    @pytest.mark.sources("D-S4")
    async def test_a_conversation_made_anew_has_the_state_of_the_old_one(self, stage: Stage) -> None:
        ask = OpenSession(agent="greeter", conversation=Conversation(bot_id="b", conversation_id="c"))
        first = await stage.open(ask=ask)
        await put(stage, first, "plan", 1)
        await stage.store.delete_session(stage.stamp(), first)
        await purge(stage)

        again = await value(stage, await stage.open(ask=ask), "plan")

        assert again is not None and again.value == 1

    async def test_a_deleted_session_takes_its_own_state_along_and_no_other(self, stage: Stage) -> None:
        session, other = await stage.open(), await stage.open()
        own, shared = await conversation(stage, session), await actor(stage, session)
        await put(stage, session, "plan", 1)
        await put(stage, session, "mail", 2, where=shared)

        await stage.store.delete_session(stage.stamp(), session)
        await purge(stage)

        assert (await refused(put(stage, session, "plan", 2, where=own))).code is Code.NOT_FOUND
        assert await stage.store.states.weight((own,)) == 0
        assert await values(stage, await actor(stage, other)) == {"mail": 2}
        assert await stage.store.states.setting(session) is None

    async def test_a_run_writes_under_its_own_id(self, stage: Stage) -> None:
        start = await stage.begin()
        session = start.session_id

        await put(stage, session, "plan", 1, writer=by_run(stage, start))

        last = (await stage.journal(session))[-1]
        assert (last.run_id, last.event) == (
            start.run_id,
            StateUpdated(scope="conversation", key="plan", version=1, value=1),
        )

    async def test_a_run_that_is_over_writes_nothing(self, stage: Stage) -> None:
        start = await stage.begin()
        session = start.session_id
        await stage.settle(start.run_id)
        head = await stage.store.head(session)

        for attempt in (1, 2):
            late = put(stage, session, "plan", 1, writer=by_run(stage, start, attempt))
            assert (await refused(late)).code is Code.FENCED
        gone = stage.store.states.delete(
            by_run(stage, start), await conversation(stage, session), "plan", None
        )
        assert (await refused(gone)).code is Code.FENCED
        assert await stage.store.head(session) == head

    async def test_an_earlier_attempt_of_a_live_run_writes_nothing(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.store.release(stage.lease, start.run_id, stage.at(), "drain")
        (again,) = (await stage.claim()).starts

        zombie = put(stage, start.session_id, "plan", 1, writer=by_run(stage, start))

        assert (await refused(zombie)).code is Code.FENCED
        assert (await put(stage, start.session_id, "plan", 2, writer=by_run(stage, again))).version == 1

    async def test_a_run_of_an_earlier_life_of_the_host_writes_nothing(self, stages: Stages) -> None:
        stage = await stages.open()
        start = await stage.begin()
        writer = by_run(stage, start)
        stage.lease = await stages.lapse(stage)
        await stage.store.reap(stage.lease, stage.at())

        zombie = put(stage, start.session_id, "plan", 1, writer=writer)

        assert (await refused(zombie)).code is Code.FENCED

    async def test_a_run_that_is_being_stopped_may_still_write(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id)

        await put(stage, start.session_id, "plan", 1, writer=by_run(stage, start))
        await stage.settle(start.run_id, RunState.CANCELLED)

        assert await values(stage, await conversation(stage, start.session_id)) == {"plan": 1}

    @pytest.mark.sources("D-S10", "S24")
    async def test_state_outlives_a_restart(self, stages: Stages) -> None:
        stage = await stages.open()
        session = await stage.open()
        kept = await put(stage, session, "plan", {"a": [1, None, 2.5, "ü"]})

        again = await stages.restart(stage)

        assert await value(again, session, "plan") == kept

    @pytest.mark.sources("S10")
    async def test_a_cut_shows_all_scopes_at_one_moment(self, stage: Stage) -> None:
        session = await stage.open()
        where = await conversation(stage, session), await actor(stage, session)

        async def write() -> None:
            for n in range(50):
                for each in where:
                    await put(stage, session, "n", n, where=each)

        async def read() -> list[tuple[int, int]]:
            seen = [(0, 0)]
            while seen[-1] != (49, 49):
                cut = await stage.store.states.cut(where, stage.at())
                if len(cut) == 2:
                    seen.append((int(cut[Scope.CONVERSATION]["n"]), int(cut[Scope.ACTOR]["n"])))
            return seen

        _, seen = await asyncio.gather(write(), read())

        assert all(one - other in (0, 1) for one, other in seen)

    async def test_a_fork_begins_with_the_conversation_state_as_it_was(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "kept", 1)
        await put(stage, session, "changed", "before")
        await put(stage, session, "deleted", 3)
        at_seq = await stage.store.head(session)
        await put(stage, session, "changed", "after")
        await drop(stage, session, "deleted")
        await put(stage, session, "new", 4)
        await put(stage, session, "mail", "a@b", where=await actor(stage, session))

        child = await forked(stage, session, at_seq)
        await put(stage, child, "kept", "by the fork")

        where = await conversation(stage, child)
        assert await values(stage, where) == {"kept": "by the fork", "changed": "before", "deleted": 3}
        assert await values(stage, await actor(stage, child)) == {"mail": "a@b"}
        assert await values(stage, await conversation(stage, session)) == {
            "kept": 1,
            "changed": "after",
            "new": 4,
        }
        assert (await put(stage, child, "fresh", 5)).version == 3

    async def test_a_version_of_the_parent_is_not_given_again_in_a_fork(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "plan", 1)
        await drop(stage, session, "plan")

        child = await forked(stage, session, await stage.store.head(session))

        assert await values(stage, await conversation(stage, child)) == {}
        assert (await put(stage, child, "plan", 2)).version == 3

    async def test_a_fork_at_the_head_has_all_of_the_state_with_its_ends(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "kept", {"a": 1})
        ends = await put(stage, session, "code", "1234", ttl_s=60.0)

        child = await forked(stage, session, await stage.store.head(session))

        assert await value(stage, child, "code") == ends
        stage.pass_time(60)
        assert await values(stage, await conversation(stage, child)) == {"kept": {"a": 1}}

    async def test_a_fork_of_a_fork_has_the_state_of_both(self, stage: Stage) -> None:
        session = await stage.open()
        await put(stage, session, "one", 1)
        child = await forked(stage, session, await stage.store.head(session))
        await put(stage, child, "two", 2)
        at_seq = await stage.store.head(child)
        await put(stage, child, "one", "later")

        grandchild = await forked(stage, child, at_seq)

        assert await values(stage, await conversation(stage, grandchild)) == {"one": 1, "two": 2}

    async def test_a_fork_has_what_another_session_of_the_conversation_wrote_last(self, stage: Stage) -> None:
        ask = OpenSession(agent="greeter", conversation=Conversation(bot_id="b", conversation_id="c"))
        session, other = await stage.open(ask=ask), await stage.open(ask=ask)
        await put(stage, session, "ours", 1)
        await put(stage, session, "changed", "before")
        at_seq = await stage.store.head(session)
        await put(stage, other, "ours", "theirs")
        await put(stage, other, "new", 2)
        await put(stage, session, "changed", "after")

        early = await forked(stage, session, at_seq)
        late = await forked(stage, session, await stage.store.head(session))

        both = {"ours": "theirs", "new": 2}
        assert await values(stage, await conversation(stage, early)) == {**both, "changed": "before"}
        assert await values(stage, await conversation(stage, late)) == {**both, "changed": "after"}


async def forked(stage: Stage, session_id: str, at_seq: int) -> str:
    """A fork of a session. Its id."""
    child = stage.ids.new(SESSION)
    ask = ForkSession(at_seq=at_seq)
    made = await stage.store.histories.fork(stage.stamp(), session_id, ask, child)
    stage.sessions.append(made.value.id)
    return made.value.id


async def refused(work: Awaitable[object]) -> TenureError:
    """The refusal that an act must meet."""
    with pytest.raises(TenureError) as caught:
        await work
    return caught.value


async def purge(stage: Stage) -> None:
    """Free everything that can be freed."""
    while await stage.store.purge(stage.at()):
        pass
