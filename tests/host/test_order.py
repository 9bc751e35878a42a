"""The one rule: whatever comes when, each entry is handed on once and in order."""

import random
from itertools import pairwise

import pytest

from tenure.host.order import MOST_AHEAD, Order
from tenure.ports.store import Block


def block(first: int, last: int) -> Block:
    """Entries first..last of one session."""
    return Block(session_id="ses", first=first, last=last, body=b"", entries=())


def ranges(blocks: list[Block]) -> list[tuple[int, int]]:
    """What was handed on."""
    return [(each.first, each.last) for each in blocks]


def test_what_follows_is_handed_on_at_once_and_what_was_handed_on_never_again() -> None:
    order = Order(4)
    assert ranges(order.take(block(5, 7))) == [(5, 7)]
    assert ranges(order.take(block(5, 7))) == []
    assert ranges(order.take(block(2, 3))) == []
    assert (order.delivered, order.head, order.lacks) == (7, 7, False)


def test_what_comes_early_waits_until_what_is_missing_is_there() -> None:
    order = Order(4)
    assert ranges(order.take(block(9, 9))) == []
    assert ranges(order.take(block(7, 8))) == []
    assert (order.delivered, order.head, order.lacks) == (4, 9, True)
    assert ranges(order.take(block(5, 6))) == [(5, 6), (7, 8), (9, 9)]
    assert (order.delivered, order.lacks) == (9, False)


def test_nothing_is_handed_on_before_it_is_known_where_to_begin() -> None:
    order = Order()
    assert ranges(order.take(block(5, 5))) == []
    assert ranges(order.take(block(6, 6))) == []
    assert not order.lacks
    assert ranges(order.begin(5)) == [(6, 6)]
    assert (order.delivered, order.lacks) == (6, False)


def test_beginning_earlier_than_what_was_handed_on_goes_back_and_later_leaves_nothing_out() -> None:
    order = Order(8)
    assert ranges(order.begin(5)) == []
    assert (order.delivered, order.head, order.lacks) == (5, 8, True)
    assert ranges(order.begin(7)) == []
    assert (order.delivered, order.lacks) == (5, True)
    assert ranges(order.take(block(6, 8))) == [(6, 8)]


def test_beginning_within_what_one_transaction_wrote_hands_it_on_as_a_whole_if_at_all() -> None:
    order = Order(2)
    order.take(block(3, 6))
    assert ranges(order.begin(5)) == []
    assert (order.delivered, order.lacks) == (6, False)
    order.take(block(7, 8))
    order.begin(5)
    assert order.lacks
    assert ranges([*order.take(block(3, 6)), *order.take(block(7, 8))]) == [(3, 6), (7, 8)]
    assert (order.delivered, order.lacks) == (8, False)


def test_beginning_just_before_what_was_handed_on_last_goes_back_for_it() -> None:
    order = Order(4)
    order.take(block(5, 6))
    order.take(block(7, 8))
    assert ranges(order.begin(6)) == []
    assert (order.delivered, order.head, order.lacks) == (6, 8, True)
    assert ranges(order.take(block(7, 8))) == [(7, 8)]


def test_what_is_skipped_is_not_handed_on_and_what_waited_behind_it_is() -> None:
    order = Order(4)
    order.take(block(8, 9))
    order.take(block(12, 12))
    assert ranges(order.skip(10)) == []
    assert (order.delivered, order.head, order.lacks) == (10, 12, True)
    assert ranges(order.skip(11)) == [(12, 12)]


def test_no_more_waits_than_can_be_read_again() -> None:
    order = Order(0)
    for first in range(2, 2 * MOST_AHEAD):
        assert order.take(block(first, first)) == []
    assert ranges(order.take(block(1, 1)))[0] == (1, 1)
    assert order.lacks
    assert order.head == 2 * MOST_AHEAD - 1


@pytest.mark.sources("P3")
@pytest.mark.parametrize("seed", range(50))
def test_blocks_in_any_order_doubled_and_read_back_are_handed_on_once_and_in_order(seed: int) -> None:
    draw = random.Random(seed)
    cuts = sorted(draw.sample(range(1, 400), 60))
    blocks = [block(low + 1, high) for low, high in pairwise([0, *cuts])]
    order = Order(0)
    coming = [*blocks, *draw.choices(blocks, k=30)]
    lost = set(draw.sample(range(60), 15))
    draw.shuffle(coming)
    handed: list[Block] = []
    for each in coming:
        if each.last in {blocks[n].last for n in lost}:
            order.head = max(order.head, each.last)
        else:
            handed += order.take(each)
        if order.lacks and draw.random() < 0.3:
            for found in [b for b in blocks if (order.delivered or 0) < b.first <= order.head][:3]:
                handed += order.take(found)
    while order.lacks:
        for found in [b for b in blocks if b.first > (order.delivered or 0)][:3]:
            handed += order.take(found)
    assert ranges(handed) == ranges(blocks)
