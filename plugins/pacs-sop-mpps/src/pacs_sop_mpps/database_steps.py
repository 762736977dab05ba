"""Performed steps in tables of the site's database.

Each request is one transaction: the step, the messages for peers, and the jobs that send them and
tell the worklist are there together, or not at all. Requests for one step wait for each other.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Final

import anyio
from attrs import define, evolve, field
from pacs_database.api import Database, DatabaseConnection
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pacs_core.api.attribute_lists import first, from_json, to_json
from pacs_core.api.normalized import RefusedRequestError, refuse_oversize
from pacs_core.contracts import (
    Archive,
    Condition,
    EntityPath,
    NodeSettings,
    Restriction,
    Setup,
    change_record,
    correct_patient,
    matches,
)
from pacs_core.dataset import Attributes, Changes
from pacs_core.dimse import Status
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.machine import change, create
from pacs_sop_mpps.outbox import Channel, Message, Outbox, OutboxFullError
from pacs_sop_mpps.restricting import is_admitted
from pacs_sop_mpps.rules import NOT_SETTABLE
from pacs_sop_mpps.steps import (
    ENDED,
    PATIENT_ID,
    EventType,
    PerformedState,
    PerformedStep,
    event_of,
)
from pacs_sop_mpps.tables import OUTBOX, SCHEDULED, STEPS

_PAGE: Final = 200


@define(eq=False)
class DatabasePerformedSteps(PerformedProcedureSteps):
    """The performed steps of all who share a database.

    Parameters
    ----------
    database : Database
    queue : JobQueue
    config : MppsConfig
    settings : callable
        Returns the node's settings, for the AE titles of peers.
    has_worklist : bool
        Whether there is a worklist that may be told.
    archive : Archive, optional
        Whose corrections new steps follow: a patient may have been merged before.
    """

    database: Database
    queue: JobQueue
    config: MppsConfig
    settings: Callable[[], NodeSettings] = NodeSettings
    has_worklist: bool = False
    archive: Archive | None = None
    outbox: Outbox = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox = Outbox(self.database, self.queue)

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self.database.migrate("mpps", "pacs_sop_mpps.revisions")

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self.config = setup.config(MppsConfig)

    async def create(
        self,
        instance_uid: str,
        attributes: Attributes,
        *,
        created_by: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> PerformedStep:
        """Create a step."""
        config, now = self.config, time.time()
        attributes = await correct_patient(attributes, self.archive)

        def work() -> PerformedStep:
            step = create(instance_uid, attributes, strict=config.strict, created_by=created_by)
            refuse_oversize(step.attributes, step.character_set, config.max_bytes)
            return evolve(step, created=now, changed=now)

        step = await anyio.to_thread.run_sync(work)
        if not is_admitted(step, restrictions):
            raise _not_for_them()
        try:
            async with self.database.begin() as connection:
                await self._refuse_if_known(connection, instance_uid)
                await self._refuse_too_many(connection)
                await self._insert(connection, step)
                message = Message("create", attributes=step.attributes)
                await self._tell(connection, step, message, EventType.IN_PROGRESS, created_by)
        except IntegrityError as error:  # Somebody was faster by a hair.
            raise _duplicate() from error
        return step

    async def _refuse_if_known(self, connection: DatabaseConnection, instance_uid: str) -> None:
        known = select(STEPS.c.number).where(STEPS.c.instance_uid == instance_uid)
        if (await connection.execute(known)).first():
            raise _duplicate()

    async def _refuse_too_many(self, connection: DatabaseConnection) -> None:
        in_progress = (
            select(func.count())
            .select_from(STEPS)
            .where(STEPS.c.state == str(PerformedState.IN_PROGRESS))
        )
        count = (await connection.execute(in_progress)).scalar_one()
        if count >= self.config.max_in_progress:
            raise RefusedRequestError(Status.RESOURCE_LIMITATION, f"{count} steps are in progress")

    async def _insert(self, connection: DatabaseConnection, step: PerformedStep) -> None:
        values = {
            "instance_uid": step.instance_uid,
            "created_by": step.created_by,
            "patient_id": _column(first(step.attributes, PATIENT_ID)),
            "character_set": "\\".join(step.character_set),
            "created": step.created,
            **_changing(step),
        }
        added = insert(STEPS).values(values).returning(STEPS.c.number)
        number = (await connection.execute(added)).scalar_one()
        rows = [
            (study, _column(each.accession_number), _column(each.step_id))
            for each in step.scheduled
            for study in each.studies
        ]
        names = ("study_uid", "accession_number", "step_id")
        await connection.execute(
            insert(SCHEDULED),
            [
                {"number": number, "position": position, **dict(zip(names, row, strict=True))}
                for position, row in enumerate(dict.fromkeys(rows))
            ],
        )

    async def change(
        self,
        instance_uid: str,
        modifications: Attributes,
        *,
        changed_by: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> PerformedStep:
        """Set attributes of a step."""
        config = self.config

        def work(row: Row[Any]) -> PerformedStep:
            before = _step(row)
            if not is_admitted(before, restrictions):
                raise _unknown()
            after = change(before, modifications, strict=config.strict)
            if not is_admitted(after, restrictions):
                raise _not_for_them()
            refuse_oversize(after.attributes, after.character_set, config.max_bytes)
            return evolve(after, changed=time.time())

        async with self.database.begin() as connection:
            known = select(STEPS).where(STEPS.c.instance_uid == instance_uid).with_for_update()
            row = (await connection.execute(known)).one_or_none()
            if row is None:
                raise _unknown()
            after = await anyio.to_thread.run_sync(work, row)
            changed = update(STEPS).where(STEPS.c.number == row.number).values(_changing(after))
            await connection.execute(changed)
            sent = {
                tag: values
                for tag, values in after.attributes.items()
                if tag in modifications and tag not in NOT_SETTABLE
            }
            message = Message("set", attributes=sent)
            await self._tell(connection, after, message, event_of(after.state), changed_by)
        return after

    async def change_patient(
        self, patient: EntityPath, changes: Changes, *, keys: Collection[str] | None = None
    ) -> Mapping[str, Attributes]:
        """Change what steps say of a patient; what has ended as well."""
        former: dict[str, Attributes] = {}
        wanted = select(STEPS).where(STEPS.c.patient_id == _column(patient.patient_id))
        async with self.database.begin() as connection:
            for row in (await connection.execute(wanted.with_for_update())).all():
                key, step = row.instance_uid, _step(row)
                if keys is not None and key not in keys:
                    continue
                if changed := change_record(step.attributes, patient, changes):
                    former[key], attributes = changed
                    values = {
                        "attributes": to_json(attributes),
                        "patient_id": _column(first(attributes, PATIENT_ID)),
                    }
                    known = update(STEPS).where(STEPS.c.number == row.number)
                    await connection.execute(known.values(values))
        return former

    async def _tell(
        self,
        connection: DatabaseConnection,
        step: PerformedStep,
        message: Message,
        event_type: EventType,
        told_by: str,
    ) -> None:
        """Have peers and the worklist told, but for who has told us."""
        uid, config = step.instance_uid, self.config
        peers = self.settings().peers
        others = [n for n in config.forward if n not in peers or peers[n].ae_title != told_by]
        try:
            if message.attributes:
                await self.outbox.add(connection, Channel.FORWARD, others, uid, message)
            event = Message("event", event_type)
            await self.outbox.add(connection, Channel.NOTIFY, config.notify, uid, event)
        except OutboxFullError as error:
            raise RefusedRequestError(Status.RESOURCE_LIMITATION, str(error)) from error
        if self.has_worklist:
            job = NewJob("mpps.worklist", {"instance": uid}, key=f"mpps.worklist/{uid}")
            await self.queue.enqueue(job, connection=connection)

    async def find(
        self, instance_uid: str, *, restrictions: Sequence[Restriction] = ()
    ) -> PerformedStep:
        """Return a step."""
        wanted = select(STEPS).where(STEPS.c.instance_uid == instance_uid)
        async with self.database.connect() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        step = None if row is None else _step(row)
        if step is None or not is_admitted(step, restrictions):
            raise KeyError(f"there is no performed step {instance_uid}")
        return step

    async def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        state: PerformedState | None = None,
        study: str = "",
        changed_since: float | None = None,
        before: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> AsyncIterator[PerformedStep]:
        """Iterate over steps, the latest first."""
        wanted = select(STEPS).order_by(STEPS.c.number.desc()).limit(_PAGE)
        if state is not None:
            wanted = wanted.where(STEPS.c.state == str(state))
        if changed_since is not None:
            # Each state by itself: that is what there is an index for.
            states = PerformedState if state is None else (state,)
            wanted = wanted.where(
                STEPS.c.state.in_([str(each) for each in states]),
                STEPS.c.changed >= changed_since,
            )
        if study:
            numbers = select(SCHEDULED.c.number).where(SCHEDULED.c.study_uid == study)
            wanted = wanted.where(STEPS.c.number.in_(numbers))
        if before:
            await self.find(before, restrictions=restrictions)
            known = select(STEPS.c.number).where(STEPS.c.instance_uid == before)
            wanted = wanted.where(STEPS.c.number < known.scalar_subquery())
        last: int | None = None
        while True:
            page = wanted if last is None else wanted.where(STEPS.c.number < last)
            async with self.database.connect() as connection:
                rows = (await connection.execute(page)).all()
            for row in rows:
                step = _step(row)
                is_match = all(matches(each, step.attributes) for each in conditions)
                if is_match and is_admitted(step, restrictions):
                    yield step
            if len(rows) < _PAGE:
                return
            last = rows[-1].number

    async def forget(self, *, ended_before: float, in_progress_before: float) -> int:
        """Forget steps that have not changed since, in small transactions."""
        ended = STEPS.c.state.in_([str(state) for state in ENDED])
        old = or_(
            and_(ended, STEPS.c.changed < ended_before),
            and_(~ended, STEPS.c.changed < in_progress_before),
        )
        count = 0
        while True:
            async with self.database.begin() as connection:
                page = select(STEPS.c.number, STEPS.c.instance_uid).where(old).limit(_PAGE)
                rows = (await connection.execute(page)).all()
                numbers, uids = [r.number for r in rows], [r.instance_uid for r in rows]
                for table, gone in (
                    (OUTBOX, OUTBOX.c.instance_uid.in_(uids)),
                    (SCHEDULED, SCHEDULED.c.number.in_(numbers)),
                    (STEPS, STEPS.c.number.in_(numbers)),
                ):
                    await connection.execute(delete(table).where(gone))
                event = Message("event", EventType.DELETED)
                for uid in uids:
                    await self.outbox.add(
                        connection, Channel.NOTIFY, self.config.notify, uid, event
                    )
            count += len(rows)
            if len(rows) < _PAGE:
                return count


def _changing(step: PerformedStep) -> dict[str, Any]:
    return {
        "state": str(step.state),
        "attributes": to_json(step.attributes),
        "changed": step.changed,
    }


def _step(row: Row[Any]) -> PerformedStep:
    return PerformedStep(
        row.instance_uid,
        from_json(row.attributes),
        row.created_by,
        tuple(filter(None, row.character_set.split("\\"))),
        row.created,
        row.changed,
    )


def _unknown() -> RefusedRequestError:
    return RefusedRequestError(Status.NO_SUCH_SOP_INSTANCE, "there is no such step")


def _not_for_them() -> RefusedRequestError:
    return RefusedRequestError(Status.NOT_AUTHORIZED, "such steps are not for this requestor")


def _duplicate() -> RefusedRequestError:
    return RefusedRequestError(Status.DUPLICATE_SOP_INSTANCE, "there is a step with this UID")


def _column(text: str) -> str:
    """Return text as every database takes it: without NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
