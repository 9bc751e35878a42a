"""Cases: the same request under the same key is answered once, and the answer is kept with the act."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tenure.core.command import CloseSession, CreateKey, OpenSession, SendMessage
from tenure.core.ids import KEY, SESSION
from tenure.core.message import BusyPolicy
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer
from tenure.stores.contract.stage import (
    ADA,
    ADMIN,
    BOB,
    STRANGER,
    Cases,
    Stage,
    Stages,
    hashed_secret,
    refusal,
)

OTHER = "1" * 64
Request = Callable[[Stage, str, str], Awaitable[Answer[object]]]
DAY = 24 * 3_600


async def _open(stage: Stage, session_id: str, digest: str) -> Answer[object]:
    stamp = stage.stamp(key="k", digest=digest)
    fresh = stage.ids.new(SESSION)
    answer = await stage.store.open_session(stamp, OpenSession(agent="greeter"), fresh)
    return Answer(answer.value, answer.replayed)


async def _close(stage: Stage, session_id: str, digest: str) -> Answer[object]:
    stamp = stage.stamp(key="k", digest=digest)
    answer = await stage.store.close_session(stamp, session_id, CloseSession())
    return Answer(answer.value, answer.replayed)


async def _reopen(stage: Stage, session_id: str, digest: str) -> Answer[object]:
    answer = await stage.store.reopen_session(stage.stamp(key="k", digest=digest), session_id)
    return Answer(answer.value, answer.replayed)


async def _send(stage: Stage, session_id: str, digest: str) -> Answer[object]:
    sent = await stage.send(session_id, key="k", digest=digest)
    return Answer(sent.receipt, sent.replayed)


async def _interrupt(stage: Stage, session_id: str, digest: str) -> Answer[object]:
    if (await stage.info(session_id)).run_id is None:
        await stage.send(session_id)
    answer, _ = await stage.interrupt(session_id, key="k", digest=digest)
    return Answer(answer.value, answer.replayed)


async def _key(stage: Stage, session_id: str, digest: str) -> Answer[object]:
    stamp = stage.stamp(ADMIN, key="k", digest=digest)
    ask = CreateKey(user="zoe", role=BOB.role)
    fresh = stage.ids.new(KEY)
    answer = await stage.store.create_key(stamp, ask, fresh, hashed_secret("zoe's"))
    return Answer(answer.value, answer.replayed)


REQUESTS: dict[str, Request] = {
    "open": _open,
    "close": _close,
    "reopen": _reopen,
    "send": _send,
    "interrupt": _interrupt,
    "create key": _key,
}
every_request = pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)


class IdempotencyCases(Cases):
    """Retrying is safe."""

    @every_request
    async def test_the_same_request_gets_the_same_answer_and_does_nothing(
        self, stage: Stage, request_: Request
    ) -> None:
        session_id = await stage.open()
        first = await request_(stage, session_id, OTHER)
        blocks = len(stage.blocks)
        again = await request_(stage, session_id, OTHER)

        assert again == Answer(first.value, replayed=True)
        assert not first.replayed
        assert len(stage.blocks) == blocks

    @every_request
    async def test_another_request_under_the_same_key_is_refused(
        self, stage: Stage, request_: Request
    ) -> None:
        session_id = await stage.open()
        await request_(stage, session_id, OTHER)
        blocks = len(stage.blocks)
        with pytest.raises(TenureError, match="'k' was used for another request") as refused:
            await request_(stage, session_id, OTHER[::-1] + "2")

        assert refused.value.code is Code.IDEMPOTENCY_CONFLICT
        assert len(stage.blocks) == blocks

    @every_request
    async def test_an_answer_outlives_a_restart_and_a_day(self, stages: Stages, request_: Request) -> None:
        stage = await stages.open()
        session_id = await stage.open()
        first = await request_(stage, session_id, OTHER)
        again = await stages.restart(stage)
        again.pass_time(DAY)
        await again.store.purge(again.at())

        assert await request_(again, session_id, OTHER) == Answer(first.value, replayed=True)

    async def test_an_old_answer_is_forgotten_in_the_end(self, stage: Stage) -> None:
        session_id = await stage.open()
        first = await stage.send(session_id, key="k")
        stage.pass_time(30 * DAY)
        while await stage.store.purge(stage.at()):
            pass
        later = await stage.send(session_id, key="k")

        assert not later.replayed
        assert later.receipt.message_id != first.receipt.message_id

    async def test_the_same_request_many_times_at_once_opens_one_session(self, stage: Stage) -> None:
        answers = await asyncio.gather(*(stage.opened(key="k") for _ in range(20)))

        assert len({answer.value.id for answer in answers}) == 1
        assert [answer.replayed for answer in answers].count(False) == 1
        assert (await stage.store.figures()).sessions == 1

    async def test_the_same_request_many_times_at_once_admits_one_message(self, stage: Stage) -> None:
        session_id = await stage.open()
        sent = await asyncio.gather(*(stage.send(session_id, key="k") for _ in range(20)))

        assert len({s.receipt.message_id for s in sent}) == 1
        assert sum(len(s.wake.starts) for s in sent) == 1
        assert await stage.store.head(session_id) == 3

    async def test_a_key_belongs_to_who_used_it(self, stage: Stage) -> None:
        opened = [await stage.opened(by, key="k") for by in (ADA, BOB, STRANGER)]

        assert [answer.replayed for answer in opened] == [False, False, False]
        assert len({answer.value.id for answer in opened}) == 3

    async def test_a_refusal_is_not_kept(self, stage: Stage) -> None:
        start = await stage.begin()
        ask = SendMessage(content="hi", when_busy=BusyPolicy.REJECT)
        with pytest.raises(TenureError) as refused:
            await stage.send(start.session_id, ask, key="k")
        await stage.settle(start.run_id)
        sent = await stage.send(start.session_id, ask, key="k")

        assert refusal(refused)[0] is Code.BUSY
        assert (sent.receipt.disposition, sent.replayed) == ("started", False)

    async def test_replaying_goes_before_every_other_reason_to_refuse(self, stage: Stage) -> None:
        session_id = await stage.open()
        ask = SendMessage(content="hi", when_busy=BusyPolicy.REJECT, if_head_seq=1, if_idle=True)
        first = await stage.send(session_id, ask, key="k")
        await stage.store.close_session(stage.stamp(), session_id, CloseSession())

        assert (await stage.send(session_id, ask, key="k")).receipt == first.receipt
