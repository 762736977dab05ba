"""Common parts of the commands of lifecycle."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pacs_core.api.commands import CommandError, UsageError, assemble_for_command, open_archive
from pacs_core.contracts import Node
from pacs_core.dimse import is_valid_uid
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.confirming import interfaces_for
from pacs_lifecycle.interface import Studies, WaitingBin
from pacs_lifecycle.planning import IncompleteIndexError

Flag = Annotated[bool, Parameter(negative=())]


def check_uids(*uids: str) -> list[str]:
    """Return UIDs as they are. UsageError if one is none."""
    for uid in uids:
        if not is_valid_uid(uid):
            raise UsageError(f"{uid!r} is not a UID")
    return list(uids)


def local_time(moment: float) -> str:
    """Return a time by the clock of the machine, for a table."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M")


@asynccontextmanager
async def open_lifecycle(
    config: Path | None, *more: type
) -> AsyncIterator[tuple[Node, LifecycleConfig]]:
    """Open the archive, with what lifecycle keeps and what its rules ask."""
    assembly = assemble_for_command(config)
    lifecycle = assembly.plugin_configs["lifecycle"]
    assert isinstance(lifecycle, LifecycleConfig)  # noqa: S101  it is the plugin's own
    needed = interfaces_for(need for rule in lifecycle.rules for need in rule.needs)
    async with open_archive(assembly, requires=(Studies, WaitingBin, *needed, *more)) as opened:
        try:
            yield opened.node, lifecycle
        except IncompleteIndexError as error:
            raise CommandError(str(error)) from error
