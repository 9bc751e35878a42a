"""Cases: browsers that are signed in, the links that sign them in, and shares of sessions."""

import asyncio

import pytest

from tenure.core.command import CreateKey
from tenure.core.ids import KEY, SHARE, SIGN_IN
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.principal import Principal, Role
from tenure.core.signing import LINKS_PER_KEY, SHARES_PER_SESSION, SIGN_INS_PER_KEY, ShareInfo, SignInInfo
from tenure.errors import Code, TenureError
from tenure.ports.signing import Fresh
from tenure.ports.store import Idempotency
from tenure.stores.contract.stage import ADMIN, DIGEST, EPOCH, Cases, Stage, hashed_secret, refusal

HOUR = 3_600 * SECOND
LATER = Micros(EPOCH + HOUR)


async def holder(
    stage: Stage, user: str = "zoe", role: Role = Role.MEMBER, ends: str | None = None
) -> Principal:
    """Somebody with a key that the store knows."""
    key_id = stage.ids.new(KEY)
    ask = CreateKey(user=user, role=role, tenant="acme", expires_at=ends)
    await stage.store.create_key(stage.stamp(ADMIN), ask, key_id, hashed_secret(key_id))
    return Principal(tenant="acme", user=user, role=role, key_id=key_id)


def fresh(stage: Stage, secret: str, prefix: str = SIGN_IN, until: Micros = LATER) -> Fresh:
    """What is about to exist."""
    return Fresh(stage.ids.new(prefix), hashed_secret(secret), until)


async def who(stage: Stage, secret: str, at: Micros | None = None) -> Principal | None:
    """Who presents a secret."""
    return await stage.store.principal(hashed_secret(secret), at or stage.at())


async def signed_in(stage: Stage, by: Principal, secret: str = "cookie") -> str:
    """A browser that is signed in: its id."""
    made = fresh(stage, secret)
    await stage.store.sign_ins.sign_in(stage.stamp(by), made)
    return made.id


async def linked(stage: Stage, by: Principal, secret: str = "link", until: Micros = LATER) -> None:
    """A link."""
    await stage.store.sign_ins.offer(stage.stamp(by), fresh(stage, secret, "", until))


async def redeemed(stage: Stage, cookie: str, link: str = "link", at: Micros | None = None) -> bool:
    """Open the link."""
    return await stage.store.sign_ins.redeem(hashed_secret(link), fresh(stage, cookie), at or stage.at())


async def shared(stage: Stage, by: Principal, session_id: str, secret: str = "share") -> ShareInfo:
    """A share of a session."""
    answer = await stage.store.shares.create(stage.stamp(by), session_id, fresh(stage, secret, SHARE))
    return answer.value


