"""Admission: every command of every client passes here, and becomes one act of the store.

Who may ask at all was settled at the front door. Here a command gets its instant and its fresh ids, and
what the act leaves to do is done even if the client is gone by then.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tenure.core.command import (
    ChangeMessage,
    CloseSession,
    CreateKey,
    InterruptRun,
    OpenSession,
    RetryRun,
    SendMessage,
    UpdateSession,
)
from tenure.core.ids import KEY, MESSAGE, RUN, SESSION
from tenure.core.principal import Principal
from tenure.core.view import InterruptReceipt, KeyInfo, MessageInfo, MessageReceipt, SessionInfo
from tenure.errors import TenureError
from tenure.host.catalogue import Catalogue
from tenure.host.claims import Claims
from tenure.host.files import Files
from tenure.host.tasks import Tasks
from tenure.ports.clock import Clock, Ids
from tenure.ports.store import Admission, Answer, Idempotency, Stamp, Store

T = TypeVar("T")


class Commands:
    """What principals may ask of a host."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        catalogue: Catalogue,
        files: Files,
        claims: Claims,
        tasks: Tasks,
        purge: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._catalogue = catalogue
        self._files = files
        self._claims = claims
        self._tasks = tasks
        self._purge = purge

    def _stamp(self, by: Principal, idem: Idempotency | None = None) -> Stamp:
        return Stamp(self._clock.now(), by, idem)

    async def _whole(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Carry `work` through even if whoever asked is cancelled meanwhile."""
        answer = await asyncio.shield(self._tasks.spawn(_answered(work), name))
        if isinstance(answer, TenureError):
            raise answer
        return answer

    async def open_session(
        self, by: Principal, ask: OpenSession, idem: Idempotency | None
    ) -> Answer[SessionInfo]:
        """Open a session. Raises TenureError `unknown_agent` or `capacity`."""
        self._catalogue.agent(ask.agent)
        return await self._store.open_session(self._stamp(by, idem), ask, self._ids.new(SESSION))

    async def update_session(self, by: Principal, session_id: str, ask: UpdateSession) -> SessionInfo:
        """Rename or relabel a session."""
        return await self._store.update_session(self._stamp(by), session_id, ask)

    async def close_session(
        self, by: Principal, session_id: str, ask: CloseSession, idem: Idempotency | None
    ) -> Answer[SessionInfo]:
        """Close a session: its run is stopped, what waits is withdrawn."""
        return await self._store.close_session(self._stamp(by, idem), session_id, ask)

    async def reopen_session(
        self, by: Principal, session_id: str, idem: Idempotency | None
    ) -> Answer[SessionInfo]:
        """Reopen a closed session. Raises TenureError `capacity`."""
        return await self._store.reopen_session(self._stamp(by, idem), session_id)

    async def delete_session(self, by: Principal, session_id: str) -> int:
        """Delete a session. Its rows are freed soon after, but for what this many forks share with it."""
        sharing = await self._store.delete_session(self._stamp(by), session_id)
        self._purge()
        self._claims.wake()
        return sharing

    async def send(
        self, by: Principal, session_id: str, ask: SendMessage, idem: Idempotency | None
    ) -> Answer[MessageReceipt]:
        """Admit a message. The receipt says what was decided."""
        await self._files.check(session_id, ask.content)
        return await self._whole(self._send(by, session_id, ask, idem), "send")

    async def _send(
        self, by: Principal, session_id: str, ask: SendMessage, idem: Idempotency | None
    ) -> Answer[MessageReceipt]:
        admission = Admission(
            stamp=self._stamp(by, idem),
            session_id=session_id,
            ask=ask,
            message_id=ask.message_id or self._ids.new(MESSAGE),
            run_id=self._ids.new(RUN),
            lease=None,
        )
        answer, wake = await self._claims.offering(
            lambda lease: self._store.admit(admission._replace(lease=lease))
        )
        self._claims.follow(wake)
        return answer

    async def interrupt(
        self, by: Principal, session_id: str, ask: InterruptRun, idem: Idempotency | None
    ) -> Answer[InterruptReceipt]:
        """Stop the live run. Raises TenureError `not_running`."""
        return await self._whole(self._interrupt(by, session_id, ask, idem), "interrupt")

    async def _interrupt(
        self, by: Principal, session_id: str, ask: InterruptRun, idem: Idempotency | None
    ) -> Answer[InterruptReceipt]:
        stamp, next_run = self._stamp(by, idem), self._ids.new(RUN)
        answer, wake = await self._claims.offering(
            lambda lease: self._store.interrupt(stamp, session_id, ask, lease, next_run)
        )
        self._claims.follow(wake)
        return answer

    async def change_message(
        self, by: Principal, session_id: str, message_id: str, ask: ChangeMessage
    ) -> MessageInfo:
        """Edit or promote a waiting message. Raises `not_waiting`, `stale`, `unsupported`, `not_running`."""
        if ask.content is not None:
            await self._files.check(session_id, ask.content)
        return await self._whole(self._change(by, session_id, message_id, ask), "change of a message")

    async def _change(
        self, by: Principal, session_id: str, message_id: str, ask: ChangeMessage
    ) -> MessageInfo:
        stamp, next_run = self._stamp(by), self._ids.new(RUN)
        info, wake = await self._claims.offering(
            lambda lease: self._store.change_message(stamp, session_id, message_id, ask, lease, next_run)
        )
        self._claims.follow(wake)
        return info

    async def withdraw_message(
        self, by: Principal, session_id: str, message_id: str, if_version: int | None = None
    ) -> None:
        """Withdraw a waiting message. Raises TenureError `not_waiting` or `stale`."""
        await self._whole(self._withdraw(by, session_id, message_id, if_version), "withdrawal")

    async def _withdraw(
        self, by: Principal, session_id: str, message_id: str, if_version: int | None
    ) -> None:
        stamp, next_run = self._stamp(by), self._ids.new(RUN)
        wake = await self._claims.offering(
            lambda lease: self._store.withdraw_message(
                stamp, session_id, message_id, if_version, lease, next_run
            )
        )
        self._claims.follow(wake)

    async def retry_run(
        self, by: Principal, run_id: str, ask: RetryRun, idem: Idempotency | None
    ) -> Answer[MessageReceipt]:
        """Run the message of a failed last turn again. Raises TenureError `conflict` or `busy`."""
        return await self._whole(self._retry(by, run_id, ask, idem), "retry")

    async def _retry(
        self, by: Principal, run_id: str, ask: RetryRun, idem: Idempotency | None
    ) -> Answer[MessageReceipt]:
        stamp, next_run = self._stamp(by, idem), self._ids.new(RUN)
        answer, wake = await self._claims.offering(
            lambda lease: self._store.retry_run(stamp, run_id, ask, lease, next_run)
        )
        self._claims.follow(wake)
        return answer

    async def create_key(
        self, by: Principal, ask: CreateKey, idem: Idempotency | None, secret: str
    ) -> Answer[KeyInfo]:
        """Make an API key. Only the hash of `secret` is stored."""
        stamp = self._stamp(by, idem)
        return await self._store.create_key(stamp, ask, self._ids.new(KEY), secret_hash(secret))

    async def revoke_key(self, by: Principal, key_id: str) -> KeyInfo:
        """End a key at once."""
        return await self._store.revoke_key(self._stamp(by), key_id)


async def _answered(work: Coroutine[Any, Any, T]) -> T | TenureError:
    """A refusal is an answer to whoever asked, not a failure of the task."""
    try:
        return await work
    except TenureError as refusal:
        return refusal


def secret_hash(secret: str) -> bytes:
    """What is stored of a key's secret. It carries 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()
