"""``pacs migrate``."""

from collections.abc import Sequence
from typing import Annotated, Final

from pacs_core.cli.assembling import assemble_for_command
from pacs_core.cli.errors import FAILURE, UsageError
from pacs_core.cli.option import Option
from pacs_core.cli.options import ConfigOption, JsonOption
from pacs_core.cli.output import complain, dump_json, print_table, say
from pacs_core.contracts import DataState, DataVersion
from pacs_core.plugins import Fault

HOOK: Final = "pacs_data_versions"
_MEANING: Final = {
    DataState.ABSENT: "is made",
    DataState.CURRENT: "stays as it is",
    DataState.OLDER: "is migrated",
    DataState.NEWER: "is refused",
    DataState.UNUSED: "is left alone",
}


def migrate(
    *,
    check: Annotated[bool, Option()] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """Say what a start of this version would do to the data; exits with 1 if it would refuse them.

    A start migrates by itself, each database in one transaction. Nothing is changed here, and a
    node may run meanwhile.

    Parameters
    ----------
    check
        Say it.
    """
    if not check:
        raise UsageError("a start of the node migrates by itself: say --check to see what it does")
    assembly = assemble_for_command(config)
    manager = assembly.manager
    loaded = list(manager.loaded)
    versions: list[DataVersion] = []
    for record, result in manager.call(HOOK, assembly.setup_for):
        if isinstance(result, Sequence) and all(isinstance(each, DataVersion) for each in result):
            versions += result
        else:
            reason = f"{HOOK} returned {result!r:.100}, not a list of DataVersion"
            manager.quarantine(record, Fault.WRONG_RESULT, reason)
    failed = [record for record in loaded if record not in manager.loaded]
    for record in failed:
        complain(f"{record.source}: {record.reason}")
    rows = [(v.what, v.found, v.known, _MEANING[v.state]) for v in versions]
    if as_json:
        keys = ("what", "found", "known", "a_start")
        say(dump_json([dict(zip(keys, row, strict=True)) for row in rows]))
    elif rows:
        print_table(("WHAT", "FOUND", "PROGRAM", "AT A START IT"), rows)
    newer = [each for each in versions if each.state is DataState.NEWER]
    for each in newer:
        complain(
            f"{each.what} is of version {each.found}, which this program does not know: install "
            "the later program again, or restore a backup of before the upgrade"
        )
    return FAILURE if newer or failed else 0
