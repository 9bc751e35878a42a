"""The state room: what agents keep, used by the API and by runs. Each use is judged here.

The policy of a run is in its grant; that of the API in the terms of the session's agent. Nothing is cached:
the store judges versions and fences.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec

from tenure.core.event import RunnerWarning
from tenure.core.grant import StatePolicy, Terms
from tenure.core.output import StateUpdate
from tenure.core.principal import Principal
from tenure.core.scope import (
    EXTERNAL_ID,
    MAX_KEYS,
    NO_STATE,
    Expected,
    Parties,
    Place,
    Scope,
    Setting,
    Snapshot,
    check_key,
    check_policy,
    check_ttl,
    encoded,
    expected,
    parties_of_caller,
    parties_of_run,
    place,
    places,
    seed,
    seeded,
)
from tenure.core.state import SetState, StatePage, StateValue
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Idempotency, Lease, Stamp, Start
from tenure.ports.clock import Clock
from tenure.ports.states import ByCaller, ByRun, Write
from tenure.ports.store import Store

log = logging.getLogger("tenure.host")

REFUSED = "state_refused"
"""The code of the warning for a state update that a runner yielded in vain."""

Behind: TypeAlias = Callable[[int], Awaitable[None]]
"""Lets an act that journals so many bytes stand behind what the run has said. Raises TenureError `fenced`."""

_NOT_FOR_RUNNERS = frozenset({Code.FENCED, Code.STORE_FULL, Code.STORE_UNAVAILABLE, Code.INTERNAL})


class Addressed(msgspec.Struct, frozen=True, kw_only=True):
    """What a request of the API is about. `actor` and `subject` are `type:id`, None for the caller's own."""

    session_id: str
    scope: str
    actor: str | None = None
    subject: str | None = None

    @property
    def named(self) -> str | None:
        """Who is named, in whichever role."""
        return self.subject if self.actor is None else self.actor


class StateRoom:
    """The way to all state, judged by policy and identity."""

    def __init__(self, store: Store, clock: Clock, terms: Mapping[str, Terms]) -> None:
        self._store = store
        self._clock = clock
        self._terms = terms

    # --- for the API

    async def read(self, by: Principal, about: Addressed, key: str) -> StateValue:
        """One value. Raises TenureError `not_found`, and the refusals of policy and identity."""
        where = await self._place(by, about)
        name = check_key(key)
        found = await self._store.states.value(where, name, self._clock.now())
        if found is None:
            raise _nothing(where.scope, name)
        return found

    async def page(self, by: Principal, about: Addressed, cursor: str | None, limit: int) -> StatePage:
        """The values of one scope."""
        where = await self._place(by, about)
        return await self._store.states.page(about.session_id, where, self._clock.now(), cursor, limit)

    async def set(
        self,
        by: Principal,
        about: Addressed,
        key: str,
        ask: SetState,
        expected: Expected | None,
        idem: Idempotency | None = None,
    ) -> Answer[StateValue]:
        """Keep a value. Raises TenureError `stale`, `capacity`, `too_large`, and the refusals of `read`."""
        where = await self._place(by, about)
        write = Write(where, _named(key), encoded(ask.value), ask.ttl_s, expected)
        writer = ByCaller(about.session_id, Stamp(self._clock.now(), by, idem), about.named)
        return await self._store.states.set(writer, write)

    async def delete(self, by: Principal, about: Addressed, key: str, expected: Expected | None) -> None:
        """Delete a value. Raises TenureError as `set` and `read` do."""
        where = await self._place(by, about)
        writer = ByCaller(about.session_id, Stamp(self._clock.now(), by), about.named)
        name = _named(key)
        if await self._store.states.delete(writer, where, name, expected) is None:
            raise _nothing(where.scope, name)

    async def _place(self, by: Principal, about: Addressed) -> Place:
        setting = await self._store.states.setting(about.session_id)
        if setting is None:
            detail = f"There is no session {about.session_id!r} here. Check the id."
            raise TenureError(Code.NOT_FOUND, detail, id=about.session_id)
        scope = check_policy(self._policy(setting.agent), about.scope)
        _check_names(about, scope)
        return place(setting, parties_of_caller(setting, by, about.actor, about.subject), scope)

    def _policy(self, agent: str) -> StatePolicy:
        terms = self._terms.get(agent)
        if terms is None:
            detail = f"The agent {agent!r} of this session isn't hosted any more. Ask the operator."
            raise TenureError(Code.UNKNOWN_AGENT, detail, agent=agent)
        return terms.policy.state

    # --- for runs

    async def open(self, start: Start, lease: Lease, behind: Behind) -> "AttemptState":
        """The state of one attempt, with the snapshot it begins with."""
        policy = start.grant.state
        setting = await self._store.states.setting(start.session_id) if policy.enabled else None
        if setting is None:
            return AttemptState(self._store, self._clock, start, lease, None, NO_STATE, behind)
        parties = parties_of_run(setting, start.origin, start.author)
        where = places(policy, setting, parties)
        kept: dict[Scope, dict[str, bytes]] = {}
        if await self._store.states.weight(where):
            kept = await self._store.states.cut(where, self._clock.now())
        snapshot = seeded(kept, policy, setting)
        return AttemptState(self._store, self._clock, start, lease, (setting, parties), snapshot, behind)


