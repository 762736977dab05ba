"""``pacs tokens``: secrets by which machines ask over HTTP."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from sqlite3 import Connection
from time import time
from typing import Annotated

from cyclopts import Parameter

from pacs_auth_local import tokens, users
from pacs_auth_local.administration import Administration
from pacs_auth_local.config import DAY
from pacs_auth_local.names import MAX_NAME, is_name, key_of
from pacs_auth_local.tokens import Token
from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    DataOption,
    JsonOption,
    UsageError,
    say,
)
from pacs_core.contracts import EventAction

Names = Annotated[list[str] | None, Parameter(negative=())]


def create(
    name: str,
    /,
    *,
    user: str = "",
    role: Names = None,
    action: Names = None,
    days: float = 90.0,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Make an API token, and print it: it is shown this once, and only a digest is kept.

    Parameters
    ----------
    name
        Of the token, and so of whoever uses it.
    user
        Somebody for whom it acts, under that name and with no more roles.
    role
        For access rules; may be repeated. With a user, those of the user if none is given.
    action
        What may be done with it at most, such as query or retrieve; may be repeated. Else
        everything that access rules allow.
    days
        Until it expires.
    """
    if not is_name(name):
        raise UsageError(f"{name!a} is no name: 1 to {MAX_NAME} printable characters, no colon")
    if not 0 < days <= 36_500:
        raise UsageError("--days: more than 0, and at most 36500")
    roles, actions = tuple(role or ()), None if action is None else tuple(action)
    owner = key_of(user) if user else None

    def change(connection: Connection) -> str:
        if user and users.find_user(connection, user) is None:
            raise CommandError(f"there is no user {user!a}")
        if users.find_user(connection, name) or any(
            key_of(each.name) == key_of(name) for each in tokens.all_tokens(connection)
        ):
            raise CommandError(f"there is a user or token {name!a} already")
        token = Token("", name, owner, roles, actions, 0.0, time() + days * DAY)
        return tokens.create_token(connection, token)

    details = {"user": user, "roles": roles, "actions": actions, "days": days}
    print(
        Administration(config, data).change(
            "tokens create", name, change, details, EventAction.CREATE
        )
    )
    return 0


def list_tokens(
    *, as_json: JsonOption = False, config: ConfigOption = None, data: DataOption = None
) -> int:
    """List API tokens, without what makes them work.

    Parameters
    ----------
    as_json
        Print a JSON array.
    """
    none: Sequence[Token] = ()
    found = Administration(config, data).read(tokens.all_tokens, none)
    if as_json:
        print(json.dumps([_describe(token) for token in found]))
        return 0
    for token in found:
        until = datetime.fromtimestamp(token.expires, UTC).strftime("%Y-%m-%d")
        state = "expired" if token.expires <= time() else "until"
        whose = f"  for {token.owner}" if token.owner else ""
        limits = "any action" if token.actions is None else ", ".join(token.actions)
        say(f"{token.id}  {token.name}{whose}  {state} {until}  {limits}")
    return 0


def revoke(token: str, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Make an API token worthless, at once.

    Parameters
    ----------
    token
        Its ID or name.
    """

    def change(connection: Connection) -> None:
        named = {each.id for each in tokens.all_tokens(connection) if token in (each.id, each.name)}
        if not named:
            raise CommandError(f"there is no token {token!a}")
        for identifier in named:
            tokens.revoke_token(connection, identifier)

    administration = Administration(config, data)
    administration.change("tokens revoke", token, change, action=EventAction.DELETE)
    say(f"{token} is revoked")
    return 0


def _describe(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "user": token.owner,
        "roles": token.roles,
        "actions": token.actions,
        "expires": datetime.fromtimestamp(token.expires, UTC).isoformat(timespec="seconds"),
    }
