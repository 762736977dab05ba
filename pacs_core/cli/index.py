"""``pacs index``."""

from pacs_core.app import Assembly, open_archive
from pacs_core.archive import DifferenceKind, RebuildReport, rebuild_index, verify_index
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.local import record, require_archive
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import count, say
from pacs_core.cli.progress import Advance, progress
from pacs_core.cli.running import run_async
from pacs_core.contracts import AuditKind, Origin

_NO_FAULT = {DifferenceKind.SET_ASIDE}


def rebuild(*, options: LocalOptions = LOCAL) -> int:
    """Make the index again from the object store alone.

    A node that runs goes on with the index that it has, and uses the new one once it is whole.
    Objects that are not valid instances are named, and make the exit code 1.
    """
    # The report names what a rebuild logs as a warning.
    return run_async(_rebuild, assemble_local(options, level="error"))


async def _rebuild(assembly: Assembly) -> int:
    async with open_archive(assembly, repair=True) as opened:
        store, index = require_archive(opened)
        with progress("rebuilding", None) as advance:
            report = await rebuild_index(
                store,
                index,
                progress=_Steps(advance),
                character_set_of=assembly.config.settings.character_set_of,
            )
        counts = {"indexed": report.indexed, "set-aside": report.set_aside}
        counts["failed"] = report.unreadable
        await record(opened, AuditKind.INDEX_REBUILD, Origin("rebuild"), counts)
    for difference in report.differences:
        say(str(difference))
    say(
        f"{count(report.objects, 'object')}: {report.indexed} indexed, "
        f"{report.set_aside} set aside, {report.unreadable} unreadable"
    )
    return FAILURE if report.unreadable else 0


class _Steps:
    """Turns reports so far into steps of a bar."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._seen = 0

    def __call__(self, report: RebuildReport) -> None:
        self._advance(report.objects - self._seen)
        self._seen = report.objects


def verify(*, options: LocalOptions = LOCAL) -> int:
    """Name every difference between index and object store.

    The exit code is 1 if any is a fault; objects that were set aside as duplicates are none.
    """
    return run_async(_verify, assemble_local(options))


async def _verify(assembly: Assembly) -> int:
    faults = duplicates = 0
    async with open_archive(assembly) as opened:
        store, index = require_archive(opened)
        character_set_of = assembly.config.settings.character_set_of
        async for difference in verify_index(store, index, character_set_of):
            say(str(difference))
            faults += difference.kind not in _NO_FAULT
            duplicates += difference.kind in _NO_FAULT
    say(f"{count(faults, 'fault')}, {duplicates} set aside")
    return FAILURE if faults else 0
