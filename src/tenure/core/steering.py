"""Messages that steer a live run: what a runner gets of them, and how many it takes at once."""

import msgspec

from tenure.core.content import Content, text_of
from tenure.core.origin import API, Origin
from tenure.errors import Code, TenureError

MOST_PENDING = 100
"""How many messages may wait to steer one run."""

_ONE = ("one", "one-at-a-time", "one_at_a_time")


class SteeringMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a live run took up. `redelivered` if an earlier attempt of the run took it before.

    `origin` is the outside event that it was made of.
    """

    id: str
    content: Content
    user: str
    redelivered: bool = False
    origin: Origin = API

    @property
    def text(self) -> str:
        """Its text, parts joined by line breaks."""
        return text_of(self.content)


def how_many(mode: str, limit: int | None) -> int:
    """The most that a take with `mode` and `limit` takes. Raises TenureError `invalid`."""
    if limit is not None and (isinstance(limit, bool) or limit < 1):
        raise TenureError(
            Code.INVALID,
            f"The limit is {limit}. Take at least 1 message, or leave the limit out.",
            field="limit",
        )
    if mode.lower() in _ONE:
        return 1
    if mode.lower() != "all":
        raise TenureError(
            Code.INVALID, f"The mode is {mode!r}. Take 'all' that waits or 'one' message.", field="mode"
        )
    return MOST_PENDING if limit is None else min(limit, MOST_PENDING)
