"""Fetching what a URL names: public hosts over TLS, at the address that was looked at, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from tenure import fetch as module
from tenure.errors import Code, TenureError
from tenure.fetch import HttpsFetch, is_public
from tenure.ports.files import Fetched

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"
MOST = 1_000

Answer = Callable[[httpx.Request], httpx.Response]


class Web(httpx.AsyncBaseTransport):
    """Servers that answer as they are told. What was asked of them is kept."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answer(request)


class Names:
    """A resolver with a few names. An address is its own name, as a resolver of a machine has it."""

    def __init__(self, **known: list[str]) -> None:
        self.asked: list[tuple[str, int]] = []
        self._known = known

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        name = host.rstrip(".").replace(".", "_").replace("-", "_")
        if name in self._known:
            return self._known[name]
        if is_public(host):
            return [host]
        raise OSError("Name or service not known")


def served(data: bytes, **headers: str) -> httpx.Response:
    """An answer whose body comes over the wire."""

    async def body() -> AsyncIterator[bytes]:
        yield data

    return httpx.Response(200, content=body(), headers=headers)


def hello(request: httpx.Request) -> httpx.Response:
    return served(b"hello", **{"Content-Type": "image/png"})


def fetching(answer: Answer = hello, names: Names | None = None) -> tuple[HttpsFetch, Web]:
    """A way to fetch, and the servers it reaches."""
    web = Web(answer)
    lookup = names or Names(files_example=[PUBLIC])
    return HttpsFetch(lookup, lambda: web), web


async def refused(fetch: HttpsFetch, url: str) -> tuple[Code, str]:
    """The refusal of a URL."""
    with pytest.raises(TenureError) as caught:
        await fetch.fetch(url, MOST)
    return caught.value.code, caught.value.detail


async def test_the_address_that_was_checked_is_called_under_the_name_of_the_url() -> None:
    fetch, web = fetching()
    fetched = await fetch.fetch("https://files.example/a/b.png?c=d#e", MOST)
    (asked,) = web.asked

    assert fetched == Fetched(b"hello", "image/png")
    assert (asked.url.host, asked.url.raw_path) == (PUBLIC, b"/a/b.png?c=d")
    assert asked.headers["host"] == "files.example"
    assert asked.extensions["sni_hostname"] == "files.example"
    assert "authorization" not in asked.headers and "cookie" not in asked.headers


async def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    async def rebinding(host: str, port: int) -> list[str]:
        return next(answers)

    web = Web(hello)
    await HttpsFetch(rebinding, lambda: web).fetch("https://files.example/", MOST)

    assert [request.url.host for request in web.asked] == [PUBLIC]


INSIDE = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.169.254.",
    "0xa9fea9fe",
    "2852039166",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[fec0::1]",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "metadata.internal",
    "intranet",
    "half-inside.example",
    "mapped.example",
    "scoped.example",
    "nothing.example",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
]

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "metadata_internal": ["169.254.169.254"],
    "intranet": ["10.0.0.7"],
    "half_inside_example": [PUBLIC, "10.0.0.7"],
    "mapped_example": ["::ffff:10.0.0.7"],
    "scoped_example": ["fe80::1%eth0"],
    "nothing_example": [],
    # What a machine's own resolver makes of short, hexadecimal and octal forms.
    **{name: ["127.0.0.1"] for name in ("127_1", "127_0_1", "0x7f_1", "0177_0_0_1", "0x7f000001")},
}


@pytest.mark.parametrize("port", ["", ":443", ":8443"])
@pytest.mark.parametrize("host", INSIDE)
async def test_no_address_inside_is_reached_however_it_is_written(host: str, port: str) -> None:
    fetch, web = fetching(names=Names(**NAMES))
    code, _ = await refused(fetch, f"https://{host}{port}/latest/meta-data")

    assert code in (Code.FORBIDDEN, Code.UNSUPPORTED, Code.INVALID)
    assert web.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/",
        "HTTP://files.example/",
        "file:///etc/passwd",
        "file://files.example/etc/passwd",
        "ftp://files.example/",
        "gopher://files.example/",
        "data:text/plain,hello",
        "//files.example/",
        "/etc/passwd",
        "files.example",
        "",
        "https://",
        "https:///etc/passwd",
        "https://user:secret@files.example/",
        "https://user@files.example/",
        "https://files.example:99999/",
        "https://exa mple/",
        "https://[::1/",
        "https://\x00/",
        "https://" + "a" * 70_000,
    ],
)
async def test_only_plain_https_addresses_are_fetched(url: str) -> None:
    fetch, web = fetching()
    code, detail = await refused(fetch, url)

    assert code in (Code.FORBIDDEN, Code.UNSUPPORTED, Code.INVALID)
    assert "secret" not in detail
    assert web.asked == []


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


