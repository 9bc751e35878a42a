"""The one rule by which committed entries of a session reach a host's rooms: in order, and none twice.

What a host commits itself may come before what another host committed between; it waits here meanwhile.
"""

from tenure.ports.store import Block

MOST_AHEAD = 1_000
"""So many blocks wait at most. Beyond that they are read from the store again."""


class Order:
    """How far one session was handed on."""

    __slots__ = ("_ahead", "_latest", "delivered", "head")

    def __init__(self, delivered: int | None = None) -> None:
        self.delivered = delivered
        """The last number that was handed on; None until it is known where to begin."""
        self.head = delivered or 0
        """How far the journal reaches, as far as this host knows."""
        self._ahead: dict[int, Block] = {}
        self._latest = self.head + 1
        """Where the block begins that was handed on last."""

    @property
    def lacks(self) -> bool:
        """Whether something is to be read from the store."""
        return self.delivered is not None and self.head > self.delivered

    def begin(self, after: int) -> list[Block]:
        """Hand on what was committed after `after`, and not less than before. Returns what is due at once."""
        self.head = max(self.head, after)
        if self.delivered is None or after < self._latest:
            self.delivered, self._latest = after, after + 1
        return self._due()

    def skip(self, to: int) -> list[Block]:
        """Hand on nothing up to `to`: whoever wants it reads it from the store. Returns what is due then."""
        self.delivered = max(to, self.delivered or 0)
        self.head, self._latest = max(self.head, self.delivered), self.delivered + 1
        return self._due()

    def take(self, block: Block) -> list[Block]:
        """What is to be handed on now that `block` is there, in order."""
        self.head = max(self.head, block.last)
        if self.delivered is None or block.first - 1 > self.delivered:
            self._keep(block)
            return []
        if block.last <= self.delivered:
            return []
        # What one transaction wrote is handed on as a whole, also if `begin` named a number within it.
        self.delivered, self._latest = block.last, block.first
        return [block, *self._due()] if self._ahead else [block]

    def _keep(self, block: Block) -> None:
        if len(self._ahead) >= MOST_AHEAD:
            self._ahead.clear()
        self._ahead[block.first] = block

    def _due(self) -> list[Block]:
        """What follows without a gap on what was handed on."""
        if self.delivered is None:
            return []
        due: list[Block] = []
        while (block := self._ahead.pop(self.delivered + 1, None)) is not None:
            due.append(block)
            self.delivered, self._latest = block.last, block.first
        if self._ahead and self.delivered >= min(self._ahead):
            self._ahead = {first: b for first, b in self._ahead.items() if first > self.delivered}
        return due
