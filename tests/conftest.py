"""What every test shares: the loop of asynchronous tests, and imports that leave no trace."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The loop of asynchronous tests: asyncio, the only one the server runs on."""
    return "asyncio"


@pytest.fixture
def fresh_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports, and where it may look, is forgotten after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]