async def test_an_address_of_the_new_kind_is_called_and_named() -> None:
    fetch, web = fetching()
    await fetch.fetch("https://[2606:4700:4700::1111]:8443/a", MOST)

    assert web.asked[0].headers["host"] == "[2606:4700:4700::1111]:8443"


async def test_every_hop_is_checked() -> None:
    def inward(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": "https://intranet/secrets"})

    def downward(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": "http://files.example/"})

    names = Names(files_example=[PUBLIC], intranet=["10.0.0.7"])
    codes: list[tuple[Code, int]] = []
    for answer in (inward, downward):
        fetch, web = fetching(answer, names)
        codes.append(((await refused(fetch, "https://files.example/"))[0], len(web.asked)))

    assert codes == [(Code.FORBIDDEN, 1), (Code.FORBIDDEN, 1)]


async def test_a_file_that_moved_is_found() -> None:
    def moved(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/old":
            return httpx.Response(301, headers={"Location": "new"})
        return served(request.headers["host"].encode())

    fetch, web = fetching(moved)
    fetched = await fetch.fetch("https://files.example/old", MOST)

    assert fetched.data == b"files.example"
    assert [request.url.path for request in web.asked] == ["/old", "/new"]


async def test_a_url_that_leads_on_and_on_is_given_up() -> None:
    fetch, web = fetching(lambda _: httpx.Response(302, headers={"Location": "/"}))
    code, _ = await refused(fetch, "https://files.example/")

    assert (code, len(web.asked)) == (Code.UNSUPPORTED, module.HOPS + 1)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (httpx.Response(404), Code.UNSUPPORTED),
        (httpx.Response(204), Code.UNSUPPORTED),
        (httpx.Response(302), Code.UNSUPPORTED),
        (httpx.Response(200, headers={"Content-Encoding": "gzip"}), Code.UNSUPPORTED),
        (served(bytes(MOST + 1)), Code.TOO_LARGE),
    ],
    ids=["not there", "nothing", "nowhere", "packed", "too large"],
)
async def test_what_is_no_file_is_refused(response: httpx.Response, code: Code) -> None:
    fetch, _ = fetching(lambda _: response)

    assert (await refused(fetch, "https://files.example/"))[0] is code


async def test_a_file_of_the_largest_size_is_taken() -> None:
    fetch, _ = fetching(lambda _: served(bytes(MOST)))

    assert len((await fetch.fetch("https://files.example/", MOST)).data) == MOST


async def test_an_endless_answer_is_cut_off() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100
            yield bytes(100)

    fetch, _ = fetching(lambda _: httpx.Response(200, content=endless()))

    assert (await refused(fetch, "https://files.example/"))[0] is Code.TOO_LARGE
    assert sent == MOST + 100


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.02)

    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    fetch, _ = fetching(lambda _: httpx.Response(200, content=silent()))
    code, detail = await refused(fetch, "https://files.example/")

    assert (code, "didn't answer within" in detail) == (Code.UNSUPPORTED, True)


async def test_a_broken_connection_is_a_refusal() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("All connection attempts failed")

    fetch, _ = fetching(broken)

    assert (await refused(fetch, "https://files.example/"))[0] is Code.UNSUPPORTED


async def test_this_machine_is_not_reached_through_its_real_resolver() -> None:
    codes = {
        (await refused(HttpsFetch(), f"https://{host}/"))[0] for host in ("localhost", "127.1", "0x7f.1")
    }

    assert codes == {Code.FORBIDDEN}
