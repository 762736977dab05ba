"""Common ground of commands on this machine's archive."""

import getpass
import os
from collections.abc import Mapping
from typing import Any

from pacs_core.app import Assembly, OpenArchive
from pacs_core.cli.errors import CommandError
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    Index,
    ObjectStore,
    Origin,
    Outcome,
    Principal,
)


def local_origin(interface: str) -> Origin:
    """Return who runs a command on this machine: the user of the operating system."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = str(os.getuid())
    return Origin(interface, principal=Principal(name, method="local"))


def require_archive(opened: OpenArchive) -> tuple[ObjectStore, Index]:
    """Return store and index.

    Raises
    ------
    CommandError
        The configuration has none.
    """
    if opened.store is None or opened.index is None:
        raise CommandError(
            "there is no archive here: install an object store and an index "
            "(pip install pacs-store-filesystem pacs-index-sqlite)"
        )
    return opened.store, opened.index


def require_data_directory(assembly: Assembly) -> None:
    """Look whether there is anything to work on, so that nothing is made by looking.

    Raises
    ------
    CommandError
        The data directory does not exist.
    """
    path = assembly.config.settings.data_directory
    if not path.is_dir() and assembly.choose_store() and assembly.choose_index():
        raise CommandError(
            f"there is no data directory {path}: name that of the node with --data, or with "
            "data_directory in [node]"
        )


async def record(
    opened: OpenArchive, kind: AuditKind, origin: Origin, counts: Mapping[str, int]
) -> None:
    """Record in the audit trail what a command has done."""
    outcome = Outcome.WARNING if counts.get("failed") else Outcome.SUCCESS
    details: dict[str, Any] = dict(counts)
    await opened.node.audit.record(AuditEvent(kind, outcome, origin, details))
