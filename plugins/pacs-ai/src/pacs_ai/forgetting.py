"""Requests and results that are old enough, and of which nothing is left, are forgotten.

A result is forgotten some days after it was discarded, or after it arrived if the archive has it no
more; its findings go with it. A request goes when it has ended, is as old, and has no result left:
until then what was asked, and what came of it, can be told. Results that the archive may still have
are many, and to look for each costs a query, so that each call looks for some of them.
"""

import time
from collections.abc import Collection
from typing import Final

from attrs import define
from sqlalchemy import delete, select

from pacs_ai.models import LIVE, RequestState, ResultState
from pacs_ai.records import Records
from pacs_ai.tables import FINDINGS, REQUESTS, RESULTS
from pacs_core.contracts import Archive, InstancePath

_DAY: Final = 24 * 3600.0
_LOOKED_FOR: Final = 200
_KEPT: Final = (str(ResultState.ARCHIVED), str(ResultState.RELEASED))
_ENDED: Final = tuple(str(each) for each in RequestState if each not in LIVE)


@define(eq=False)
class Forgetter:
    """Forgets requests and results.

    Parameters
    ----------
    records : Records
    archive : Archive
        Which has results, or has them no more.
    """

    records: Records
    archive: Archive
    _last: int = 0

    async def forget(self, days: float) -> int:
        """Forget what is older than some days; return how many requests and results that were."""
        before = time.time() - days * _DAY
        gone = [*await self._find_discarded(before), *await self._find_deleted(before)]
        return len(gone) + await self._delete(gone, before)

    async def _find_discarded(self, before: float) -> list[int]:
        wanted = select(RESULTS.c.number).where(
            RESULTS.c.state == str(ResultState.DISCARDED), RESULTS.c.changed < before
        )
        async with self.records.database.connect() as connection:
            return list((await connection.execute(wanted.limit(_LOOKED_FOR))).scalars())

    async def _find_deleted(self, before: float) -> list[int]:
        """Return which of the next old results the archive does not have."""
        columns = (RESULTS.c.number, RESULTS.c.study_uid, RESULTS.c.instance_uid)
        wanted = select(*columns).where(
            RESULTS.c.state.in_(_KEPT), RESULTS.c.arrived < before, RESULTS.c.number > self._last
        )
        async with self.records.database.connect() as connection:
            statement = wanted.order_by(RESULTS.c.number).limit(_LOOKED_FOR)
            rows = (await connection.execute(statement)).all()
        self._last = rows[-1].number if len(rows) == _LOOKED_FOR else 0
        return [
            row.number
            for row in rows
            if await self.archive.locate(InstancePath(row.study_uid, row.instance_uid)) is None
        ]

    async def _delete(self, results: Collection[int], before: float) -> int:
        """Delete results with their findings, and requests that have none; return how many."""
        async with self.records.database.begin() as connection:
            await connection.execute(delete(FINDINGS).where(FINDINGS.c.result.in_(results)))
            await connection.execute(delete(RESULTS).where(RESULTS.c.number.in_(results)))
            requests = delete(REQUESTS).where(
                REQUESTS.c.state.in_(_ENDED),
                REQUESTS.c.created < before,
                REQUESTS.c.number.not_in(select(RESULTS.c.request)),
            )
            return (await connection.execute(requests)).rowcount
