"""Deliveries in tables of the site's database, and the jobs that make them.

Theory of operation
-------------------
A delivery is a row, not a job: what goes to a peer is sent many on an association, by one job for
each lane of the peer. So a peer that is away for days costs rows, and one job that is tried again
and again; and as each lane has a key of its own in the queue, no peer waits for another.

Which job sends what waits in a lane is kept by :mod:`pacs_routing.lanes`.
"""

import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Final

from pacs_database.api import Database, DatabaseConnection
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import ColumnElement, bindparam, case, delete, func, select, update

from pacs_routing.interface import (
    Deliveries,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    Outcome,
    RouteTotal,
    Wanted,
)
from pacs_routing.lanes import Lanes, first_due
from pacs_routing.rows import (
    IS_WAITING,
    STATE,
    conditions_of,
    delivery_of,
    is_lane,
    row_of,
    select_due,
    waits_in,
)
from pacs_routing.tables import DELIVERIES, LANES

_DAY: Final = 24 * 3600.0
_PAGE: Final = 500
_LONGEST_REASON: Final = 500
_CLOCK_TOLERANCE: Final = 5.0
"""Seconds by which clocks of nodes differ."""


class DatabaseDeliveries(Deliveries):
    """The deliveries of all who share a database.

    Parameters
    ----------
    database : Database
    queue : JobQueue
        In the same database.
    """

    def __init__(self, database: Database, queue: JobQueue) -> None:
        self._database = database
        self._queue = queue
        self._lanes = Lanes(database, queue)

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self._database.migrate("routing", "pacs_routing.revisions")

    async def add(self, wanted: Sequence[Wanted], *, again: bool = False) -> int:
        """See base."""
        if not wanted:
            return 0
        rows = [row_of(each) for each in wanted]
        insert = self._database.insert(DELIVERIES)
        key = ["study_uid", "instance_uid", "peer", "version", "deidentify"]
        if again:
            anew = {
                name: insert.excluded[name]
                for name in ("rule", "lane", "priority", "state", "attempts", "due", "changed")
            }
            statement = insert.on_conflict_do_update(
                index_elements=key, set_=anew, where=~IS_WAITING
            )
        else:
            statement = insert.on_conflict_do_nothing(index_elements=key)
        async with self._database.begin() as connection:
            # Lanes first, always in the same order, so that two who add do not wait for each other.
            for lane in sorted({(each.peer, each.lane) for each in wanted}):
                await self._lanes.lock(connection, *lane)
            added = 0
            for row in rows:
                added += max(0, (await connection.execute(statement.values(row))).rowcount)
            replaced = [
                await self._lanes.schedule(connection, *lane, due)
                for lane, due in (sorted(first_due(wanted).items()) if added else ())
            ]
        await self._lanes.cancel(replaced)
        return added

    async def due(
        self, peer: str, lane: int, limit: int, closed: Collection[str] = ()
    ) -> list[Delivery]:
        """See base."""
        statement = select_due(peer, lane, time.time(), closed).limit(limit)
        async with self._database.connect() as connection:
            return [delivery_of(row) for row in (await connection.execute(statement)).all()]

    async def find(self, numbers: Collection[int]) -> list[Delivery]:
        """See base."""
        statement = select(DELIVERIES).where(DELIVERIES.c.number.in_(sorted(numbers)))
        async with self._database.connect() as connection:
            rows = (await connection.execute(statement.order_by(DELIVERIES.c.number))).all()
        return [delivery_of(row) for row in rows]

    async def note(self, outcomes: Sequence[Outcome], follow: NewJob | None = None) -> None:
        """See base."""
        if not outcomes:
            return
        statement = (
            update(DELIVERIES)
            .where(DELIVERIES.c.number == bindparam("the_number"))
            .values(
                state=bindparam("state"),
                attempts=bindparam("attempts"),
                due=bindparam("due"),
                status=bindparam("status"),
                reason=bindparam("reason"),
                sent_uid=bindparam("sent_uid"),
                changed=bindparam("changed"),
            )
        )
        rows = [
            {
                "the_number": each.number,
                "state": str(each.state),
                "attempts": each.attempts,
                "due": each.due,
                "status": each.status,
                "reason": each.reason[:_LONGEST_REASON],
                "sent_uid": each.sent_uid,
                "changed": time.time(),
            }
            for each in outcomes
        ]
        # What was cancelled while it was tried is not tried again; but if it has arrived, it has.
        anew = [row for row in rows if row["state"] == DeliveryState.WAITING]
        final = [row for row in rows if row["state"] != DeliveryState.WAITING]
        async with self._database.begin() as connection:
            if anew:
                still_wanted = STATE.is_distinct_from(str(DeliveryState.CANCELLED))
                await connection.execute(statement.where(still_wanted), anew)
            if final:
                await connection.execute(statement, final)
            if follow is not None:
                await self._queue.enqueue(follow, connection=connection)

    async def pass_on(
        self,
        peer: str,
        lane: int,
        job: int,
        not_before: float = 0.0,
        closed: Mapping[str, float] | None = None,
    ) -> bool:
        """See base."""
        async with self._database.begin() as connection:
            if await self._lanes.lock(connection, peer, lane) != job:
                return True
            first = await self._next(connection, peer, lane, closed or {})
            if first is None:
                await connection.execute(update(LANES).where(*is_lane(peer, lane)).values(job=0))
                return False
            await self._lanes.enqueue(connection, peer, lane, max(first, not_before))
            return True

    async def _next(
        self, connection: DatabaseConnection, peer: str, lane: int, closed: Mapping[str, float]
    ) -> float | None:
        """Return when something in a lane is to be sent next; None if nothing waits."""
        now = time.time()
        ready = select_due(peer, lane, now, closed).limit(1)
        if (await connection.execute(ready)).first() is not None:
            return now
        waiting = [*waits_in(peer, lane)]
        # Put off while the clock was ahead: as if it had been put off now.
        ahead, due = DELIVERIES.c.changed - now, DELIVERIES.c.due
        late = (*waiting, due > now, ahead > _CLOCK_TOLERANCE)
        await connection.execute(
            update(DELIVERIES).where(*late).values(due=due - ahead, changed=now)
        )
        later = select(func.min(DELIVERIES.c.due)).where(*waiting, DELIVERIES.c.due > now)
        if closed:
            later = later.where(DELIVERIES.c.rule.not_in(sorted(closed)))
        moments = [(await connection.execute(later)).scalar_one()]
        if closed:
            rules = select(DELIVERIES.c.rule).where(*waiting).distinct()
            found = (await connection.execute(rules)).scalars()
            moments += [closed.get(rule) for rule in found]
        return min((each for each in moments if each is not None), default=None)

    async def wake(self, *, sooner: bool = False) -> int:
        """See base."""
        lanes = select(DELIVERIES.c.peer, DELIVERIES.c.lane).where(IS_WAITING).distinct()
        async with self._database.connect() as connection:
            found = (await connection.execute(lanes)).all()
        replaced: list[int | None] = []
        for peer, lane in sorted((row.peer, row.lane) for row in found):
            async with self._database.begin() as connection:
                replaced.append(await self._lanes.schedule(connection, peer, lane, replace=sooner))
        await self._lanes.cancel(replaced)
        return sum(each is not None for each in replaced)

    async def search(self, wanted: DeliveryFilter, limit: int) -> AsyncIterator[Delivery]:
        """See base."""
        statement = select(DELIVERIES).where(*conditions_of(wanted))
        statement = statement.order_by(DELIVERIES.c.number.desc())
        last: int | None = None
        while limit > 0:
            page = statement if last is None else statement.where(DELIVERIES.c.number < last)
            async with self._database.connect() as connection:
                rows = (await connection.execute(page.limit(min(limit, _PAGE)))).all()
            for row in rows:
                yield delivery_of(row)
            limit -= len(rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1].number

    async def totals(self) -> list[RouteTotal]:
        """See base."""
        return await self._totals([])

    async def _totals(self, conditions: Iterable[ColumnElement[bool]]) -> list[RouteTotal]:
        keys = (DELIVERIES.c.rule, DELIVERIES.c.peer, STATE)
        numbers = (
            func.count().label("count"),
            func.min(DELIVERIES.c.created).label("oldest"),
            func.max(DELIVERIES.c.changed).label("latest"),
        )
        statement = select(*keys, *numbers).where(*conditions).group_by(*keys).order_by(*keys)
        async with self._database.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [RouteTotal(**{**row, "state": DeliveryState(row["state"])}) for row in rows]

    async def retry(self, wanted: DeliveryFilter) -> int:
        """See base."""
        tried = (DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.WAITING)
        states = STATE.in_([str(each) for each in tried])
        now = time.time()
        # What waits for days and is tried again by hand has as many days once more.
        has_ended = ~IS_WAITING
        values = {
            "state": str(DeliveryState.WAITING),
            "attempts": 0,
            "due": 0.0,
            "created": case((has_ended, now), else_=DELIVERIES.c.created),
            "changed": now,
        }
        statement = update(DELIVERIES).where(*conditions_of(wanted), states).values(values)
        lanes = select(DELIVERIES.c.peer, DELIVERIES.c.lane).where(*conditions_of(wanted), states)
        async with self._database.begin() as connection:
            touched = (await connection.execute(lanes.distinct())).all()
            for row in sorted((each.peer, each.lane) for each in touched):
                # A new job, whatever the one that is there waits for; it finds nothing to do then.
                await self._lanes.lock(connection, *row)
                await self._lanes.enqueue(connection, *row, 0.0)
            return (await connection.execute(statement)).rowcount

    async def cancel(self, wanted: DeliveryFilter) -> int:
        """See base."""
        values = {"state": str(DeliveryState.CANCELLED), "changed": time.time()}
        statement = update(DELIVERIES).where(*conditions_of(wanted), IS_WAITING).values(values)
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount

    async def expire(self, days: float) -> list[RouteTotal]:
        """See base."""
        old = [IS_WAITING, DELIVERIES.c.created < time.time() - days * _DAY]
        totals = await self._totals(old)
        reason = case(
            (DELIVERIES.c.reason == "", f"it was not sent for {days:g} days"),
            else_=DELIVERIES.c.reason,
        )
        values = {"state": str(DeliveryState.FAILED), "reason": reason, "changed": time.time()}
        async with self._database.begin() as connection:
            await connection.execute(update(DELIVERIES).where(*old).values(values))
        return totals

    async def forget(self, days: float) -> int:
        """See base."""
        ended = [str(each) for each in DeliveryState if each is not DeliveryState.WAITING]
        statement = delete(DELIVERIES).where(
            STATE.in_(ended), DELIVERIES.c.changed < time.time() - days * _DAY
        )
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount
