"""What every test shares: compiled code, the loop of asynchronous tests, and imports that leave no trace."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ("tests.postgres.fixtures",)
BYTECODE = Path(__file__).parents[1] / ".pytest_cache" / "bytecode"


def pytest_configure() -> None:
    """Keep bytecode out of the tree where none is to be kept in it: hundreds of programs start here."""
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(BYTECODE)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(BYTECODE)


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
