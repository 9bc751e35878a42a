"""Death at a named place: how crash tests show that nothing acknowledged is lost there.

Only TENURE_CRASH_AT in the environment of a server brings it in; no request can.
"""

import os
import signal

from tenure.errors import ConfigError
from tenure.ports.landmarks import Landmark


class DieAt:
    """Kills this very process, as `kill -9` does, when a landmark is passed for the nth time."""

    def __init__(self, landmark: Landmark, nth: int) -> None:
        self._landmark = landmark
        self._left = nth

    @classmethod
    def parse(cls, text: str) -> "DieAt":
        """From `commit.after:3`. Raises ConfigError for anything else."""
        name, _, nth = text.partition(":")
        try:
            return cls(Landmark(name), int(nth or "1"))
        except ValueError:
            known = ", ".join(Landmark)
            raise ConfigError(
                f"TENURE_CRASH_AT is {text!r}. Write NAME:COUNT with a name of: {known}."
            ) from None

    def passed(self, landmark: Landmark) -> None:
        """Count, and die."""
        if landmark is self._landmark:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
