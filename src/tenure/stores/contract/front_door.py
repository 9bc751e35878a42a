"""Cases: an incoming event counts once, and belongs to the one session of its conversation."""

import asyncio
from typing import NamedTuple

import pytest

from tenure.core.command import CloseSession, SendMessage
from tenure.core.envelope import EventReceipt
from tenure.core.event import Actor, MessageAdmitted, RunStarted, Trigger
from tenure.core.ids import MESSAGE, RUN, SESSION
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.origin import Delivery, Origin, Party
from tenure.core.principal import Principal, Role
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.ports.events import Place, Reception, Seen
from tenure.ports.store import Answer, Start, Wake
from tenure.stores.contract.stage import ADA, DIGEST, STRANGER, Cases, Stage, Stages, refusal

ANN = Party(type="user", id="7", name="Ann", metadata={"lang": "de"})
DAY = 24 * 3_600


class Posted(NamedTuple):
    """What the reception of an event answered."""

    answer: Answer[EventReceipt]
    wake: Wake

    @property
    def receipt(self) -> EventReceipt:
        """What was decided."""
        return self.answer.value

    @property
    def start(self) -> Start:
        """The one run that it started."""
        (start,) = self.wake.starts
        return start


def reception(
    stage: Stage,
    event_id: str = "e1",
    conversation: str = "c",
    *,
    by: Principal = ADA,
    text: str = "Hello",
    digest: str = DIGEST,
    role: Role = Role.MEMBER,
    actor: Party | None = ANN,
    trigger: str = "message",
    when_busy: BusyPolicy = BusyPolicy.QUEUE,
    idempotency: str | None = None,
    reserved: str | None = None,
) -> Reception:
    """An event of a conversation, as the front door hands it on."""
    return Reception(
        stamp=stage.stamp(by, idempotency),
        seen=Seen(f"{by.tenant} {event_id}".encode(), digest, event_id),
        place=place(stage, conversation, by),
        binding_id="telegram",
        role=role,
        ask=SendMessage(content=text, when_busy=when_busy),
        message_id=stage.ids.new(MESSAGE),
        run_id=stage.ids.new(RUN),
        lease=stage.lease,
        origin=Origin(
            trigger=trigger,
            event_id=event_id,
            source="platform",
            binding_id="telegram",
            conversation_id=conversation,
            actor=actor,
            delivery=Delivery(surface="chat", max_message_size=100),
            data={"n": 1},
        ),
        reserved=reserved,
    )


def place(stage: Stage, conversation: str = "c", by: Principal = ADA) -> Place:
    """Where the events of a conversation go."""
    return Place(
        key=f"{by.tenant} {conversation}".encode(),
        session_id=stage.ids.new(SESSION),
        agent="greeter",
        labels={"from": "telegram"},
        conversation={"conversation_id": conversation},
    )


async def post(stage: Stage, wish: Reception) -> Posted:
    """Receive an event."""
    posted = Posted(*await stage.store.incoming.receive(wish))
    if posted.receipt.session_id not in stage.sessions:
        stage.sessions.append(posted.receipt.session_id)
    return posted


async def count(stage: Stage) -> tuple[int, int]:
    """How many sessions there are, and how many events in all of them."""
    figures = await stage.store.figures()
    return figures.sessions, figures.events


