"""Failures to sign in, by name and by address, and how long each has to wait for the next try.

They are in the file, so that all workers count together. Names that nobody has are counted as well:
what is locked says nothing of who is there. Of both only digests are kept, and not more than so
many, so that guesses with ever other names fill nothing.
"""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from time import time
from typing import Final

from pacs_auth_local.config import Lockout
from pacs_auth_local.names import key_of

_MOST: Final = 20_000


def _subjects(name: str, host: str, limits: Lockout) -> Iterator[tuple[str, int]]:
    for kind, value, limit in (
        ("name", key_of(name), limits.per_name),
        ("address", host, limits.per_address),
    ):
        digest = sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).hexdigest()
        yield f"{kind}:{digest[:32]}", limit


def waiting_time(connection: sqlite3.Connection, name: str, host: str, limits: Lockout) -> float:
    """Return for how many seconds a name and an address have to wait; 0 if they need not."""
    longest = 0.0
    for subject, _ in _subjects(name, host, limits):
        row = connection.execute("SELECT until FROM failure WHERE subject = ?", (subject,))
        found = row.fetchone()
        longest = max(longest, found[0] - time() if found else 0.0)
    return longest


def count_failure(connection: sqlite3.Connection, name: str, host: str, limits: Lockout) -> float:
    """Count a failure; return for how many seconds there is to wait from now on."""
    now, longest = time(), 0.0
    for subject, limit in _subjects(name, host, limits):
        row = connection.execute(
            "SELECT count FROM failure WHERE subject = ? AND last > ?",
            (subject, now - limits.longest),
        ).fetchone()
        count = (row[0] if row else 0) + 1
        # The exponent is bounded, because 2.0 ** 2000 is an error.
        wait = min(2.0 ** min(count - limit, 30), limits.longest) if count >= limit else 0.0
        connection.execute(
            "REPLACE INTO failure (subject, count, last, until) VALUES (?, ?, ?, ?)",
            (subject, count, now, now + wait),
        )
        longest = max(longest, wait)
    connection.execute("DELETE FROM failure WHERE last < ?", (now - limits.longest,))
    connection.execute(
        "DELETE FROM failure WHERE subject IN "
        "(SELECT subject FROM failure ORDER BY last DESC LIMIT -1 OFFSET ?)",
        (_MOST,),
    )
    return longest


def forget_failures(connection: sqlite3.Connection, name: str) -> None:
    """Forget those with a name. Those of its address stay: it may have guessed at others."""
    subject = next(_subjects(name, "", Lockout()))[0]
    connection.execute("DELETE FROM failure WHERE subject = ?", (subject,))
