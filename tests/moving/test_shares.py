"""What becomes of shares and signed-in browsers when everything is moved."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tenure.client import Client
from tenure.config import Settings
from tenure.core.principal import Role
from tenure.errors import Code, TenureError
from tenure.moving import back_up, restore
from tests.client.hosted import Hosted


@contextmanager
def served(home: Path) -> Generator[Hosted]:
    """A server on a home, for a block."""
    hosted = Hosted(home).start()
    try:
        yield hosted
    finally:
        hosted.stop()


def test_shares_move_along_and_browsers_sign_in_anew(tmp_path: Path) -> None:
    with served(tmp_path / "home") as hosted, Client(hosted.url, hosted.key) as admin:
        key = admin.create_key("ann", Role.MEMBER).key
        with Client(hosted.url, key) as ann:
            session = ann.open_session("scripted").id
            works, ended = [ann.share(session) for _ in "ab"]
            ann.revoke_share(session, ended.id)
            opened = httpx.get(ann.sign_in_link().url)
            waiting = ann.sign_in_link().url
        asyncio.run(back_up(Settings(home=tmp_path / "home"), tmp_path / "all.backup"))
    asyncio.run(restore(tmp_path / "all.backup", Settings(home=tmp_path / "new")))

    with served(tmp_path / "new") as there, Client(there.url, key) as ann:
        with Client(there.url, works.url.rpartition("/")[2]) as reader:
            assert reader.session(session).id == session
        with Client(there.url, ended.url.rpartition("/")[2]) as reader, pytest.raises(TenureError) as refused:
            reader.session(session)
        listed = [(share.id, share.status) for share in ann.shares(session)]
        cookie = opened.headers["set-cookie"].partition(";")[0]
        old = httpx.get(f"{there.url}/v1/whoami", headers={"Cookie": cookie})
        late = httpx.get(f"{there.url}/sign-in/{waiting.rpartition('/')[2]}")
        sign_ins = list(ann.sign_ins())

    assert refused.value.code is Code.UNAUTHENTICATED
    assert listed == [(ended.id, "revoked"), (works.id, "active")]
    assert (old.status_code, late.headers["location"], sign_ins) == (401, "/#link-used", [])
