"""The relay: what other hosts commit, on its way to the rooms of this one, and what they are told in turn.

A hint says only that a session grew. What this host lacks of the sessions that matter here, because
somebody watches them or their runs are here, is read from the store, for all of them at once. A poll stands
behind the hints, so that losing every one costs latency only.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Protocol

from tenure.core.entry import Entry, lines_of, record, shell
from tenure.core.event import TYPE_OF, Event, Unknown
from tenure.core.session import SessionStatus
from tenure.errors import TenureError
from tenure.host.order import Order
from tenure.host.tasks import Tasks
from tenure.ports.signals import Hint, Signals
from tenure.ports.store import Block, JournalPage, Store

POLL_S = 1.0
"""How often a host looks by itself for what hints should have told it, in seconds."""

AT_ONCE = 500
"""How many sessions are asked for by one read."""

RANGES = 256
"""How many stored ranges of a session one read brings at most."""

FAR = 2_048
"""A session that only readers follow isn't read here if so much is missing: they read it by themselves."""

log = logging.getLogger("tenure.host")


class Rooms(Protocol):
    """What the relay brings things to: the host."""

    def here(self, session_id: str) -> bool:
        """Whether a run of the session is here, so that its events are needed as such."""
        ...

    def watched(self, session_id: str) -> bool:
        """Whether somebody follows the session here."""
        ...

    def hand_on(self, block: Block) -> None:
        """Take the next block of a session, in order."""
        ...

    def learn(self, block: Block) -> None:
        """Take a block that another host committed, before it is handed on."""
        ...

    def skip(self, session_id: str, head: int) -> None:
        """The followers of a session read up to `head` by themselves."""
        ...

    def gone(self, session_id: str) -> None:
        """The session was deleted, and its journal too."""
        ...

    def kept(self) -> Iterable[str]:
        """The sessions for which something is kept here although no run of theirs is."""
        ...

    def part(self, session_id: str) -> None:
        """The session was closed or deleted elsewhere."""
        ...

    def look(self, hint: Hint) -> None:
        """See to runs, timers or hosts, as a hint says."""
        ...


