"""Requests and results in tables of the site's database.

Theory of operation
-------------------
A request is a row and a job, made in one transaction; the job does nothing that the row does not
say, so that one which is run again, or was purged, loses nothing. Rows change state by ``UPDATE ...
WHERE state = ...``: of several who change one, one has it.

Which instances a request is about is its fingerprint, of their UIDs and digests: a second request
to the same version about the same finds the first. One that is made again by hand has another.

The jobs of a service share as many keys as it may work on requests at once, and of jobs with one
key the queue runs one at a time, whichever workers and nodes there are. So a service that is slow
keeps nobody waiting but those who want something of it.
"""

import hashlib
import json
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from attrs import asdict, evolve, frozen
from pacs_database.api import Database
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import ColumnElement, Table, delete, func, select, update

from pacs_ai.models import (
    LIVE,
    Assessment,
    InferenceInput,
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    RequestState,
    ResultFinding,
    ResultState,
    ServiceTotal,
)
from pacs_ai.tables import FINDINGS, REQUESTS, RESULTS, STEPS
from pacs_core.api.streams import closing

ASK_JOB: Final = "ai.ask"
"""Kind of the jobs that ask services."""
_LONGEST: Final = 500
_PAGE: Final = 500
_UNSEEN: Final = frozenset({"fingerprint", "token", "names"})


@frozen
class HeldStep:
    """A work item that the node performs: how it is held, and the numbers of its requests."""

    step_uid: str
    transaction_uid: str
    requests: tuple[int, ...]


