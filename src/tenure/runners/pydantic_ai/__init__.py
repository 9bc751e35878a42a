"""Runs pydantic-ai agents: on any model, with the host's tools, approvals, steering and history.

Needs the extra `pydantic-ai`; the wiring imports it when a table asks for it. Tests of agents use
`PydanticAIRunner` with `tenure.testing.hosting`.
"""

from tenure.runners.pydantic_ai.drive import Terms
from tenure.runners.pydantic_ai.runner import PydanticAIRunner

__all__ = ["PydanticAIRunner", "Terms"]
