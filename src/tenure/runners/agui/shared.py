"""The state that an endpoint shares with its front end: here, the conversation's state that the host keeps.

AG-UI has one JSON value of state; the host keeps it as one value for each of its keys.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias, cast

import msgspec

from tenure.core.output import StateUpdate
from tenure.runners.agui.patch import Operation, PatchFault, patched

SCOPE = "conversation"


class Deleted(NamedTuple):
    """A key that the endpoint took out of the state."""

    key: str


class Refused(NamedTuple):
    """Why the endpoint's state isn't kept, once for each run."""

    reason: str


Change: TypeAlias = StateUpdate | Deleted | Refused


class SharedState:
    """The state of one run as the endpoint sees it, and what is to be kept of it.

    Deltas may come by the dozen; what they come to is kept when something else happens.
    """

    def __init__(self, kept: Mapping[str, object] | None) -> None:
        """`kept` is what the host keeps, None if the run has no such state or it isn't forwarded."""
        self._keeps = kept is not None
        self.now: object = dict(kept or {})
        self._kept = dict(kept or {})
        self._refused = False

    def replace(self, snapshot: object) -> Iterator[Change]:
        """The endpoint says what the state is."""
        self.now = snapshot
        return self.changes()

    def patch(self, operations: object) -> Iterator[Change]:
        """The endpoint says what changed."""
        try:
            self.now = patched(self.now, msgspec.convert(operations, list[Operation]))
        except (PatchFault, msgspec.ValidationError) as fault:
            yield from self._refuse(f"A delta of the state doesn't fit: {fault}.")

    def changes(self) -> Iterator[Change]:
        """What is to be kept since this was asked last."""
        if self.now == self._kept:
            return
        if not self._keeps:
            yield from self._refuse(
                "The endpoint has state, but this run keeps none of it. Give the agent's table the state "
                "scope conversation and forward_state = true to keep it."
            )
        elif not isinstance(self.now, dict):
            yield from self._refuse("The endpoint's state is no JSON object, so it isn't kept.")
        else:
            yield from self._differences()

    def _differences(self) -> Iterator[Change]:
        now = cast("dict[str, object]", self.now)
        before, self._kept = self._kept, dict(now)
        for key, value in now.items():
            if key not in before or before[key] != value:
                yield StateUpdate(SCOPE, key, value)
        yield from (Deleted(key) for key in before if key not in now)

    def _refuse(self, reason: str) -> Iterator[Change]:
        if not self._refused:
            self._refused = True
            yield Refused(reason)
