"""The contract suite for runners of your own, where users look for it. It needs pytest and anyio.

Derive `TestMyRunner` from `RunnerContract`; `Act` says what to put on stage, `tenure.runners.contract` how.
"""

from tenure.runners import contract
from tenure.runners.contract import *  # noqa: F403

__all__ = contract.__all__  # pyright: ignore[reportUnsupportedDunderAll]
