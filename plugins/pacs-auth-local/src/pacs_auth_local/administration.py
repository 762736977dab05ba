"""The file of identities, as commands use it: each change is recorded."""

from collections.abc import Callable, Mapping
from pathlib import Path
from sqlite3 import Connection
from typing import Final, TypeVar

import anyio

from pacs_auth_local.auditing import CHANGED
from pacs_auth_local.database import IdentityFile, IdentityFileError
from pacs_core.api.commands import (
    Assembly,
    CommandError,
    assemble_for_command,
    local_origin,
    open_sinks,
)
from pacs_core.contracts import (
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Outcome,
)

T = TypeVar("T")

PLUGIN: Final = "auth-local"


class Administration:
    """The identities of a configuration.

    Parameters
    ----------
    config, data : Path or None
        Config file and data directory, as the command line says.
    """

    def __init__(self, config: Path | None, data: Path | None) -> None:
        self._assembly: Assembly = assemble_for_command(config, data)
        self._file = IdentityFile(self._assembly.setup_for(PLUGIN).directory)

    def read(self, function: Callable[[Connection], T], nothing: T) -> T:
        """Return what a function reads; `nothing` if nothing was ever kept."""
        return self._use(function, write=False) if self._file.exists else nothing

    def change(
        self,
        command: str,
        about: str,
        function: Callable[[Connection], T],
        details: Mapping[str, AuditValue] | None = None,
        action: EventAction = EventAction.UPDATE,
    ) -> T:
        """Change something, and record it (PS3.15 A.5.3.11).

        What cannot be recorded, because a required audit sink is away, is not done.

        Parameters
        ----------
        command : str
            ``"users add"``.
        about : str
            Name of the user or the token.
        function : callable
            Gets the connection; what it raises takes the change back.
        details, action
            Of the event.
        """
        event = AuditEvent(
            CHANGED,
            Outcome.SUCCESS,
            local_origin(f"pacs {command}"),
            {"command": command, "name": about, **(details or {})},
            action=action,
            objects=(AuditObject(AuditObjectKind.USER, about),),
        )

        def change_and_record(connection: Connection) -> T:
            result = function(connection)
            anyio.run(self._record, event)
            return result

        return self._use(change_and_record, write=True)

    async def _record(self, event: AuditEvent) -> None:
        async with open_sinks(self._assembly) as audit:
            await audit.record(event)

    def _use(self, function: Callable[[Connection], T], *, write: bool) -> T:
        try:
            with self._file.transaction(write=write) as connection:
                return function(connection)
        except IdentityFileError as error:
            raise CommandError(str(error)) from error
        finally:
            self._file.close()
