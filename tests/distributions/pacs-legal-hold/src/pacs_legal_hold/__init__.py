"""Studies that must be kept because a court wants them: a deletion guard.

They are lines of a file in the data directory, a Study Instance UID and the reason, which is read
with each question.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from anyio import to_thread

from pacs_core.contracts import (
    DeletionGuard,
    DeletionGuardDescriptor,
    Origin,
    Setup,
    StoredInstance,
)
from pacs_core.plugins import hookimpl

NAME = "legal-holds.txt"


class LegalHold(DeletionGuard):
    """Holds the studies of a file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def find_holds(
        self, instances: Sequence[StoredInstance], origin: Origin
    ) -> Mapping[str, str]:
        """Return the instances of studies that the file names."""
        held = await to_thread.run_sync(self._read)
        identities = [instance.identity for instance in instances]
        return {
            each.sop_instance_uid: held[each.study_instance_uid]
            for each in identities
            if each.study_instance_uid in held
        }

    def _read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return {uid: reason for uid, _, reason in (line.partition(" ") for line in lines)}


@hookimpl
def pacs_deletion_guards(setup: Setup) -> list[DeletionGuardDescriptor]:
    """Register the guard."""
    path = setup.settings.data_directory / NAME
    return [DeletionGuardDescriptor("legal-hold", lambda node: LegalHold(path))]
