"""Procedure steps in a table of the site's database.

Each change is one transaction, which begins with a lock on the step: who claims one at the same
time finds it claimed.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, Final

import anyio
from attrs import define, evolve
from pacs_database.api import Database
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from pacs_core.api.attribute_lists import MOST_ITEMS, count_items, from_json, to_json
from pacs_core.contracts import Condition, NodeSettings, Restriction, Setup, matches
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    UnencodableValue,
    best_character_set,
    encode_attributes,
)
from pacs_core.dimse import Status, is_valid_uid
from pacs_sop_ups import machine
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.restricting import is_admitted
from pacs_sop_ups.sop_classes import WELL_KNOWN
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import ChangedStep, EventType, ProcedureStep, RefusedStepError
from pacs_sop_ups.tables import STEPS
from pacs_sop_ups.transitions import ENDED, StepState

_PAGE: Final = 200
_ENDED: Final = [str(state) for state in ENDED]


@define(eq=False)
class DatabaseProcedureSteps(UnifiedProcedureSteps):
    """The procedure steps of all who share a database.

    Parameters
    ----------
    database : Database
    config : UpsConfig
    settings : callable
        Returns the node's settings, for its AE title.
    """

    database: Database
    config: UpsConfig
    settings: Callable[[], NodeSettings] = NodeSettings

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
            raise RefusedStepError(Status.INVALID_SOP_INSTANCE, "no step can have this UID")

        def work() -> ChangedStep:
            made = machine.create(
                instance_uid,
                attributes,
                worklist_label=config.worklist_label or self.settings().ae_title,
                strict=config.strict,
                created_by=requestor,
            )
            _refuse_oversize(made.step, config.max_bytes)
            return evolve(made, step=evolve(made.step, created=now, changed=now))

        made = await anyio.to_thread.run_sync(work)
        if not is_admitted(made.step, restrictions):
            raise RefusedStepError(Status.NOT_AUTHORIZED, "such steps are not for this requestor")
        try:
            async with self.database.begin() as connection:
                if await self._row(connection, instance_uid):
                    raise _duplicate()
                await self._refuse_too_many(connection)
                identity = {
                    "instance_uid": instance_uid,
                    "created_by": requestor,
                    "character_set": "\\".join(made.step.character_set),
                    "created": now,
                }
                await connection.execute(insert(STEPS).values({**identity, **_changing(made.step)}))
        except IntegrityError as error:  # Somebody was faster by a hair.
            raise _duplicate() from error
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

    async def change_state(
        self,
        instance_uid: str,
        state: str,
        transaction_uid: str,
        *,
        requestor: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Claim, complete or cancel a step."""

        def decide(step: ProcedureStep) -> ChangedStep:
            return machine.change_state(
                step,
                state,
                transaction_uid,
                claimant=requestor,
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
            before = _step(row)
            if not is_admitted(before, restrictions):
                raise _unknown()
            made = decide(before)
            if made.step is not before:
                _refuse_oversize(made.step, self.config.max_bytes)
                made = evolve(made, step=evolve(made.step, changed=time.time()))
            return made

        async with self.database.begin() as connection:
            row = await self._row(connection, instance_uid)
            if row is None:
                raise _unknown()
            made = await anyio.to_thread.run_sync(work, row)
            if any(event.kind is EventType.CANCEL_REQUESTED for event in made.events):
                raise RefusedStepError(
                    UpsStatus.PERFORMER_UNREACHABLE, "nobody has subscribed to the step"
                )
            changed = update(STEPS).where(STEPS.c.number == row.number)
            await connection.execute(changed.values(_changing(made.step)))
        return made

    async def _row(self, connection: AsyncConnection, instance_uid: str) -> Row[Any] | None:
        """Return a step for whoever is going to write it: the next waits for the transaction."""
        known = select(STEPS).where(STEPS.c.instance_uid == instance_uid).with_for_update()
        return (await connection.execute(known)).one_or_none()

    async def _refuse_too_many(self, connection: AsyncConnection) -> None:
        is_open = STEPS.c.state.not_in(_ENDED)
        counted = select(func.count()).select_from(STEPS).where(is_open)
        count = (await connection.execute(counted)).scalar_one()
        if count >= self.config.max_open:
            raise RefusedStepError(Status.RESOURCE_LIMITATION, f"{count} steps have not ended")

    async def find(
        self, instance_uid: str, *, restrictions: Sequence[Restriction] = ()
    ) -> ProcedureStep:
        """Return a step."""
        wanted = select(STEPS).where(STEPS.c.instance_uid == instance_uid)
        async with self.database.connect() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        step = None if row is None else _step(row)
        if step is None or not is_admitted(step, restrictions):
            raise KeyError(f"there is no procedure step {instance_uid}")
        return step

    async def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        states: Collection[StepState] = (),
        restrictions: Sequence[Restriction] = (),
    ) -> AsyncIterator[ProcedureStep]:
        """Iterate over steps, the latest first."""
        wanted = select(STEPS).order_by(STEPS.c.number.desc()).limit(_PAGE)
        if states:
            wanted = wanted.where(STEPS.c.state.in_([str(state) for state in states]))
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

    async def forget(self, *, ended_before: float) -> int:
        """Forget steps that ended before, in small transactions."""
        old = (STEPS.c.state.in_(_ENDED), STEPS.c.changed < ended_before)
        count = 0
        while True:
            async with self.database.begin() as connection:
                page = select(STEPS.c.number).where(*old).limit(_PAGE)
                numbers = (await connection.execute(page)).scalars().all()
                await connection.execute(delete(STEPS).where(STEPS.c.number.in_(numbers)))
            count += len(numbers)
            if len(numbers) < _PAGE:
                return count


def _changing(step: ProcedureStep) -> dict[str, Any]:
    return {
        "state": str(step.state),
        "transaction_uid": step.transaction_uid,
        "claimed_by": step.claimed_by,
        "attributes": to_json(step.attributes),
        "changed": step.changed,
    }


def _step(row: Row[Any]) -> ProcedureStep:
    return ProcedureStep(
        row.instance_uid,
        from_json(row.attributes),
        row.transaction_uid,
        row.created_by,
        row.claimed_by,
        tuple(filter(None, row.character_set.split("\\"))),
        row.created,
        row.changed,
    )


def _refuse_oversize(step: ProcedureStep, max_bytes: int) -> None:
    """Refuse what could not be handed out again, or is too much."""
    if count_items(step.attributes) > MOST_ITEMS:
        raise RefusedStepError(Status.RESOURCE_LIMITATION, f"more than {MOST_ITEMS} items")
    character_set = best_character_set(step.attributes, step.character_set)
    try:
        encoded = encode_attributes(step.attributes, EXPLICIT_VR_LITTLE_ENDIAN, character_set)
    except UnencodableValue as error:
        raise RefusedStepError(Status.INVALID_ATTRIBUTE_VALUE, str(error)) from error
    if len(encoded) > max_bytes:
        raise RefusedStepError(Status.RESOURCE_LIMITATION, f"more than {max_bytes} bytes")


def _unknown() -> RefusedStepError:
    return RefusedStepError(UpsStatus.NO_SUCH_STEP, "there is no such step")


def _duplicate() -> RefusedStepError:
    return RefusedStepError(Status.DUPLICATE_SOP_INSTANCE, "there is a step with this UID")
