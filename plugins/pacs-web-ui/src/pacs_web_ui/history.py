"""History of a study: what the audit trail says of it, alike events in one row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import anyio
from attrs import evolve, frozen

from pacs_core.api.streams import closing
from pacs_core.contracts import AuditEvent, AuditReader, AuditSearch

MOST: Final = 20_000
"""Events that are looked at."""
ROWS: Final = 500
PATIENCE: Final = 5.0
"""Seconds to look for events; the older ones are left out then."""

EVENTS: Final[Mapping[str, str]] = {
    "c-store": "Stored",
    "c-find": "Searched for",
    "c-move": "Retrieved by C-MOVE",
    "c-get": "Retrieved by C-GET",
    "import": "Imported",
    "delete": "Deleted",
    "update": "Corrected",
    "duplicate": "Duplicate",
    "conflict": "Conflict",
    "instances-sent": "Sent to a peer",
    "instance-lost": "Lost",
    "instance-damaged": "Damaged",
    "instance-healed": "Healed",
    "ingest-filtered": "Changed on arrival",
    "compression-rejected": "Compression rejected",
    "access-denied": "Access denied",
    "dicomweb.stored": "Stored over the web",
    "dicomweb.retrieved": "Retrieved over the web",
    "dicomweb.searched": "Searched for over the web",
    "web-ui.uploaded": "Uploaded",
    "web-ui.viewed": "Looked at",
    "web-ui.history-viewed": "History looked at",
    "web-ui.sent": "Sending begun",
    "web-ui.retrieved": "Retrieval from a peer begun",
}
"""What kinds of events are called, in English; others are shown by their name."""

_HIDDEN: Final = frozenset({"study_instance_uid"})
_DETAILS: Final = 6
_LONGEST: Final = 100


@frozen
class HistoryRow:
    """Events of a kind that follow each other, by the same one with the same outcome.

    Attributes
    ----------
    event : str
        Kind.
    first, last : datetime
    count : int
    outcome : str
    user, ae_title, host, interface : str
    details : str
        Of the only event.
    """

    event: str
    first: datetime
    last: datetime
    count: int
    outcome: str
    user: str
    ae_title: str
    host: str
    interface: str
    details: str = ""

    @property
    def title(self) -> str:
        """What the kind is called in English."""
        return EVENTS.get(self.event, self.event)

    @property
    def who(self) -> str:
        """Who it was, as far as that is known."""
        names = dict.fromkeys(each for each in (self.user, self.ae_title) if each)
        return ", ".join(names) or "–"

    def continues(self, earlier: "HistoryRow") -> bool:
        """Tell whether an earlier row is more of the same."""
        return _identity(self) == _identity(earlier)


def _identity(row: HistoryRow) -> tuple[str, ...]:
    return row.event, row.outcome, row.user, row.ae_title, row.host, row.interface


@frozen
class History:
    """Rows, the latest first, and whether these are all."""

    rows: tuple[HistoryRow, ...]
    complete: bool


async def read_history(reader: AuditReader, study: str) -> History:
    """Return the history of a study, as far back as it is found in a few seconds."""
    rows: list[HistoryRow] = []
    seen = 0
    with anyio.move_on_after(PATIENCE) as scope:
        async with closing(reader.search(AuditSearch(study, limit=MOST))) as events:
            async for event in events:
                seen += 1
                row = _row(event)
                if rows and rows[-1].continues(row):
                    last = rows[-1]
                    rows[-1] = evolve(last, first=row.first, count=last.count + 1, details="")
                elif len(rows) == ROWS:
                    return History(tuple(rows), complete=False)
                else:
                    rows.append(row)
    return History(tuple(rows), complete=not scope.cancelled_caught and seen < MOST)


def _row(event: AuditEvent) -> HistoryRow:
    origin = event.origin
    return HistoryRow(
        event.kind.value,
        event.time,
        event.time,
        1,
        event.outcome.value,
        origin.user,
        origin.calling_ae_title,
        origin.host,
        origin.interface,
        _details(event),
    )


def _details(event: AuditEvent) -> str:
    shown: list[str] = []
    for name, value in event.details.items():
        if name in _HIDDEN or value in (None, "") or len(shown) == _DETAILS:
            continue
        text = ", ".join(value) if isinstance(value, tuple | list) else str(value)
        shown.append(f"{name.replace('_', ' ')}: {text[:_LONGEST]}")
    return "; ".join(shown)
