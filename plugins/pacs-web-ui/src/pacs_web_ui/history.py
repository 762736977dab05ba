"""History of a study: what the audit trail says of it, alike events in one row."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import anyio
from attrs import evolve, frozen

from pacs_core.api.streams import closing
from pacs_core.contracts import AuditEvent, AuditReader, AuditSearch, AuditValue
from pacs_web_ui.history_words import DETAILS, EVENTS

MOST: Final = 20_000
"""Events that are looked at."""
ROWS: Final = 500
PATIENCE: Final = 5.0
"""Seconds to look for events; the older ones are left out then."""

_HIDDEN: Final = frozenset({"study_instance_uid"})
_DETAILS: Final = 6
_LONGEST: Final = 100


@frozen
class Detail:
    """A detail of an event.

    Attributes
    ----------
    name : str
        What it is called in English; or its name, if nobody has said that.
    value : str
    is_known : bool
        Whether the name can be translated.
    truth : bool or None
        The value, if it is yes or no.
    """

    name: str
    value: str = ""
    is_known: bool = True
    truth: bool | None = None


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
    details : tuple of Detail
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
    details: tuple[Detail, ...] = ()

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
                    rows[-1] = evolve(last, first=row.first, count=last.count + 1, details=())
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
        tuple(_details(event)),
    )


def _details(event: AuditEvent) -> Iterator[Detail]:
    shown = 0
    for name, value in event.details.items():
        if name in _HIDDEN or value in (None, "") or shown == _DETAILS:
            continue
        shown += 1
        called, is_known = DETAILS.get(name, name.replace("_", " ")), name in DETAILS
        truth = value if isinstance(value, bool) else None
        yield Detail(called, _show(value)[:_LONGEST], is_known, truth)


def _show(value: AuditValue) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
