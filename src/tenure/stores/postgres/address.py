"""The address of a database, as people write it: refused if it can't be read, shown without its password.

Used by whatever opens connections for a command or at the start of a host.
"""

from urllib.parse import SplitResult, urlsplit

from asyncpg.exceptions import (
    ClientConfigurationError,
    InvalidAuthorizationSpecificationError,
    InvalidCatalogNameError,
    TooManyConnectionsError,
)

from tenure.errors import ConfigError


def check(url: str) -> None:
    """Raises ConfigError, which shows nothing of it, for an address that doesn't say one thing only."""
    try:
        readable = _is_plain(urlsplit(url))
    except ValueError:
        readable = False
    if not readable:
        raise unreadable()


def unreadable() -> ConfigError:
    """What people are told of an address that can't be taken apart; any part of it may be the password."""
    return ConfigError(
        "The address of the database can't be read. Write it as postgres://user:password@host:5432/database, "
        "and within user and password %40 for @, %3A for :, %2F for /, %3F for ?, %23 for #, %25 for %."
    )


def shown(url: str) -> str:
    """An address that passed `check`, without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_place(parts)}{parts.path}"


def unreachable(url: str, error: Exception) -> ConfigError:
    """What people are told of a database that they can't have."""
    match error:
        case ClientConfigurationError():
            way_out = "Correct the options of the address."
        case ValueError():
            return unreadable()
        case InvalidAuthorizationSpecificationError():
            way_out = "Check user and password, and whom its pg_hba.conf lets in from here."
        case InvalidCatalogNameError():
            way_out = "Create it, for example with: CREATE DATABASE name OWNER user."
        case TooManyConnectionsError():
            way_out = "Raise its max_connections, or stop something else that uses it."
        case OSError():
            way_out = "Check the address, and that Postgres runs there and listens to this machine."
        case _:
            way_out = "Check the address and its options."
    why = str(error) or "it doesn't answer"
    return ConfigError(f"The database {shown(url)} can't be reached: {why}. {way_out}")


def _is_plain(parts: SplitResult) -> bool:
    """Whether everything is where it seems to be: one unescaped character of a password moves the rest."""
    ends = [host.rpartition("]")[2] for host in _place(parts).split(",")]
    return (
        parts.netloc.count("@") <= 1
        and "@" not in parts.path
        and not ("@" in parts.query and "@" not in parts.netloc)
        and not parts.fragment
        and all(end.rpartition(":")[2].isdecimal() for end in ends if ":" in end)
    )


def _place(parts: SplitResult) -> str:
    """The hosts with their ports; Postgres takes several, parted by commas."""
    return parts.netloc.rpartition("@")[2]
