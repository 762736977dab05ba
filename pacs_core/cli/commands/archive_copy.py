"""``pacs archive copy``."""

import math
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from pacs_core.app import Assembly, open_archive
from pacs_core.archive import ArchiveCopy, CopyOutcome, ReadPace
from pacs_core.cli.assembling import assemble_for_command
from pacs_core.cli.commands.conflicts import Accepted
from pacs_core.cli.errors import FAILURE, CommandError, UsageError
from pacs_core.cli.local import local_origin, record, require_archive, require_data_directory
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.option import Option
from pacs_core.cli.options import LogLevelOption
from pacs_core.cli.output import complain, count, say
from pacs_core.cli.progress import progress
from pacs_core.cli.running import run_async
from pacs_core.contracts import AuditKind, StorageFullError

_FAULTS = (CopyOutcome.DAMAGED, CopyOutcome.FAILED)


def copy(
    *,
    source: Annotated[Path, Option("--from")],
    target: Annotated[Path, Option("--to")],
    rate: float = 0.0,
    log_level: LogLevelOption = None,
) -> int:
    """Copy this archive into another, of whatever store and index.

    Objects are copied byte for byte, and read back; the index of the other archive follows from
    them, corrections and conflicts included. Both may be in use. What the other has already is
    not copied again: interrupted, run it again, and a last time for what came meanwhile. What was
    deleted meanwhile stays there. Exits with 1 if an object was not copied; each is named.

    Parameters
    ----------
    source
        Config file of the archive that is copied.
    target
        Config file of the archive that gets the copy.
    rate
        Megabytes that are read in a second at most, from either archive; 0 for no limit.
    """
    if not 0 <= rate < math.inf:
        raise UsageError("--rate is a number of megabytes per second")
    configure_logging(log_level or "error")
    one, other = assemble_for_command(source), assemble_for_command(target)
    directories = [each.config.settings.data_directory.resolve() for each in (one, other)]
    if directories[0] == directories[1]:
        raise UsageError(f"both config files name the data directory {directories[0]}")
    return run_async(_copy, one, other, rate * 1e6)


async def _copy(one: Assembly, other: Assembly, rate: float) -> int:
    require_data_directory(one)
    found: Counter[CopyOutcome] = Counter()
    size = 0
    async with open_archive(one) as opened, open_archive(other) as copied:
        source, _ = require_archive(opened)
        target, index = require_archive(copied)
        character_set_of = other.config.settings.character_set_of
        work = ArchiveCopy(source, target, index, ReadPace(rate), character_set_of)
        with progress("copying", None) as advance:
            try:
                async with aclosing(work.run()) as objects:
                    async for each in objects:
                        found[each.outcome] += 1
                        size += each.size if each.outcome is CopyOutcome.COPIED else 0
                        if each.outcome in _FAULTS:
                            complain(f"{each.outcome.value}  {each.key}  {each.detail}")
                        advance(1)
            except* StorageFullError as errors:
                raise CommandError(f"the archive has no room: {errors.exceptions[0]}") from errors
        if accepted := Accepted.read(opened).keys:
            Accepted.read(copied).add(accepted)
        counts = {outcome.value: number for outcome, number in found.items()}
        counts["failed"] = sum(found[each] for each in _FAULTS)
        await record(copied, AuditKind.IMPORT, local_origin("copy"), counts)
    say(
        f"{count(found[CopyOutcome.COPIED], 'object')} copied ({size / 1e6:.1f} MB), "
        f"{found[CopyOutcome.PRESENT]} there before, {found[CopyOutcome.DAMAGED]} damaged, "
        f"{found[CopyOutcome.FAILED]} failed"
    )
    return FAILURE if counts["failed"] else 0
