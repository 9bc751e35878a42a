"""Cases: several hosts work on the same data at the same time. Each session still has one history."""

import asyncio
from collections.abc import Awaitable, Sequence
from itertools import pairwise
from typing import TypeVar

import pytest

from tenure.core.command import Answering, DecideApproval
from tenure.core.event import MessageDelta
from tenure.core.limits import Limits
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.ports.hosts import HostCard
from tenure.ports.store import Block
from tenure.stores.contract.calling import Calls
from tenure.stores.contract.recalling import planned
from tenure.stores.contract.settlements import fenced
from tenure.stores.contract.stage import ADA, BOB, Ability, Backend, Cases, Stage, Stages

T = TypeVar("T")
GONE_AT_ONCE = HostCard(lease_s=0.0)


async def outcomes(*acts: Awaitable[T]) -> tuple[list[T], list[Code]]:
    """What acts at the same time came to: the answers, and the codes of the refusals."""
    answers: list[T] = []
    refusals: list[Code] = []
    for told in await asyncio.gather(*acts, return_exceptions=True):
        match told:
            case TenureError():
                refusals.append(told.code)
            case BaseException():
                raise told
            case _:
                answers.append(told)
    return answers, refusals


def in_order(blocks: Sequence[Block]) -> list[Block]:
    """Blocks of one session from several hosts, by their numbers, none missing and none twice."""
    ordered = sorted(blocks, key=lambda block: block.first)
    for before, after in pairwise(ordered):
        assert after.first == before.last + 1
    return ordered


