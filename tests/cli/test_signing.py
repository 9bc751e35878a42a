"""The way into the console, and shares: what the commands print, and that it works."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tenure.client import Client
from tests.cli.conftest import Began, Run

END = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%S}Z"


def opened(url: str) -> httpx.Response:
    """What a browser is answered that opens a link."""
    return httpx.get(url, timeout=10)


def test_sign_in_prints_a_link_that_works_once(tenure: Run, client: Client) -> None:
    ran = tenure("sign-in")

    first, again = opened(ran.out.strip()), opened(ran.out.strip())
    assert ran.code == 0
    assert ran.out.startswith(f"{client.address}/sign-in/")
    assert ran.err.startswith("Open it in your browser. It works once, until 20")
    assert [(r.status_code, r.headers["location"]) for r in (first, again)] == [
        (303, "/"),
        (303, "/#link-used"),
    ]
    name, _, secret = first.headers["set-cookie"].partition(";")[0].partition("=")
    me = httpx.get(f"{client.address}/v1/whoami", cookies={name: secret}, timeout=10)
    assert me.json()["user"] == client.whoami().user


def test_sign_in_as_json_tells_until_when(tenure: Run) -> None:
    (value,) = tenure("sign-in", "--expires-in", "3600", "--json").values

    assert set(value) == {"url", "expires_at"}


def test_sign_in_link_that_lasts_too_long_is_refused(tenure: Run) -> None:
    ran = tenure("sign-in", "--expires-in", "86401")

    assert (ran.code, ran.out) == (2, "")


def test_browsers_are_listed_and_signed_out(tenure: Run, client: Client) -> None:
    before = {each.id for each in client.sign_ins()}
    opened(client.sign_in_link().url)
    (made,) = [each for each in client.sign_ins() if each.id not in before]

    listed = tenure("sign-ins")
    as_json = tenure("sign-ins", "list", "--json").values
    ended = tenure("sign-ins", "end", made.id, "--json")

    assert listed.out.splitlines()[0].split() == ["ID", "KEY", "SINCE", "EXPIRES"]
    assert [made.id, made.key_id] == listed.out.splitlines()[1].split()[:2]
    assert as_json[0]["id"] == made.id
    assert ended.values == [{"id": made.id, "ended": True}]
    assert {each.id for each in client.sign_ins()} == before
    assert tenure("sign-ins", "end", made.id).code == 3


def test_session_is_shared_listed_and_unshared(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    made = tenure("shares", "create", session, "--expires-at", END)
    (share,) = client.shares(session)
    with Client(client.address, made.out.strip().rpartition("/")[2]) as reader:
        seen = reader.session(session)
    listed = tenure("shares", "list", session)
    revoked = tenure("shares", "revoke", session, share.id)

    assert made.out.startswith(f"{client.address}/share/")
    assert made.err == (
        f"{share.id}: whoever has the link reads the session until {END}. It is shown only now.\n"
    )
    assert (seen.id, seen.tenant) == (session, "")
    assert [line.split()[:3] for line in listed.out.splitlines()] == [
        ["ID", "STATUS", "BY"],
        [share.id, "active", "admin"],
    ]
    assert revoked == (0, "", "")
    assert [each.status for each in client.shares(session)] == ["revoked"]


def test_shares_as_json_are_one_a_line(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    (made,) = tenure("shares", "create", session, "--json").values
    (listed,) = tenure("shares", "list", session, "--json").values
    gone = tenure("shares", "revoke", session, str(made["id"]), "--json").values

    assert listed == {name: value for name, value in made.items() if name != "url"}
    assert gone == [{"id": made["id"], "revoked": True}]
    assert tenure("shares", "revoke", session, "shr_1").code == 3


def test_server_says_the_way_into_its_console_and_behind_a_proxy_that_of_the_proxy(
    started: Began, tmp_path: Path
) -> None:
    (tmp_path / "tenure.toml").write_text('public_url = "https://tenure.example.com"\n')
    server = started("serve", "--home", str(tmp_path), "--port", "0", "--json")

    said = json.loads(server.line())

    token = said["console"].removeprefix("https://tenure.example.com/sign-in/")
    proxied = httpx.get(f"{said['url']}/sign-in/{token}", headers={"Host": "tenure.example.com"}, timeout=10)
    assert (proxied.status_code, proxied.headers["location"]) == (303, "/")
    assert proxied.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize("url", ["tenure.example.com", "ftp://a", "https://a/b", "https://a b", "https://"])
def test_public_address_that_is_none_is_refused(tenure: Run, tmp_path: Path, url: str) -> None:
    (tmp_path / "tenure.toml").write_text(f'public_url = "{url}"\n')

    ran = tenure("serve", "--home", str(tmp_path), "--port", "0")

    assert (ran.code, ran.out) == (2, "")
    assert "public_url" in ran.err
