"""The changes that the writer makes, each within a transaction: add, replace, remove, clear."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field, frozen

from pacs_core.contracts import (
    Durability,
    InstanceRecord,
    Level,
)
from pacs_core.relational import VARYING, Catalog, Several, Stored
from pacs_index_postgresql.headers import Headers
from pacs_index_postgresql.insertion import Insertion
from pacs_index_postgresql.locks import ORDER, STRUCTURE, take
from pacs_index_postgresql.rows import Rows
from pacs_index_postgresql.transaction import ISSUER, PATIENT_ID, Transaction

# Theory of operation
#
# Adding an instance is the one change that happens for every object, so it has a short way. Once a
# series is known, with what the attributes above the instance said (`_known`), other instances of
# it that say the same, any number of them, are one statement: `Insertion`. It is a transaction of
# its own, one round trip with its commit.
#
# `_known` may be wrong, since another node may have removed the series meanwhile. It need not be
# right: foreign keys refuse the row, the entry is dropped, and the long way finds out. An id is
# never given twice, so a row cannot end in somebody else's series.
#
# The long way looks for the path itself first, then for patient, study and series, creates what is
# missing, and notes what contradicts what is there. It holds the lock `STRUCTURE`, so that nodes do
# this one after the other; the short way does not wait for it. A header that is removed while the
# short way adds to it is kept from that by the foreign key, and the removal is tried again.
#
# Order of changes: whoever writes changes holds the lock `ORDER` from before their numbers are
# given to the commit. So a reader that has seen a number never finds a smaller one later. While
# nobody follows, nobody takes it.
#
# That somebody follows, and which correction was the last, each transaction reads after it has the
# right to write `instance` (a lock that does not keep others from it). Who begins to follow, or
# corrects, takes a lock that waits for all of those and keeps new ones out for a moment: so no
# transaction that did not see it ends after it.

_STATE: Final = "SELECT EXISTS (SELECT FROM consumer), (SELECT max(number) FROM correction)"

Placement = tuple[int, int]
"""Where an instance belongs: its series, and the header of that."""


@define
class LastSeen:
    """The number of the last correction that any transaction of this process has seen."""

    number: int = 0

    def note(self, number: int | None) -> None:
        """Note that a transaction has seen a correction."""
        self.number = max(self.number, number or 0)


@frozen
class PlacedRecord:
    """A record with all that its row needs."""

    record: InstanceRecord
    place: Placement
    row: list[Stored]
    several: Several
    unflushed: bool = False
    twin: int = 0


@define
class Changes:
    """Makes changes through the connection of a transaction. Whatever rolls back :meth:`forget`."""

    _catalog: Catalog
    _schema: str
    _capacity: int
    _last_seen: LastSeen
    _known: OrderedDict[tuple[str, str], tuple[Placement, tuple[object, ...]]] = field(
        factory=OrderedDict
    )
    _studies: Headers = field(init=False)
    _series: Headers = field(init=False)
    _upper: tuple[int, ...] = field(init=False)
    _instances: Rows = field(init=False)
    _instance_matches: list[str] = field(init=False)
    _insertion: Insertion = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._studies = Headers(Level.STUDY, self._catalog.non_key_attributes(Level.STUDY))
        self._series = Headers(Level.SERIES, self._catalog.non_key_attributes(Level.SERIES))
        images = self._catalog.at(Level.IMAGE)
        self._instances = Rows(self._catalog.non_key_attributes(Level.IMAGE))
        self._instance_matches = [
            *(m.column for a in images for m in a.matches),
            *(a.sound for a in images),
        ]
        self._insertion = Insertion(self._schema, self._instances)
        upper = (a.tag for level in VARYING for a in self._catalog.non_key_attributes(level))
        self._upper = (PATIENT_ID, ISSUER, *upper)

    def forget(self) -> None:
        """Forget which series exist."""
        self._known.clear()

    def place_known(self, record: InstanceRecord, durability: Durability) -> PlacedRecord | None:
        """Return a record with its place, if its series is known and says the same."""
        identity = record.instance.identity
        known = self._known.get((identity.study_instance_uid, identity.series_instance_uid))
        if known is None or known[1] != tuple(map(record.attributes.get, self._upper)):
            return None
        return self._placed(record, known[0], durability)

    def _placed(
        self, record: InstanceRecord, place: Placement, durability: Durability, twin: int = 0
    ) -> PlacedRecord:
        row, several = self._instances.row(record.attributes)
        behind = durability is Durability.WRITE_BEHIND
        return PlacedRecord(record, place, row, several, behind, twin)

    async def insert(
        self,
        connection: Any,
        placed: Sequence[PlacedRecord],
        durability: Durability | None = None,
        *,
        told: bool = True,
    ) -> set[str]:
        """Insert records that are placed, in one round trip; those whose UID is taken are not.

        `durability` and `told` are as :meth:`Insertion.run` has them.

        Returns
        -------
        set of str
            The SOP Instance UIDs of those that were inserted.
        """
        inserted, last = await self._insertion.run(connection, placed, durability, told=told)
        self._last_seen.note(last)
        return inserted

    async def begin(self, connection: Any) -> Transaction:
        """Begin what changes more than instances: one node after the other."""
        await take(connection, STRUCTURE, self._schema)
        await connection.execute("LOCK TABLE instance IN ROW EXCLUSIVE MODE")
        active, last = await connection.fetchrow(_STATE)
        self._last_seen.note(last)
        if active:
            await take(connection, ORDER, self._schema)
        return Transaction(self, connection, active)

    def remember(self, record: InstanceRecord, place: Placement) -> None:
        """Remember where a record belongs, for others like it."""
        identity = record.instance.identity
        key = (identity.study_instance_uid, identity.series_instance_uid)
        self._known[key] = (place, tuple(map(record.attributes.get, self._upper)))
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
