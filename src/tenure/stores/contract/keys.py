"""Cases: API keys, of which only hashes are kept, and people who lose theirs."""

import pytest

from tenure.core.command import CreateKey
from tenure.core.event import MessageWithdrawn
from tenure.core.ids import KEY
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.principal import Author, Principal, Role
from tenure.core.view import KeyInfo
from tenure.errors import Code, TenureError
from tenure.stores.contract.stage import (
    ADMIN,
    EPOCH,
    Cases,
    Stage,
    Stages,
    hashed_secret,
    person,
    refusal,
)

ZOE = person("zoe")
SECRET = hashed_secret("zoe's secret")


async def made(stage: Stage, ask: CreateKey, secret: bytes = SECRET, *, root: bool = False) -> KeyInfo:
    """A new key."""
    stamp = stage.stamp(ADMIN)
    answer = await stage.store.create_key(stamp, ask, stage.ids.new(KEY), secret, root=root)
    return answer.value


class KeyCases(Cases):
    """Who presents a key acts; who has none left doesn't."""

    async def test_a_key_is_made_as_asked(self, stage: Stage) -> None:
        ask = CreateKey(
            user="zoe",
            role=Role.OPERATOR,
            name="laptop",
            tenant="globex",
            expires_at="2027-01-31T13:00:00+01:00",
        )
        info = await made(stage, ask)

        assert info == KeyInfo(
            id=info.id,
            tenant="globex",
            user="zoe",
            role="operator",
            name="laptop",
            created_at=info.created_at,
            expires_at="2027-01-31T12:00:00.000000Z",
            revoked_at=None,
        )
        assert await stage.store.key(info.id) == info

    async def test_a_key_without_a_tenant_belongs_to_its_makers(self, stage: Stage) -> None:
        info = await made(stage, CreateKey(user="zoe", role=Role.MEMBER))

        assert info.tenant == ADMIN.tenant

    @pytest.mark.parametrize("root", [False, True])
    async def test_a_secret_says_who_presents_it(self, stage: Stage, *, root: bool) -> None:
        info = await made(stage, CreateKey(user="zoe", role=Role.VIEWER), root=root)

        assert await stage.store.principal(SECRET, stage.at()) == Principal(
            tenant="acme", user="zoe", role=Role.VIEWER, key_id=info.id, root=root
        )
        assert await stage.store.principal(hashed_secret("guess"), stage.at()) is None
        assert await stage.store.principal(b"", stage.at()) is None

    async def test_a_key_expires_at_its_moment(self, stage: Stage) -> None:
        end = timestamp(EPOCH).replace("20:10:00.000000", "20:11:00")
        await made(stage, CreateKey(user="zoe", role=Role.MEMBER, expires_at=end))
        at = EPOCH + 60 * SECOND

        assert await stage.store.principal(SECRET, Micros(at - 1)) is not None
        assert await stage.store.principal(SECRET, Micros(at)) is None

    @pytest.mark.parametrize("moment", ["", "tomorrow", "2027-01-31T12:00:00", "2027-02-30T00:00:00Z"])
    async def test_an_expiry_that_is_no_instant_is_refused(self, stage: Stage, moment: str) -> None:
        with pytest.raises(TenureError) as refused:
            await made(stage, CreateKey(user="zoe", role=Role.MEMBER, expires_at=moment))

        assert refusal(refused) == (Code.INVALID, {"field": "expires_at"})
        assert await stage.store.principal(SECRET, stage.at()) is None

    async def test_a_secret_belongs_to_one_key(self, stage: Stage) -> None:
        await made(stage, CreateKey(user="zoe", role=Role.MEMBER))
        with pytest.raises(TenureError) as refused:
            await made(stage, CreateKey(user="mallory", role=Role.ADMIN))

        assert refused.value.code is Code.CONFLICT
        zoe = await stage.store.principal(SECRET, stage.at())
        assert zoe is not None
        assert zoe.user == "zoe"

    async def test_a_revoked_key_is_dead_at_once_and_for_ever(self, stage: Stage) -> None:
        info = await made(stage, CreateKey(user="zoe", role=Role.MEMBER))
        revoked = await stage.store.revoke_key(stage.stamp(ADMIN), info.id)
        again = await stage.store.revoke_key(stage.stamp(ADMIN), info.id)

        assert revoked.revoked_at is not None
        assert again == revoked == await stage.store.key(info.id)
        assert await stage.store.principal(SECRET, stage.at()) is None

    async def test_a_key_that_never_was_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(TenureError) as refused:
            await stage.store.revoke_key(stage.stamp(ADMIN), "key_0")

        assert refusal(refused) == (Code.NOT_FOUND, {"id": "key_0"})
        assert await stage.store.key("key_0") is None

    async def test_keys_are_listed_by_tenant_oldest_first(self, stage: Stage) -> None:
        ours = [await stage.key(person(f"user{n}", tenant="ours")) for n in range(5)]
        theirs = await stage.key(person("other", tenant="theirs"))
        pages = [await stage.store.keys("ours", None, 2)]
        while pages[-1].next_cursor is not None:
            pages.append(await stage.store.keys("ours", pages[-1].next_cursor, 2))
        everybody = await stage.store.keys(None, None, 100)

        assert [[info.id for info in page.data] for page in pages] == [ours[:2], ours[2:4], ours[4:]]
        assert [info.id for info in everybody.data][-6:] == [*ours, theirs]

    # --- people who are gone

    async def test_the_waiting_message_of_somebody_who_is_gone_is_withdrawn_and_the_next_one_runs(
        self, stage: Stage
    ) -> None:
        key_id = await stage.key(ZOE)
        start = await stage.begin()
        sent = await stage.send(start.session_id, "from zoe", by=ZOE)
        await stage.send(start.session_id, "from ada")
        await stage.store.revoke_key(stage.stamp(ADMIN), key_id)
        head = await stage.store.head(start.session_id)
        done = await stage.settle(start.run_id)

        assert [s.content for s in done.wake.starts] == ["from ada"]
        assert (await stage.events(start.session_id, head))[1] == MessageWithdrawn(
            message_id=sent.receipt.message_id, by="host", reason="principal_gone"
        )

    async def test_somebody_with_another_key_is_not_gone(self, stage: Stage) -> None:
        await stage.key(ZOE)
        second = await stage.key(ZOE)
        start = await stage.begin()
        await stage.send(start.session_id, "from zoe", by=ZOE)
        await stage.store.revoke_key(stage.stamp(ADMIN), second)

        assert [s.content for s in (await stage.settle(start.run_id)).wake.starts] == ["from zoe"]

    @pytest.mark.sources("D-N15", "P8")
    async def test_a_run_has_at_most_the_rights_its_author_has_when_it_starts(self, stage: Stage) -> None:
        strong = await stage.key(person("zoe", Role.OPERATOR))
        await stage.key(person("zoe", Role.VIEWER))
        start = await stage.begin()
        await stage.send(start.session_id, by=person("zoe", Role.OPERATOR))
        await stage.store.revoke_key(stage.stamp(ADMIN), strong)
        (after,) = (await stage.settle(start.run_id)).wake.starts

        assert after.grant.author == Author(tenant="acme", user="zoe", role=Role.VIEWER)

    async def test_a_run_has_at_most_the_rights_its_author_had_when_it_was_sent(self, stage: Stage) -> None:
        await stage.key(ZOE)
        start = await stage.begin()
        await stage.send(start.session_id, by=ZOE)
        await stage.key(person("zoe", Role.ADMIN))
        (after,) = (await stage.settle(start.run_id)).wake.starts

        assert after.grant.author == Author(tenant="acme", user="zoe", role=Role.MEMBER)

    async def test_a_run_that_waits_for_a_slot_keeps_the_grant_it_was_stored_with(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(Limits(live_runs=1))
        await stage.key(ZOE)
        other = await stage.begin()
        sent = await stage.send(await stage.open(ZOE), by=ZOE)
        assert sent.receipt.run_id is not None
        frozen = (await stage.run(sent.receipt.run_id)).grant
        await stage.settle(other.run_id)
        (start,) = (await stage.claim()).starts

        assert start.grant == frozen
        assert frozen.author == Author(tenant="acme", user="zoe", role=Role.MEMBER)
