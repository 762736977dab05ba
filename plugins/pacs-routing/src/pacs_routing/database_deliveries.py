"""Deliveries in tables of the site's database, and the jobs that make them.

Theory of operation
-------------------
A delivery is a row, not a job: what goes to a peer is sent many on an association, by one job for
each lane of the peer. So a peer that is away for days costs rows, and one job that is tried again
and again; and as each lane has a key of its own in the queue, no peer waits for another.

The row of the lane says which job sends. Who adds deliveries locks that row, and enqueues a job, in
the same transaction, if there is none that has not ended. A job that finds nothing more to send
locks it as well, before it looks for the last time, and takes its number out. So what was added is
either seen by that job or has another. A job that was given up, cancelled or purged by hand is
noticed by the next who adds something, and by :meth:`DatabaseDeliveries.wake`.
"""

import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pacs_database.api import Database
from pacs_jobs.api import JobQueue, JobState, NewJob
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from pacs_core.contracts import StoredInstance
from pacs_routing.interface import (
    Deliveries,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    Outcome,
    RouteTotal,
    Wanted,
)
from pacs_routing.tables import DELIVERIES, LANES

SEND_JOB: Final = "routing.send"
"""Kind of the jobs that send what waits for a peer."""

_DAY: Final = 24 * 3600.0
_PAGE: Final = 500
_LONGEST_REASON: Final = 500
_LIVE: Final = {JobState.WAITING, JobState.RUNNING}
_STATE: Final = DELIVERIES.c.state
# In the text of statements, so that a planner sees that the index of what waits fits.
_WAITING: Final = literal(str(DeliveryState.WAITING), literal_execute=True)
_IS_WAITING: Final = _STATE == _WAITING


