"""``pacs delete``."""

from typing import Annotated

from cyclopts import Parameter

from pacs_core.app import Assembly, open_archive
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.keys import UNIQUE_KEYS
from pacs_core.cli.keys import Level as LevelName
from pacs_core.cli.local import require_archive
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import count, say
from pacs_core.cli.running import run_async
from pacs_core.contracts import Level, Origin, Query, UidList
from pacs_core.dimse import is_valid_uid

ORIGIN = Origin("delete")

Uids = Annotated[list[str] | None, Parameter(negative=())]


def delete(
    *,
    study: Uids = None,
    series: Uids = None,
    instance: Uids = None,
    yes: Annotated[bool, Parameter(negative=())] = False,
    options: LocalOptions = LOCAL,
) -> None:
    """Delete instances from this machine's archive.

    Without --yes, only counts what would be deleted.

    Parameters
    ----------
    study, series, instance
        UIDs of what is to be deleted.
    yes
        Do it.
    """
    wanted: dict[LevelName, list[str]] = {
        "study": study or [],
        "series": series or [],
        "image": instance or [],
    }
    if not any(wanted.values()):
        raise UsageError("give UIDs with --study, --series or --instance")
    if invalid := [uid for uids in wanted.values() for uid in uids if not is_valid_uid(uid)]:
        raise UsageError(f"{invalid[0]!r} is not a UID")
    queries = [
        Query(Level.IMAGE, (UidList(UNIQUE_KEYS[level], tuple(uids)),))
        for level, uids in wanted.items()
        if uids
    ]
    run_async(_delete, assemble_local(options), queries, yes)


async def _delete(assembly: Assembly, queries: list[Query], yes: bool) -> None:
    async with open_archive(assembly) as opened:
        require_archive(opened)
        paths = {
            instance.identity.path
            for query in queries
            async for instance in opened.archive.instances(query)
        }
        if not paths:
            raise CommandError("the archive holds nothing of that")
        for path in sorted(paths) if yes else ():
            await opened.archive.delete(path, ORIGIN)
    deleted = "deleted" if yes else "would be deleted; add --yes to do it"
    say(f"{count(len(paths), 'instance')} {deleted}")