class SeveralHostsCases(Cases):
    """Two hosts, one database."""

    @pytest.fixture
    async def hosts(self, stages: Stages, backend: Backend) -> tuple[Stage, Stage]:
        """Two hosts."""
        if Ability.MANY_HOSTS not in backend.abilities:
            pytest.skip("This store declares that one host at a time holds runs.")
        one = await stages.open()
        return one, await stages.beside(one)

    @pytest.mark.sources("P5", "A3")
    async def test_the_same_request_on_two_hosts_at_once_is_done_once(
        self, hosts: tuple[Stage, Stage]
    ) -> None:
        one, other = hosts
        session = await one.open()
        sent = await asyncio.gather(*(host.send(session, "Hi", key="k") for host in (one, other) * 5))

        assert len({each.receipt for each in sent}) == 1
        assert sorted(each.replayed for each in sent) == [False] + [True] * 9
        assert (await one.types(session)).count("message.admitted") == 1

    @pytest.mark.sources("P5")
    async def test_what_two_hosts_write_at_once_has_one_order(self, hosts: tuple[Stage, Stage]) -> None:
        one, other = hosts
        start = await one.begin()
        said = await one.say(start.run_id, "")
        saying = (one.say(start.run_id, f"{n} ", message_id=said) for n in range(40))
        sent = (other.send(start.session_id, f"{n}") for n in range(10))
        await asyncio.gather(*saying, *sent)
        journal = await one.journal(start.session_id)

        texts = [r.event.text for r in journal if isinstance(r.event, MessageDelta)]
        assert texts == ["", *(f"{n} " for n in range(40))]
        blocks = in_order([*one.delivered(start.session_id), *other.delivered(start.session_id)])
        assert (blocks[0].first, blocks[-1].last) == (1, len(journal))

    async def test_one_host_stops_what_another_runs(self, hosts: tuple[Stage, Stage]) -> None:
        one, other = hosts
        start = await one.begin()
        answer, _ = await other.interrupt(start.session_id, by=ADA)

        assert answer.value.status is RunState.INTERRUPTING
        assert await fenced(other.settle(start.run_id))
        assert (await one.settle(start.run_id, RunState.CANCELLED)).status is RunState.CANCELLED

    @pytest.mark.sources("P5")
    async def test_a_host_that_was_given_up_writes_nothing_more(
        self, hosts: tuple[Stage, Stage], backend: Backend
    ) -> None:
        one, other = hosts
        start = await one.begin()
        await one.say(start.run_id, "before")
        head = await one.store.head(start.session_id)
        await backend.lapse(one.store, one.lease)

        assert await fenced(one.say(start.run_id, "after"))
        assert await fenced(one.settle(start.run_id))
        assert await one.store.head(start.session_id) == head
        await other.store.reap(other.lease, other.at())
        (again,) = (await other.claim()).starts
        assert (again.run_id, again.attempt) == (start.run_id, 2)

    @pytest.mark.sources("P5")
    async def test_a_host_given_up_while_it_writes_has_written_all_or_nothing_of_each(
        self, hosts: tuple[Stage, Stage], backend: Backend
    ) -> None:
        one, other = hosts
        start = await one.begin()
        said = await one.say(start.run_id, "")
        kept = [""]

        async def talk() -> None:
            for n in range(200):
                await one.say(start.run_id, f"{n} ", message_id=said)
                kept.append(f"{n} ")

        talking = asyncio.create_task(talk())
        await other.store.head(start.session_id)
        await backend.lapse(one.store, one.lease)
        await other.store.reap(other.lease, other.at())
        (again,) = (await other.claim()).starts
        assert await fenced(talking)
        journal = await other.journal(start.session_id)

        texts = [r.event.text for r in journal if isinstance(r.event, MessageDelta)]
        assert texts == kept
        assert again.attempt == 2
        assert journal[-1].run_id == start.run_id

    @pytest.mark.sources("D-O20", "P5")
    async def test_two_hosts_that_claim_start_each_run_once_and_none_too_many(
        self, hosts: tuple[Stage, Stage], stages: Stages
    ) -> None:
        limits = Limits(live_runs=20, live_runs_per_user=12)
        one, other = await _limited(stages, limits)
        for n in range(30):
            await one.send(await one.open(by=(ADA, BOB)[n % 2]), by=(ADA, BOB)[n % 2], here=False)
        wakes = await asyncio.gather(*(host.claim(5) for host in (one, other) * 4))
        await _claim_rest(one)
        started = [start.run_id for wake in wakes for start in wake.starts]

        assert len(set(started)) == len(started)
        figures = await one.store.figures()
        assert (figures.live_runs, figures.queued_runs) == (20, 10)

    @pytest.mark.sources("D-O20", "P5")
    async def test_a_storm_of_messages_on_two_hosts_starts_as_many_as_the_limits_say(
        self, hosts: tuple[Stage, Stage], stages: Stages
    ) -> None:
        limits = Limits(live_runs=50, live_runs_per_user=30)
        one, other = await _limited(stages, limits)
        sessions = [(await one.open(by=by), by) for by in (ADA, BOB) for _ in range(40)]
        sent = await asyncio.gather(
            *((one, other)[n % 2].send(session, by=by) for n, (session, by) in enumerate(sessions))
        )
        began = [start for each in sent for start in each.wake.starts]

        assert len(began) <= 50
        await _claim_rest(one)
        figures = await one.store.figures()
        assert (figures.live_runs, figures.queued_runs) == (50, 30)

    @pytest.mark.parametrize(
        ("limits", "scope"),
        [(Limits(open_sessions=10), "global"), (Limits(open_sessions_per_user=10), "per_user")],
        ids=["global", "per_user"],
    )
    async def test_of_fifty_sessions_opened_on_two_hosts_exactly_as_many_are_open_as_the_limit_says(
        self, hosts: tuple[Stage, Stage], stages: Stages, limits: Limits, scope: str
    ) -> None:
        one, other = await _limited(stages, limits)
        opened, refused = await outcomes(*((one, other)[n % 2].open() for n in range(50)))

        assert (len(opened), refused) == (10, [Code.CAPACITY] * 40)
        assert (await one.store.figures()).open_sessions == 10

    async def test_closing_and_opening_on_two_hosts_never_waits_in_a_circle(
        self, hosts: tuple[Stage, Stage]
    ) -> None:
        one, other = hosts
        sessions = [await one.open() for _ in range(10)]
        closing = (other.store.delete_session(other.stamp(), session) for session in sessions)
        await asyncio.gather(*closing, *(one.open(by=BOB) for _ in range(10)))

        assert (await one.store.figures()).open_sessions == 10

    async def test_a_late_renewal_holds_unless_the_host_was_given_up(
        self, hosts: tuple[Stage, Stage]
    ) -> None:
        one, other = hosts
        late = await one.store.join(one.at(), GONE_AT_ONCE)
        one.pass_time(1)
        await one.store.hosts.renew(late, one.at())
        other.pass_time(2)

        assert await other.store.hosts.give_up(other.lease, other.at()) == 1
        with pytest.raises(TenureError) as refused:
            await one.store.hosts.renew(late, one.at())
        assert refused.value.code is Code.FENCED

    async def test_two_hosts_that_look_after_a_third_take_up_each_run_once(
        self, hosts: tuple[Stage, Stage], stages: Stages, backend: Backend
    ) -> None:
        one, other = hosts
        third = await stages.beside(one)
        runs = [(await third.begin()).run_id for _ in range(10)]
        await backend.lapse(third.store, third.lease)
        reaped = await asyncio.gather(*(host.store.reap(host.lease, host.at()) for host in hosts))

        assert sum(each.requeued for each in reaped) == 10
        assert [(await one.run(run)).status for run in runs] == ["queued"] * 10
        assert await other.store.counter_faults() == []

    async def test_nothing_comes_after_a_session_was_deleted(self, hosts: tuple[Stage, Stage]) -> None:
        one, other = hosts
        start = await one.begin()
        said = await one.say(start.run_id, "")
        acts = [one.say(start.run_id, f"{n}", message_id=said) for n in range(20)]
        _, refused = await outcomes(
            *acts[:10], other.store.delete_session(other.stamp(), start.session_id), *acts[10:]
        )

        blocks = in_order([*one.delivered(start.session_id), *other.delivered(start.session_id)])
        assert set(refused) <= {Code.FENCED}
        assert b'"type":"session.deleted"' in blocks[-1].body.split(b"\n")[-1]

    async def test_of_two_answers_on_two_hosts_one_holds(self, hosts: tuple[Stage, Stage]) -> None:
        one, other = hosts
        calls = Calls(one, await one.begin())
        asked = await calls.ask()
        answers, refused = await outcomes(
            *(
                host.store.approvals.decide(host.stamp(), asked, DecideApproval(decision=decision))
                for host, decision in ((one, Answering.APPROVE), (other, Answering.DENY)) * 3
            )
        )

        assert (len(answers), refused) == (1, [Code.ALREADY_RESOLVED] * 5)
        assert (await one.types(calls.start.session_id)).count("approval.resolved") == 1

    @pytest.mark.sources("P10")
    async def test_an_instant_that_two_hosts_fire_comes_once(self, hosts: tuple[Stage, Stage]) -> None:
        one, other = hosts
        plan = await planned(one, await one.open())
        firings = [await plan.firing(1) for _ in range(4)]
        stores = (one, other) * 2
        wakes, _ = await outcomes(
            *(
                host.store.schedules.fire(firing, host.lease)
                for host, firing in zip(stores, firings, strict=True)
            )
        )

        assert sum(len(wake.starts) for wake in wakes) == 1
        assert len(await plan.rows()) == 1


async def _limited(stages: Stages, limits: Limits) -> tuple[Stage, Stage]:
    """Two more hosts, with limits."""
    one = await stages.open(limits)
    return one, await stages.beside(one)


async def _claim_rest(stage: Stage) -> None:
    """Claim until nothing more starts: whoever met another in between left some for later."""
    while (await stage.claim()).starts:
        pass
