"""Fan-out: replay or live, from a cursor.

A session that somebody watches has a hub, which keeps the latest blocks. A follower is a cursor, not a
queue: it reads the hub's blocks, or pages the journal when it fell behind them. A slow one costs nothing
and stalls nobody. Nothing reaches a follower before it is durable.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Protocol, TypeAlias

from tenure.core.entry import Entry, lines_of
from tenure.core.entry import frame as framed
from tenure.core.event import SessionDeleted
from tenure.errors import Code, TenureError
from tenure.ports.store import Block, Span, Store

RING_EVENTS = 2_048
RING_BYTES = 1 << 20
FIRST_PAGE = 64
LARGEST_PAGE = 4_096

CROWD = 32
"""So many followers of one session share their wakes."""

JOIN_S = 0.008
"""How long a crowd waits for what else is committed, so that one write carries several commits."""

AGAIN_S = 1.0
"""How long after the store was found away a follower reads again, in seconds."""

JOIN_EVENTS = 256
"""A crowd waits no longer once this much has come together."""


class Delivery(NamedTuple):
    """Entries first..last, as stored: lines without their numbers, joined by line feeds.

    `block` is there if these are exactly the entries of whole commits that are still in memory.
    """

    first: int
    last: int
    body: bytes
    block: Block | None = None

    def sse(self) -> bytes:
        """All entries as SSE frames. Made once per commit, however many followers there are."""
        if self.block is None:
            return _sse(self.first, self.body)
        if self.block.sse is None:
            self.block.sse = _sse(self.first, self.body)
        return self.block.sse

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them with their events, if they were committed here just now; else none."""
        known = () if self.block is None else self.block.entries
        return known if len(known) == self.last - self.first + 1 else ()

    def envelopes(self) -> list[bytes]:
        """Each entry as the JSON that clients get."""
        return [framed(seq, rest) for seq, rest in enumerate(lines_of(self.body), self.first)]


class Gap(NamedTuple):
    """Entries after `after` are retired; what follows begins at `min_available`."""

    after: int
    min_available: int


class UpToDate(NamedTuple):
    """The replay has reached the head."""

    head_seq: int


class Ended(NamedTuple):
    """Nothing will follow. `reason` is deleted, draining, revoked or slow."""

    reason: str


Step: TypeAlias = Delivery | Gap | UpToDate | Ended


def _sse(first: int, body: bytes) -> bytes:
    rest = lines_of(body)
    fields: list[int | bytes] = []
    for seq, line in enumerate(rest, first):
        fields += (seq, seq, line)
    return (b'id: %d\ndata: {"seq":%d,%b\n\n' * len(rest)) % tuple(fields)


