"""The bootstrap admin's key over the lives of a home: one key at a time, and always a way in."""

import threading
from pathlib import Path

import pytest

from tenure.config import Settings
from tenure.errors import ConfigError
from tenure.host.admission import secret_hash
from tenure.wiring import ADMIN_KEY_FILE, build

pytestmark = pytest.mark.anyio

SETTING = "TENURE_ADMIN_KEY"


async def life(home: Path, *, revoke: bool = False) -> str:
    """Start a server on the home, check that its key is the admin's, perhaps revoke it, and stop."""
    served = await build(Settings(home=home, entry_points=False))
    try:
        by = await served.host.store.principal(secret_hash(served.admin_key), served.host.clock.now())
        assert by is not None and by.root
        if revoke:
            await served.host.commands.revoke_key(by, by.key_id)
    finally:
        await served.close()
    return served.admin_key


async def test_the_key_in_the_home_stays(tmp_path: Path) -> None:
    key = await life(tmp_path)

    assert (tmp_path / ADMIN_KEY_FILE).read_text() == f"{key}\n"
    assert await life(tmp_path) == key


async def test_a_revoked_key_in_the_home_gives_way_to_a_fresh_one(tmp_path: Path) -> None:
    revoked = await life(tmp_path, revoke=True)

    key = await life(tmp_path)

    assert key != revoked
    assert (tmp_path / ADMIN_KEY_FILE).read_text() == f"{key}\n"
    assert await life(tmp_path) == key


async def test_a_key_in_the_environment_replaces_the_one_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await life(tmp_path)
    monkeypatch.setenv(SETTING, "given-by-the-operator")
    assert await life(tmp_path) == "given-by-the-operator"
    assert await life(tmp_path) == "given-by-the-operator"

    monkeypatch.delenv(SETTING)

    assert await life(tmp_path) not in ("given-by-the-operator", first)


async def test_a_revoked_key_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "given-by-the-operator")
    await life(tmp_path, revoke=True)

    with pytest.raises(ConfigError, match="TENURE_ADMIN_KEY holds a key that was revoked"):
        await life(tmp_path)
    monkeypatch.delenv(SETTING)
    await life(tmp_path)


async def test_a_start_that_is_refused_leaves_no_thread_and_no_lock_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "given-by-the-operator")
    await life(tmp_path, revoke=True)
    before = threading.active_count()

    with pytest.raises(ConfigError):
        await build(Settings(home=tmp_path, entry_points=False))

    assert threading.active_count() == before
    monkeypatch.delenv(SETTING)
    assert (await life(tmp_path)).startswith("tnr_")
