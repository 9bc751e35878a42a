"""Hints between simulated hosts: late, out of order, doubled, lost, and in some worlds all lost."""

import contextvars
import random
from collections.abc import Callable

from tenure.ports.signals import Hint
from tests.simulation.loop import NODE, SimLoop
from tests.simulation.shore import Shore

_LATE = (0.0, 0.000_5, 0.001, 0.002, 0.02, 0.5, 4.0)


class Airwaves:
    """What carries hints. `loss` is the share of them that never arrives."""

    def __init__(self, loop: SimLoop, shore: Shore, draw: random.Random) -> None:
        self.loop = loop
        self.shore = shore
        self.draw = draw
        self.loss = draw.choice((0.0, 0.05, 0.3, 1.0))
        self.sent = self.heard = 0
        self._stations: dict[str, SimSignals] = {}

    def tune(self, station: "SimSignals") -> None:
        """A host listens from now on."""
        self._stations[station.node] = station

    def leave(self, station: "SimSignals") -> None:
        """A host listens no more."""
        self._stations.pop(station.node, None)

    def spread(self, sender: str, hint: Hint) -> None:
        """To everybody else, perhaps."""
        if not self.shore.reaches(sender):
            return
        for station in self._stations.values():
            if station.node == sender:
                continue
            self.sent += 1
            copies = self.draw.choice((1, 1, 1, 1, 2)) if self.draw.random() >= self.loss else 0
            for _ in range(copies):
                context = contextvars.copy_context()
                context.run(NODE.set, station.node)
                self.loop.call_later(self.draw.choice(_LATE), self._arrive, station, hint, context=context)

    def _arrive(self, station: "SimSignals", hint: Hint) -> None:
        if self.shore.reaches(station.node):
            self.heard += 1
            station.hear(hint)


class SimSignals:
    """One host's receiver and sender."""

    def __init__(self, airwaves: Airwaves, node: str) -> None:
        self.node = node
        self._airwaves = airwaves
        self._listener: Callable[[Hint], None] = lambda _: None

    def hint(self, hint: Hint) -> None:
        self._airwaves.spread(self.node, hint)

    def listen(self, listener: Callable[[Hint], None]) -> None:
        self._listener = listener

    def hear(self, hint: Hint) -> None:
        """A hint has come."""
        self._listener(hint)

    async def open(self) -> None:
        self._airwaves.tune(self)

    async def close(self) -> None:
        self._airwaves.leave(self)
