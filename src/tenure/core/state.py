"""State as clients ask for it and are answered. The rules stand in `tenure.core.scope`."""

from typing import Annotated

import msgspec

from tenure.core.command import Ask, Seconds
from tenure.core.scope import Json
from tenure.core.view import View


class SetState(Ask, frozen=True, kw_only=True):
    """Keep a value under a key. `ttl_s` is how long it lasts, in seconds; without it, for good."""

    value: Json
    ttl_s: Seconds | None = None


class StateValue(View, frozen=True, kw_only=True, omit_defaults=True):
    """A value under a key. `version` grows with each change of the key and is never given twice.

    Version 0 is what a run knows without its being stored: the platform's id of the conversation.
    """

    scope: str
    key: str
    value: Json
    version: Annotated[int, msgspec.Meta(ge=0)]
    expires_at: str | None = None


class StatePage(View, frozen=True, kw_only=True):
    """A page of the values of one scope, in the order in which their keys came."""

    data: tuple[StateValue, ...]
    as_of_seq: int
    next_cursor: str | None
