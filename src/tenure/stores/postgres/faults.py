"""What goes wrong between a host and its database, sorted by what may be done about it. Used by the lane."""

from asyncpg.exceptions import (
    DeadlockDetectedError,
    DiskFullError,
    IdleInTransactionSessionTimeoutError,
    InterfaceError,
    InternalClientError,
    LockNotAvailableError,
    OperatorInterventionError,
    PostgresConnectionError,
    PostgresError,
    QueryCanceledError,
    ReadOnlySQLTransactionError,
    SerializationError,
    TooManyConnectionsError,
    TransactionTimeoutError,
    UniqueViolationError,
)

from tenure.errors import Code, TenureError
from tenure.stores.relational.tx import Raced

RACES = (SerializationError, DeadlockDetectedError, LockNotAvailableError, UniqueViolationError, Raced)
"""Somebody else was there first: the act left nothing behind and may be run again."""

FAULTS = (OSError, TimeoutError, InterfaceError, InternalClientError, PostgresError)
"""Everything that a connection raises of its own accord."""

_GONE = (
    OSError,
    TimeoutError,
    PostgresConnectionError,
    OperatorInterventionError,
    IdleInTransactionSessionTimeoutError,
    TransactionTimeoutError,
    ReadOnlySQLTransactionError,
    TooManyConnectionsError,
)


class Away(Exception):
    """The database can't be reached, or took the connection away. Nothing was committed."""


def gone(fault: Exception) -> bool:
    """Whether a fault says that this connection is of no more use; another one may be."""
    return isinstance(fault, _GONE) and not isinstance(fault, QueryCanceledError)


def away(why: Exception) -> TenureError:
    """The refusal of what couldn't be done while the database was away."""
    return TenureError(
        Code.STORE_UNAVAILABLE, f"The store can't be reached ({why}). Nothing was changed. Try again later."
    )


def unsure(why: Exception) -> TenureError:
    """The refusal of what may have been done: nobody could ask yet."""
    detail = (
        f"The store went away as it was to keep this ({why}), and hasn't said since whether it did. "
        "Repeat the request with the same Idempotency-Key."
    )
    return TenureError(Code.STORE_UNAVAILABLE, detail)


def refused(fault: Exception) -> TenureError:
    """What somebody is told of an act that the database refused for good."""
    match fault:
        case DiskFullError():
            detail = "The database's disk is full. Nothing was changed. Make room there, then repeat it."
            return TenureError(Code.STORE_FULL, detail)
        case QueryCanceledError():
            detail = "The store took too long, and was told to stop. Nothing was changed. Try again later."
            return TenureError(Code.STORE_UNAVAILABLE, detail)
        case SerializationError() | DeadlockDetectedError() | LockNotAvailableError() | Raced():
            detail = "Others held what this needs for too long. Nothing was changed. Try again."
            return TenureError(Code.STORE_UNAVAILABLE, detail)
        case _:
            detail = f"The store refused this: {_named(fault)}. Nothing was changed."
            return TenureError(Code.INTERNAL, detail)


def _named(fault: Exception) -> str:
    """What a fault is, without what it says: that may show the row that was to be written."""
    match fault:
        case PostgresError():
            told = fault.as_dict()
            names = (told.get("sqlstate"), told.get("table_name"), told.get("constraint_name"))
            return " ".join([type(fault).__name__, *(name for name in names if name)])
        case _:
            return type(fault).__name__
