"""Cases: what operators and admins read: how much there is, who uses it, who is there, who did what."""

from typing import NamedTuple

import msgspec
import pytest

from tenure.core.audit import KEPT, AuditEntry, Deed, Subject, SubjectInfo
from tenure.core.capacity import FullestQueue, Loads, UserInfo, UserLoad
from tenure.core.command import Answering, CloseSession, CreateKey, InterruptRun, Remember, SendMessage
from tenure.core.ids import KEY
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.principal import Principal, Role
from tenure.core.schedule import ScheduleSignal
from tenure.errors import Code, TenureError
from tenure.ports.operations import AuditFilter
from tenure.stores.contract.calling import calls_of, decide
from tenure.stores.contract.recalling import planned
from tenure.stores.contract.stage import (
    ADA,
    ADMIN,
    BOB,
    EPOCH,
    EVE,
    STRANGER,
    Cases,
    Stage,
    Stages,
    hashed_secret,
    person,
    refusal,
)

OPERATOR = person("olga", Role.OPERATOR)
MOST = 50


def load(who: Principal, sessions: int = 0, live: int = 0, queued: int = 0, schedules: int = 0) -> UserLoad:
    """What somebody uses."""
    return UserLoad(
        tenant=who.tenant,
        user=who.user,
        open_sessions=sessions,
        live_runs=live,
        queued_runs=queued,
        schedules=schedules,
    )


class LoadCases(Cases):
    """What is used, counted by the store itself."""

    async def test_a_store_has_a_size(self, stage: Stage) -> None:
        sizes = await stage.store.operations.sizes()

        assert sizes.database_bytes is None or sizes.database_bytes > 0
        assert sizes.wal_bytes is None or sizes.wal_bytes >= 0

    async def test_an_empty_store_is_used_by_nobody(self, stage: Stage) -> None:
        assert await stage.store.operations.loads(None, None, MOST) == Loads(0, 0, (), None)

    async def test_what_users_use_is_what_there_is_the_busiest_first(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=2))
        await stage.begin(by=BOB)
        await stage.begin(by=STRANGER)
        crowded = await stage.open(ADA)
        for _ in range(3):
            await stage.send(crowded, by=ADA)
        await stage.open(ADA)
        closed = await stage.open(EVE)
        await stage.store.close_session(stage.stamp(EVE), closed, CloseSession())
        await planned(stage, by=EVE)

        assert await stage.store.operations.loads(None, None, MOST) == Loads(
            4,
            2,
            (
                load(BOB, sessions=1, live=1),
                load(STRANGER, sessions=1, live=1),
                load(ADA, sessions=2, queued=1),
                load(EVE, schedules=1),
            ),
            FullestQueue(crowded, "acme", 2),
        )

    async def test_whoever_reaches_less_is_told_of_less_but_for_what_all_use_together(
        self, stage: Stage
    ) -> None:
        await stage.begin(by=BOB)
        await stage.begin(by=STRANGER)
        mine = (await stage.begin(by=ADA)).session_id
        await stage.send(mine, by=ADA)
        globex = await stage.store.operations.loads("globex", None, MOST)
        ada = await stage.store.operations.loads("acme", "ada", MOST)

        assert globex == Loads(3, 3, (load(STRANGER, 1, 1),), None)
        assert ada == Loads(3, 3, (load(ADA, 1, 1),), FullestQueue(mine, "acme", 1))

    async def test_of_many_users_those_are_told_who_use_most(self, stage: Stage) -> None:
        many = [person(f"u{n}") for n in range(6)]
        for n, who in enumerate(many):
            for _ in range(n + 1):
                await stage.open(who)
        await planned(stage, by=many[0])
        found = await stage.store.operations.loads("acme", None, 2)

        assert found.users == (load(many[5], 6), load(many[4], 5), load(many[0], 1, schedules=1))

    async def test_deleted_session_has_no_queue(self, stage: Stage) -> None:
        session_id = (await stage.begin()).session_id
        await stage.send(session_id)
        await stage.store.delete_session(stage.stamp(), session_id)

        assert await stage.store.operations.loads(None, None, MOST) == Loads(0, 0, (), None)