class Relay:
    """One host's share in what happens on the others."""

    def __init__(
        self, *, store: Store, signals: Signals, tasks: Tasks, rooms: Rooms, types: frozenset[type[Event]]
    ) -> None:
        self._store = store
        self._signals = signals
        self._tasks = tasks
        self._rooms = rooms
        self._names = frozenset(TYPE_OF[each] for each in types)
        self._orders: dict[str, Order] = {}
        self._lacking: dict[str, None] = {}
        self._kept: dict[str, int] = {}
        self._reading = False
        self._polling = False
        self._open = False
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Tell others and hear them from now on."""
        self._open = True
        self._signals.listen(self.hear)
        await self._signals.open()
        self.tell(Hint(hosts=True))
        self._rest()

    async def close(self) -> None:
        """Say goodbye, and hear nothing more."""
        self.tell(Hint(hosts=True, work=True))
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        await self._signals.close()

    def tell(self, hint: Hint) -> None:
        """Tell the other hosts."""
        if self._open:
            self._signals.hint(hint)

    # --- which sessions matter

    def watch(self, session_id: str) -> None:
        """Somebody follows the session from now on; `stood` says from where."""
        self._orders.setdefault(session_id, Order())

    def stood(self, session_id: str, head: int) -> None:
        """The journal stands there, as was read after `watch`. What comes later is to be handed on."""
        order = self._orders.get(session_id)
        if order is not None and order.delivered is None:
            self._hand_on(order.begin(head))
        self.grew(session_id, head)

    def attend(self, session_id: str, after: int) -> None:
        """A run of the session is here, which hears all events after `after`."""
        order = self._orders.setdefault(session_id, Order())
        self._hand_on(order.begin(after))
        self._want(session_id, order)

    def grew(self, session_id: str, head: int) -> None:
        """The session has grown to `head` at least."""
        order = self._orders.get(session_id)
        if order is not None:
            order.head = max(order.head, head)
            self._want(session_id, order)

    def leave(self, session_id: str) -> None:
        """Somebody lost interest in the session; perhaps nobody is left."""
        if not self._rooms.here(session_id) and not self._rooms.watched(session_id):
            self._orders.pop(session_id, None)
            self._lacking.pop(session_id, None)

    # --- what comes

    def committed(self, block: Block) -> None:
        """This host committed a block."""
        self.tell(Hint(heads={block.session_id: block.last}))
        order = self._orders.get(block.session_id)
        if order is not None:
            self._hand_on(order.take(block))
            self._want(block.session_id, order)

    def hear(self, hint: Hint) -> None:
        """Another host said something."""
        if not self._open:
            return
        for session_id, head in hint.heads.items():
            self.grew(session_id, head)
        if hint.missed:
            self._rooms.look(Hint(work=True, timers=True, hosts=True))
            self._spawn_poll()
        elif hint.work or hint.timers or hint.hosts:
            self._rooms.look(hint)

    def _hand_on(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self._rooms.hand_on(block)

    # --- what is lacking

    def _want(self, session_id: str, order: Order) -> None:
        if not order.lacks or not self._open:
            return
        self._lacking[session_id] = None
        if not self._reading:
            self._reading = True
            self._tasks.spawn(self._read(), "reading what other hosts wrote")

    async def _read(self) -> None:
        """Read what is lacking, for all sessions together. What is found missing meanwhile is read next."""
        try:
            while self._lacking and self._open:
                cursors = self._cursors()
                if cursors:
                    self._take(cursors, await self._store.pages(cursors, RANGES))
        except TenureError as error:
            # The poll finds it again.
            log.debug("What other hosts wrote can't be read now: %s", error)
            self._lacking.clear()
        finally:
            self._reading = False

    def _cursors(self) -> dict[str, int]:
        """From where to read the next sessions that lack something."""
        cursors: dict[str, int] = {}
        for session_id in list(islice(self._lacking, AT_ONCE)):
            del self._lacking[session_id]
            order = self._orders.get(session_id)
            if order is None or order.delivered is None or not order.lacks:
                continue
            if order.head - order.delivered > FAR and not self._rooms.here(session_id):
                self._rooms.skip(session_id, order.head)
                self._hand_on(order.skip(order.head))
            else:
                cursors[session_id] = order.delivered
        return cursors

    def _take(self, cursors: Mapping[str, int], pages: Mapping[str, JournalPage]) -> None:
        for session_id, after in cursors.items():
            order, page = self._orders.get(session_id), pages.get(session_id)
            if order is None:
                continue
            if page is None:
                self._gone(session_id)
                continue
            self._take_page(session_id, order, page)
            if order.delivered != after:
                self._want(session_id, order)

    def _take_page(self, session_id: str, order: Order, page: JournalPage) -> None:
        if page.min_available > (order.delivered or 0) + 1:
            # Retired meanwhile: nobody can be handed it any more.
            self._hand_on(order.skip(page.min_available - 1))
        for first, last, body in page.spans:
            if last > (order.delivered or 0):
                block = self._block(session_id, first, last, body)
                self._rooms.learn(block)
                self._hand_on(order.take(block))
        order.head = max(order.head, page.head)

    def _block(self, session_id: str, first: int, last: int, body: bytes) -> Block:
        """A stored range as a block. Its events are decoded only where rooms hear them; readers get bytes."""
        if self._rooms.here(session_id):
            worth = [b"{" + rest for rest in lines_of(body)]
        else:
            worth = [body[body.rfind(b"\n") + 1 :]]
        entries = tuple([entry for line in worth if (entry := self._entry(line)) is not None])
        return Block(session_id=session_id, first=first, last=last, body=body, entries=entries)

    def _entry(self, line: bytes) -> Entry | None:
        if shell(line).type not in self._names:
            return None
        found = record(0, line)
        if isinstance(found.event, Unknown):
            return None
        return Entry(found.event, line, found.run_id, found.at)

    def _gone(self, session_id: str) -> None:
        self._orders.pop(session_id, None)
        self._lacking.pop(session_id, None)
        self._rooms.gone(session_id)

    # --- the poll

    def _rest(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(POLL_S, self._ring)

    def _ring(self) -> None:
        self._spawn_poll()
        self._rest()

    def _spawn_poll(self) -> None:
        if not self._polling and self._open:
            self._polling = True
            self._tasks.spawn(self._poll(), "looking for what other hosts did")

    async def _poll(self) -> None:
        """Look once for everything that a hint may have told."""
        try:
            self._rooms.look(Hint(timers=True))
            await self._compare(list(self._orders))
            await self._look_after(list(self._rooms.kept()))
        except TenureError as error:
            log.debug("What other hosts did can't be looked for now: %s", error)
        finally:
            self._polling = False

    async def _compare(self, session_ids: list[str]) -> None:
        """Find out which sessions that matter grew."""
        for at in range(0, len(session_ids), AT_ONCE):
            part = session_ids[at : at + AT_ONCE]
            heads = await self._store.heads(part)
            for session_id in part:
                if session_id in heads:
                    self.grew(session_id, heads[session_id])
                elif session_id in self._orders:
                    self._gone(session_id)

    async def _look_after(self, session_ids: list[str]) -> None:
        """Let go of what is kept for sessions that were closed or deleted on another host."""
        before, self._kept = self._kept, {}
        for at in range(0, len(session_ids), AT_ONCE):
            heads = await self._store.heads(session_ids[at : at + AT_ONCE])
            for session_id in session_ids[at : at + AT_ONCE]:
                head = heads.get(session_id, 0)
                if head == before.get(session_id) or await self._is_open(session_id):
                    self._kept[session_id] = head
                else:
                    self._rooms.part(session_id)

    async def _is_open(self, session_id: str) -> bool:
        found = await self._store.session(session_id)
        return found is not None and found.status != SessionStatus.CLOSED