class SignInCases(Cases):
    """A browser is worth what its key is worth."""

    async def test_a_signed_in_browser_is_its_keys_user(self, stage: Stage) -> None:
        zoe = await holder(stage)
        sign_in = await signed_in(stage, zoe)

        expected = Principal(tenant="acme", user="zoe", role=Role.MEMBER, key_id=zoe.key_id, sign_in=sign_in)
        assert await who(stage, "cookie") == expected
        assert await stage.store.sign_ins.whose(sign_in) == ("acme", "zoe")

    async def test_a_sign_in_ends_at_its_moment(self, stage: Stage) -> None:
        await signed_in(stage, await holder(stage))

        assert await who(stage, "cookie", Micros(LATER - 1)) is not None
        assert await who(stage, "cookie", LATER) is None

    async def test_a_sign_in_that_was_ended_is_dead_and_others_live(self, stage: Stage) -> None:
        zoe = await holder(stage)
        first = await signed_in(stage, zoe, "first")
        await signed_in(stage, zoe, "second")
        await stage.store.sign_ins.end(stage.stamp(zoe), first)
        await stage.store.sign_ins.end(stage.stamp(zoe), first)

        assert (await who(stage, "first"), await stage.store.sign_ins.whose(first)) == (None, None)
        assert await who(stage, "second") is not None

    async def test_a_sign_in_dies_with_its_key(self, stage: Stage) -> None:
        zoe = await holder(stage)
        sign_in = await signed_in(stage, zoe)
        await linked(stage, zoe)
        await stage.store.revoke_key(stage.stamp(ADMIN), zoe.key_id)

        assert await who(stage, "cookie") is None
        assert not await redeemed(stage, "late")
        page = await stage.store.sign_ins.of_user("acme", "zoe", stage.at(), None, 10)
        assert (page.data, await who(stage, "late")) == ([], None)
        assert await stage.store.sign_ins.whose(sign_in) == ("acme", "zoe")

    async def test_a_sign_in_expires_with_its_key(self, stage: Stage) -> None:
        soon = Micros(EPOCH + 60 * SECOND)
        await signed_in(stage, await holder(stage, ends=timestamp(soon)))

        assert await who(stage, "cookie", Micros(soon - 1)) is not None
        assert await who(stage, "cookie", soon) is None

    async def test_a_dead_key_signs_no_browser_in(self, stage: Stage) -> None:
        zoe = await holder(stage)
        await stage.store.revoke_key(stage.stamp(ADMIN), zoe.key_id)
        with pytest.raises(TenureError) as refused:
            await signed_in(stage, zoe)

        assert refusal(refused) == (Code.UNAUTHENTICATED, {})
        assert await who(stage, "cookie") is None

    async def test_a_user_sees_where_they_are_signed_in_the_latest_first(self, stage: Stage) -> None:
        zoe, max_ = await holder(stage), await holder(stage, "max")
        ids = [await signed_in(stage, zoe, f"cookie {n}") for n in range(3)]
        await signed_in(stage, max_, "other")
        first = await stage.store.sign_ins.of_user("acme", "zoe", stage.at(), None, 2)
        rest = await stage.store.sign_ins.of_user("acme", "zoe", stage.at(), first.next_cursor, 2)

        assert [info.id for info in first.data + rest.data] == ids[::-1]
        assert rest == (
            [
                SignInInfo(
                    id=ids[0],
                    key_id=zoe.key_id,
                    created_at=rest.data[0].created_at,
                    expires_at=timestamp(LATER),
                )
            ],
            None,
        )

    async def test_the_oldest_browser_of_a_key_makes_room(self, stage: Stage) -> None:
        zoe = await holder(stage)
        for n in range(SIGN_INS_PER_KEY + 1):
            await signed_in(stage, zoe, f"cookie {n}")

        assert await who(stage, "cookie 0") is None
        assert await who(stage, "cookie 1") is not None
        assert await who(stage, f"cookie {SIGN_INS_PER_KEY}") is not None

    # --- links

    async def test_a_link_signs_one_browser_in(self, stage: Stage) -> None:
        zoe = await holder(stage)
        await linked(stage, zoe)

        assert [await redeemed(stage, "one"), await redeemed(stage, "two")] == [True, False]
        by = await who(stage, "one")
        assert by is not None
        assert (by.user, by.key_id, await who(stage, "two"), await who(stage, "link")) == (
            "zoe",
            zoe.key_id,
            None,
            None,
        )

    async def test_of_many_at_once_one_has_the_link(self, stage: Stage) -> None:
        await linked(stage, await holder(stage))
        won = await asyncio.gather(*(redeemed(stage, f"cookie {n}") for n in range(10)))
        lived = [await who(stage, f"cookie {n}") is not None for n in range(10)]

        assert (sum(won), lived) == (1, won)

    async def test_a_link_ends_at_its_moment(self, stage: Stage) -> None:
        zoe = await holder(stage)
        await linked(stage, zoe, "late")
        await linked(stage, zoe, "early")

        assert not await redeemed(stage, "one", "late", LATER)
        assert await redeemed(stage, "two", "early", Micros(LATER - 1))
        assert not await redeemed(stage, "three", "never")

    async def test_the_oldest_link_of_a_key_makes_room(self, stage: Stage) -> None:
        zoe = await holder(stage)
        for n in range(LINKS_PER_KEY + 1):
            await linked(stage, zoe, f"link {n}")

        assert not await redeemed(stage, "one", "link 0")
        assert await redeemed(stage, "two", "link 1")

    async def test_a_repeated_request_for_a_link_makes_one(self, stage: Stage) -> None:
        zoe = await holder(stage)
        stamp = stage.stamp(zoe)._replace(idempotency=Idempotency("k", DIGEST))
        answers = [
            await stage.store.sign_ins.offer(stamp, fresh(stage, "link", "")),
            await stage.store.sign_ins.offer(stamp, fresh(stage, "link", "")),
        ]

        assert [answer.replayed for answer in answers] == [False, True]
        assert answers[0].value == answers[1].value

    async def test_what_is_over_is_freed(self, stage: Stage) -> None:
        zoe = await holder(stage)
        await signed_in(stage, zoe)
        await linked(stage, zoe)
        kept = await stage.store.purge(Micros(LATER - 1))
        freed = await stage.store.purge(LATER)

        assert (kept, freed, await stage.store.purge(LATER)) == (0, 2, 0)

    async def test_browsers_that_were_signed_out_leave_nothing_to_look_through(self, stage: Stage) -> None:
        zoe = await holder(stage)
        for n in range(SIGN_INS_PER_KEY + 5):
            await stage.store.sign_ins.end(stage.stamp(zoe), await signed_in(stage, zoe, f"cookie {n}"))
        await signed_in(stage, zoe, "cookie")

        assert await who(stage, "cookie") is not None
        assert await stage.store.purge(LATER) == 1


