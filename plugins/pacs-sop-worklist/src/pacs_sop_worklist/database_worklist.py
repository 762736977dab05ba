"""The worklist in tables of the site's database.

Theory of operation
-------------------
What matches is decided in one place, by the kernel's own matching of conditions, on the attributes
of each entry: so a worklist query means what every other query means. SQL only narrows down which
entries are looked at (`narrowing`).

Entries are read page by page, each page by itself and from where the last one ended, in the order
of start: the first answers leave while the rest is still in the database, whose readers nobody
waits for.
"""

import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve
from pacs_database.api import Database, DatabaseConnection
from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    delete,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from pacs_core.api.attribute_lists import from_json
from pacs_core.contracts import (
    Archive,
    Condition,
    EntityPath,
    Restriction,
    change_record,
    correct_patient,
    matches,
    name_groups,
)
from pacs_core.dataset import Attributes, Changes, texts
from pacs_sop_worklist.interface import ListedStep, Worklist
from pacs_sop_worklist.narrowing import narrow
from pacs_sop_worklist.orders import PATIENT_NAME
from pacs_sop_worklist.restricting import is_admitted
from pacs_sop_worklist.steps import (
    ACCESSION,
    ENDED,
    MODALITY,
    PATIENT_ID,
    STUDY_UID,
    Step,
    StepState,
    to_json,
)
from pacs_sop_worklist.tables import STATIONS, STEPS

_PAGE: Final = (20, 500)
"""Rows of the first page, and of those that follow."""

_UNTOUCHED: Final = (StepState.SCHEDULED, StepState.ARRIVED, StepState.READY)