class AttemptState:
    """The state that one attempt of a run uses: what `run.state` leads to."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        start: Start,
        lease: Lease,
        whose: tuple[Setting, Parties] | None,
        snapshot: Snapshot,
        behind: Behind,
    ) -> None:
        self._store = store
        self._clock = clock
        self._start = start
        self._grant = start.grant
        self._lease = lease
        self._whose = whose
        self._snapshot = snapshot
        self._behind = behind

    @property
    def snapshot(self) -> Snapshot:
        """All four scopes as they were when the attempt began."""
        return self._snapshot

    async def get(self, scope: str, key: str) -> StateValue | None:
        """The value as it is now, this run's own writes included; else what the snapshot is seeded with."""
        where, name = self._place(scope), check_key(key)
        now = await self._store.states.value(where, name, self._clock.now())
        return now or self._seed(where.scope, name)

    async def entries(self, scope: str) -> dict[str, StateValue]:
        """Every value of a scope as it is now, by its key; also what the snapshot is seeded with."""
        where = self._place(scope)
        known = self._seed(where.scope, EXTERNAL_ID)
        found: dict[str, StateValue] = {} if known is None else {EXTERNAL_ID: known}
        cursor, more = None, True
        while more:
            now, session_id = self._clock.now(), self._start.session_id
            page = await self._store.states.page(session_id, where, now, cursor, MAX_KEYS)
            found.update((each.key, each) for each in page.data)
            cursor, more = page.next_cursor, page.next_cursor is not None
        return found

    async def set(
        self,
        scope: str,
        key: str,
        value: object,
        *,
        if_version: int | None = None,
        ttl_s: float | None = None,
    ) -> int:
        """Keep a value; its version. What the run said before stands before it in the journal."""
        where, name = self._place(scope), _named(key)
        check_ttl(ttl_s)
        write = Write(where, name, encoded(value), ttl_s, expected(if_version))
        await self._behind(len(write.line))
        return (await self._store.states.set(self._writer(), write)).value.version

    async def delete(self, scope: str, key: str, *, if_version: int | None = None) -> bool:
        """Delete a value. False if there was none."""
        where, name = self._place(scope), _named(key)
        wanted = expected(if_version)
        await self._behind(0)
        return await self._store.states.delete(self._writer(), where, name, wanted) is not None

    async def take(self, update: StateUpdate) -> RunnerWarning | None:
        """Do what a runner yielded; a refusal is a warning that says why."""
        try:
            await self.set(update.scope, update.key, update.value)
        except TenureError as refusal:
            if refusal.code in _NOT_FOR_RUNNERS:
                raise
            log.info("A state update of %s was refused: %s", self._start.run_id, refusal.detail)
            return RunnerWarning(code=REFUSED, detail=refusal.detail)
        return None

    def reduce(self, removed: tuple[str, ...]) -> None:
        """The run may use less from here on."""
        self._grant = self._grant.without(removed)

    def _seed(self, scope: Scope, key: str) -> StateValue | None:
        """What is known under a key without having been stored."""
        known = None if self._whose is None else seed(self._whose[0], scope, key)
        return None if known is None else StateValue(scope=scope, key=key, value=known, version=0)

    def _writer(self) -> ByRun:
        return ByRun(self._lease, self._start.run_id, self._start.attempt, self._clock.now())

    def _place(self, scope: str) -> Place:
        named = check_policy(self._grant.state, scope)
        if self._whose is None:
            detail = f"The session {self._start.session_id} is gone. Stop."
            raise TenureError(Code.NOT_FOUND, detail, id=self._start.session_id)
        return place(*self._whose, named)


def _named(key: str) -> str:
    name = check_key(key)
    if name != key:
        log.debug("The state key %s is kept as %s.", key, name)
    return name


def _check_names(about: Addressed, scope: Scope) -> None:
    """Raises TenureError `invalid` for somebody who is named for a scope that isn't about anybody."""
    for name, given in (("actor", about.actor), ("subject", about.subject)):
        if given is not None and scope != name:
            raise TenureError(
                Code.INVALID,
                f"{name} is given, but {scope} state belongs to no {name}. Leave it out.",
                field=name,
            )


def _nothing(scope: Scope, key: str) -> TenureError:
    return TenureError(
        Code.NOT_FOUND,
        f"There is no {key!r} in the {scope} state, or its time is over. List the scope.",
        key=key,
    )