class ShareCases(Cases):
    """Whoever has a share reads one session, and is nobody."""

    async def test_a_share_is_a_viewer_of_one_session(self, stage: Stage) -> None:
        zoe = await holder(stage)
        session_id = await stage.open(zoe)
        made = await shared(stage, zoe, session_id)

        assert await who(stage, "share") == Principal(
            tenant="acme", user=made.id, role=Role.VIEWER, key_id=made.id, session=session_id
        )
        assert made == ShareInfo(
            id=made.id,
            session_id=session_id,
            by="zoe",
            status="active",
            created_at=made.created_at,
            expires_at=timestamp(LATER),
        )

    async def test_a_share_ends_at_its_moment(self, stage: Stage) -> None:
        zoe = await holder(stage)
        made = await shared(stage, zoe, await stage.open(zoe))

        assert await who(stage, "share", Micros(LATER - 1)) is not None
        assert await who(stage, "share", LATER) is None
        (listed,) = (await stage.store.shares.of_session(made.session_id, LATER, None, 10)).data
        assert listed.status == "expired"

    async def test_a_revoked_share_is_dead_at_once_and_others_live(self, stage: Stage) -> None:
        zoe = await holder(stage)
        session_id = await stage.open(zoe)
        first, second = [await shared(stage, zoe, session_id, name) for name in ("first", "second")]
        await stage.store.shares.revoke(stage.stamp(zoe), session_id, first.id)
        await stage.store.shares.revoke(stage.stamp(zoe), session_id, first.id)

        assert await who(stage, "first") is None
        assert await who(stage, "second") is not None
        listed = await stage.store.shares.of_session(session_id, stage.at(), None, 10)
        assert [(s.id, s.status) for s in listed.data] == [(second.id, "active"), (first.id, "revoked")]

    async def test_a_share_of_another_session_is_not_found(self, stage: Stage) -> None:
        zoe = await holder(stage)
        made = await shared(stage, zoe, await stage.open(zoe))
        other = await stage.open(zoe)
        with pytest.raises(TenureError) as refused:
            await stage.store.shares.revoke(stage.stamp(zoe), other, made.id)

        assert refusal(refused) == (Code.NOT_FOUND, {"id": made.id})
        assert await who(stage, "share") is not None
        assert (await stage.store.shares.of_session(other, stage.at(), None, 10)).data == []

    async def test_a_share_dies_with_the_key_that_made_it(self, stage: Stage) -> None:
        zoe = await holder(stage)
        await stage.key(zoe)
        made = await shared(stage, zoe, await stage.open(zoe))
        await stage.store.revoke_key(stage.stamp(ADMIN), zoe.key_id)

        assert await who(stage, "share") is None
        (listed,) = (await stage.store.shares.of_session(made.session_id, stage.at(), None, 10)).data
        assert listed.status == "revoked"

    async def test_a_share_dies_with_its_session(self, stage: Stage) -> None:
        zoe = await holder(stage)
        session_id = await stage.open(zoe)
        await shared(stage, zoe, session_id)
        await stage.store.delete_session(stage.stamp(zoe), session_id)

        assert await who(stage, "share") is None
        while await stage.store.purge(stage.at()):
            pass
        assert (await stage.store.shares.of_session(session_id, stage.at(), None, 10)).data == []

    async def test_a_deleted_session_is_not_shared(self, stage: Stage) -> None:
        zoe = await holder(stage)
        session_id = await stage.open(zoe)
        await stage.store.delete_session(stage.stamp(zoe), session_id)
        with pytest.raises(TenureError) as refused:
            await shared(stage, zoe, session_id)

        assert refused.value.code is Code.NOT_FOUND

    async def test_so_many_shares_work_at_once_and_more_are_refused(self, stage: Stage) -> None:
        zoe = await holder(stage)
        session_id = await stage.open(zoe)
        made = [await shared(stage, zoe, session_id, f"share {n}") for n in range(SHARES_PER_SESSION)]
        with pytest.raises(TenureError) as refused:
            await shared(stage, zoe, session_id, "one more")
        await stage.store.shares.revoke(stage.stamp(zoe), session_id, made[0].id)
        await shared(stage, zoe, session_id, "in its place")

        facts = {"scope": "per_session", "limit": SHARES_PER_SESSION, "current": SHARES_PER_SESSION}
        assert refusal(refused) == (Code.CAPACITY, facts)
        assert await who(stage, "one more") is None
        assert await who(stage, "in its place") is not None

    async def test_a_repeated_request_shares_once(self, stage: Stage) -> None:
        zoe = await holder(stage)
        session_id = await stage.open(zoe)
        stamp = stage.stamp(zoe)._replace(idempotency=Idempotency("k", DIGEST))
        answers = [
            await stage.store.shares.create(stamp, session_id, fresh(stage, "share", SHARE)) for _ in "ab"
        ]
        with pytest.raises(TenureError) as refused:
            await shared(stage, zoe, session_id)

        assert [answer.replayed for answer in answers] == [False, True]
        assert answers[0].value == answers[1].value
        assert refused.value.code is Code.CONFLICT
        assert len((await stage.store.shares.of_session(session_id, stage.at(), None, 10)).data) == 1

    async def test_a_share_that_is_over_is_listed_for_a_month_and_then_freed(self, stage: Stage) -> None:
        zoe = await holder(stage)
        made = await shared(stage, zoe, await stage.open(zoe))
        month = Micros(LATER + 30 * 24 * HOUR)
        await stage.store.purge(Micros(month - 1))
        before = await stage.store.shares.of_session(made.session_id, month, None, 10)
        await stage.store.purge(month)
        after = await stage.store.shares.of_session(made.session_id, month, None, 10)

        assert ([share.id for share in before.data], after.data) == ([made.id], [])
