"""Where a server is and which key opens it: as told, from the environment, or from its home directory.

The client and the command line look here. The home's admin key never goes to another machine unless
somebody names both.
"""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from tenure.client.failures import ServerUnreachable
from tenure.errors import ConfigError

DEFAULT_HOME = "~/.tenure"


class Place(NamedTuple):
    """The address of a server, and a key for it."""

    url: str
    key: str


class Running(msgspec.Struct, frozen=True):
    """What a running server leaves in its home as `server.json`."""

    url: str
    pid: int


def find_place(
    server: str | None = None,
    key: str | None = None,
    home: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Place:
    """The server and the key to use: what is given, else `TENURE_SERVER` and `TENURE_KEY`, else the home's.

    Raises ConfigError for an address or key that can't be one, and ServerUnreachable if nothing names a
    server.
    """
    folder = home_of(home, environment)
    given = server or environment.get("TENURE_SERVER")
    url = checked_url(given) if given else running_in(folder).url
    secret = key or environment.get("TENURE_KEY") or _key_of(folder, url)
    return Place(url, _checked_key(secret.strip()))


def home_of(home: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The home directory: the given one, `TENURE_HOME`, or `~/.tenure`."""
    return home or Path(environment.get("TENURE_HOME") or DEFAULT_HOME).expanduser()


def running_in(home: Path) -> Running:
    """The server that runs on a home. Raises ServerUnreachable if none does."""
    path = home / "server.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except FileNotFoundError:
        raise ServerUnreachable(
            str(home),
            "no server runs on this home",
            "Start one with `tenure serve`, or name one with --server or TENURE_SERVER.",
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path} can't be read ({error}). Name the server with --server or TENURE_SERVER."
        ) from None


def checked_url(text: str) -> str:
    """An address without a slash at its end. Raises ConfigError for what is no http address."""
    try:
        parts = urlsplit(text.strip())
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"The server's address is {text!r}. Give one such as http://127.0.0.1:8321.")
    return text.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name stands for this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _key_of(home: Path, url: str) -> str:
    path = home / "admin.key"
    if not _same_machine(urlsplit(url)):
        raise ConfigError(
            f"There is no key for {url}. Give one with --key or TENURE_KEY; the admin key in {home} "
            "isn't sent to another machine by itself."
        )
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't text"
        raise ConfigError(
            f"There is no key for {url}: {path} can't be read ({reason}). Give one with --key or TENURE_KEY."
        ) from None


def _same_machine(parts: SplitResult) -> bool:
    return parts.hostname is not None and is_loopback(parts.hostname)


def _checked_key(key: str) -> str:
    # The key isn't shown: it may be a good one with a slip of the keyboard.
    if not key or not all("!" <= character <= "~" for character in key):
        raise ConfigError(
            "The key is empty or holds a blank or a letter that no key has. Give one as `tenure keys "
            "create` prints it."
        )
    return key
