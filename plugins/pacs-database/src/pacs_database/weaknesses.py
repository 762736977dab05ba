"""Weaknesses of the address of a database, for ``pacs doctor security``."""

import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL

from pacs_core.contracts import NodeSettings, SecurityFinding, Severity, is_loopback
from pacs_database.address import database_url

_VERIFIES = {"verify-ca", "verify-full"}  # of asyncpg, as of libpq
_ENCRYPTS = {"require"}


def find_weaknesses(settings: NodeSettings) -> Iterator[SecurityFinding]:
    """Iterate over what is weak; an address that cannot be used is a matter of ``config check``."""
    try:
        url = database_url(settings)
    except (ValueError, LookupError):
        return
    yield from _of_file(url) if url.get_backend_name() == "sqlite" else _of_server(url)


def _of_server(url: URL) -> Iterator[SecurityFinding]:
    host = url.host or str(url.query.get("host", "/"))
    if host.startswith("/") or is_loopback(host):
        return
    mode = url.query.get("ssl", "prefer")
    if mode in _VERIFIES:
        return
    action = "let database.url end in ?ssl=verify-full"
    if mode in _ENCRYPTS:
        what = f"whoever answers in place of the database on {host} is believed"
        yield SecurityFinding(Severity.MEDIUM, what, action)
    else:
        what = (
            f"what goes to the database on {host}, patients' names included, need not be encrypted"
        )
        yield SecurityFinding(Severity.HIGH, what, action)


def _of_file(url: URL) -> Iterator[SecurityFinding]:
    file = Path(str(url.database))
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return  # it is not there yet
    if mode & 0o007:
        what = f"others on this machine have access to the database {file} (mode {mode:04o})"
        yield SecurityFinding(Severity.HIGH, what, f"chmod o= {file}")
