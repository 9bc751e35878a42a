"""What only an asynchronous client can do: many things at once, and be cancelled."""

import anyio
import pytest

from tenure.client import AsyncClient
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted

pytestmark = pytest.mark.anyio

FOLLOWERS = 120


async def test_more_followers_than_a_connection_pool_holds_all_get_everything(
    hosted: Hosted,
) -> None:
    seen: list[list[int]] = []
    async with AsyncClient(hosted.url, hosted.key) as client:
        session = (await client.open_session("scripted")).id

        async def follow() -> None:
            items = [item async for item in client.follow(session, until=is_finished)]
            seen.append([event.seq for event in events_of(items)])

        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                for _ in range(FOLLOWERS):
                    group.start_soon(follow)
                await client.send(session, "SLOW 5 20")
        head = (await client.session(session)).head_seq

    assert seen == [list(range(1, head + 1))] * FOLLOWERS


async def test_cancelled_follower_gives_its_stream_up(own_hosted: Hosted) -> None:
    async with AsyncClient(own_hosted.url, own_hosted.key) as client:
        session = (await client.open_session("scripted")).id
        following = anyio.Event()

        async def follow() -> None:
            async for _ in client.follow(session):
                following.set()

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await following.wait()
            assert (await client.stats()).streams == 1
            group.cancel_scope.cancel()

        with anyio.fail_after(10):
            while (await client.stats()).streams:
                pass


async def test_call_is_only_made_when_awaited(hosted: Hosted) -> None:
    async with AsyncClient(hosted.url, hosted.key) as client:
        before = (await client.stats()).sessions
        call = client.open_session("scripted")

        assert (await client.stats()).sessions == before
        await call
        assert (await client.stats()).sessions == before + 1