class UserCases(Cases):
    """Who is there, as keys and sessions know it."""

    async def test_users_are_those_who_have_keys_or_sessions(self, stage: Stage) -> None:
        await stage.key(person("ada", Role.ADMIN))
        await stage.begin(by=ADA)
        await stage.open(ADA)
        gone = await stage.key(person("fay"))
        await stage.store.revoke_key(stage.stamp(ADMIN), gone)
        await stage.open(person("gus"))
        found = (await stage.store.operations.users("acme", stage.at(), None, 100)).data

        assert found == [
            user("ada", "admin", "member", keys=2, open_sessions=2, live_runs=1),
            user("bob", "member", keys=1),
            user("eve", "member", keys=1),
            user("fay"),
            user("gus", open_sessions=1),
        ]

    async def test_key_that_has_expired_is_none(self, stage: Stage) -> None:
        ask = CreateKey(
            user="hal", role=Role.ADMIN, tenant="acme", expires_at=timestamp(Micros(EPOCH + 60 * SECOND))
        )
        secret = hashed_secret("hal's")
        await stage.store.create_key(stage.stamp(ADMIN), ask, stage.ids.new(KEY), secret)
        stage.pass_time(3_600)
        found = (await stage.store.operations.users("acme", stage.at(), None, 100)).data

        assert found[-1] == user("hal")

    @pytest.mark.sources("P12")
    async def test_users_are_paged_across_tenants_and_a_tenant_sees_its_own_alone(self, stage: Stage) -> None:
        await stage.open(person("zoe", tenant="acme"))
        await stage.open(person("abe", tenant="initech"))
        walked: list[tuple[str, str]] = []
        cursor: str | None = None
        while True:
            page = await stage.store.operations.users(None, stage.at(), cursor, 2)
            walked += [(each.tenant, each.user) for each in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert walked == [
            ("acme", "ada"),
            ("acme", "bob"),
            ("acme", "eve"),
            ("acme", "zoe"),
            ("globex", "ada"),
            ("initech", "abe"),
        ]
        own = (await stage.store.operations.users("globex", stage.at(), None, 2)).data
        assert [(each.tenant, each.user) for each in own] == [("globex", "ada")]

    async def test_cursor_that_was_never_given_is_refused(self, stage: Stage) -> None:
        with pytest.raises(TenureError) as caught:
            await stage.store.operations.users(None, stage.at(), "12", 10)
        assert refusal(caught)[0] is Code.BAD_CURSOR


def user(name: str, *roles: str, keys: int = 0, open_sessions: int = 0, live_runs: int = 0) -> UserInfo:
    """A user of acme's."""
    return UserInfo(
        tenant="acme", user=name, roles=roles, keys=keys, open_sessions=open_sessions, live_runs=live_runs
    )


class Told(NamedTuple):
    """What an entry of the audit log says, without its number and its instant."""

    action: str
    by: str
    kind: str
    id: str
    detail: dict[str, str]


EVERYTHING = AuditFilter(None)


async def told(stage: Stage, which: AuditFilter = EVERYTHING) -> list[Told]:
    """The audit log, the oldest entry first, without the keys that every stage begins with."""
    entries = (await stage.store.operations.audit(which, None, 1_000)).data
    return [
        Told(each.action, each.by, each.subject.kind, each.subject.id, each.detail)
        for each in entries[::-1]
        if each.action != Deed.KEY_CREATED
    ]


class AuditCases(Cases):
    """Who did what, kept in the transaction that did it."""

    async def test_entry_says_who_did_what_when_and_with_which_key(self, stage: Stage) -> None:
        ask = CreateKey(user="zoe", role=Role.OPERATOR, name="laptop", tenant="globex")
        stamp = stage.stamp(ADMIN)
        made = await stage.store.create_key(stamp, ask, stage.ids.new(KEY), hashed_secret("zoe's"))
        (entry,) = (await stage.store.operations.audit(AuditFilter("globex", by="root"), None, 1)).data

        assert entry == AuditEntry(
            id=entry.id,
            at=timestamp(stamp.at),
            tenant="globex",
            by="root",
            key_id="key_of_root",
            action="key.created",
            subject=SubjectInfo(kind="key", id=made.value.id),
            detail={"user": "zoe", "role": "operator"},
        )

    async def test_key_is_revoked_once_and_what_its_runs_lose_is_told(self, stage: Stage) -> None:
        fay = person("fay")
        key = await stage.key(fay)
        start = await stage.begin(by=fay)
        for _ in range(2):
            await stage.store.revoke_key(stage.stamp(ADMIN), key)
        left = await stage.run(start.run_id)

        revoked, reduced = await told(stage)
        assert revoked == Told("key.revoked", "root", "key", key, {"user": "fay", "role": "member"})
        assert reduced[:4] == ("grant.reduced", "root", "run", start.run_id)
        assert set(reduced.detail) == {"digest"}
        assert left.grant.names() == frozenset()

    async def test_stop_of_somebody_elses_run_is_told_and_of_ones_own_is_not(self, stage: Stage) -> None:
        own, start = await stage.begin(), await stage.begin()
        await stage.interrupt(own.session_id)
        await stage.interrupt(start.session_id, InterruptRun(), by=OPERATOR)

        assert await told(stage) == [
            Told("run.interrupted", "olga", "run", start.run_id, {"author": "ada", "reason": "interrupted"})
        ]

    async def test_message_that_stops_anothers_run_is_told_too(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(
            start.session_id,
            msgspec.convert({"content": "now", "when_busy": "interrupt"}, SendMessage),
            by=OPERATOR,
        )

        assert [(entry.action, entry.by) for entry in await told(stage)] == [("run.interrupted", "olga")]

    async def test_decision_is_told_without_what_was_asked_or_said(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        first, second = await calls.ask(), await calls.ask("other")
        await decide(stage, first, remember=Remember.SESSION, note="a secret word")
        await decide(stage, second, Answering.DENY, by=OPERATOR)
        for _ in range(2):
            await stage.store.approvals.revoke(stage.stamp(ADMIN), first)

        assert await told(stage) == [
            Told("approval.decided", "ada", "approval", first, {"tool": "mail", "status": "granted"}),
            Told("approval.decided", "olga", "approval", second, {"tool": "other", "status": "denied"}),
            Told("approval.revoked", "root", "approval", first, {"tool": "mail"}),
        ]

    async def test_what_becomes_of_a_schedule_is_told_once(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        for signal in (
            ScheduleSignal.PAUSE,
            ScheduleSignal.PAUSE,
            ScheduleSignal.RESUME,
            ScheduleSignal.CANCEL,
        ):
            await plan.turn(signal, by=BOB)

        owner = {"owner": "ada"}
        assert await told(stage) == [
            Told("schedule.created", "ada", "schedule", plan.id, {}),
            Told("schedule.paused", "bob", "schedule", plan.id, owner),
            Told("schedule.resumed", "bob", "schedule", plan.id, owner),
            Told("schedule.cancelled", "bob", "schedule", plan.id, owner),
        ]

    async def test_entry_of_a_deleted_session_outlives_it(self, stage: Stage) -> None:
        session_id = await stage.open()
        await stage.store.delete_session(stage.stamp(OPERATOR), session_id)
        while await stage.store.purge(stage.at()):
            pass

        assert await told(stage) == [Told("session.deleted", "olga", "session", session_id, {"owner": "ada"})]

    async def test_what_is_refused_or_asked_again_is_not_told(self, stage: Stage) -> None:
        key = stage.ids.new(KEY)
        ask = CreateKey(user="zoe", role=Role.MEMBER, tenant="initech")
        for _ in range(2):
            await stage.store.create_key(stage.stamp(ADMIN, "again"), ask, key, hashed_secret("zoe's"))
        with pytest.raises(TenureError):
            await stage.store.create_key(stage.stamp(ADMIN), ask, stage.ids.new(KEY), hashed_secret("zoe's"))
        with pytest.raises(TenureError):
            await stage.store.delete_session(stage.stamp(), "ses_0")

        entries = (await stage.store.operations.audit(AuditFilter("initech"), None, 10)).data
        assert [entry.subject.id for entry in entries] == [key]
        assert await told(stage) == []

    async def test_what_concerns_the_installation_belongs_to_no_tenant(self, stage: Stage) -> None:
        await stage.store.operations.record(stage.stamp(ADMIN), Deed.HOST_DRAINED, Subject("host", "7", ""))

        assert await told(stage) == [Told("host.drained", "root", "host", "7", {})]
        assert await told(stage, AuditFilter("acme")) == []

    @pytest.mark.sources("P12")
    async def test_log_is_of_a_tenant_an_action_a_user_or_a_time(self, stage: Stage) -> None:
        first = await stage.open()
        await stage.store.delete_session(stage.stamp(), first)
        stage.pass_time(3_600)
        later = stage.at()
        second, third = await stage.open(BOB), await stage.open(STRANGER)
        await stage.store.delete_session(stage.stamp(ADMIN), second)
        await stage.store.delete_session(stage.stamp(STRANGER), third)
        await planned(stage)

        async def found(**which: str | Micros | None) -> list[str]:
            asked = EVERYTHING._replace(**which)
            return [entry.id if entry.kind == "session" else entry.kind for entry in await told(stage, asked)]

        assert await found() == [first, second, third, "schedule"]
        assert await found(tenant="acme") == [first, second, "schedule"]
        assert await found(tenant="globex") == [third]
        assert await found(action="session.deleted", by="ada") == [first, third]
        assert await found(since=later) == [second, third, "schedule"]
        assert await found(tenant="acme", by="root") == [second]

    async def test_log_is_paged_from_the_latest_on(self, stage: Stage) -> None:
        sessions = [await stage.open() for _ in range(5)]
        for session_id in sessions:
            await stage.store.delete_session(stage.stamp(), session_id)
        which = AuditFilter("acme", "session.deleted")
        walked: list[str] = []
        cursor: str | None = None
        while True:
            page = await stage.store.operations.audit(which, cursor, 2)
            walked += [entry.subject.id for entry in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert walked == sessions[::-1]
        with pytest.raises(TenureError) as caught:
            await stage.store.operations.audit(which, "nowhere", 2)
        assert refusal(caught)[0] is Code.BAD_CURSOR

    async def test_entries_go_when_they_are_too_old(self, stage: Stage) -> None:
        session_id = await stage.open()
        await stage.store.delete_session(stage.stamp(), session_id)
        stage.pass_time(KEPT / SECOND - 60)
        while await stage.store.purge(stage.at()):
            pass
        kept = await told(stage)
        late = await stage.open()
        await stage.store.delete_session(stage.stamp(), late)
        stage.pass_time(3_600)
        while await stage.store.purge(stage.at()):
            pass

        assert [entry.id for entry in kept] == [session_id]
        assert [entry.id for entry in await told(stage)] == [late]