class Hub:
    """The latest blocks of one watched session, and whoever waits for the next."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.delivered = 0
        """The last number that was handed on, 0 for nothing yet."""
        self.base = 0
        """The last number that only the journal has."""
        self.stands = False
        """Whether it was told where the journal ends."""
        self.ended: str | None = None
        # In the order in which they came, so that a simulation wakes them in the same order again.
        self.followers: dict[Follower, None] = {}
        self._blocks: deque[Block] = deque()
        self._bytes = 0
        self._joined: Block | None = None
        self._told = 0
        self._timer: asyncio.TimerHandle | None = None

    def stand(self, head: int) -> None:
        """Begin at the journal's head, unless blocks that came while it was read lie beyond it."""
        if not self.stands and head > self.delivered:
            self._blocks.clear()
            self._bytes, self.base, self.delivered, self._told = 0, head, head, head
        self.stands = True

    def deliver(self, block: Block) -> None:
        """Take a committed block. One that was seen is dropped; one that comes early makes followers page."""
        if block.last <= self.delivered:
            return
        if block.first > self.delivered + 1:
            self._blocks.clear()
            self._bytes, self.base = 0, block.last
        else:
            self._keep(block)
        self.delivered = block.last
        self._announce()

    def skip(self, head: int) -> None:
        """Keep nothing up to `head`: followers read it from the journal."""
        if head > self.delivered:
            self._blocks.clear()
            self._bytes, self.base, self.delivered = 0, head, head
            self._announce()

    def _announce(self) -> None:
        """Wake the followers: a few at once, a crowd once for all that is committed within JOIN_S."""
        if len(self.followers) < CROWD or self.delivered - self._told >= JOIN_EVENTS:
            self.wake()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(JOIN_S, self.wake)

    def _keep(self, block: Block) -> None:
        self._blocks.append(block)
        self._bytes += len(block.body)
        while self._blocks and (block.last - self.base > RING_EVENTS or self._bytes > RING_BYTES):
            if len(self._blocks) == 1:
                break
            old = self._blocks.popleft()
            self.base = old.last
            self._bytes -= len(old.body)

    def wake(self) -> None:
        """Tell every follower that there is something new."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._told = self.delivered
        for follower in self.followers:
            follower.rouse()

    def since(self, after: int) -> Delivery:
        """Everything kept after `after`, which is at least `base` and below `delivered`."""
        found: list[Block] = []
        for block in reversed(self._blocks):
            if block.last <= after:
                break
            found.append(block)
        found.reverse()
        if found[0].first != after + 1:
            return Delivery(after + 1, found[-1].last, _joined(found, after))
        block = found[0] if len(found) == 1 else self._join(found)
        return Delivery(block.first, block.last, block.body, block)

    def _join(self, found: list[Block]) -> Block:
        """Several whole commits as one block, made once for all followers that come from the same place."""
        first, last, kept = found[0].first, found[-1].last, self._joined
        if kept is not None and (kept.first, kept.last) == (first, last):
            return kept
        self._joined = Block(
            session_id=self.session_id,
            first=first,
            last=last,
            body=b"\n".join([block.body for block in found]),
            entries=tuple([entry for block in found for entry in block.entries]),
        )
        return self._joined


def _joined(ranges: Iterable[Block | Span], after: int) -> bytes:
    """The bodies of consecutive ranges, without what lies at or before `after`."""
    bodies: list[bytes] = []
    for part in ranges:
        skip = max(0, after + 1 - part.first)
        bodies.append(part.body if not skip else b"{" + b"\n{".join(lines_of(part.body)[skip:]))
    return b"\n".join(bodies)


class Follower:
    """A cursor into one session. Use it as a context manager; leaving it costs the session nothing."""

    def __init__(self, fanout: "Fanout", hub: Hub, store: Store, after: int) -> None:
        self._fanout = fanout
        self._hub = hub
        self._store = store
        self._after = after
        self._replaying = True
        self._page = FIRST_PAGE
        self._ended: str | None = None
        self._nudged = False
        self._waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> "Follower":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fanout.leave(self._hub, self)

    @property
    def after(self) -> int:
        """The number of the last entry handed out."""
        return self._after

    def wake(self) -> None:
        """Let `next` return, with None if there is nothing new."""
        self._nudged = True
        self.rouse()

    def end(self, reason: str) -> None:
        """Let `next` end with `reason`."""
        self._ended = reason
        self.rouse()

    def rouse(self) -> None:
        """Let `next` look again, if it waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> Step | None:
        """What comes next; waits until there is something. None after a `wake` that brought nothing."""
        while True:
            step = self._ending() or await self._found()
            if step is not None:
                return step
            if self._nudged:
                self._nudged = False
                return None
            await self._wait()

    def _ending(self) -> Ended | None:
        if self._ended is not None:
            return Ended(self._ended)
        if self._hub.ended is not None and self._after >= self._hub.delivered:
            return Ended(self._hub.ended)
        return None

    async def _found(self) -> Step | None:
        """What is to be read. A store that is away is asked again soon: the stream stays and goes on."""
        try:
            return await self._read()
        except TenureError as error:
            if error.code is not Code.STORE_UNAVAILABLE:
                raise
        asyncio.get_running_loop().call_later(AGAIN_S, self.rouse)
        return None

    async def _read(self) -> Step | None:
        hub = self._hub
        if self._after >= hub.delivered:
            return self._arrived()
        if self._after >= hub.base:
            delivery = hub.since(self._after)
            self._after = delivery.last
            return delivery
        return await self._replay()

    def _arrived(self) -> UpToDate | None:
        if not self._replaying:
            return None
        self._replaying = False
        return UpToDate(self._after)

    async def _replay(self) -> Step | None:
        """One page of the journal. The page grows, so that the first bytes come soon."""
        self._replaying = True
        page = await self._store.page(self._hub.session_id, self._after, self._page)
        self._page = min(LARGEST_PAGE, self._page * 2)
        if page.min_available > self._after + 1:
            gap = Gap(self._after, page.min_available)
            self._after = page.min_available - 1
            return gap
        if not page.spans:
            return Ended("deleted")
        body = _joined(page.spans, self._after)
        first, self._after = self._after + 1, page.spans[-1].last
        return Delivery(first, self._after, body)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


