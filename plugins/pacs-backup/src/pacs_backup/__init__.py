"""``pacs backup``: all that an archive has, copied to a folder while it is in use, and back."""

from collections.abc import Callable
from functools import partial

from pacs_backup import hooks
from pacs_core.contracts import CliCommandDescriptor
from pacs_core.plugins import hookimpl

__all__ = ["pacs_cli_commands", "pacs_hookspecs"]


@hookimpl
def pacs_hookspecs() -> object:
    """Publish the hook by which plugins name what they have in PostgreSQL."""
    return hooks


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs backup``."""
    summaries = {
        "create": "Back up the archive to a folder, while it is in use.",
        "list": "List the backups in a folder.",
        "verify": "Read a backup, and compare it with its digests.",
        "prune": "Forget backups, and delete what no other needs.",
        "push": "Copy a folder of backups to a bucket.",
        "pull": "Copy backups from a bucket to a folder.",
        "restore": "Make an archive from a backup.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_backup import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"backup {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
