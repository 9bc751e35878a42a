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
        self._limits: list[asyncio.TimerHandle] = []
        self._left_s: float | None = None
        self._idle_s: float | None = None
        self._heard_at = self._loop.time()
        self._forced = False
        self._paused_at: float | None = None
        self.held_up = False
        """Whether the runner waits for the host, so that it can't be heard."""

    def arm(self, deadline_s: float | None, idle_s: float | None) -> None:
        """Start the time limits of the run."""
        self._left_s, self._idle_s = deadline_s, idle_s
        self._run_on()

    def _run_on(self) -> None:
        """Count running time from now on."""
        if self._left_s is not None:
            limit = self._loop.call_later(self._left_s, self._expire, "deadline_exceeded")
            self._limits.append(limit)
        if self._idle_s is not None:
            idle = self._loop.call_later(self._idle_s, self._check_idle, self._idle_s)
            self._limits.append(idle)

    def pause(self) -> None:
        """The run waits for people: its time stands still, and its silence isn't its own."""
        if self._paused_at is None:
            self._paused_at = self._loop.time()
            self._context.pause()
            self._end_limits()

    def resume(self) -> None:
        """The run goes on, with the time that it had left."""
        if self._paused_at is not None:
            if self._left_s is not None:
                self._left_s = self._context.seconds_left
            self._paused_at = None
            self._context.resume()
            self.heard()
            self._run_on()

    def _end_limits(self) -> None:
        for timer in self._limits:
            timer.cancel()
        self._limits.clear()

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
            self._limits.append(self._loop.call_at(due, self._check_idle, idle_s))

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
        self._end_limits()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, what))
