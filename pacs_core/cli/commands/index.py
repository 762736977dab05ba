"""``pacs index``."""

import math
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from attrs import evolve, frozen

from pacs_core.app import Assembly, OpenArchive, open_archive
from pacs_core.archive import (
    ContentCheck,
    Difference,
    DifferenceKind,
    RebuildReport,
    object_damage,
    rebuild_index,
    verify_index,
)
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.commands.conflicts import list_conflicts
from pacs_core.cli.errors import FAILURE, UsageError
from pacs_core.cli.local import record, require_archive, require_data_directory
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import count, say
from pacs_core.cli.progress import Advance, progress
from pacs_core.cli.running import run_async
from pacs_core.contracts import AuditKind, ObjectNotFoundError, ObjectStore, Origin

_NO_FAULT = {DifferenceKind.SET_ASIDE}
_UNSERVED = {DifferenceKind.SET_ASIDE, DifferenceKind.ORPHAN}


def content_state(opened: OpenArchive) -> Path:
    """Return the file in which it is kept how far the datasets have been read."""
    return opened.node.settings.data_directory / "verify-content.json"


def rebuild(*, options: LocalOptions = LOCAL) -> int:
    """Make the index again from the object store alone.

    A node that runs goes on with the index that it has, and uses the new one once it is whole.
    Objects that are not valid instances are named, and make the exit code 1.
    """
    # The report names what a rebuild logs as a warning.
    return run_async(_rebuild, assemble_local(options, level="error"))


async def _rebuild(assembly: Assembly) -> int:
    require_data_directory(assembly)
    async with open_archive(assembly, repair=True) as opened:
        store, index = require_archive(opened)
        # A new index hands out instances in another order.
        content_state(opened).unlink(missing_ok=True)
        with progress("rebuilding", None) as advance:
            report = await rebuild_index(
                store,
                index,
                progress=_ProgressSteps(advance),
                character_set_of=assembly.config.settings.character_set_of,
                waiting_bin=opened.waiting_bin,
            )
        counts = {"indexed": report.indexed, "set-aside": report.set_aside}
        counts["failed"] = report.unreadable
        await record(opened, AuditKind.INDEX_REBUILD, Origin("rebuild"), counts)
    for difference in report.differences:
        say(str(difference))
    corrections = f", {count(report.corrections, 'correction')}" if report.corrections else ""
    say(
        f"{count(report.objects, 'object')}: {report.indexed} indexed, "
        f"{report.set_aside} set aside, {report.unreadable} unreadable{corrections}"
    )
    return FAILURE if report.unreadable else 0


class _ProgressSteps:
    """Turns reports so far into steps of a bar."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._seen = 0

    def __call__(self, report: RebuildReport) -> None:
        self._advance(report.objects - self._seen)
        self._seen = report.objects


def verify(
    *,
    content: Annotated[bool, Option()] = False,
    rate: float = 100.0,
    restart: Annotated[bool, Option()] = False,
    consistency: Annotated[bool, Option()] = False,
    options: LocalOptions = LOCAL,
) -> int:
    """Name every difference between index and object store.

    The exit code is 1 if any is a fault; objects that were set aside as duplicates are none.

    Parameters
    ----------
    content
        Read all datasets first, and name those that are not what was stored. Interrupted, it goes
        on where it was when it is run again.
    rate
        Megabytes that are read in a second at most; 0 for no limit.
    restart
        Read all datasets again, also those that were read before an interruption.
    consistency
        List also what instances contradict, as ``pacs index conflicts`` does. What was accepted
        there is no fault.
    """
    if not 0 <= rate < math.inf:
        raise UsageError("--rate is a number of megabytes per second")
    wanted = _Content(rate * 1e6, restart) if content else None
    # What is damaged is named here, and need not be logged as well.
    level = "critical" if content else "warning"
    return run_async(_verify, assemble_local(options, level), wanted, consistency)


@frozen
class _Content:
    """How datasets are to be read."""

    rate: float
    restart: bool


async def _verify(assembly: Assembly, content: _Content | None, consistency: bool) -> int:
    require_data_directory(assembly)
    faults = duplicates = 0
    async with open_archive(assembly) as opened:
        store, index = require_archive(opened)
        if content is not None:
            faults += await _verify_content(opened, content)
        character_set_of = assembly.config.settings.character_set_of
        async for difference in verify_index(store, index, character_set_of, opened.waiting_bin):
            say(str(difference))
            faults += difference.kind not in _NO_FAULT
            duplicates += difference.kind in _NO_FAULT
            if content is not None and difference.kind in _UNSERVED:
                faults += await _verify_unserved(store, difference)
        conflicts = await list_conflicts(opened) if consistency else 0
    found = f", {count(conflicts, 'conflict')}" if consistency else ""
    say(f"{count(faults, 'fault')}, {duplicates} set aside{found}")
    return FAILURE if faults or conflicts else 0


async def _verify_content(opened: OpenArchive, content: _Content) -> int:
    """Read all that is served; return how much of it is damaged."""
    store, index = require_archive(opened)
    check = ContentCheck(store, index, opened.node.audit, content_state(opened), content.rate)
    if not content.restart and check.resume():
        before = check.progress
        say(f"going on after {count(before.checked, 'instance')}, {len(before.damaged)} damaged")
        for key in before.damaged:
            say(f"damaged  {key}  found before")
    unreadable = 0
    with progress("reading", None) as advance:
        async with aclosing(check.run(advance)) as differences:
            async for difference in differences:
                say(str(difference))
                unreadable += difference.kind is DifferenceKind.UNREADABLE
    done = check.progress
    say(
        f"{count(done.checked, 'instance')} read ({done.size / 1e6:.1f} MB), "
        f"{len(done.damaged)} damaged, {done.unchecked} without a digest or not online"
    )
    return len(done.damaged) + unreadable


async def _verify_unserved(store: ObjectStore, difference: Difference) -> int:
    """Read an object that is not served, and compare it with what it says about itself."""
    try:
        reason = await object_damage(store, difference.key)
    except (ObjectNotFoundError, OSError):
        return 0
    if reason:
        say(str(evolve(difference, kind=DifferenceKind.DAMAGED, detail=reason)))
    return bool(reason)
