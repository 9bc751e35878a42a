"""Where the relay brings things to: the rooms of a host that hear of what other hosts do."""

from collections.abc import Callable, Iterable, Sequence

from tenure.core.event import Event, SessionClosed, SessionDeleted
from tenure.errors import Code, TenureError
from tenure.host.approvals import Approvals
from tenure.host.claims import Claims
from tenure.host.executions import HEARD, Executions
from tenure.host.fanout import Fanout
from tenure.host.files import Files
from tenure.host.recalls import Recalls
from tenure.host.tasks import Tasks
from tenure.ports.runner import Residence
from tenure.ports.signals import Hint
from tenure.ports.store import Block

PARTINGS = frozenset({SessionClosed, SessionDeleted})
"""The types of events after which nothing is kept for a session."""

DECODED: frozenset[type[Event]] = HEARD | PARTINGS
"""The types of events that rooms need as such; of all others the bytes are enough."""


class Landing:
    """The rooms of one host, as the relay sees them."""

    def __init__(
        self,
        *,
        fanout: Fanout,
        executions: Executions,
        files: Files,
        residences: Sequence[Residence],
        claims: Claims,
        recalls: Recalls,
        approvals: Approvals,
        tasks: Tasks,
        heed: Callable[[], None],
    ) -> None:
        self._fanout = fanout
        self._executions = executions
        self._files = files
        self._residences = residences
        self._claims = claims
        self._recalls = recalls
        self._approvals = approvals
        self._tasks = tasks
        self._heed = heed
        """Looks after hosts that came or went."""

    def here(self, session_id: str) -> bool:
        """Whether a run of the session is here."""
        return self._executions.here(session_id)

    def watched(self, session_id: str) -> bool:
        """Whether somebody follows the session here."""
        return self._fanout.watches(session_id)

    def hand_on(self, block: Block) -> None:
        """Take the next block of a session, in order."""
        self._fanout.deliver(block)
        self._executions.deliver(block)

    def learn(self, block: Block) -> None:
        """Take what concerns the session as a whole, whoever committed it."""
        self._files.deliver(block)
        if self._residences and any(type(entry.event) in PARTINGS for entry in block.entries):
            self.part(block.session_id)

    def skip(self, session_id: str, head: int) -> None:
        """The followers of a session read up to `head` by themselves."""
        self._fanout.skip(session_id, head)

    def gone(self, session_id: str) -> None:
        """The session was deleted elsewhere, and its journal too."""
        self._fanout.end(session_id, "deleted")
        self._executions.gone(session_id)
        self._files.forget(session_id)
        self.part(session_id)

    def kept(self) -> Iterable[str]:
        """The sessions for which a runner keeps something between runs."""
        return {session_id for residence in self._residences for session_id in residence.kept()}

    def part(self, session_id: str) -> None:
        """Nothing is kept for the session any more."""
        if self._residences:
            self._tasks.spawn(self._forget(session_id), f"letting go of {session_id}")

    async def _forget(self, session_id: str) -> None:
        for residence in self._residences:
            await residence.forget(session_id)

    def look(self, hint: Hint) -> None:
        """See to runs, timers or hosts, as a hint says."""
        if hint.work:
            self._claims.wake()
        if hint.timers:
            self._recalls.look()
            self._tasks.spawn(self._look_at_approvals(), "approvals of other hosts")
        if hint.hosts:
            self._heed()

    async def _look_at_approvals(self) -> None:
        try:
            await self._approvals.open()
        except TenureError as error:
            # The next look comes soon.
            if error.code is not Code.STORE_UNAVAILABLE:
                raise
