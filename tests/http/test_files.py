"""Files over HTTP: what is sent comes back byte for byte, and can do nothing in a browser."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tenure.core.artifact import MAX_FILE_BYTES
from tests.http.world import WAIT_S, World, a_world, scope_of

pytestmark = pytest.mark.anyio

SAFE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, no-cache",
}


async def upload(world: World, session: str, name: str = "a.txt", data: bytes = b"hello", **how: Any) -> Any:
    """Upload a file as the body itself: its info."""
    params = httpx.QueryParams({"name": name})
    return await world.post(f"/v1/sessions/{session}/files?{params}", content=data, **how)


async def removed(path: Path) -> None:
    """Wait until the host has removed something."""
    async with asyncio.timeout(WAIT_S):
        while path.exists():  # noqa: ASYNC110 (a removed folder tells nobody)
            await asyncio.sleep(0)


def form(*parts: bytes, boundary: str = "cut") -> dict[str, Any]:
    """A form of these parts, as arguments of `ask`."""
    body = b"".join(b"--cut\r\n%b\r\n" % part for part in parts) + b"--cut--\r\n"
    return {"content": body, "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"}}


def part(
    name: bytes = b"a.txt", data: bytes = b"hello", *, field: bytes = b"file", kind: bytes | None = None
) -> bytes:
    """One part of a form."""
    head = b'Content-Disposition: form-data; name="%b"; filename="%b"\r\n' % (field, name)
    return head + (b"" if kind is None else b"Content-Type: %b\r\n" % kind) + b"\r\n" + data


async def test_an_upload_is_answered_listed_and_told_by_the_journal(world: World) -> None:
    session = await world.session()
    response = await world.ask("POST", f"/v1/sessions/{session}/files?name=a.txt", content=b"hello")
    info = response.json()
    listed = await world.get(f"/v1/sessions/{session}/files")
    (event,) = (await world.journal(session))[1:]

    assert response.status_code == 201
    assert info == {
        "id": info["id"],
        "name": "a.txt",
        "media_type": "text/plain",
        "size": 5,
        "sha256": hashlib.sha256(b"hello").hexdigest(),
        "kind": "upload",
        "by": "admin",
        "run_id": None,
        "created_at": info["created_at"],
    }
    assert listed == {"data": [info], "next_cursor": None}
    assert (event["type"], event["run_id"], event["data"]) == (
        "artifact.created",
        None,
        {
            "artifact_id": info["id"],
            **{name: info[name] for name in ("name", "media_type", "size", "sha256", "by")},
        },
    )


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 1_048_577, 5_000_000])
async def test_every_byte_comes_back(world: World, size: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    session = await world.session()
    info = await upload(world, session, "a.bin", data)
    response = await world.ask("GET", f"/v1/sessions/{session}/files/{info['id']}")

    assert response.content == data
    assert info["size"] == size
    assert response.headers["content-length"] == str(size)


@pytest.mark.parametrize("multipart", [False, True], ids=["raw", "form"])
async def test_32_mib_are_taken_and_not_a_byte_more(world: World, *, multipart: bool) -> None:
    session = await world.session()
    answers: list[int] = []
    for size in (MAX_FILE_BYTES, MAX_FILE_BYTES + 1):
        data = bytes(size)
        how: dict[str, Any] = form(part(data=data)) if multipart else {"content": data}
        response = await world.ask("POST", f"/v1/sessions/{session}/files?name=a", **how)
        answers.append(response.status_code)

    listed = await world.get(f"/v1/sessions/{session}/files")
    assert answers == [201, 413]
    assert [info["size"] for info in listed["data"]] == [MAX_FILE_BYTES]
    assert len(list((world.home / "sessions" / session / "blobs").iterdir())) == 1


async def test_a_body_that_says_it_is_too_large_is_refused_unread(world: World) -> None:
    session = await world.session()
    body = {"Content-Length": str(MAX_FILE_BYTES + 65_537)}
    response = await world.ask("POST", f"/v1/sessions/{session}/files?name=a", content=b"", headers=body)
    other = await world.ask("POST", f"/v1/sessions/{session}/messages", content=b"x" * 1_048_577)

    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert other.status_code == 413


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        (b"a.csv", None, ("a.csv", "text/csv")),
        (b"a.csv", b"application/x-own", ("a.csv", "application/x-own")),
        (b"a.csv", b"no media type", ("a.csv", "text/csv")),
        ("naïve 日本.txt".encode(), None, ("naïve 日本.txt", "text/plain")),
        (b"na\xefve.txt", None, ("naïve.txt", "text/plain")),
        (b"../../../etc/passwd", None, ("passwd", "application/octet-stream")),
        (b"", None, ("file", "application/octet-stream")),
    ],
)
async def test_a_form_says_name_and_type(
    world: World, name: bytes, kind: bytes | None, expected: tuple[str, str]
) -> None:
    session = await world.session()
    info = await world.post(f"/v1/sessions/{session}/files", **form(part(name, kind=kind)))

    assert (info["name"], info["media_type"]) == expected


async def test_a_form_of_httpx_is_understood(world: World) -> None:
    session = await world.session()
    response = await world.http.post(
        f"/v1/sessions/{session}/files",
        files={"file": ("données.json", b"{}", "application/json")},
        headers=world.bearer(""),
    )

    assert (response.status_code, response.json()["name"]) == (201, "données.json")


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        pytest.param(form(part(field=b"image")), (422, "invalid"), id="other field"),
        pytest.param(form(part(), part(b"b.txt")), (422, "invalid"), id="two files"),
        pytest.param(form(), (422, "invalid"), id="no file"),
        pytest.param(form(part(b"a\x00b")), (422, "invalid"), id="zero in the name"),
        pytest.param(form(part(), boundary="other"), (400, "bad_request"), id="other boundary"),
        pytest.param(form(part(), boundary=""), (400, "bad_request"), id="no boundary"),
        pytest.param(form(part(), boundary="x" * 1_000), (400, "bad_request"), id="endless boundary"),
        pytest.param(
            {**form(), "content": b"--cut\r\n" + part()}, (400, "bad_request"), id="ends in the middle"
        ),
        pytest.param(form(b"X: " + b"y" * 100_000 + b"\r\n\r\n"), (400, "bad_request"), id="endless header"),
        pytest.param({"content": b"raw"}, (422, "invalid"), id="raw without a name"),
    ],
)
async def test_what_is_no_file_is_refused_and_leaves_nothing(
    world: World, how: dict[str, Any], answer: tuple[int, str]
) -> None:
    session = await world.session()
    response = await world.ask("POST", f"/v1/sessions/{session}/files", **how)
    blobs = world.home / "sessions" / session / "blobs"

    assert (response.status_code, response.json()["code"]) == answer
    assert not blobs.exists() or list(blobs.iterdir()) == []
    assert len(await world.journal(session)) == 1


async def test_an_upload_that_breaks_off_leaves_nothing(world: World) -> None:
    session = await world.session()
    scope = scope_of(
        "http", f"/v1/sessions/{session}/files?name=a", {"Host": "localhost", **world.bearer("")}
    )
    scope["method"] = "POST"
    messages = [{"type": "http.request", "body": bytes(2_000_000), "more_body": True}]
    sent: list[object] = []

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await world.app(scope, receive, send)

    assert sent == []
    assert list((world.home / "sessions" / session / "blobs").iterdir()) == []
    assert (await world.get(f"/v1/sessions/{session}/files"))["data"] == []


async def test_an_upload_is_repeated_under_its_key_and_no_other_file_passes_for_it(world: World) -> None:
    session = await world.session()
    key = {"Idempotency-Key": "once"}
    path = f"/v1/sessions/{session}/files?name=a.txt"
    first = await world.ask("POST", path, content=b"one", headers=key)
    again = await world.ask("POST", path, content=b"one", headers=key)
    other = await world.ask("POST", path, content=b"two", headers=key)

    assert again.json() == first.json()
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert len(list((world.home / "sessions" / session / "blobs").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "kind", "disposition"),
    [
        ("a.txt", "text/plain", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ("a b.html", "text/html", "attachment; filename=\"a b.html\"; filename*=UTF-8''a%20b.html"),
        (
            "naïve.svg",
            "image/svg+xml",
            "attachment; filename=\"na_ve.svg\"; filename*=UTF-8''na%C3%AFve.svg",
        ),
        (
            "50%;x='.js",
            "text/javascript",
            "attachment; filename=\"50_;x='.js\"; filename*=UTF-8''50%25%3Bx%3D%27.js",
        ),
    ],
)
async def test_a_download_is_an_attachment_that_no_browser_runs(
    world: World, name: str, kind: str, disposition: str
) -> None:
    session = await world.session()
    info = await upload(world, session, name, b"<script>", headers={"Content-Type": kind})
    response = await world.ask("GET", f"/v1/sessions/{session}/files/{info['id']}")

    assert dict(response.headers) == {
        "content-type": kind,
        "content-length": "8",
        "content-disposition": disposition,
        "etag": f'"{info["sha256"]}"',
        "accept-ranges": "bytes",
        **SAFE,
    }


async def test_head_tells_the_size_and_sends_nothing(world: World) -> None:
    session = await world.session()
    info = await upload(world, session)
    response = await world.ask("HEAD", f"/v1/sessions/{session}/files/{info['id']}")

    assert (response.status_code, response.headers["content-length"], response.content) == (200, "5", b"")


async def test_a_client_that_has_the_bytes_gets_none(world: World) -> None:
    session = await world.session()
    info = await upload(world, session)
    path = f"/v1/sessions/{session}/files/{info['id']}"
    same = await world.ask("GET", path, headers={"If-None-Match": f'"other", W/"{info["sha256"]}"'})
    other = await world.ask("GET", path, headers={"If-None-Match": '"other"'})

    assert (same.status_code, same.content) == (304, b"")
    assert (other.status_code, other.content) == (200, b"hello")


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"Range": "bytes=1-3"}, (206, b"ell", "bytes 1-3/5")),
        ({"Range": "bytes=2-"}, (206, b"llo", "bytes 2-4/5")),
        ({"Range": "bytes=0-99"}, (206, b"hello", "bytes 0-4/5")),
        ({"Range": "bytes=5-"}, (200, b"hello", None)),
        ({"Range": "bytes=3-1"}, (200, b"hello", None)),
        ({"Range": "bytes=0-1,3-4"}, (200, b"hello", None)),
        ({"Range": "lines=1-2"}, (200, b"hello", None)),
        ({"Range": "bytes=1-3", "If-Range": '"other"'}, (200, b"hello", None)),
    ],
)
async def test_a_part_can_be_asked_for(
    world: World, headers: dict[str, str], answer: tuple[int, bytes, str | None]
) -> None:
    session = await world.session()
    info = await upload(world, session)
    response = await world.ask("GET", f"/v1/sessions/{session}/files/{info['id']}", headers=headers)

    assert (response.status_code, response.content, response.headers.get("content-range")) == answer


async def test_a_download_goes_on_while_the_file_is_deleted(world: World) -> None:
    session = await world.session()
    data = bytes(range(256)) * 4_096
    info = await upload(world, session, "a.bin", data)
    path = f"/v1/sessions/{session}/files/{info['id']}"
    scope = scope_of("http", path, {"Host": "localhost", **world.bearer("")})
    scope["method"] = "GET"
    got: list[bytes] = []
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            if not got:
                statuses.append((await world.ask("DELETE", path)).status_code)
            got.append(message["body"])

    await world.app(scope, receive, send)

    assert statuses == [204]
    assert b"".join(got) == data
    assert (await world.ask("GET", path)).status_code == 404
    assert list((world.home / "sessions" / session / "blobs").iterdir()) == []


async def test_a_deleted_file_is_gone_and_the_journal_tells(world: World) -> None:
    session = await world.session()
    info = await upload(world, session)
    path = f"/v1/sessions/{session}/files/{info['id']}"
    answers = [(await world.ask("DELETE", path)).status_code for _ in range(2)]
    last = (await world.journal(session))[-1]

    assert answers == [204, 404]
    assert (last["type"], last["data"]) == ("artifact.deleted", {"artifact_id": info["id"], "by": "admin"})
    assert (await world.get(f"/v1/sessions/{session}/files"))["data"] == []
    assert list((world.home / "sessions" / session / "files").iterdir()) == []


async def test_a_file_of_another_session_is_not_there(world: World) -> None:
    mine, other = await world.session(), await world.session()
    info = await upload(world, mine)
    answers = [
        (await world.ask(method, f"/v1/sessions/{other}/files/{info['id']}")).status_code
        for method in ("GET", "DELETE")
    ]

    assert answers == [404, 404]
    assert (await world.ask("GET", f"/v1/sessions/{other}/files/..%2F..%2Fadmin.key")).status_code == 404


async def test_files_are_listed_in_pages(world: World) -> None:
    session = await world.session()
    infos = [await upload(world, session, f"{n}.txt") for n in range(3)]
    first = await world.get(f"/v1/sessions/{session}/files?limit=2")
    rest = await world.get(f"/v1/sessions/{session}/files?limit=2&cursor={first['next_cursor']}")

    assert first["data"] + rest["data"] == infos
    assert rest["next_cursor"] is None


async def test_a_session_without_room_says_which_limit_it_met(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("full") / "home"
    async with a_world(home, files_per_session=1, files_bytes_per_session=10) as world:
        sessions = await world.session(), await world.session()
        await upload(world, sessions[0])
        many = await world.ask("POST", f"/v1/sessions/{sessions[0]}/files?name=b", content=b"b")
        large = await world.ask("POST", f"/v1/sessions/{sessions[1]}/files?name=b", content=b"b" * 11)

    facts = [
        tuple(r.json()[n] for n in ("status", "code", "scope", "limit", "current")) for r in (many, large)
    ]
    assert facts == [
        (429, "capacity", "per_session", 1, 1),
        (429, "capacity", "per_session", 10, 0),
    ]


async def test_a_message_refers_to_its_file_and_to_no_other(world: World) -> None:
    session = await world.session()
    info = await upload(world, session)
    stranger = "art_" + "0" * 32
    path = f"/v1/sessions/{session}/messages"
    parts = [{"type": "text", "text": "SAY seen"}, {"type": "file", "file_id": info["id"]}]
    await world.stream("POST", path, {"content": parts}).end()
    refused = await world.ask("POST", path, {"content": [{"type": "file", "file_id": stranger}]})
    said = (await world.get(path))["data"]

    assert [item["content"] for item in said] == [parts, "seen"]
    assert (refused.status_code, refused.json()["code"], refused.json()["file_id"]) == (
        422,
        "invalid",
        stranger,
    )


async def test_closing_keeps_files_and_deleting_the_session_removes_them(world: World) -> None:
    session = await world.session()
    info = await upload(world, session)
    await world.post(f"/v1/sessions/{session}/close", {})
    closed = await world.ask("GET", f"/v1/sessions/{session}/files/{info['id']}")
    refused = await world.ask("POST", f"/v1/sessions/{session}/files?name=b", content=b"b")
    await world.ask("DELETE", f"/v1/sessions/{session}")
    gone = await world.ask("GET", f"/v1/sessions/{session}/files/{info['id']}")
    await removed(world.home / "sessions" / session)

    assert (closed.status_code, closed.content) == (200, b"hello")
    assert (refused.status_code, refused.json()["code"]) == (409, "session_closed")
    assert gone.status_code == 404


async def test_a_fork_has_the_files_of_its_parent_and_keeps_them(world: World) -> None:
    session = await world.session()
    info = await upload(world, session)
    await world.spoken(session, "SAY x")
    child = (await world.post(f"/v1/sessions/{session}/fork", {}))["id"]
    later = await upload(world, session, "later.txt", b"later")
    await world.ask("DELETE", f"/v1/sessions/{session}")
    await removed(world.home / "sessions" / session)
    response = await world.ask("GET", f"/v1/sessions/{child}/files/{info['id']}")
    listed = await world.get(f"/v1/sessions/{child}/files")

    assert response.content == b"hello"
    assert listed["data"] == [info]
    assert later["id"] != info["id"]
