"""Search of the table of steps, page by page."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from pacs_database.api import Database
from sqlalchemy import select

from pacs_core.contracts import Condition, SingleValue
from pacs_sop_ups.rows import step_of
from pacs_sop_ups.steps import SOP_INSTANCE, STATE, ProcedureStep
from pacs_sop_ups.tables import STEPS
from pacs_sop_ups.transitions import StepState

_PAGE: Final = 200
_COLUMNS: Final = {STATE: STEPS.c.state, SOP_INSTANCE: STEPS.c.instance_uid}
"""Of attributes that find few steps at once."""


async def pages(
    database: Database,
    conditions: Sequence[Condition] = (),
    states: Collection[StepState] = (),
    changed_since: float | None = None,
) -> AsyncIterator[list[ProcedureStep]]:
    """Iterate over steps, the latest first, those that match among them.

    No transaction is open between two pages.
    """
    wanted = select(STEPS).order_by(STEPS.c.number.desc()).limit(_PAGE)
    if states or changed_since is not None:
        # Each state by itself: that is what there is an index for.
        wanted = wanted.where(STEPS.c.state.in_([str(each) for each in states or StepState]))
    if changed_since is not None:
        wanted = wanted.where(STEPS.c.changed >= changed_since)
    for condition in conditions:
        if isinstance(condition, SingleValue) and condition.tag in _COLUMNS:
            wanted = wanted.where(_COLUMNS[condition.tag] == condition.value.strip())
    page = wanted
    while True:
        async with database.connect() as connection:
            rows = (await connection.execute(page)).all()
        yield [step_of(row) for row in rows]
        if len(rows) < _PAGE:
            return
        page = wanted.where(STEPS.c.number < rows[-1].number)
