"""A run without a host: what a runner or an agent is given when a test drives it.

The contract suite and `tenure.testing` use it. It holds to the rules of the host's own: what the
grant doesn't hold is refused.
"""

import asyncio
from collections.abc import Iterable

import msgspec

from tenure.core.content import Content, text_of
from tenure.core.grant import HISTORY, Descriptor, Grant, Policy, Terms, make_grant
from tenure.core.output import Output, Text
from tenure.core.principal import DEFAULT_TENANT, Author, Role
from tenure.core.view import TranscriptItem, TranscriptPage
from tenure.errors import Code, TenureError

_ID = "0" * 31 + "1"


class FakeMessage(msgspec.Struct, frozen=True):
    """The message that starts a rehearsed run."""

    content: Content
    user: str = "ada"
    id: str = f"msg_{_ID}"

    @property
    def text(self) -> str:
        """What it says; parts are joined by line breaks."""
        return text_of(self.content)


class FakeRun:
    """A `RunContext` without a host.

    `apis` are the rights that its grant holds, `said` is the transcript so far, and `seconds_left`
    the time to a deadline. `stop` asks the run to stop, as an interrupt does.
    """

    def __init__(
        self,
        content: Content = "",
        *,
        user: str = "ada",
        attempt: int = 1,
        apis: tuple[str, ...] = (HISTORY,),
        said: Iterable[TranscriptItem] = (),
        seconds_left: float | None = None,
    ) -> None:
        self.run_id = f"run_{_ID}"
        self.session_id = f"ses_{_ID}"
        self.message = FakeMessage(content, user)
        self.attempt = attempt
        self.grant = _grant(user, apis)
        self.seconds_left = seconds_left
        self._said = tuple(said)
        self._stop = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the run to stop."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait until the run is asked to stop."""
        await self._stop.wait()

    async def transcript(self, cursor: str | None = None, limit: int = 100) -> TranscriptPage:
        """A page of `said`; a cursor is the number of items before it."""
        if not self.grant.allows(HISTORY):
            raise TenureError(
                Code.FORBIDDEN, f"The grant of run {self.run_id} doesn't hold the right {HISTORY}."
            )
        start = int(cursor or 0)
        end = start + limit
        return TranscriptPage(
            data=self._said[start:end],
            waiting=(),
            queue_held=False,
            as_of_seq=len(self._said),
            next_cursor=str(end) if end < len(self._said) else None,
        )


def spoken(outputs: Iterable[Output]) -> str:
    """The texts among `outputs`, one after the other."""
    return "".join(output.text for output in outputs if isinstance(output, Text))


def _grant(user: str, apis: tuple[str, ...]) -> Grant:
    terms = Terms(
        agent="rehearsed",
        descriptor=Descriptor(runner="rehearsed", permissions=apis),
        policy=Policy(apis=apis),
    )
    return make_grant(terms, Author(tenant=DEFAULT_TENANT, user=user, role=Role.MEMBER))
