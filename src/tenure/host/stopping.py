"""How a run is stopped in bounded time: asked first, then cancelled, then abandoned. And its time limits."""

import asyncio
from collections.abc import Callable

from tenure.host.context import Attempt

COOPERATIVE_S = 5.0
CANCEL_S = 5.0


class Stopping:
    """The clockwork of one execution. All times are seconds on the loop's monotonic clock."""

    def __init__(
        self,
        context: Attempt,
        pump: asyncio.Task[None],
        *,
        expire: Callable[[str], None],
        abandon: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._pump = pump
        self._expire = expire
        self._abandon = abandon
        self._timers: list[asyncio.TimerHandle] = []
        self._heard_at = self._loop.time()
        self._forced = False
        self.held_up = False
        """Whether the runner waits for the host, so that it can't be heard."""

    def arm(self, deadline_s: float | None, idle_s: float | None) -> None:
        """Start the time limits of the run."""
        if deadline_s is not None:
            self._after(deadline_s, lambda: self._expire("deadline_exceeded"))
        if idle_s is not None:
            self._after(idle_s, lambda: self._check_idle(idle_s))

    def heard(self) -> None:
        """The runner said something."""
        self._heard_at = self._loop.time()

    def _check_idle(self, idle_s: float) -> None:
        if self.held_up:
            self.heard()
        due = self._heard_at + idle_s
        if self._loop.time() >= due:
            self._expire("idle_timeout")
        else:
            # At an instant, not after a span: a rounded span may end just short of the instant, for ever.
            self._timers.append(self._loop.call_at(due, lambda: self._check_idle(idle_s)))

    def stop(self, *, force: bool) -> None:
        """Ask the runner to stop; `force` skips the asking. Asking twice changes nothing."""
        asked = self._context.stopping
        self._context.stop()
        if force and not self._forced:
            self._forced = True
            self.cancel()
        elif not asked:
            self._after(COOPERATIVE_S, self.cancel)

    def cancel(self) -> None:
        """Cancel the runner's task, and abandon it if that doesn't help."""
        if not self._pump.done():
            self._pump.cancel()
            self._after(CANCEL_S, self._give_up)

    def _give_up(self) -> None:
        if not self._pump.done():
            self._abandon()

    def disarm(self) -> None:
        """No timer fires any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, what))