def cursor_ahead(session_id: str, after: int, head: int) -> TenureError:
    """The refusal of a cursor beyond the head."""
    return TenureError(
        Code.CURSOR_AHEAD,
        f"The cursor {after} lies beyond the head {head} of session {session_id}. "
        "Read the session again, and follow it from its as_of_seq.",
        head_seq=head,
    )


class Places(Protocol):
    """Who hears which sessions are watched here, to bring what other hosts commit."""

    def watch(self, session_id: str) -> None:
        """A session is watched from now on."""
        ...

    def stood(self, session_id: str, head: int) -> None:
        """Its journal stands there, as was read after `watch`."""
        ...

    def leave(self, session_id: str) -> None:
        """Nobody watches it any more."""
        ...


class _NoPlaces:
    """A host alone brings everything by itself."""

    def watch(self, session_id: str) -> None:
        """Nothing."""

    def stood(self, session_id: str, head: int) -> None:
        """Nothing."""

    def leave(self, session_id: str) -> None:
        """Nothing."""


class Fanout:
    """All hubs of a host. A session that nobody watches has none."""

    def __init__(self, store: Store) -> None:
        self.places: Places = _NoPlaces()
        self._store = store
        self._hubs: dict[str, Hub] = {}
        self._streams = 0

    @property
    def streams(self) -> int:
        """How many followers there are."""
        return self._streams

    async def follow(self, session_id: str, after: int) -> Follower:
        """A cursor that hands out everything after `after`. Raises TenureError `cursor_ahead`.

        The hub is there before the journal's head is read: what is committed meanwhile comes to it.
        """
        hub = self._hubs.get(session_id)
        if hub is None:
            hub = self._hubs[session_id] = Hub(session_id)
            self.places.watch(session_id)
        follower = Follower(self, hub, self._store, after)
        hub.followers[follower] = None
        self._streams += 1
        try:
            await self._find_place(hub, after)
        except BaseException:
            self.leave(hub, follower)
            raise
        return follower

    async def _find_place(self, hub: Hub, after: int) -> None:
        """Let a new hub stand at the head. Raises TenureError `cursor_ahead`."""
        if hub.stands and after <= hub.delivered:
            return
        head = await self._store.head(hub.session_id)
        if head == 0:
            # Every session has a first event, so this one was deleted since somebody found it there.
            hub.ended = "deleted"
            hub.wake()
            return
        hub.stand(head)
        self.places.stood(hub.session_id, head)
        head = max(head, hub.delivered)
        if after > head:
            raise cursor_ahead(hub.session_id, after, head)

    def leave(self, hub: Hub, follower: Follower) -> None:
        """A follower is gone; a hub without any goes too."""
        if follower not in hub.followers:
            return
        del hub.followers[follower]
        self._streams -= 1
        if not hub.followers and self._hubs.get(hub.session_id) is hub:
            del self._hubs[hub.session_id]
            self.places.leave(hub.session_id)

    def watches(self, session_id: str) -> bool:
        """Whether anybody follows the session here."""
        return session_id in self._hubs

    def skip(self, session_id: str, head: int) -> None:
        """Let the followers of a session read up to `head` from the journal."""
        hub = self._hubs.get(session_id)
        if hub is not None:
            hub.skip(head)

    def deliver(self, block: Block) -> None:
        """Hand a committed block to the session's hub, if anyone watches."""
        hub = self._hubs.get(block.session_id)
        if hub is None:
            return
        # The last event that a session ever has; of other hosts' blocks it is always decoded.
        if block.entries and type(block.entries[-1].event) is SessionDeleted:
            hub.ended = "deleted"
        hub.deliver(block)

    def end(self, session_id: str, reason: str) -> None:
        """End the followers of one session, after what they still have to get."""
        hub = self._hubs.get(session_id)
        if hub is not None:
            hub.ended = reason
            hub.wake()

    def end_all(self, reason: str) -> None:
        """End every follower now."""
        for hub in list(self._hubs.values()):
            for follower in list(hub.followers):
                follower.end(reason)
