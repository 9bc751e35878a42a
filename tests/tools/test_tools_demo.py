"""The demo tools `confirm` and `once`: what they promise to those who try clients with them."""

from pathlib import Path

import pytest

from tenure.core.tool import ALWAYS, NEVER, Replay
from tenure.errors import TenureError
from tenure.tools import demo
from tenure.tools.calling import FunctionTool
from tests.tools.calls import a_call

pytestmark = pytest.mark.anyio


def test_confirm_asks_and_may_be_repeated_and_once_neither() -> None:
    confirm, once = FunctionTool(demo.confirm), FunctionTool(demo.once)

    assert (confirm.approval, confirm.replay) == (ALWAYS, Replay.SAFE)
    assert (once.approval, once.replay) == (NEVER, Replay.NEVER)


async def test_confirm_returns_the_text_it_was_called_with() -> None:
    assert await FunctionTool(demo.confirm).call(a_call({"text": "hi"})) == {"text": "hi"}


async def test_once_appends_one_line_each_time(tmp_path: Path) -> None:
    once = FunctionTool(demo.once)
    for _ in range(2):
        await once.call(a_call({"path": "notes/log.txt"}, tmp_path))

    assert (tmp_path / "notes" / "log.txt").read_text() == "eff_1\neff_1\n"


@pytest.mark.parametrize("path", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "", ".", "link/out.txt"])
async def test_once_never_leaves_the_sessions_folder(tmp_path: Path, path: str) -> None:
    folder, outside = tmp_path / "session", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "link").symlink_to(outside)

    with pytest.raises(TenureError, match="leads out of the session's folder"):
        await FunctionTool(demo.once).call(a_call({"path": path}, folder))

    assert [*outside.iterdir()] == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["outside", "session"]