@define(eq=False)
class DatabaseWorklist(Worklist):
    """The worklist of all who share a database.

    Parameters
    ----------
    database : Database
    archive : Archive, optional
        Whose corrections new steps follow: a patient may have been merged before.
    """

    database: Database
    archive: Archive | None = None

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self.database.migrate("worklist", "pacs_sop_worklist.revisions")

    async def put(self, steps: Sequence[Step], source: str) -> int:
        """Add steps, or update those that are known."""
        changed = 0
        steps = [
            evolve(step, attributes=await correct_patient(step.attributes, self.archive))
            for step in steps
        ]
        texts_of = [to_json(step.attributes) for step in steps]
        async with self.database.begin() as connection:
            for step, text in zip(steps, texts_of, strict=True):
                changed += await self._put(connection, step, text, source)
        return changed

    async def _put(
        self, connection: DatabaseConnection, step: Step, text: str, source: str
    ) -> bool:
        known_row = select(STEPS).where(STEPS.c.identity == step.identity).with_for_update()
        known = (await connection.execute(known_row)).one_or_none()
        values = {
            "identity": step.identity,
            "source": source,
            "state": str(step.state),
            "is_open": step.state not in ENDED,
            "start": step.start,
            "modality": _text(step, MODALITY),
            "patient_id": _text(step, PATIENT_ID),
            "accession_number": _text(step, ACCESSION),
            "study_uid": _text(step, STUDY_UID),
            "patient_name": _name(step),
            "attributes": text,
            "changed": time.time(),
        }
        if known is None:
            added = insert(STEPS).values(**values, performed="").returning(STEPS.c.number)
            number = (await connection.execute(added)).scalar_one()
        else:
            number = known.number
            if not known.is_open:
                return False
            if known.state not in _UNTOUCHED and step.state not in ENDED:
                values |= {"state": known.state, "is_open": True}
            unchanged = ("attributes", "state", "source", "patient_name")
            if all(getattr(known, name) == values[name] for name in unchanged):
                return False
            row = update(STEPS).where(STEPS.c.number == number).values(values)
            await connection.execute(row)
            await connection.execute(delete(STATIONS).where(STATIONS.c.number == number))
        stations = [
            {"ae_title": each, "is_open": values["is_open"], "start": step.start, "number": number}
            for each in sorted(set(step.stations)) or [""]
        ]
        await connection.execute(insert(STATIONS), stations)
        return True

    async def change_patient(
        self, patient: EntityPath, changes: Changes, *, keys: Collection[str] | None = None
    ) -> Mapping[str, Attributes]:
        """Change what steps say of a patient; what has ended as well."""
        former: dict[str, Attributes] = {}
        wanted = select(STEPS).where(STEPS.c.patient_id == patient.patient_id).with_for_update()
        async with self.database.begin() as connection:
            for row in (await connection.execute(wanted)).all():
                key, step = str(row.number), _listed(row).step
                if keys is not None and key not in keys:
                    continue
                if changed := change_record(step.attributes, patient, changes):
                    former[key], attributes = changed
                    step = evolve(step, attributes=attributes)
                    values = {
                        "attributes": to_json(attributes),
                        "patient_id": _text(step, PATIENT_ID),
                        "patient_name": _name(step),
                    }
                    known = update(STEPS).where(STEPS.c.number == row.number)
                    await connection.execute(known.values(values))
        return former

    async def withdraw(self, source: str, *, keep: Collection[str] = ()) -> int:
        """Take steps of a source off the list that nobody has begun."""
        gone = [STEPS.c.source == source, STEPS.c.state.in_([str(s) for s in _UNTOUCHED])]
        if keep:
            gone.append(STEPS.c.identity.not_in(keep))
        async with self.database.begin() as connection:
            return await _forget(connection, and_(*gone))

    async def set_state(
        self,
        number: int,
        state: StepState,
        *,
        performed: str | None = None,
        unless_performed: bool = False,
    ) -> bool:
        """Say how far a step has come."""
        values: dict[str, Any] = {
            "state": str(state),
            "is_open": state not in ENDED,
            "changed": time.time(),
        }
        if performed is not None:
            values["performed"] = performed
        async with self.database.begin() as connection:
            row = update(STEPS).where(STEPS.c.number == number).values(values)
            if unless_performed:
                row = row.where(STEPS.c.performed == "")
            found = (await connection.execute(row)).rowcount
            if not found:
                return False
            stations = update(STATIONS).where(STATIONS.c.number == number)
            await connection.execute(stations.values(is_open=state not in ENDED))
        return True

    async def forget(self, *, ended_before: float, due_before: str) -> int:
        """Forget steps that are of no use any more."""
        ended = and_(~STEPS.c.is_open, STEPS.c.changed < ended_before)
        # One that was begun may have been so late, and goes when nothing more is heard of it.
        untouched = STEPS.c.state.in_([str(state) for state in _UNTOUCHED])
        silent = or_(untouched, STEPS.c.changed < ended_before)
        due = and_(STEPS.c.is_open, STEPS.c.start < due_before)
        async with self.database.begin() as connection:
            return await _forget(connection, or_(ended, and_(due, silent)))

    async def find(self, number: int) -> ListedStep:
        """Return a step."""
        async with self.database.connect() as connection:
            row = (
                await connection.execute(select(STEPS).where(STEPS.c.number == number))
            ).one_or_none()
        if row is None:
            raise KeyError(f"there is no step {number}")
        return _listed(row)

    async def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        station: str = "",
        with_ended: bool = False,
        restrictions: Sequence[Restriction] = (),
        after: int | None = None,
    ) -> AsyncIterator[ListedStep]:
        """Iterate over the steps that match, by their start."""
        statement, order = narrow(
            conditions, station, with_ended=with_ended, dialect=self.database.dialect
        )
        last: tuple[Any, ...] | None = None
        if after is not None:
            previous = (await self.find(after)).step
            if not is_admitted(previous, restrictions):
                raise KeyError(f"there is no step {after}")
            last = (previous.start, after)
        size = _PAGE[0]
        while True:
            page = statement.limit(size)
            if last is not None:
                page = page.where(tuple_(*order) > last)
            async with self.database.connect() as connection:
                rows = (await connection.execute(page)).all()
            for row in rows:
                listed = _listed(row)
                answered = listed.step.answered()
                is_match = all(matches(condition, answered) for condition in conditions)
                if is_match and is_admitted(listed.step, restrictions):
                    yield listed
            if len(rows) < size:
                return
            last, size = (rows[-1].start, rows[-1].number), _PAGE[1]


def _listed(row: Row[Any]) -> ListedStep:
    step = Step(from_json(row.attributes), StepState(row.state))
    return ListedStep(row.number, step, row.source, row.performed)


def _text(step: Step, tag: int) -> str:
    where = step.item if tag == MODALITY else step.attributes
    return next(iter(texts(where, tag)), "").strip()


def _name(step: Step) -> str | None:
    """Return all component groups of all names as they are compared; None if SQL cannot."""
    names = texts(step.attributes, PATIENT_NAME)
    folded = "=".join(group for name in names for group in name_groups(name))
    return None if "\0" in folded else folded


async def _forget(connection: DatabaseConnection, condition: ColumnElement[bool]) -> int:
    numbers = select(STEPS.c.number).where(condition)
    await connection.execute(delete(STATIONS).where(STATIONS.c.number.in_(numbers)))
    return (await connection.execute(delete(STEPS).where(condition))).rowcount
