"""Users in the file."""

import json
import sqlite3
from collections.abc import Sequence
from time import time

from attrs import frozen

from pacs_auth_local.names import key_of
from pacs_core.contracts import Principal


@frozen
class User:
    """Somebody with a password.

    Attributes
    ----------
    name : str
    password : str
        Its hash.
    roles : tuple of str
    ae_titles : tuple of str
        Calling AE titles with which the name may be used; empty for any.
    is_disabled : bool
    created : float
        Seconds since 1970.
    """

    name: str
    password: str
    roles: tuple[str, ...] = ()
    ae_titles: tuple[str, ...] = ()
    is_disabled: bool = False
    created: float = 0.0

    def __repr__(self) -> str:
        """Leave the hash out."""
        return f"User({self.name!r})"

    def principal(self, method: str) -> Principal:
        """Return who it is, once that is shown."""
        return Principal(self.name, frozenset(self.roles), method)


_COLUMNS = "name, password, roles, ae_titles, disabled, created"


def find_user(connection: sqlite3.Connection, name: str) -> User | None:
    """Return a user by name."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM user WHERE key = ?", (key_of(name),))  # noqa: S608
    found = row.fetchone()
    return _user(found) if found else None


def all_users(connection: sqlite3.Connection) -> Sequence[User]:
    """Return all users, by name."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM user ORDER BY key")  # noqa: S608
    return [_user(row) for row in rows]


def _user(row: tuple[str, str, str, str, int, float]) -> User:
    name, password, roles, titles, disabled, created = row
    return User(
        name, password, tuple(json.loads(roles)), tuple(json.loads(titles)), bool(disabled), created
    )


def add_user(connection: sqlite3.Connection, user: User) -> bool:
    """Keep a user; tell whether the name was free, among users and tokens."""
    taken = connection.execute(
        "SELECT 1 FROM user WHERE key = :key UNION SELECT 1 FROM token WHERE name = :name",
        {"key": key_of(user.name), "name": user.name},
    )
    if taken.fetchone():
        return False
    lists = json.dumps(user.roles), json.dumps(user.ae_titles)
    connection.execute(
        "INSERT INTO user (key, name, password, roles, ae_titles, disabled, created) "
        "VALUES (?, ?, ?, ?, ?, 0, ?)",
        (key_of(user.name), user.name, user.password, *lists, time()),
    )
    return True


def set_password(connection: sqlite3.Connection, name: str, password: str) -> None:
    """Keep another hash of a password."""
    connection.execute("UPDATE user SET password = ? WHERE key = ?", (password, key_of(name)))


def set_disabled(connection: sqlite3.Connection, name: str, disabled: bool) -> None:
    """Disable or enable a user."""
    connection.execute("UPDATE user SET disabled = ? WHERE key = ?", (disabled, key_of(name)))


def remove_user(connection: sqlite3.Connection, name: str) -> None:
    """Forget a user, with tokens and sessions."""
    connection.execute("DELETE FROM user WHERE key = ?", (key_of(name),))


def is_anybody_known(connection: sqlite3.Connection) -> bool:
    """Tell whether there is a user or a token."""
    rows = connection.execute("SELECT EXISTS(SELECT 1 FROM user) OR EXISTS(SELECT 1 FROM token)")
    return bool(rows.fetchone()[0])
