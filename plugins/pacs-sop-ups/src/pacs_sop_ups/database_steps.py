"""Procedure steps in a table of the site's database.

Each change is one transaction, which begins with a lock on the step: who claims one at the same
time finds it claimed.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Final

import anyio
from attrs import define, evolve, field
from pacs_database.api import Database, DatabaseConnection
from pacs_jobs.api import JobQueue
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pacs_core.api.normalized import RefusedRequestError, refuse_oversize
from pacs_core.contracts import (
    Archive,
    Condition,
    EntityPath,
    NodeSettings,
    Restriction,
    Setup,
    correct_patient,
    matches,
)
from pacs_core.dataset import Attributes, Changes
from pacs_core.dimse import Status, is_valid_uid
from pacs_sop_ups import machine
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.events import restarted
from pacs_sop_ups.following import Following
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.outbox import Outbox
from pacs_sop_ups.restricting import is_admitted
from pacs_sop_ups.rows import (
    change_patient,
    duplicate,
    row_of,
    row_to_change,
    step_of,
    unknown,
)
from pacs_sop_ups.searching import pages
from pacs_sop_ups.sop_classes import UPS_FILTERED, UPS_GLOBAL, WELL_KNOWN
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import (
    ChangedStep,
    EventType,
    ProcedureStep,
    check_receiver,
)
from pacs_sop_ups.subscriptions import Subscriptions
from pacs_sop_ups.tables import FOLLOWERS, STEPS
from pacs_sop_ups.transitions import ENDED, StepState

_PAGE: Final = 200
_ENDED: Final = [str(state) for state in ENDED]


@define(eq=False)
class DatabaseProcedureSteps(UnifiedProcedureSteps):
    """The procedure steps of all who share a database.

    Parameters
    ----------
    database : Database
    queue : JobQueue
    config : UpsConfig
    settings : callable
        Returns the node's settings, for AE titles.
    archive : Archive, optional
        Whose corrections new steps follow: a patient may have been merged before.
    """

    database: Database
    queue: JobQueue
    config: UpsConfig
    settings: Callable[[], NodeSettings] = NodeSettings
    archive: Archive | None = None
    outbox: Outbox = field(init=False)
    subscriptions: Subscriptions = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox = Outbox(self.database, self.queue, self.settings)
        self.subscriptions = Subscriptions(self.outbox)

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self.database.migrate("ups", "pacs_sop_ups.revisions")

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self.config = setup.config(UpsConfig)

    async def create(
        self,
        instance_uid: str,
        attributes: Attributes,
        *,
        requestor: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Create a step."""
        config, now = self.config, time.time()
        if not is_valid_uid(instance_uid) or instance_uid in WELL_KNOWN:
            raise RefusedRequestError(Status.INVALID_SOP_INSTANCE, "no step can have this UID")
        attributes = await correct_patient(attributes, self.archive)

        def work() -> ChangedStep:
            made = machine.create(
                instance_uid,
                attributes,
                worklist_label=config.worklist_label or self.settings().ae_title,
                strict=config.strict,
                created_by=requestor,
            )
            refuse_oversize(made.step.attributes, made.step.character_set, config.max_bytes)
            return evolve(made, step=evolve(made.step, created=now, changed=now))

        made = await anyio.to_thread.run_sync(work)
        if not is_admitted(made.step, restrictions):
            raise _not_for_them()
        try:
            async with self.database.begin() as connection:
                if await row_to_change(connection, instance_uid):
                    raise duplicate()
                await self._refuse_too_many(connection)
                identity = {
                    "instance_uid": instance_uid,
                    "created_by": requestor,
                    "character_set": "\\".join(made.step.character_set),
                    "created": now,
                }
                await connection.execute(insert(STEPS).values({**identity, **row_of(made.step)}))
                await self.subscriptions.introduce(connection, made.step)
                await self.subscriptions.tell(connection, instance_uid, made.events)
        except IntegrityError as error:  # Somebody was faster by a hair.
            raise duplicate() from error
        return made

    async def change(
        self,
        instance_uid: str,
        modifications: Attributes,
        *,
        requestor: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Set attributes of a step."""

        def decide(step: ProcedureStep) -> ChangedStep:
            return machine.change(
                step,
                modifications,
                strict=self.config.strict,
                is_performer=self._is_believed(step, requestor),
            )

        return await self._change(instance_uid, restrictions, decide)

    async def change_patient(
        self, patient: EntityPath, changes: Changes, *, keys: Collection[str] | None = None
    ) -> Mapping[str, Attributes]:
        """Change what steps say of a patient; what has ended as well."""
        async with self.database.begin() as connection:
            return await change_patient(connection, patient, changes, keys)

    async def change_state(
        self,
        instance_uid: str,
        state: str,
        transaction_uid: str,
        *,
        requestor: str = "",
        is_watched: bool = False,
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Claim, complete or cancel a step."""

        def decide(step: ProcedureStep) -> ChangedStep:
            return machine.change_state(
                step,
                state,
                transaction_uid,
                claimant=requestor,
                is_watched=is_watched,
                strict=self.config.strict,
                is_performer=self._is_believed(step, requestor),
            )

        return await self._change(instance_uid, restrictions, decide)

    async def request_cancel(
        self,
        instance_uid: str,
        information: Attributes,
        *,
        requestor: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Cancel a step, or ask its performer to."""

        def decide(step: ProcedureStep) -> ChangedStep:
            return machine.request_cancel(step, information, requestor=requestor)

        return await self._change(instance_uid, restrictions, decide)

    def _is_believed(self, step: ProcedureStep, requestor: str) -> bool:
        return self.config.believe_performer and requestor != "" and requestor == step.claimed_by

    async def _change(
        self,
        instance_uid: str,
        restrictions: Sequence[Restriction],
        decide: Callable[[ProcedureStep], ChangedStep],
    ) -> ChangedStep:
        """Change a step as is decided while nobody else can, or refuse."""

        def work(row: Row[Any]) -> ChangedStep:
            before = step_of(row)
            if not is_admitted(before, restrictions):
                raise unknown()
            made = decide(before)
            if not is_admitted(made.step, restrictions):
                raise _not_for_them()
            if made.step is not before:
                refuse_oversize(
                    made.step.attributes, made.step.character_set, self.config.max_bytes
                )
                made = evolve(made, step=evolve(made.step, changed=time.time()))
            return made

        async with self.database.begin() as connection:
            row = await row_to_change(connection, instance_uid)
            if row is None:
                raise unknown()
            made = await anyio.to_thread.run_sync(work, row)
            told = await self.subscriptions.tell(connection, instance_uid, made.events)
            is_request = any(e.kind is EventType.CANCEL_REQUESTED for e in made.events)
            if is_request and not told and not made.step.is_watched:
                raise RefusedRequestError(
                    UpsStatus.PERFORMER_UNREACHABLE, "nobody has subscribed to the step"
                )
            changed = update(STEPS).where(STEPS.c.number == row.number)
            await connection.execute(changed.values(row_of(made.step)))
        return made

    async def _refuse_too_many(self, connection: DatabaseConnection) -> None:
        is_open = STEPS.c.state.not_in(_ENDED)
        counted = select(func.count()).select_from(STEPS).where(is_open)
        count = (await connection.execute(counted)).scalar_one()
        if count >= self.config.max_open:
            raise RefusedRequestError(Status.RESOURCE_LIMITATION, f"{count} steps have not ended")

    async def subscribe(
        self,
        instance_uid: str,
        receiver: str,
        *,
        keys: Attributes | None = None,
        has_lock: bool = False,
        restrictions: Sequence[Restriction] = (),
    ) -> int:
        """Have somebody told of what happens to a step, or to many."""
        check_receiver(receiver)
        is_locked = has_lock and self.config.deletion_locks
        following = Following(self.database, self.subscriptions, receiver, is_locked, restrictions)
        if instance_uid not in WELL_KNOWN:
            await following.follow(instance_uid)
        elif instance_uid == UPS_FILTERED:
            await following.follow_all(keys or {})
        else:
            await following.follow_all({})
        is_refused = has_lock and not is_locked
        return UpsStatus.DELETION_LOCK_NOT_GRANTED if is_refused else Status.SUCCESS

    async def unsubscribe(
        self, instance_uid: str, receiver: str, *, restrictions: Sequence[Restriction] = ()
    ) -> bool:
        """Have somebody told no more."""
        async with self.database.begin() as connection:
            if instance_uid in WELL_KNOWN:
                return await self.subscriptions.unsubscribe_globally(connection, receiver)
            row = await row_to_change(connection, instance_uid)
            if row is None or not is_admitted(step_of(row), restrictions):
                raise unknown()
            return await self.subscriptions.leave(connection, receiver, instance_uid)

    async def suspend(self, instance_uid: str, receiver: str) -> bool:
        """Have somebody not follow new steps."""
        if instance_uid not in WELL_KNOWN:
            raise RefusedRequestError(
                UpsStatus.INAPPROPRIATE_ACTION, "what is suspended is a global subscription"
            )
        async with self.database.begin() as connection:
            return await self.subscriptions.suspend(connection, receiver)

    async def announce(self) -> None:
        """Tell whoever follows anything that this node is there again (CC.2.4.3)."""
        async with self.database.begin() as connection:
            receivers = await self.subscriptions.receivers(connection)
            await self.outbox.add(connection, receivers, [(UPS_GLOBAL, restarted())])

    async def find(
        self, instance_uid: str, *, restrictions: Sequence[Restriction] = ()
    ) -> ProcedureStep:
        """Return a step."""
        wanted = select(STEPS).where(STEPS.c.instance_uid == instance_uid)
        async with self.database.connect() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        step = None if row is None else step_of(row)
        if step is None or not is_admitted(step, restrictions):
            raise KeyError(f"there is no procedure step {instance_uid}")
        return step

    async def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        states: Collection[StepState] = (),
        changed_since: float | None = None,
        restrictions: Sequence[Restriction] = (),
    ) -> AsyncIterator[ProcedureStep]:
        """Iterate over steps, the latest first."""
        async for page in pages(self.database, conditions, states, changed_since):
            for step in page:
                answered = step.answered()
                is_match = all(matches(each, answered) for each in conditions)
                if is_match and is_admitted(step, restrictions):
                    yield step

    async def forget(self, *, ended_before: float) -> int:
        """Forget steps that ended before, in small transactions."""
        locks = select(FOLLOWERS.c.instance_uid).where(FOLLOWERS.c.has_lock)
        old = (
            STEPS.c.state.in_(_ENDED),
            STEPS.c.changed < ended_before,
            STEPS.c.instance_uid.not_in(locks),
        )
        count = 0
        while True:
            async with self.database.begin() as connection:
                page = select(STEPS.c.instance_uid).where(*old).limit(_PAGE)
                uids = (await connection.execute(page)).scalars().all()
                await self.subscriptions.forget(connection, uids)
                await connection.execute(delete(STEPS).where(STEPS.c.instance_uid.in_(uids)))
            count += len(uids)
            if len(uids) < _PAGE:
                return count


def _not_for_them() -> RefusedRequestError:
    return RefusedRequestError(Status.NOT_AUTHORIZED, "such steps are not for this requestor")
