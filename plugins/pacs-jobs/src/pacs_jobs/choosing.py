"""Statements that find the next job, whatever number of others waits.

How it works: each kind is asked for its first job by itself, so that an index has it. Jobs whose
key is running cannot be begun, and may be all that an index has first: the hundred thousand that
wait for a peer which is down. So only the first few are looked at one by one (:func:`first_due`).
If none of these can be begun, the keys are: each is one step in an index, with its first job at
the end of it (:func:`first_due_of_keys`).

The indices are of waiting and of running rows only. A planner sees that they fit where the state
stands in the statement's text, not where it is bound to it: hence `literal_execute`.
"""

from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, exists, func, literal, null, select
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.selectable import FromClause

from pacs_jobs.jobs import JobState
from pacs_jobs.table import JOBS

WAITING: Final = literal(str(JobState.WAITING), literal_execute=True)
RUNNING: Final = literal(str(JobState.RUNNING), literal_execute=True)
IS_WAITING: Final = JOBS.c.state == WAITING

_NO_KEY: Final = literal("", literal_execute=True)
_FIRST: Final = 20
"""Jobs of a kind that are looked at one by one."""
_KEYS: Final = 10_000
"""Keys of a kind that are looked at."""


@lru_cache(maxsize=64)
def first_moments(kinds: frozenset[str], dialect: Dialect) -> str:
    """Return SQL for when the first job of each kind is due, and for when a lease is over.

    It is text, and kept: each worker asks twice a second, and SQLAlchemy takes ten times as long
    to put so many subqueries together as SQLite takes to answer.
    """
    # A subquery for each kind: so the index has each answer at its end.
    due = [select(func.min(JOBS.c.due)).where(IS_WAITING, JOBS.c.kind == kind) for kind in kinds]
    leased = select(func.min(JOBS.c.leased_until)).where(JOBS.c.state == RUNNING)
    statement = select(*(each.scalar_subquery() for each in (*due, leased)))
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def first_due(kind: str, now: float) -> Select[Any]:
    """Return the first job of a kind that can be begun, of the first few that are due."""
    head = JOBS.alias("head")
    statement = select(head.c.number).where(*_due(head, kind, now)).order_by(*_order(head))
    first = statement.limit(_FIRST).subquery("first")
    return (
        select(JOBS)
        .join(first, JOBS.c.number == first.c.number)
        .where(*_can_begin(JOBS.c.key))
        .order_by(*_order(JOBS))
        .limit(1)
        .with_for_update(skip_locked=True, of=JOBS)
    )


def first_due_of_keys(kind: str, now: float) -> Select[Any]:
    """Return the first job of a kind that can be begun, by a look at each key."""
    others = JOBS.alias("others")
    waits = (others.c.state == WAITING, others.c.kind == kind)
    least = select(func.min(others.c.key).label("key"), literal(1).label("step")).where(*waits)
    keys = least.cte("keys", recursive=True)
    following = select(func.min(others.c.key)).where(*waits, others.c.key > keys.c.key)
    keys = keys.union_all(
        select(following.scalar_subquery(), keys.c.step + 1).where(
            keys.c.key != null(), keys.c.step < _KEYS
        )
    )
    head = JOBS.alias("head")
    first = (
        select(head.c.number)
        .where(*_due(head, kind, now), head.c.key == keys.c.key)
        .order_by(*_order(head))
        .limit(1)
    )
    return (
        select(JOBS)
        .select_from(JOBS)
        .join(keys, JOBS.c.number == first.scalar_subquery())
        # The last has none, for which PostgreSQL would go through all that wait.
        .where(keys.c.key != null(), *_can_begin(keys.c.key))
        .order_by(*_order(JOBS))
        .limit(1)
        .with_for_update(skip_locked=True, of=JOBS)
    )


def _due(jobs: FromClause, kind: str, now: float) -> tuple[ColumnElement[bool], ...]:
    # `+ 0` keeps SQLite from the index of due times, which would have it sort all that are due.
    return jobs.c.state == WAITING, jobs.c.kind == kind, jobs.c.due + 0 <= now


def _order(jobs: FromClause) -> tuple[ColumnElement[Any], ...]:
    return jobs.c.priority.desc(), jobs.c.due, jobs.c.number


def _can_begin(key: ColumnElement[str]) -> tuple[ColumnElement[bool], ...]:
    running = JOBS.alias("running")
    blocked = exists().where(
        running.c.state == RUNNING, running.c.key != _NO_KEY, running.c.key == key
    )
    # On PostgreSQL another worker may have begun it meanwhile. To concatenate keeps SQLite from
    # reading all that wait.
    return JOBS.c.state + "" == WAITING, ~blocked
