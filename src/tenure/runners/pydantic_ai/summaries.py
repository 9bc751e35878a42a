"""Summaries for compactions, made by the agent's own model."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.models import Model

from tenure.core.content import text_of
from tenure.core.history import Summarizing
from tenure.errors import Code, TenureError
from tenure.runners.pydantic_ai.clients import Clients
from tenure.runners.pydantic_ai.drive import Terms
from tenure.runners.pydantic_ai.faults import RUN_ERRORS, verdict
from tenure.runners.pydantic_ai.patience import Patience

ASK = (
    "You are given the older part of a conversation between people and an agent. Write what the agent must "
    "know to go on: what was asked, decided, found and done, names and numbers exactly, and what is still "
    "open. Write nothing that isn't in it."
)


class ModelSummary:
    """Has a model summarise what a compaction covers."""

    def __init__(self, agent: AbstractAgent[Any, Any], terms: Terms, clients: Clients) -> None:
        self._agent = agent
        self._terms = terms
        self._clients = clients

    async def __call__(self, asked: Summarizing) -> str:
        """The summary. Raises TenureError `runner_unavailable` if the model fails."""
        said = "\n\n".join(f"{item.actor or item.role}: {text_of(item.content)}" for item in asked.said)
        wish = f"\n\nThe person asks for this: {asked.instructions}" if asked.instructions else ""
        await self._clients.open()
        model = self._agent.model
        summarizer = Agent(model if isinstance(model, Model | str) else None, instructions=ASK + wish)
        patience = Patience(self._terms.retries, self._terms.name, _unheard)
        try:
            return (await summarizer.run(said, infer_name=False, capabilities=[patience])).output
        except RUN_ERRORS as error:
            reason = verdict(error, self._terms.name, self._terms.secrets).reason
            raise TenureError(Code.RUNNER_UNAVAILABLE, f"No summary could be made: {reason}") from error


def _unheard(code: str, detail: str) -> None:
    """A compaction has no place for warnings."""
