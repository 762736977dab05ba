"""Locations of instances: the columns that say it, and look-ups by path."""

import sqlite3
from typing import Any, Final

from pacs_core.contracts import InstancePath, StoredInstance
from pacs_core.relational import stored_instance as read_stored_instance

_KEYS: Final = "StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID"
LOCATION: Final = (
    f"{_KEYS}, transfer_syntax_uid, object_key, size, dataset_offset, coalesce(digest, x''), "
    "corrections, origin"
)
ABOVE: Final = (
    "CROSS JOIN series ON series.id = instance.parent CROSS JOIN study ON study.id = series.parent"
)
"""Joins an instance with its series and study."""
ROWS_OF_PATHS: Final = f"""
    SELECT instance.id FROM json_each(?) AS path
    CROSS JOIN instance ON instance.SOPInstanceUID = json_extract(path.value, '$[1]') {ABOVE}
    WHERE StudyInstanceUID = json_extract(path.value, '$[0]')"""  # noqa: S608
"""The ids of instances by their paths, which are bound as JSON."""
BATCH: Final = 512

_LOCATE: Final = f"""
    SELECT {LOCATION} FROM instance {ABOVE}
    WHERE SOPInstanceUID = ? AND StudyInstanceUID = ?"""  # noqa: S608
_UNFLUSHED: Final = f"""
    SELECT unflushed.instance, {LOCATION}
    FROM unflushed CROSS JOIN instance ON instance.id = unflushed.instance {ABOVE}
    WHERE unflushed.instance > ? ORDER BY unflushed.instance LIMIT {BATCH}"""  # noqa: S608

_CORRECTED: Final = f"""
    SELECT instance.id, {LOCATION}
    FROM instance INDEXED BY instance_corrected {ABOVE}
    WHERE instance.corrections IS NOT NULL AND instance.id > ?
    ORDER BY instance.id LIMIT {BATCH}"""  # noqa: S608


def stored_instance(row: tuple[Any, ...]) -> StoredInstance:
    """Return what the columns of `LOCATION` say."""
    return read_stored_instance(row, row[5])


def locate(connection: sqlite3.Connection, path: InstancePath) -> StoredInstance | None:
    """Return the instance with this path."""
    row = connection.execute(_LOCATE, (path[1], path[0])).fetchone()
    return stored_instance(row) if row else None


def corrected_after(last: int, connection: sqlite3.Connection) -> list[tuple[int, StoredInstance]]:
    """Return some of the instances to which corrections apply, by the ids of their rows."""
    found = connection.execute(_CORRECTED, (last,)).fetchall()
    return [(row[0], stored_instance(row[1:])) for row in found]


def unflushed_after(last: int, connection: sqlite3.Connection) -> list[tuple[int, StoredInstance]]:
    """Return some of the instances whose objects are not on disk yet, by the ids of their rows."""
    found = connection.execute(_UNFLUSHED, (last,)).fetchall()
    return [(row[0], stored_instance(row[1:])) for row in found]
