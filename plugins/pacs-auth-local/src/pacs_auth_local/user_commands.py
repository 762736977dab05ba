"""``pacs users``: who may sign in with a password."""

import getpass
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Annotated

from cyclopts import Parameter

from pacs_auth_local import sessions, users
from pacs_auth_local.administration import Administration
from pacs_auth_local.names import MAX_NAME, is_name
from pacs_auth_local.passwords import LONGEST, SHORTEST, hash_password
from pacs_auth_local.users import User
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


def add(
    name: str,
    /,
    *,
    role: Names = None,
    ae_title: Names = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Add somebody with a password, which is asked for, or else the first line of standard input.

    Parameters
    ----------
    name
        Printable, without a colon; upper and lower case are one name.
    role
        For access rules; may be repeated.
    ae_title
        Calling AE title with which the name may be used over DIMSE; may be repeated. Else any.
    """
    if not is_name(name):
        raise UsageError(
            f"{name!a} is no name: 1 to {MAX_NAME} printable characters, no colon, no space at "
            "either end"
        )
    administration = Administration(config, data)
    user = User(name, hash_password(_ask_password()), tuple(role or ()), tuple(ae_title or ()))

    def change(connection: Connection) -> None:
        if not users.add_user(connection, user):
            raise CommandError(f"there is a user or token {name!a} already")

    details = {"roles": user.roles, "ae_titles": user.ae_titles}
    administration.change("users add", name, change, details, EventAction.CREATE)
    say(f"{name} may sign in")
    return 0


def list_users(
    *, as_json: JsonOption = False, config: ConfigOption = None, data: DataOption = None
) -> int:
    """List users.

    Parameters
    ----------
    as_json
        Print a JSON array.
    """
    nobody: Sequence[User] = ()
    found = Administration(config, data).read(users.all_users, nobody)
    if as_json:
        print(json.dumps([_describe(user) for user in found]))
        return 0
    for user in found:
        state = "disabled" if user.is_disabled else "enabled"
        titles = f"  as {', '.join(user.ae_titles)}" if user.ae_titles else ""
        say(f"{user.name}  {state}  {', '.join(user.roles) or '-'}{titles}")
    return 0


def disable(name: str, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Keep somebody out from now on: sessions end, and tokens count no more.

    Parameters
    ----------
    name
        Of the user.
    """

    def change(connection: Connection) -> None:
        _require(connection, name)
        users.set_disabled(connection, name, True)
        sessions.end_sessions_of(connection, name)

    Administration(config, data).change("users disable", name, change)
    say(f"{name} is disabled")
    return 0


def enable(name: str, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Let somebody in again.

    Parameters
    ----------
    name
        Of the user.
    """

    def change(connection: Connection) -> None:
        _require(connection, name)
        users.set_disabled(connection, name, False)

    Administration(config, data).change("users enable", name, change)
    say(f"{name} is enabled")
    return 0


def password(name: str, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Give somebody another password, asked for as by users add; sessions end.

    Parameters
    ----------
    name
        Of the user.
    """
    administration = Administration(config, data)
    hashed = hash_password(_ask_password())

    def change(connection: Connection) -> None:
        _require(connection, name)
        users.set_password(connection, name, hashed)
        sessions.end_sessions_of(connection, name)

    administration.change("users password", name, change)
    say(f"{name} has another password")
    return 0


def remove(name: str, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Forget somebody, with tokens and sessions. The audit trail keeps the name.

    Parameters
    ----------
    name
        Of the user.
    """

    def change(connection: Connection) -> None:
        _require(connection, name)
        users.remove_user(connection, name)

    Administration(config, data).change("users remove", name, change, action=EventAction.DELETE)
    say(f"{name} is removed")
    return 0


def _require(connection: Connection, name: str) -> None:
    if users.find_user(connection, name) is None:
        raise CommandError(f"there is no user {name!a}")


def _ask_password() -> str:
    if sys.stdin.isatty():
        said = getpass.getpass("Password: ")
        if said != getpass.getpass("Again: "):
            raise UsageError("the two are not the same")
    else:
        said = sys.stdin.readline().rstrip("\r\n")
    if len(said) < SHORTEST:
        raise UsageError(f"a password has at least {SHORTEST} characters")
    if len(said.encode("utf-8", "surrogateescape")) > LONGEST:
        raise UsageError(f"a password has at most {LONGEST} bytes")
    return said


def _describe(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "enabled": not user.is_disabled,
        "roles": user.roles,
        "ae_titles": user.ae_titles,
        "created": datetime.fromtimestamp(user.created, UTC).isoformat(timespec="seconds"),
    }
