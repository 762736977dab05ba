"""Subscriptions: who follows which steps (PS3.4 CC.2.3).

Theory of operation
-------------------
That a receiver follows a step is a row. A receiver that has subscribed globally is given one for
each step that there is, and for each that is created, if it has a filter of those that match: so
whoever is told is known by a look into one table, and a receiver that leaves a step is told of it
no more, though it follows all others. Suspending takes away the global subscription, and leaves the
rows. A row may be a deletion lock: a step with one is not forgotten.

To give rows for many steps takes a transaction for each page of them. Who is killed meanwhile gets
no answer, subscribes again, and what is there already is not given, or told, once more.
"""

from collections.abc import Sequence

from attrs import define, frozen
from pacs_database.api import DatabaseConnection
from sqlalchemy import delete, insert, select

from pacs_core.api.attribute_lists import from_json, to_json
from pacs_core.contracts import Condition, matches
from pacs_core.dataset import Attributes
from pacs_sop_ups.events import state_report
from pacs_sop_ups.matching import conditions_of
from pacs_sop_ups.outbox import Outbox
from pacs_sop_ups.steps import ProcedureStep, StepEvent
from pacs_sop_ups.tables import FOLLOWERS, GLOBALS


@frozen
class _Global:
    receiver: str
    conditions: tuple[Condition, ...]
    has_lock: bool

    def covers(self, step: ProcedureStep) -> bool:
        return all(matches(each, step.answered()) for each in self.conditions)


@define(eq=False)
class Subscriptions:
    """Who follows which steps, within transactions of others.

    Parameters
    ----------
    outbox : Outbox
    """

    outbox: Outbox

    async def follow(
        self, connection: DatabaseConnection, receiver: str, step: ProcedureStep, *, has_lock: bool
    ) -> None:
        """Have a receiver told of a step, beginning with how it stands."""
        await self.leave(connection, receiver, step.instance_uid)
        await self._insert(connection, receiver, step, has_lock=has_lock)
        await self.outbox.add(connection, [receiver], [(step.instance_uid, state_report(step))])

    async def leave(self, connection: DatabaseConnection, receiver: str, instance_uid: str) -> bool:
        """Have a receiver told of a step no more; return whether it was."""
        own = (FOLLOWERS.c.receiver == receiver, FOLLOWERS.c.instance_uid == instance_uid)
        return (await connection.execute(delete(FOLLOWERS).where(*own))).rowcount > 0

    async def subscribe_globally(
        self, connection: DatabaseConnection, receiver: str, keys: Attributes, *, has_lock: bool
    ) -> None:
        """Have a receiver follow the steps that are created from now on, or those that match."""
        await self.suspend(connection, receiver)
        values = {"receiver": receiver, "keys": to_json(keys), "has_lock": has_lock}
        await connection.execute(insert(GLOBALS).values(values))

    async def suspend(self, connection: DatabaseConnection, receiver: str) -> bool:
        """Have a receiver follow no new steps; return whether it did."""
        own = delete(GLOBALS).where(GLOBALS.c.receiver == receiver)
        return (await connection.execute(own)).rowcount > 0

    async def unsubscribe_globally(self, connection: DatabaseConnection, receiver: str) -> bool:
        """Have a receiver follow nothing any more; return whether it followed something."""
        was_global = await self.suspend(connection, receiver)
        own = delete(FOLLOWERS).where(FOLLOWERS.c.receiver == receiver)
        return (await connection.execute(own)).rowcount > 0 or was_global

    async def follow_page(
        self,
        connection: DatabaseConnection,
        receiver: str,
        keys: Attributes,
        steps: Sequence[ProcedureStep],
        *,
        has_lock: bool,
    ) -> None:
        """Have a receiver follow those of some steps that match, and tell it of what is new."""
        wanted = _Global(receiver, conditions_of(keys), has_lock)
        uids = [step.instance_uid for step in steps]
        known = select(FOLLOWERS.c.instance_uid).where(
            FOLLOWERS.c.receiver == receiver, FOLLOWERS.c.instance_uid.in_(uids)
        )
        followed = set((await connection.execute(known)).scalars())
        told: list[tuple[str, StepEvent]] = []
        for step in steps:
            if not wanted.covers(step):
                continue
            if step.instance_uid in followed:
                await self.leave(connection, receiver, step.instance_uid)
            else:
                told.append((step.instance_uid, state_report(step)))
            await self._insert(connection, receiver, step, has_lock=has_lock)
        await self.outbox.add(connection, [receiver], told)

    async def introduce(self, connection: DatabaseConnection, step: ProcedureStep) -> None:
        """Have those follow a new step who have subscribed globally."""
        for row in (await connection.execute(select(GLOBALS))).all():
            each = _Global(row.receiver, conditions_of(from_json(row.keys)), row.has_lock)
            if each.covers(step):
                await self._insert(connection, each.receiver, step, has_lock=each.has_lock)

    async def tell(
        self, connection: DatabaseConnection, instance_uid: str, events: Sequence[StepEvent]
    ) -> int:
        """Tell those who follow a step what happened to it; return how many they are."""
        followers = select(FOLLOWERS.c.receiver).where(FOLLOWERS.c.instance_uid == instance_uid)
        receivers = (await connection.execute(followers)).scalars().all()
        told = [(instance_uid, event) for event in events]
        await self.outbox.add(connection, sorted(receivers), told)
        return len(receivers)

    async def receivers(self, connection: DatabaseConnection) -> list[str]:
        """Return who follows anything."""
        either = select(GLOBALS.c.receiver).union(select(FOLLOWERS.c.receiver))
        return sorted((await connection.execute(either)).scalars())

    async def forget(self, connection: DatabaseConnection, instance_uids: Sequence[str]) -> None:
        """Forget who followed steps that are no more."""
        gone = delete(FOLLOWERS).where(FOLLOWERS.c.instance_uid.in_(instance_uids))
        await connection.execute(gone)

    async def _insert(
        self, connection: DatabaseConnection, receiver: str, step: ProcedureStep, *, has_lock: bool
    ) -> None:
        values = {"receiver": receiver, "instance_uid": step.instance_uid, "has_lock": has_lock}
        await connection.execute(insert(FOLLOWERS).values(values))
