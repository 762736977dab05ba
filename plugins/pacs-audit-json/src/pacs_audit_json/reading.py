"""Events read from the files again, the latest first."""

import json
import os
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from anyio import to_thread

from pacs_audit_json.rotating import list_backups
from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditReader,
    AuditSearch,
    EventAction,
    Origin,
    Outcome,
    Participant,
    ParticipantRole,
    PluginAuditKind,
    Principal,
)

# Theory of operation
#
# Files are read from their end, block by block, without the lock: lines are only appended, and a
# file that is set aside keeps what it has. The current file is opened before the others are
# listed; if it is set aside in between, it is known again by its inode. A line that is being
# written, or was cut off by a crash, is no JSON and is left out.
#
# Most lines are not parsed: what an event is about stands in its line as JSON has it, and only
# lines with that text are looked at.

BLOCK: Final = 1 << 20
LONGEST_LINE: Final = 16 << 20
_KINDS: Final = {kind.value: kind for kind in AuditKind}
_ROLES: Final = {role.name.lower(): role for role in ParticipantRole}


class FileReader(AuditReader):
    """Searches the file at a path, and those that were set aside.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def search(self, search: AuditSearch) -> AsyncIterator[AuditEvent]:
        """See base."""
        batches = _search(self._path, search)
        left = search.limit
        try:
            while left and (batch := await to_thread.run_sync(next, batches, None)) is not None:
                for event in batch[:left]:
                    yield event
                left -= len(batch[:left])
        finally:
            batches.close()


def _search(path: Path, search: AuditSearch) -> Generator[list[AuditEvent], None, None]:
    """Yield what matches in each block, so that whoever waits can leave in between."""
    needle = json.dumps(search.about).encode() if search.about else b""
    with ExitStack() as files:
        for file in _open_files(path, files):
            if search.since and os.fstat(file.fileno()).st_mtime < search.since.timestamp():
                return  # older files are older still
            for lines in _blocks_of_lines(file):
                found = (parse(line) for line in lines if needle in line)
                yield [event for event in found if event is not None and search.matches(event)]
            file.close()


def _open_files(path: Path, files: ExitStack) -> Iterator[BinaryIO]:
    current: os.stat_result | None = None
    with suppress(FileNotFoundError):
        file = files.enter_context(path.open("rb"))
        current = os.fstat(file.fileno())
        yield file
    for older in reversed(list_backups(path)):
        with suppress(FileNotFoundError):  # enough are kept without it
            file = files.enter_context(older.open("rb"))
            if current is None or not os.path.samestat(os.fstat(file.fileno()), current):
                yield file


def _blocks_of_lines(file: BinaryIO) -> Iterator[list[bytes]]:
    """Yield the lines of a file from its end, those of one block after those of another."""
    position = file.seek(0, os.SEEK_END)
    begun = b""  # of a line whose beginning is in an earlier block
    while position:
        size = min(BLOCK, position)
        position -= size
        file.seek(position)
        lines = (file.read(size) + begun).split(b"\n")
        begun = lines.pop(0) if position else b""
        if len(begun) > LONGEST_LINE:
            begun = b""
        yield lines[::-1]


def parse(line: bytes) -> AuditEvent | None:
    """Return the event of a line, or None if it is no line of ours."""
    try:
        return _event(json.loads(line))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _event(record: Any) -> AuditEvent:
    user, name = record.get("user"), record["event"]
    origin = Origin(
        record["interface"],
        record["calling_ae_title"],
        record["called_ae_title"],
        record["host"],
        record["port"],
        Principal(user) if user else None,
        record["association"],
    )
    return AuditEvent(
        _KINDS.get(name) or PluginAuditKind(name),
        Outcome(record["outcome"]),
        origin,
        record["details"],
        datetime.fromisoformat(record["time"]),
        EventAction(record["action"]) if "action" in record else None,
        tuple(
            Participant(
                each["user"],
                _ROLES.get(each["role"]),
                each["requestor"],
                each["host"],
                each["name"],
                each.get("alternative", ""),
            )
            for each in record.get("participants", ())
        ),
        tuple(
            AuditObject(
                AuditObjectKind(each["kind"]),
                each.get("id", ""),
                each.get("name", ""),
                each.get("sop_classes", {}),
                tuple(each.get("accession_numbers", ())),
                each.get("details", {}),
                each.get("query", ""),
                AuditCode(**each["id_type"]) if "id_type" in each else None,
            )
            for each in record.get("objects", ())
        ),
    )
