"""How often and how long a model that fails is waited for. The drive gives one to each attempt.

Only a call of which nothing was said yet is repeated: text can't be taken back.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from zlib import crc32

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelAPIError, RetryModelRequest
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.tools import RunContext

from tenure.runners.pydantic_ai.faults import passes, told

FIRST_S = 0.5
"""About how long to wait before a model is asked again, in seconds; twice as long each time."""
LONGEST_S = 30.0
MOST_ASKED_S = 120.0
"""The longest that a provider may ask to be waited for."""

Warn = Callable[[str, str], None]


class Patience(AbstractCapability[Any]):
    """Asks a model again that failed in a way that passes, at most `retries` times a call.

    `whose` is the id of what waits: many that failed together don't ask again at one moment.
    """

    def __init__(self, retries: int, whose: str, warn: Warn) -> None:
        self._retries = retries
        self._whose = whose
        self._warn = warn

    async def on_model_request_error(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, error: Exception
    ) -> ModelResponse:
        """Wait and have the call repeated, or let the failure through."""
        attempt = request_context.attempt
        again = passes(error) and attempt <= self._retries
        wait_s = delay_s(attempt, self._whose, error) if again else None
        if wait_s is None:
            raise error
        count = f"{attempt} of {self._retries}"
        self._warn("model_retried", f"{told(error)}; asked again after {wait_s:.1f} s ({count}).")
        await asyncio.sleep(wait_s)
        raise RetryModelRequest


def delay_s(attempt: int, whose: str, error: Exception) -> float | None:
    """How long to wait after the failed attempt, the first being 1. None if that is too long.

    What the provider asks for goes first; else the time doubles, give or take a quarter.
    """
    asked_s = error.retry_after if isinstance(error, ModelAPIError) else None
    if asked_s is not None:
        return asked_s if asked_s <= MOST_ASKED_S else None
    share = crc32(f"{whose} {attempt}".encode()) / 2**32
    return min(LONGEST_S, FIRST_S * 2 ** (attempt - 1)) * (0.75 + share / 2)