class Records:
    """The rows of all who share a database.

    Parameters
    ----------
    database : Database
    queue : JobQueue
        In the same database.
    """

    def __init__(self, database: Database, queue: JobQueue) -> None:
        self.database = database
        self._queue = queue

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self.database.migrate("ai", "pacs_ai.revisions")

    async def add(
        self,
        service: str,
        version: str,
        study_uid: str,
        inputs: Sequence[InferenceInput],
        *,
        lanes: int,
        priority: int = 0,
        asked_by: str = "",
        again: str = "",
    ) -> tuple[InferenceRequest, bool]:
        """Make a request and its job, or find the one that there is; tell whether it is new.

        `again` tells it from others about the same.
        """
        now = time.time()
        fingerprint = fingerprint_of(inputs) + (f" {again}" if again else "")
        values = {
            **dict.fromkeys(("reason", "note", "token", "names"), ""),
            **dict.fromkeys(("asked", "answered"), 0.0),
            "service": service,
            "version": version,
            "study_uid": study_uid,
            "fingerprint": fingerprint,
            "inputs": json.dumps([asdict(each) for each in inputs]),
            "priority": priority,
            "asked_by": asked_by,
            "state": str(RequestState.WAITING),
            "attempts": 0,
            "created": now,
            "job": 0,
        }
        key = ["service", "version", "study_uid", "fingerprint"]
        statement = self.database.insert(REQUESTS).values(values)
        statement = statement.on_conflict_do_nothing(index_elements=key)
        async with self.database.begin() as connection:
            is_new = (await connection.execute(statement)).rowcount > 0
            where = [REQUESTS.c[name] == values[name] for name in key]
            number = (await connection.execute(select(REQUESTS.c.number).where(*where))).scalar()
            assert number is not None  # noqa: S101  it was there, or is now
            if is_new:
                lane = f"ai/{service}/{number % lanes}"
                job = NewJob(ASK_JOB, {"request": number}, priority, key=lane)
                values = {"job": await self._queue.enqueue(job, connection=connection)}
                changed = update(REQUESTS).where(REQUESTS.c.number == number).values(values)
                await connection.execute(changed)
        return await self.find(number), is_new

    async def find(self, number: int) -> InferenceRequest:
        """Return a request. KeyError."""
        return _request(await self._row(REQUESTS, number))

    async def names_of(self, number: int) -> dict[str, str]:
        """Return what of a request that was de-identified is called what; KeyError."""
        names = (await self._row(REQUESTS, number))["names"]
        return dict(json.loads(names)) if names else {}

    async def find_by_token(self, token: str) -> InferenceRequest | None:
        """Return the request that a token is for, if it is still open."""
        states = sorted({*LIVE, RequestState.ANSWERED})
        where = (REQUESTS.c.token == hash_of(token), REQUESTS.c.state.in_(states))
        async with self.database.connect() as connection:
            found = (await connection.execute(select(REQUESTS).where(*where))).mappings().first()
        return _request(dict(found)) if found else None

    async def find_result(self, number: int) -> InferenceResult:
        """Return a result. KeyError."""
        return _result(await self._row(RESULTS, number))

    async def _row(self, table: Table, number: int) -> Mapping[str, Any]:
        async with self.database.connect() as connection:
            statement = select(table).where(table.c.number == number)
            found = (await connection.execute(statement)).mappings().first()
        if found is None:
            raise KeyError(number)
        return dict(found)

    async def change(
        self, number: int, states: Collection[RequestState] = LIVE, **values: object
    ) -> bool:
        """Change a request that is in one of some states; tell whether it was."""
        if "reason" in values:
            values["reason"] = str(values["reason"])[:_LONGEST]
        if "token" in values:
            values["token"] = hash_of(str(values["token"]))
        return await self._update(REQUESTS, number, states, values)

    async def change_result(
        self, number: int, states: Collection[ResultState], **values: object
    ) -> bool:
        """Change a result likewise."""
        return await self._update(RESULTS, number, states, {**values, "changed": time.time()})

    async def _update(
        self, table: Table, number: int, states: Collection[str], values: Mapping[str, object]
    ) -> bool:
        where = (table.c.number == number, table.c.state.in_([str(each) for each in states]))
        async with self.database.begin() as connection:
            changed = update(table).where(*where).values(**values)
            return (await connection.execute(changed)).rowcount > 0

    async def add_result(self, **values: object) -> InferenceResult:
        """Write down a result, or return the one that is there of the same content."""
        now = time.time()
        row: dict[str, object] = {
            **dict.fromkeys(("algorithm", "changed_by", "assessment", "assessed_by"), ""),
            **dict.fromkeys(("comment", "assessment_uid"), ""),
            "assessed": 0.0,
            "arrived": now,
            "changed": now,
            "is_hidden": 0,
            **{name: _written(value) for name, value in values.items()},
        }
        key = ["service", "request", "digest"]
        statement = (
            self.database.insert(RESULTS).values(row).on_conflict_do_nothing(index_elements=key)
        )
        async with self.database.begin() as connection:
            await connection.execute(statement)
            where = [RESULTS.c[name] == row[name] for name in key]
            found = (await connection.execute(select(RESULTS).where(*where))).mappings().one()
        return _result(dict(found))

    async def find_same(self, service: str, digest: str) -> InferenceResult | None:
        """Return a result with the same content that the service has sent before."""
        where = (RESULTS.c.service == service, RESULTS.c.digest == digest)
        async with self.database.connect() as connection:
            statement = select(RESULTS).where(*where).order_by(RESULTS.c.number)
            found = (await connection.execute(statement)).mappings().first()
        return _result(dict(found)) if found else None

    async def requests(self, wanted: RequestFilter, limit: int) -> AsyncIterator[InferenceRequest]:
        """Iterate over requests, the latest first."""
        async with closing(self._search(REQUESTS, wanted, limit)) as rows:
            async for row in rows:
                yield _request(row)

    async def results(self, wanted: RequestFilter, limit: int) -> AsyncIterator[InferenceResult]:
        """Iterate over results, the latest first."""
        async with closing(self._search(RESULTS, wanted, limit)) as rows:
            async for row in rows:
                yield _result(row)

    async def _search(
        self, table: Table, wanted: RequestFilter, limit: int
    ) -> AsyncIterator[dict[str, Any]]:
        statement = select(table).where(*_conditions(table, wanted))
        statement = statement.order_by(table.c.number.desc())
        last: int | None = None
        while limit > 0:
            page = statement if last is None else statement.where(table.c.number < last)
            async with self.database.connect() as connection:
                found = await connection.execute(page.limit(min(limit, _PAGE)))
                rows = found.mappings().all()
            for row in rows:
                yield dict(row)
            limit -= len(rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1]["number"]

    async def result_uids(self, study_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs of results, and of what was said of them, of a study."""
        columns = (RESULTS.c.instance_uid, RESULTS.c.assessment_uid)
        async with self.database.connect() as connection:
            statement = select(*columns).where(RESULTS.c.study_uid == study_uid)
            rows = (await connection.execute(statement)).all()
        return frozenset(uid for row in rows for uid in row if uid)

    async def hidden_uids(self, marked: Sequence[str], limit: int) -> tuple[str, ...]:
        """Return the SOP Instance UIDs of results that are hidden, as those of others are marked.

        Parameters
        ----------
        marked : sequence of str
            Services whose results are marked.
        limit : int
        """
        statement = select(RESULTS.c.instance_uid).where(
            RESULTS.c.is_hidden == 1, RESULTS.c.service.not_in(marked)
        )
        async with self.database.connect() as connection:
            return tuple((await connection.execute(statement.limit(limit))).scalars())

    async def is_withheld(self, study_uid: str, series_uid: str) -> bool:
        """Tell whether a series has results that are to be hidden or marked."""
        statement = select(RESULTS.c.number).where(
            RESULTS.c.study_uid == study_uid,
            RESULTS.c.series_uid == series_uid,
            RESULTS.c.is_hidden == 1,
        )
        async with self.database.connect() as connection:
            return (await connection.execute(statement.limit(1))).first() is not None

    async def assess_finding(self, result: InferenceResult, finding: ResultFinding) -> None:
        """Write down what is thought of a finding, in place of what was before."""
        own = {
            "assessment": str(finding.assessment),
            "assessed_by": finding.assessed_by,
            "comment": finding.comment,
            "assessed": finding.assessed,
        }
        key = {"result": result.number, "finding": finding.key}
        row = {**key, "service": result.service, "version": result.version, **own}
        new = self.database.insert(FINDINGS).values(row)
        async with self.database.begin() as connection:
            await connection.execute(new.on_conflict_do_update(index_elements=list(key), set_=own))

    async def assessed_findings(self, number: int) -> dict[str, dict[str, Any]]:
        """Return what is thought of the findings of a result, by their keys."""
        names = ("assessment", "assessed_by", "comment", "assessed")
        async with self.database.connect() as connection:
            statement = select(FINDINGS).where(FINDINGS.c.result == number)
            rows = (await connection.execute(statement)).mappings().all()
        return {
            row["finding"]: {
                **{name: row[name] for name in names},
                "assessment": Assessment(row["assessment"]),
            }
            for row in rows
        }

    async def hold_step(self, step_uid: str, transaction_uid: str) -> None:
        """Write down that a work item is to be performed, unless that is so already."""
        row = {"step_uid": step_uid, "transaction_uid": transaction_uid, "requests": "[]"}
        new = self.database.insert(STEPS).values(row)
        async with self.database.begin() as connection:
            await connection.execute(new.on_conflict_do_nothing(index_elements=["step_uid"]))

    async def note_requests(self, step_uid: str, numbers: Sequence[int]) -> None:
        """Write down which requests were made of a work item."""
        values = {"requests": json.dumps(list(numbers))}
        async with self.database.begin() as connection:
            await connection.execute(
                update(STEPS).where(STEPS.c.step_uid == step_uid).values(values)
            )

    async def leave_step(self, step_uid: str) -> None:
        """Forget a work item."""
        async with self.database.begin() as connection:
            await connection.execute(delete(STEPS).where(STEPS.c.step_uid == step_uid))

    async def held_steps(self) -> list[HeldStep]:
        """Return the work items that are performed."""
        async with self.database.connect() as connection:
            rows = (await connection.execute(select(STEPS))).mappings().all()
        return [
            HeldStep(row["step_uid"], row["transaction_uid"], tuple(json.loads(row["requests"])))
            for row in rows
        ]

    async def totals(self) -> list[ServiceTotal]:
        """Count by service and version."""
        found: dict[tuple[str, str], ServiceTotal] = {}
        counted = (
            (REQUESTS, REQUESTS.c.state, "requests"),
            (RESULTS, RESULTS.c.state, "results"),
            (RESULTS, RESULTS.c.assessment, "assessments"),
            (FINDINGS, FINDINGS.c.assessment, "findings"),
        )
        async with self.database.connect() as connection:
            for table, column, name in counted:
                keys = (table.c.service, table.c.version, column)
                statement = select(*keys, func.count()).group_by(*keys).order_by(*keys)
                for service, version, value, count in await connection.execute(statement):
                    total = found.setdefault((service, version), ServiceTotal(service, version))
                    if value:
                        getattr(total, name)[value] = count
            took = func.avg(REQUESTS.c.answered - REQUESTS.c.created)
            of = (REQUESTS.c.service, REQUESTS.c.version)
            statement = select(*of, took).where(REQUESTS.c.answered > 0).group_by(*of)
            means = {(row[0], row[1]): float(row[2]) for row in await connection.execute(statement)}
        return [
            evolve(each, mean_seconds=means.get(key, 0.0)) for key, each in sorted(found.items())
        ]


def fingerprint_of(inputs: Sequence[InferenceInput]) -> str:
    """Return what tells the instances of a request from others, and from others with their UIDs."""
    lines = sorted(f"{each.instance_uid} {each.digest}" for each in inputs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hash_of(token: str) -> str:
    """Return what is kept of a token: whoever reads the database cannot use it."""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def _conditions(table: Table, wanted: RequestFilter) -> list[ColumnElement[bool]]:
    number = table.c.number if table is REQUESTS else table.c.request
    below = [table.c.number < wanted.before] if wanted.before else []
    return (
        below
        + [
            column == value
            for column, value in (
                (table.c.service, wanted.service),
                (table.c.study_uid, wanted.study_uid),
                (number, wanted.request),
            )
            if value
        ]
        + ([table.c.state.in_(list(wanted.states))] if wanted.states else [])
    )


def _request(row: Mapping[str, Any]) -> InferenceRequest:
    given = {name: value for name, value in row.items() if name not in _UNSEEN}
    inputs = tuple(InferenceInput(**each) for each in json.loads(given.pop("inputs")))
    state = RequestState(given.pop("state"))
    return InferenceRequest(**given, inputs=inputs, state=state)


def _result(row: Mapping[str, Any]) -> InferenceResult:
    given = {name: value for name, value in row.items() if name != "is_hidden"}
    for name in ("reasons", "fixes"):
        given[name] = tuple(json.loads(given[name]))
    given["state"] = ResultState(given["state"])
    given["assessment"] = Assessment(given["assessment"])
    return InferenceResult(**given)


def _written(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | tuple) else value
