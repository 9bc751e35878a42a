"""Fetches what a URL of an outside event names: the port `Fetch`. The wiring makes it.

Others choose these addresses, so nothing but public hosts is reached, over TLS, and the address that was
looked at is the one that is called: a name that changes its mind in between gains nothing.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NoReturn

import httpx

from tenure.errors import Code, TenureError
from tenure.ports.files import Fetched

TIMEOUT_S = 10.0
HOPS = 3
"""How many redirects are followed."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host name."""

_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "64:ff9b::/96",  # translated to IPv4, and so to anything
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
        "192.88.99.0/24",
        "192.0.0.0/24",
    )
)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses that this machine finds for a name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet: not this machine, its network, or a special range."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    return _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_private
    return address.is_global and not special and not any(address in network for network in _NOT_PUBLIC)


class HttpsFetch:
    """Fetches over https. `transport` and `lookup` are replaced by tests only."""

    def __init__(
        self, lookup: Resolve = resolve, transport: Callable[[], httpx.AsyncBaseTransport] | None = None
    ) -> None:
        self._lookup = lookup
        self._transport = transport

    async def fetch(self, url: str, most: int) -> Fetched:
        """What the URL names, within TIMEOUT_S seconds, redirects included.

        Raises TenureError `invalid`, `forbidden` for an address that isn't public, `too_large`, or
        `unsupported` for a server that doesn't give it.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client() as client:
                return await self._follow(client, url, most)
        except TimeoutError:
            _refuse(Code.UNSUPPORTED, f"The server of the url didn't answer within {TIMEOUT_S:g} s.")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            _refuse(Code.UNSUPPORTED, f"The url can't be fetched: {type(error).__name__}.")

    def _client(self) -> httpx.AsyncClient:
        # Neither a proxy of the environment nor a redirect may choose another address than the checked one.
        transport = None if self._transport is None else self._transport()
        return httpx.AsyncClient(
            transport=transport, trust_env=False, follow_redirects=False, timeout=TIMEOUT_S
        )

    async def _follow(self, client: httpx.AsyncClient, url: str, most: int) -> Fetched:
        for _ in range(HOPS + 1):
            request = await self._request(client, url)
            response = await client.send(request, stream=True)
            async with aclosing(response):
                if not response.has_redirect_location:
                    return await _read(response, most)
                url = str(httpx.URL(url).join(response.headers["location"]))
        _refuse(Code.UNSUPPORTED, f"The url leads on more than {HOPS} times.")

    async def _request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """A request to a checked address, for the name that stands in the URL."""
        target = _checked(url)
        host, port = target.host, target.port or 443
        address = await self._address(host, port)
        named = f"[{host}]" if ":" in host else host
        return client.build_request(
            "GET",
            target.copy_with(host=address),
            headers={
                "Host": named if port == 443 else f"{named}:{port}",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": "tenure",
            },
            extensions={"sni_hostname": host},
        )

    async def _address(self, host: str, port: int) -> str:
        try:
            found = await self._lookup(host, port)
        except OSError:
            _refuse(Code.INVALID, f"The name {host[:200]} of the url isn't known.")
        # One address of this network among public ones is as bad as all: it's drawn by others.
        if not found or not all(is_public(address) for address in found):
            _refuse(Code.FORBIDDEN, f"The url leads to {host[:200]}, which is no public address.")
        return found[0]


def _checked(url: str) -> httpx.URL:
    """The URL, if it may be asked at all."""
    target = httpx.URL(url)
    if target.scheme != "https":
        _refuse(Code.FORBIDDEN, f"The url begins with {target.scheme[:20]!r}: only https is fetched.")
    if target.userinfo:
        _refuse(Code.FORBIDDEN, "The url holds a user name or a password, which is never sent.")
    if not 0 < (target.port or 443) < 65_536:
        _refuse(Code.INVALID, f"The url names the port {target.port}, which no server has.")
    host = target.host
    if not host or (_NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]) and not is_public(host)):
        _refuse(Code.FORBIDDEN, f"The url leads to {host[:200]!r}, which is no public address.")
    return target


async def _read(response: httpx.Response, most: int) -> Fetched:
    """The body as it is: what is packed isn't unpacked, since its size would be anybody's guess."""
    if response.status_code != 200:
        _refuse(Code.UNSUPPORTED, f"The server of the url answered {response.status_code}.")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        _refuse(Code.UNSUPPORTED, "The server of the url packed its answer, though it was asked not to.")
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > most:
            _refuse(Code.TOO_LARGE, f"What the url names has more than {most} bytes.")
        parts.append(part)
    return Fetched(b"".join(parts), response.headers.get("content-type"))


def _refuse(code: Code, detail: str) -> NoReturn:
    raise TenureError(code, f"{detail} Send the file by value, or from another address.")
