"""Locations of instances: the columns that say it, and look-ups by path."""

from collections.abc import Sequence
from typing import Any, Final

from pacs_core.contracts import InstancePath, StoredInstance
from pacs_core.relational import stored_instance as read_stored_instance
from pacs_index_postgresql.text import decode, encode

KEYS: Final = "StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID"
LOCATION: Final = (
    f"{KEYS}, transfer_syntax_uid, object_key, size, dataset_offset, coalesce(digest, ''), "
    "corrections, origin"
)
ABOVE: Final = "JOIN series ON series.id = instance.parent JOIN study ON study.id = series.parent"
"""Joins an instance with its series and study."""
ROWS_OF_PATHS: Final = f"""
    SELECT instance.id FROM unnest($1::text[], $2::text[]) AS path (study, uid)
    JOIN instance ON instance.SOPInstanceUID = path.uid {ABOVE}
    WHERE StudyInstanceUID = path.study"""  # noqa: S608
"""The ids of instances by their paths, see :func:`columns_of_paths`."""
BATCH: Final = 512

LOCATE: Final = f"""
    SELECT {LOCATION} FROM instance {ABOVE}
    WHERE SOPInstanceUID = $1 AND StudyInstanceUID = $2"""  # noqa: S608
UNFLUSHED: Final = f"""
    SELECT {LOCATION}, unflushed.instance
    FROM unflushed JOIN instance ON instance.id = unflushed.instance {ABOVE}
    WHERE unflushed.instance > $1 ORDER BY unflushed.instance LIMIT {BATCH}"""  # noqa: S608
CORRECTED: Final = f"""
    SELECT {LOCATION}, instance.id FROM instance {ABOVE}
    WHERE instance.corrections IS NOT NULL AND instance.id > $1
    ORDER BY instance.id LIMIT {BATCH}"""  # noqa: S608


def columns_of_paths(paths: Sequence[InstancePath]) -> tuple[list[str], list[str]]:
    """Return the parameters of `ROWS_OF_PATHS`."""
    return [encode(path[0]) for path in paths], [encode(path[1]) for path in paths]


def stored_instance(row: Sequence[Any]) -> StoredInstance:
    """Return what the columns of `LOCATION` say."""
    return read_stored_instance(row, decode(row[5]))