def version_of(instance: StoredInstance) -> str:
    """Return what tells the content of an instance from other content under its UID."""
    return instance.digest.hex() or instance.key


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
        is_postgresql = database.dialect == "postgresql"
        self._insert: Any = postgresql.insert if is_postgresql else sqlite.insert

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self._database.migrate("routing", "pacs_routing.revisions")

    async def add(self, wanted: Sequence[Wanted], *, again: bool = False) -> int:
        """See base."""
        if not wanted:
            return 0
        rows = [_row(each) for each in wanted]
        insert = self._insert(DELIVERIES)
        key = ["study_uid", "instance_uid", "peer", "version", "deidentify"]
        if again:
            anew = {
                name: insert.excluded[name]
                for name in ("rule", "lane", "priority", "state", "attempts", "due", "changed")
            }
            statement = insert.on_conflict_do_update(
                index_elements=key, set_=anew, where=~_IS_WAITING
            )
        else:
            statement = insert.on_conflict_do_nothing(index_elements=key)
        async with self._database.begin() as connection:
            # Lanes first, always in the same order, so that two who add do not wait for each other.
            for lane in sorted({(each.peer, each.lane) for each in wanted}):
                await self._lock(connection, *lane)
            added = 0
            for row in rows:
                added += max(0, (await connection.execute(statement.values(row))).rowcount)
            if added:
                for lane in sorted({(each.peer, each.lane) for each in wanted}):
                    await self._schedule(connection, *lane)
        return added

    async def _lock(self, connection: AsyncConnection, peer: str, lane: int) -> int:
        """Keep a lane to this transaction, and return its job."""
        new = self._insert(LANES).values(peer=peer, lane=lane, job=0)
        await connection.execute(new.on_conflict_do_nothing(index_elements=["peer", "lane"]))
        locked = select(LANES.c.job).where(*_is_lane(peer, lane)).with_for_update()
        return int((await connection.execute(locked)).scalar_one())

    async def _schedule(
        self, connection: AsyncConnection, peer: str, lane: int, due: float = 0.0
    ) -> bool:
        """Enqueue a job for a lane that has none; tell whether that was so."""
        job = await self._lock(connection, peer, lane)
        if job and await self._is_live(job):
            return False
        await self._enqueue(connection, peer, lane, due)
        return True

    async def _is_live(self, job: int) -> bool:
        try:
            return (await self._queue.find(job)).state in _LIVE
        except KeyError:
            return False

    async def _enqueue(self, connection: AsyncConnection, peer: str, lane: int, due: float) -> None:
        job = NewJob(
            SEND_JOB,
            {"peer": peer, "lane": lane},
            due=datetime.fromtimestamp(due, UTC) if due > time.time() else None,
            key=f"routing/{peer}/{lane}",
        )
        number = await self._queue.enqueue(job, connection=connection)
        await connection.execute(update(LANES).where(*_is_lane(peer, lane)).values(job=number))

    async def due(
        self, peer: str, lane: int, limit: int, closed: Collection[str] = ()
    ) -> list[Delivery]:
        """See base."""
        statement = _due(peer, lane, time.time(), closed).limit(limit)
        async with self._database.connect() as connection:
            return [_delivery(row) for row in (await connection.execute(statement)).all()]

    async def find(self, numbers: Collection[int]) -> list[Delivery]:
        """See base."""
        statement = select(DELIVERIES).where(DELIVERIES.c.number.in_(sorted(numbers)))
        async with self._database.connect() as connection:
            rows = (await connection.execute(statement.order_by(DELIVERIES.c.number))).all()
        return [_delivery(row) for row in rows]

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
        async with self._database.begin() as connection:
            await connection.execute(statement, rows)
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
            if await self._lock(connection, peer, lane) != job:
                return True
            first = await self._next(connection, peer, lane, closed or {})
            if first is None:
                await connection.execute(update(LANES).where(*_is_lane(peer, lane)).values(job=0))
                return False
            await self._enqueue(connection, peer, lane, max(first, not_before))
            return True

    async def _next(
        self, connection: AsyncConnection, peer: str, lane: int, closed: Mapping[str, float]
    ) -> float | None:
        """Return when something in a lane is to be sent next; None if nothing waits."""
        now = time.time()
        ready = _due(peer, lane, now, closed).limit(1)
        if (await connection.execute(ready)).first() is not None:
            return now
        waiting = [*_waits_in(peer, lane)]
        later = select(func.min(DELIVERIES.c.due)).where(*waiting, DELIVERIES.c.due > now)
        if closed:
            later = later.where(DELIVERIES.c.rule.not_in(sorted(closed)))
        moments = [(await connection.execute(later)).scalar_one()]
        if closed:
            rules = select(DELIVERIES.c.rule).where(*waiting).distinct()
            found = (await connection.execute(rules)).scalars()
            moments += [closed.get(rule) for rule in found]
        return min((each for each in moments if each is not None), default=None)

    async def wake(self) -> int:
        """See base."""
        lanes = select(DELIVERIES.c.peer, DELIVERIES.c.lane).where(_IS_WAITING).distinct()
        async with self._database.connect() as connection:
            found = (await connection.execute(lanes)).all()
        woken = 0
        for peer, lane in sorted((row.peer, row.lane) for row in found):
            async with self._database.begin() as connection:
                woken += await self._schedule(connection, peer, lane)
        return woken

    async def search(self, wanted: DeliveryFilter, limit: int) -> AsyncIterator[Delivery]:
        """See base."""
        statement = select(DELIVERIES).where(*_conditions(wanted))
        statement = statement.order_by(DELIVERIES.c.number.desc())
        last: int | None = None
        while limit > 0:
            page = statement if last is None else statement.where(DELIVERIES.c.number < last)
            async with self._database.connect() as connection:
                rows = (await connection.execute(page.limit(min(limit, _PAGE)))).all()
            for row in rows:
                yield _delivery(row)
            limit -= len(rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1].number

    async def totals(self) -> list[RouteTotal]:
        """See base."""
        return await self._totals([])

    async def _totals(self, conditions: Iterable[ColumnElement[bool]]) -> list[RouteTotal]:
        keys = (DELIVERIES.c.rule, DELIVERIES.c.peer, _STATE)
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
        states = _STATE.in_([str(DeliveryState.FAILED), str(DeliveryState.WAITING)])
        now = time.time()
        # What waits for days and is tried again by hand has as many days once more.
        has_failed = _STATE.in_([str(DeliveryState.FAILED)])
        values = {
            "state": str(DeliveryState.WAITING),
            "attempts": 0,
            "due": 0.0,
            "created": case((has_failed, now), else_=DELIVERIES.c.created),
            "changed": now,
        }
        statement = update(DELIVERIES).where(*_conditions(wanted), states).values(values)
        lanes = select(DELIVERIES.c.peer, DELIVERIES.c.lane).where(*_conditions(wanted), states)
        async with self._database.begin() as connection:
            touched = (await connection.execute(lanes.distinct())).all()
            for row in sorted((each.peer, each.lane) for each in touched):
                # A new job, whatever the one that is there waits for; it finds nothing to do then.
                await self._lock(connection, *row)
                await self._enqueue(connection, *row, 0.0)
            return (await connection.execute(statement)).rowcount

    async def expire(self, days: float) -> list[RouteTotal]:
        """See base."""
        old = [_IS_WAITING, DELIVERIES.c.created < time.time() - days * _DAY]
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
            _STATE.in_(ended), DELIVERIES.c.changed < time.time() - days * _DAY
        )
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount


