"""Signals within one process, against the contract."""

import pytest

from tenure.signals.contract import Air, SignalsContract
from tenure.signals.local import Ether

pytestmark = pytest.mark.anyio


class Process(Ether):
    """Nothing but hints can be sent within a process."""

    async def garble(self) -> None:
        """Nothing."""


class TestLocal(SignalsContract):
    """Every case of the contract."""

    @pytest.fixture
    def air(self) -> Air:
        return Process()
