# ruff: noqa: S608 - the names of columns come from the catalog
"""Insertion of instances into series that are known: any number of them in one statement.

The statement is all of a transaction. It has the values of each column as an array, so that it is
the same for one record and for five hundred. If somebody follows, the changes are written with the
rows: see :mod:`.changes` for their order.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from pacs_core.contracts import Durability
from pacs_core.relational import instance_values
from pacs_index_postgresql.headers import several_columns
from pacs_index_postgresql.locks import ORDER, number_of
from pacs_index_postgresql.rows import Rows
from pacs_index_postgresql.text import encode

if TYPE_CHECKING:
    from pacs_index_postgresql.changes import PlacedRecord

_FRAME: Final = {
    "parent": "bigint",
    "header": "bigint",
    "twin": "integer",
    "SOPInstanceUID": "text",
    "SOPClassUID": "text",
    "transfer_syntax_uid": "text",
    "object_key": "text",
    "size": "bigint",
    "dataset_offset": "bigint",
    "digest": "bytea",
    "corrections": "text",
    "origin": "text",
}
_BESIDES: Final = {"StudyInstanceUID": "text", "SeriesInstanceUID": "text", "unflushed": "boolean"}
_SYNCHRONOUS: Final = {
    Durability.NONE: "off",
    Durability.WRITE_BEHIND: "off",
    Durability.COMMIT: "on",
}


def synchronous_commit(durability: Durability) -> str:
    """Return how far a commit waits for the disk."""
    return _SYNCHRONOUS[durability]


@define
class Insertion:
    """The statement for an archive's columns."""

    _schema: str
    _rows: Rows
    _statement: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        kinds = dict(_FRAME)
        for attribute in self._rows.attributes:
            for column in attribute.columns:
                kinds[column] = _kind(attribute.vr, column)
        given = {**kinds, **_BESIDES}
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(given.values(), 1))
        n = len(given)
        columns = ", ".join(kinds)
        self._statement = f"""
            WITH committing AS MATERIALIZED (
                SELECT set_config('synchronous_commit', ${n + 1}, TRUE)
                WHERE ${n + 1}::text IS NOT NULL),
            ordered AS MATERIALIZED (
                SELECT pg_advisory_xact_lock({ORDER}, {number_of(self._schema)})
                WHERE EXISTS (SELECT FROM consumer)),
            given AS (SELECT * FROM unnest({arrays}) AS given ({", ".join(given)})),
            added AS (
                INSERT INTO instance ({columns}) SELECT {columns} FROM given
                WHERE (SELECT count(*) FROM committing) + (SELECT count(*) FROM ordered) >= 0
                ON CONFLICT (SOPInstanceUID, twin) DO NOTHING RETURNING id, SOPInstanceUID),
            noted AS (
                INSERT INTO unflushed SELECT id FROM added JOIN given USING (SOPInstanceUID)
                WHERE given.unflushed),
            valued AS (
                INSERT INTO several (match, value, number, owner)
                SELECT match, value, number, added.id
                FROM unnest(${n + 2}::text[], ${n + 3}::text[], ${n + 4}::bigint[],
                    ${n + 5}::text[]) AS each (match, value, number, uid)
                JOIN added ON added.SOPInstanceUID = each.uid),
            told AS (
                INSERT INTO change (kind, time, StudyInstanceUID, SeriesInstanceUID,
                    SOPInstanceUID, SOPClassUID, transfer_syntax_uid, object_key, size,
                    dataset_offset, digest, corrections, origin)
                SELECT 'added', ${n + 6}, StudyInstanceUID, SeriesInstanceUID,
                    SOPInstanceUID, SOPClassUID, transfer_syntax_uid, object_key, size,
                    dataset_offset, digest, corrections, origin
                FROM added JOIN given USING (SOPInstanceUID)
                WHERE ${n + 7} AND EXISTS (SELECT FROM ordered))
            SELECT (SELECT array_agg(SOPInstanceUID) FROM added),
                (SELECT max(number) FROM correction)"""

    async def run(
        self,
        connection: Any,
        placed: "Sequence[PlacedRecord]",
        durability: Durability | None,
        *,
        told: bool = True,
    ) -> tuple[set[str], int | None]:
        """Insert records, no two with the same SOP Instance UID.

        Parameters
        ----------
        connection : asyncpg.Connection
        placed : sequence of PlacedRecord
        durability : Durability or None
            Of the transaction; None leaves it as it is.
        told : bool
            Whether changes are written, if somebody follows.

        Returns
        -------
        set of str
            SOP Instance UIDs of those that are there now; others had that UID already.
        int or None
            The number of the last correction.
        """
        # In one order, so that nodes that add the same at once do not wait for each other.
        placed = sorted(placed, key=lambda p: p.record.instance.identity.sop_instance_uid)
        columns = zip(*(_values(each) for each in placed), strict=True)
        matches, values, numbers, uids = [], [], [], []
        for each in placed:
            if each.several:
                found = several_columns(each.several)
                matches += found[0]
                values += found[1]
                numbers += found[2]
                uids += [each.record.instance.identity.sop_instance_uid] * len(found[0])
        setting = None if durability is None else synchronous_commit(durability)
        inserted, last = await connection.fetchrow(
            self._statement,
            *map(list, columns),
            setting,
            matches,
            values,
            numbers,
            uids,
            time.time(),
            told,
        )
        return set(inserted or ()), last


def _kind(vr: str, column: str) -> str:
    if column.endswith("_number"):
        return "bigint"
    numeric = vr in {"DS", "IS", "SL", "SS", "UL", "US"}
    return "double precision" if column.endswith("_sort") and numeric else "text"


def _values(placed: "PlacedRecord") -> tuple[Any, ...]:
    instance = placed.record.instance
    identity = instance.identity
    return (
        *placed.place,
        placed.twin,
        *instance_values(instance, encode(instance.key)),
        *placed.row,
        identity.study_instance_uid,
        identity.series_instance_uid,
        placed.unflushed,
    )