def _is_lane(peer: str, lane: int) -> tuple[ColumnElement[bool], ...]:
    return (LANES.c.peer == peer, LANES.c.lane == lane)


def _waits_in(peer: str, lane: int) -> tuple[ColumnElement[bool], ...]:
    return (_IS_WAITING, DELIVERIES.c.peer == peer, DELIVERIES.c.lane == lane)


def _due(peer: str, lane: int, now: float, closed: Collection[str]) -> Select[Any]:
    """Select what is to be sent now, what goes first first."""
    earlier = DELIVERIES.alias("earlier")
    held_back = exists().where(
        earlier.c.state == _WAITING,
        earlier.c.peer == DELIVERIES.c.peer,
        earlier.c.study_uid == DELIVERIES.c.study_uid,
        earlier.c.number < DELIVERIES.c.number,
        earlier.c.due > now,
    )
    statement = (
        select(DELIVERIES)
        .where(*_waits_in(peer, lane), DELIVERIES.c.due <= now)
        .where(DELIVERIES.c.is_ordered.is_(False) | ~held_back)
        .order_by(DELIVERIES.c.priority.desc(), DELIVERIES.c.number)
    )
    return statement.where(DELIVERIES.c.rule.not_in(sorted(closed))) if closed else statement


def _conditions(wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (DELIVERIES.c.peer, wanted.peer),
            (DELIVERIES.c.rule, wanted.rule),
            (DELIVERIES.c.study_uid, wanted.study_uid),
            (DELIVERIES.c.instance_uid, wanted.instance_uid),
        )
        if value
    ]
    if wanted.states:
        found.append(_STATE.in_([str(each) for each in wanted.states]))
    return [and_(*found)] if found else []


def _row(wanted: Wanted) -> dict[str, Any]:
    identity, now = wanted.instance.identity, time.time()
    return {
        "rule": wanted.rule,
        "peer": wanted.peer,
        "lane": wanted.lane,
        "study_uid": identity.study_instance_uid,
        "instance_uid": identity.sop_instance_uid,
        "version": version_of(wanted.instance),
        "deidentify": wanted.deidentify,
        "priority": wanted.priority,
        "is_ordered": wanted.is_ordered,
        "is_committed": wanted.is_committed,
        "state": str(DeliveryState.WAITING),
        "attempts": 0,
        "due": 0.0,
        "status": 0,
        "reason": "",
        "sent_uid": "",
        "created": now,
        "changed": now,
    }


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "state": DeliveryState(row.state)})
