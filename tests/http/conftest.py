"""A fresh host for each test of the HTTP face."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.http.world import World, a_world


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[World]:
    """A host with the demo agents, and its bootstrap admin."""
    async with a_world(tmp_path / "home") as world:
        yield world
