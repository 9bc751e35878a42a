"""Where the connections to a model's provider are kept between runs, and closed with the host."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.models import Model


class Clients:
    """The client of one agent's model. It is opened by the first run; all runs share its connections."""

    def __init__(self, agent: AbstractAgent[Any, Any]) -> None:
        self._agent = agent
        self._open: AsyncExitStack | None = None

    @property
    def fault(self) -> str | None:
        """Nothing is known of a provider before it is asked."""
        return None

    async def open(self) -> None:
        """Keep the client from now on, if it isn't kept already."""
        model = self._agent.model
        if self._open is None and isinstance(model, Model):
            self._open = AsyncExitStack()
            await self._open.enter_async_context(model)

    def kept(self) -> Iterable[str]:
        """No session's."""
        return ()

    async def forget(self, session_id: str) -> None:
        """Nothing is kept for a session."""

    async def close(self) -> None:
        """Close the connections."""
        if self._open is not None:
            kept, self._open = self._open, None
            await kept.aclose()