class FrontDoorCases(Cases):
    """Events are received once, in one session per conversation, all or nothing."""

    @pytest.mark.sources("O02", "O06")
    async def test_event_opens_session_admits_message_and_starts_run_together(self, stage: Stage) -> None:
        wish = reception(stage, trigger="event")
        posted = await post(stage, wish)

        receipt, start = posted.receipt, posted.start
        created, admitted, started = await stage.events(receipt.session_id)
        assert len(stage.delivered(receipt.session_id)) == 1
        assert receipt == EventReceipt(
            message_id=wish.message_id,
            run_id=wish.run_id,
            disposition="started",
            queue_position=0,
            seq=2,
            session_id=wish.place.session_id,
            event_id="e1",
            binding_id="telegram",
        )
        assert admitted == MessageAdmitted(
            message_id=wish.message_id,
            actor=Actor(user="7", role="member", type="user", id="7", name="Ann"),
            content="Hello",
            when_busy="queue",
            disposition="started",
            run_id=wish.run_id,
        )
        assert isinstance(started, RunStarted)
        assert started.trigger == Trigger(kind="event", id=wish.message_id)
        assert (start.origin, start.author.user) == (wish.origin, "ada")
        info = await stage.info(receipt.session_id)
        assert (info.owner, info.tenant, info.agent) == ("ada", "acme", "greeter")
        assert (info.labels, info.conversation) == ({"from": "telegram"}, {"conversation_id": "c"})
        assert created is not None

    @pytest.mark.sources("R12")
    async def test_later_event_of_the_conversation_joins_its_session(self, stage: Stage) -> None:
        first = await post(stage, reception(stage))
        second = await post(stage, reception(stage, "e2"))
        elsewhere = await post(stage, reception(stage, "e3", "d"))

        assert second.receipt.session_id == first.receipt.session_id
        assert (second.receipt.disposition, second.receipt.queue_position) == ("queued", 1)
        assert elsewhere.receipt.session_id != first.receipt.session_id
        assert elsewhere.receipt.disposition == "started"

    @pytest.mark.sources("D-O13")
    async def test_repeated_event_gets_the_same_receipt_and_changes_nothing(self, stage: Stage) -> None:
        first = await post(stage, reception(stage))
        before = await count(stage)

        again = await post(stage, reception(stage))

        assert again.receipt == first.receipt
        assert (again.answer.replayed, again.wake) == (True, Wake())
        assert await count(stage) == before

    @pytest.mark.sources("D-O13")
    async def test_fifty_deliveries_of_one_event_at_once_start_one_run(self, stage: Stage) -> None:
        posted = await asyncio.gather(*[post(stage, reception(stage)) for _ in range(50)])

        assert {p.receipt.message_id for p in posted} == {posted[0].receipt.message_id}
        assert [len(p.wake.starts) for p in posted if not p.answer.replayed] == [1]
        assert (await count(stage))[0] == 1

    @pytest.mark.sources("R12")
    async def test_fifty_first_events_of_a_conversation_at_once_open_one_session(self, stage: Stage) -> None:
        posted = await asyncio.gather(*[post(stage, reception(stage, f"e{n}")) for n in range(50)])

        assert len({p.receipt.session_id for p in posted}) == 1
        assert sorted(p.receipt.queue_position for p in posted) == list(range(50))
        assert sum(len(p.wake.starts) for p in posted) == 1

    async def test_event_that_says_something_else_is_refused(self, stage: Stage) -> None:
        await post(stage, reception(stage))
        before = await count(stage)

        with pytest.raises(TenureError) as caught:
            await post(stage, reception(stage, digest="1" * 64))

        assert refusal(caught) == (Code.IDEMPOTENCY_CONFLICT, {"event_id": "e1"})
        assert await count(stage) == before

    async def test_known_event_is_found_without_a_binding(self, stage: Stage) -> None:
        first = await post(stage, reception(stage))
        wish = reception(stage)

        known = await stage.store.incoming.known(wish.stamp, wish.seen)
        other = await stage.store.incoming.known(wish.stamp, wish.seen._replace(key=b"other"))

        assert (known, other) == (Answer(first.receipt, replayed=True), None)

    async def test_same_idempotency_key_gets_the_same_receipt(self, stage: Stage) -> None:
        first = await post(stage, reception(stage, idempotency="k"))
        again = await post(stage, reception(stage, "e2", idempotency="k"))

        assert again.receipt == first.receipt
        assert again.answer.replayed

    @pytest.mark.sources("A10", "D-S2")
    async def test_tenants_with_equal_ids_share_no_session(self, stage: Stage) -> None:
        ours = await post(stage, reception(stage))
        theirs = await post(stage, reception(stage, by=STRANGER))

        assert not theirs.answer.replayed
        assert theirs.receipt.session_id != ours.receipt.session_id
        assert (await stage.info(theirs.receipt.session_id)).tenant == "globex"

    async def test_authority_of_the_run_is_what_was_left_to_it(self, stage: Stage) -> None:
        posted = await post(stage, reception(stage, role=Role.VIEWER))
        second = await post(stage, reception(stage, "e2", role=Role.MEMBER))
        assert second.receipt.disposition == "queued"

        settled = await stage.settle(posted.start.run_id)

        (then,) = settled.wake.starts
        assert (posted.start.grant.author.role, then.grant.author.role) == (Role.VIEWER, Role.MEMBER)

    async def test_unidentified_actor_is_shown_as_whoever_posts(self, stage: Stage) -> None:
        posted = await post(stage, reception(stage, actor=None))

        (_, admitted, _) = await stage.events(posted.receipt.session_id)
        assert isinstance(admitted, MessageAdmitted)
        assert admitted.actor == Actor(user="ada", role="member")

    @pytest.mark.parametrize("ending", ["close", "delete"])
    async def test_conversation_whose_session_is_gone_gets_a_new_one(self, stage: Stage, ending: str) -> None:
        first = await post(stage, reception(stage))
        session_id = first.receipt.session_id
        if ending == "close":
            await stage.store.close_session(stage.stamp(), session_id, CloseSession())
        else:
            await stage.store.delete_session(stage.stamp(), session_id)

        second = await post(stage, reception(stage, "e2"))
        again = await post(stage, reception(stage))

        assert second.receipt.session_id != session_id
        assert second.receipt.disposition == "started"
        assert again.receipt == first.receipt

    async def test_reopened_session_leaves_the_conversation_to_the_newer_one(self, stage: Stage) -> None:
        first = await post(stage, reception(stage))
        await stage.store.close_session(stage.stamp(), first.receipt.session_id, CloseSession())
        second = await post(stage, reception(stage, "e2"))
        await stage.store.reopen_session(stage.stamp(), first.receipt.session_id)

        third = await post(stage, reception(stage, "e3"))

        assert third.receipt.session_id == second.receipt.session_id

    async def test_limit_of_open_sessions_holds_for_conversations(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions_per_user=1))
        await post(stage, reception(stage))
        before = await count(stage)

        with pytest.raises(TenureError) as caught:
            await post(stage, reception(stage, "e2", "d"))

        assert refusal(caught) == (Code.CAPACITY, {"scope": "per_user", "limit": 1, "current": 1})
        assert await count(stage) == before

    @pytest.mark.sources("O02")
    async def test_refused_message_leaves_no_session_behind(self, stages: Stages) -> None:
        stage = await stages.open(agents=())
        before = await count(stage)

        with pytest.raises(TenureError) as caught:
            await post(stage, reception(stage))

        assert refusal(caught) == (Code.UNKNOWN_AGENT, {"agent": "greeter"})
        assert await count(stage) == before

    async def test_refused_event_can_be_posted_again(self, stage: Stage) -> None:
        await post(stage, reception(stage))
        with pytest.raises(TenureError) as caught:
            await post(stage, reception(stage, "e2", when_busy=BusyPolicy.REJECT))

        again = await post(stage, reception(stage, "e2"))

        assert caught.value.code is Code.BUSY
        assert (again.receipt.disposition, again.answer.replayed) == ("queued", False)

    async def test_reserved_session_is_that_of_the_event(self, stage: Stage) -> None:
        wish = reception(stage)
        found = await stage.store.incoming.reserve(wish.stamp, wish.seen, wish.place)
        once_more = await stage.store.incoming.reserve(wish.stamp, wish.seen, place(stage))

        posted = await post(stage, wish._replace(reserved=wish.place.session_id))
        late = await stage.store.incoming.reserve(wish.stamp, wish.seen, place(stage))

        assert found == once_more == posted.receipt.session_id == wish.place.session_id
        assert late == Answer(posted.receipt, replayed=True)
        assert await stage.types(posted.receipt.session_id) == [
            "session.created",
            "message.admitted",
            "run.started",
        ]

    async def test_files_of_a_session_that_was_closed_meanwhile_go_to_no_other(self, stage: Stage) -> None:
        wish = reception(stage)
        found = await stage.store.incoming.reserve(wish.stamp, wish.seen, wish.place)
        assert isinstance(found, str)
        stage.sessions.append(found)
        await stage.store.close_session(stage.stamp(), found, CloseSession())
        before = await count(stage)

        with pytest.raises(TenureError) as caught:
            await post(stage, reception(stage, reserved=found))

        assert refusal(caught) == (Code.SESSION_CLOSED, {"session_id": found})
        assert await count(stage) == before

    async def test_event_is_known_after_a_restart(self, stage: Stage, stages: Stages) -> None:
        first = await post(stage, reception(stage))

        again = await stages.restart(stage)

        repeated = await post(again, reception(again))
        other = await post(again, reception(again, "e2"))
        assert (repeated.receipt, repeated.answer.replayed) == (first.receipt, True)
        assert other.receipt.session_id == first.receipt.session_id

    async def test_events_are_known_as_long_as_their_session_and_two_days_more(self, stage: Stage) -> None:
        first = await post(stage, reception(stage))
        stage.pass_time(400 * DAY)
        await _purge(stage)
        known_for_long = await post(stage, reception(stage))
        await stage.store.delete_session(stage.stamp(), first.receipt.session_id)
        await _purge(stage)
        stage.pass_time(1 * DAY)
        await _purge(stage)
        known_after = await post(stage, reception(stage))

        stage.pass_time(2 * DAY)
        await _purge(stage)
        forgotten = await post(stage, reception(stage))

        assert (known_for_long.answer.replayed, known_after.answer.replayed) == (True, True)
        assert not forgotten.answer.replayed
        assert forgotten.receipt.session_id != first.receipt.session_id

    async def test_transcript_names_the_actor_of_the_event(self, stage: Stage) -> None:
        posted = await post(stage, reception(stage))
        await post(stage, reception(stage, "e2", actor=None))

        page = await stage.store.transcript(posted.receipt.session_id, None, 10)

        assert ([item.actor for item in page.data], [item.actor for item in page.waiting]) == (["7"], ["ada"])

    async def test_message_that_waited_keeps_the_event_it_was_made_of(self, stage: Stage) -> None:
        first = await post(stage, reception(stage))
        wish = reception(stage, "e2", trigger="event")
        await post(stage, wish)

        settled = await stage.settle(first.start.run_id, RunState.COMPLETED)

        (then,) = settled.wake.starts
        started = (await stage.events(first.receipt.session_id))[-1]
        assert then.origin == wish.origin
        assert isinstance(started, RunStarted)
        assert started.trigger == Trigger(kind="event", id=wish.message_id)


async def _purge(stage: Stage) -> None:
    """Free what is to be freed, all of it."""
    while await stage.store.purge(stage.at()):
        pass
