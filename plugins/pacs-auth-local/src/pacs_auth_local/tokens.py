"""API tokens: secrets of machines, of which only a digest is kept.

A token is ``pacs_ID_SECRET``. The secret is random and as long as its digest, so that a plain hash
of it is as good as a slow one of a password.
"""

import hmac
import json
import re
import secrets
import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from time import time
from typing import Final

from attrs import evolve, frozen

from pacs_auth_local.users import find_user
from pacs_core.contracts import Principal

PREFIX: Final = "pacs_"
_FORM: Final = re.compile(r"pacs_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


@frozen
class Token:
    """An API token, without its secret.

    Attributes
    ----------
    id : str
    name : str
        Of the principal, unless it has an owner.
    owner : str or None
        Key of the user for whom it acts.
    roles : tuple of str
    actions : tuple of str or None
        What may be done with it at most; None for no bound.
    created, expires : float
        Seconds since 1970.
    """

    id: str
    name: str
    owner: str | None
    roles: tuple[str, ...]
    actions: tuple[str, ...] | None
    created: float
    expires: float


_COLUMNS = "id, name, owner, roles, actions, created, expires"


def create_token(connection: sqlite3.Connection, token: Token) -> str:
    """Keep a token under a new ID; return what its owner has to say."""
    identifier, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    actions = None if token.actions is None else json.dumps(token.actions)
    connection.execute(
        f"INSERT INTO token ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            identifier, token.name, token.owner, json.dumps(token.roles), actions, time(),
            token.expires, sha256(secret.encode()).digest(),
        ),
    )  # fmt: skip
    return f"{PREFIX}{identifier}_{secret}"


def all_tokens(connection: sqlite3.Connection) -> Sequence[Token]:
    """Return all tokens, the latest last."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM token ORDER BY created")  # noqa: S608
    return [_token(row) for row in rows]


def revoke_token(connection: sqlite3.Connection, identifier: str) -> bool:
    """Forget a token; tell whether there was one."""
    return connection.execute("DELETE FROM token WHERE id = ?", (identifier,)).rowcount > 0


def check_token(connection: sqlite3.Connection, said: str) -> Principal | None:
    """Return whose token it is; None if it is none, or not valid any more."""
    match = _FORM.fullmatch(said)
    if match is None:
        return None
    row = connection.execute(
        f"SELECT digest, {_COLUMNS} FROM token WHERE id = ? AND expires > ?",  # noqa: S608
        (match[1], time()),
    ).fetchone()
    if row is None or not hmac.compare_digest(row[0], sha256(match[2].encode()).digest()):
        return None
    token = _token(row[1:])
    actions = None if token.actions is None else frozenset(token.actions)
    principal = Principal(token.name, frozenset(token.roles), "token", {"token": token.id}, actions)
    if token.owner is None:
        return principal
    user = find_user(connection, token.owner)
    if user is None or user.is_disabled:
        return None
    roles = frozenset(user.roles)
    # A user who has lost a role has lost it for tokens, too.
    return evolve(
        principal, name=user.name, roles=roles & principal.roles if token.roles else roles
    )


def _token(row: tuple[str, str, str | None, str, str | None, float, float]) -> Token:
    identifier, name, owner, roles, actions, created, expires = row
    return Token(
        identifier, name, owner, tuple(json.loads(roles)),
        None if actions is None else tuple(json.loads(actions)), created, expires,
    )  # fmt: skip
