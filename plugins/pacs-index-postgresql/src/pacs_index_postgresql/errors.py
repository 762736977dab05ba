"""Faults of the server and of the way to it, in the operator's words."""

import ssl
from typing import Final

import asyncpg

from pacs_core.contracts import OutOfResourcesError, StorageFullError


class PostgresqlIndexError(Exception):
    """The index cannot do what it was asked."""


class NewerSchemaError(PostgresqlIndexError):
    """The tables were made by a later version of this plugin."""


class UnavailableIndexError(OutOfResourcesError):
    """The server cannot be reached, or does not answer: try again later."""


TRANSIENT: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that breaks off while it is asked something
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.OutOfMemoryError,
)
"""What may be otherwise a moment later: a restart, another server, a change by another node."""
UNDONE: Final = (
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.OutOfMemoryError,
)
"""Those of them after which a statement is known to have done nothing."""

_PERMANENT: Final[tuple[tuple[type[Exception], str], ...]] = (
    (
        asyncpg.InvalidPasswordError,
        "the password is wrong: correct it in dsn of [plugin.index-postgresql]",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "the server does not let this user in: check user and password in dsn of "
        "[plugin.index-postgresql], and pg_hba.conf of the server",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        "the server has no such database: make it with `createdb`, or correct dsn of "
        "[plugin.index-postgresql]",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "the user may not do this: GRANT CREATE ON DATABASE, or have the schema made and owned by "
        "this user",
    ),
    (ssl.SSLError, "TLS fails: check sslmode and sslrootcert in dsn of [plugin.index-postgresql]"),
    (asyncpg.ClientConfigurationError, "correct dsn of [plugin.index-postgresql]"),
)
_AWAY: Final = "check that the server runs, and host and port in dsn of [plugin.index-postgresql]"


def permanent_cause(error: BaseException) -> str:
    """Return what is wrong, and what to do about it; empty if it may be otherwise in a moment."""
    return next((text for kind, text in _PERMANENT if isinstance(error, kind)), "")


def translate_error(error: Exception, where: str) -> Exception:
    """Return the error to raise in place of one of the driver's.

    Parameters
    ----------
    error : Exception
    where : str
        Names server and database, without a password.
    """
    if isinstance(error, asyncpg.DiskFullError):
        return StorageFullError(f"no room left for the index {where}: {error}")
    if cause := permanent_cause(error):
        return PostgresqlIndexError(f"the index {where}: {error}: {cause}")
    if isinstance(error, TRANSIENT):
        text = str(error) or "it does not answer in time"
        return UnavailableIndexError(f"the index {where} is not available: {text}: {_AWAY}")
    if isinstance(error, asyncpg.PostgresError):
        return PostgresqlIndexError(f"the index {where} failed: {error}")
    return error
