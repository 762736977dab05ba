"""Sessions of people in browsers: what a cookie stands for, kept by digest on this side.

They are in the file so that every worker knows them, that they outlive a restart, and that they are
over when somebody signs out: a cookie that was copied before is worth nothing then.
"""

import json
import secrets
import sqlite3
from hashlib import sha256
from time import time
from typing import Final

from attrs import asdict, frozen

from pacs_auth_local.names import key_of
from pacs_auth_local.users import find_user
from pacs_core.contracts import Principal

_RESOLUTION: Final = 0.05
"""Part of the idle time in which a session that is used is written once."""


@frozen
class Session:
    """Somebody who is signed in.

    Attributes
    ----------
    principal : Principal
    csrf : str
        What forms must repeat.
    """

    principal: Principal
    csrf: str


def begin_session(
    connection: sqlite3.Connection, principal: Principal, owner: str | None, ends: float
) -> str:
    """Keep a session, and return what its cookie says: never what a browser came with.

    Parameters
    ----------
    connection
    principal : Principal
    owner : str or None
        Name of the user; what that one may do is looked up with each request.
    ends : float
        Seconds since 1970.
    """
    said, now = secrets.token_urlsafe(32), time()
    described = asdict(principal) | {"roles": sorted(principal.roles)}
    described |= {"actions": None if principal.actions is None else sorted(principal.actions)}
    connection.execute("DELETE FROM session WHERE ends < ?", (now,))
    connection.execute(
        "INSERT INTO session (digest, owner, principal, csrf, began, seen, ends) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            _digest(said), None if owner is None else key_of(owner), json.dumps(described),
            secrets.token_urlsafe(24), now, now, ends,
        ),
    )  # fmt: skip
    return said


def find_session(connection: sqlite3.Connection, said: str, idle: float) -> Session | None:
    """Return the session of a cookie, and whether its use is to be noted."""
    row = connection.execute(
        "SELECT owner, principal, csrf FROM session WHERE digest = ? AND ends > ? AND seen > ?",
        (_digest(said), time(), time() - idle),
    ).fetchone()
    if row is None:
        return None
    owner, described, csrf = row
    fields = json.loads(described)
    fields["roles"] = frozenset(fields["roles"])
    fields["actions"] = None if fields["actions"] is None else frozenset(fields["actions"])
    principal = Principal(**fields)
    if owner is not None:
        user = find_user(connection, owner)
        if user is None or user.is_disabled:
            return None
        principal = user.principal(principal.method)
    return Session(principal, csrf)


def is_stale(connection: sqlite3.Connection, said: str, idle: float) -> bool:
    """Tell whether the use of a session was last noted so long ago that it is to be now."""
    row = connection.execute("SELECT seen FROM session WHERE digest = ?", (_digest(said),))
    found = row.fetchone()
    return found is not None and found[0] < time() - idle * _RESOLUTION


def note_use(connection: sqlite3.Connection, said: str) -> None:
    """Let a session's idle time begin again."""
    connection.execute("UPDATE session SET seen = ? WHERE digest = ?", (time(), _digest(said)))


def end_session(connection: sqlite3.Connection, said: str) -> None:
    """End the session of a cookie."""
    connection.execute("DELETE FROM session WHERE digest = ?", (_digest(said),))


def end_sessions_of(connection: sqlite3.Connection, name: str) -> None:
    """End all sessions of a user."""
    connection.execute("DELETE FROM session WHERE owner = ?", (key_of(name),))


def _digest(said: str) -> bytes:
    return sha256(said.encode("utf-8", "surrogateescape")).digest()
