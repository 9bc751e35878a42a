"""What clients are told of a journal whose oldest part is gone: a gap, in pages, streams and sockets."""

from typing import Any

import pytest

from tenure.core.moment import SECOND, Micros
from tests.http.world import World

pytestmark = pytest.mark.anyio


async def retired(world: World) -> tuple[str, int, list[Any]]:
    """A session of three long answers whose oldest part is gone; its first number and what was there."""
    session = await world.session()
    for _ in range(3):
        await world.spoken(session, "BURST 600 8")
    whole = await world.journal(session)
    soon = Micros(world.host.clock.now() + 60 * SECOND)
    assert await world.host.store.limits.retire(soon) > 0
    first = (await world.host.store.page(session, 0, 1)).min_available
    return session, first, whole


async def test_a_page_says_what_is_gone_and_goes_on_behind_it(world: World) -> None:
    session, first, whole = await retired(world)
    page = await world.get(f"/v1/sessions/{session}/events?after=3&limit=5")
    rest = await world.get(f"/v1/sessions/{session}/events?after={first - 1}&limit=5")
    one = await world.ask("GET", f"/v1/sessions/{session}/events/2")

    assert page["gap"] == {"after": 3, "min_available": first}
    assert page["data"] == [e for e in whole if first <= e["seq"] < first + 5]
    assert rest == {"data": page["data"], "head_seq": page["head_seq"]}
    assert (one.status_code, one.json()["code"]) == (404, "not_found")


async def test_paging_backwards_ends_with_the_gap(world: World) -> None:
    session, first, whole = await retired(world)
    near = await world.get(f"/v1/sessions/{session}/events?before={first + 3}&limit=10")
    beyond = await world.get(f"/v1/sessions/{session}/events?before={first}&limit=10")

    assert near["data"] == [e for e in whole if first <= e["seq"] < first + 3]
    assert near["gap"] == beyond["gap"] == {"after": 0, "min_available": first}
    assert beyond["data"] == []


async def test_a_stream_says_what_is_gone_and_goes_on_behind_it(world: World) -> None:
    session, first, _ = await retired(world)
    stream = world.follow(session, "?after=3")
    gap = await stream.named("gap")
    await stream.named("up_to_date")
    seen = [frame.id for frame in stream.frames if frame.id is not None]
    head = await world.host.store.head(session)

    assert gap.data == {"after": 3, "min_available": first}
    assert stream.frames[0] == gap
    assert seen == [*range(first, head + 1)]


async def test_a_socket_says_what_is_gone_and_goes_on_behind_it(world: World) -> None:
    session, first, _ = await retired(world)
    wire = world.socket(session)
    gap = await wire.control("gap")
    await wire.control("up_to_date")

    assert gap == {"control": "gap", "after": 0, "min_available": first}
    assert [e["seq"] for e in wire.events] == [*range(first, await world.host.store.head(session) + 1)]
