"""The bin in tables of the site's database: account of what was deleted; objects stay in the store.

An entry goes through states, so that of two processes one restores it and the other does not remove
it meanwhile: who wants to do either claims it in a transaction. What is being restored may be
claimed by others after an hour, for its process has died; what is being removed never comes back.
"""

import json
import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from pacs_database.api import Database
from sqlalchemy import Row, and_, delete, func, or_, select, update
from sqlalchemy.exc import OperationalError

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    DeletedInstance,
    InstanceIdentity,
    Level,
    Node,
    Origin,
    Principal,
    Query,
    SingleValue,
    StorageFullError,
    StoredInstance,
)
from pacs_core.dataset import tag_of, texts
from pacs_lifecycle.config import BinConfig
from pacs_lifecycle.database_tables import DatabaseTables
from pacs_lifecycle.interface import BinState, StudyInBin, Usage, WaitingBin
from pacs_lifecycle.origins import RULES_INTERFACE
from pacs_lifecycle.tables import ASIDE, BIN

_STALE: Final = 3600.0
_STUDY: Final = tag_of("StudyInstanceUID")
_PATIENT: Final = (tag_of("PatientID"), tag_of("PatientName"))
_DOORS: Final = {RULES_INTERFACE: "rules", "HTTP": "web", "delete": "commands"}


class DatabaseBin(DatabaseTables, WaitingBin):
    """The bin of all nodes that share a database.

    Parameters
    ----------
    node : Node
    config : BinConfig
    """

    def __init__(self, node: Node, config: BinConfig) -> None:
        super().__init__(node.find(Database))
        self.node = node
        self.config = config
        self._patient = ("", "")

    def takes(self, origin: Origin) -> bool:
        """See base."""
        return bool(self.config.keep) and who_deletes(origin) in self.config.deletions

    async def put(self, deleted: DeletedInstance) -> None:
        """See base."""
        instance, origin = deleted.instance, deleted.origin or Origin("")
        row = {
            **_columns_of(instance),
            "patient": await self._find_patient(instance.identity.study_instance_uid),
            "deleted": deleted.time,
            "deleted_by": origin.user or origin.calling_ae_title or origin.interface,
            "state": BinState.WAITING,
            "since": deleted.time,
        }
        added = self.database.insert(BIN).values(row)
        try:
            async with self.database.begin() as connection:
                await connection.execute(
                    added.on_conflict_do_update(index_elements=[BIN.c.key], set_=row)
                )
                for key in deleted.aside:
                    owned = self.database.insert(ASIDE).values(key=key, owner=instance.key)
                    await connection.execute(owned.on_conflict_do_nothing())
        except OperationalError as error:
            # The archive has a reserve for deletions on a full disk.
            if "full" in str(error.orig):
                raise StorageFullError(str(error.orig)) from error
            raise

    async def take_out(self, keys: Sequence[str]) -> None:
        """See base."""
        async with self.database.begin() as connection:
            await connection.execute(delete(ASIDE).where(ASIDE.c.owner.in_(keys)))
            await connection.execute(delete(BIN).where(BIN.c.key.in_(keys)))

    async def waiting(self, keys: Sequence[str]) -> Collection[str]:
        """See base."""
        found: set[str] = set()
        async with self.database.connect() as connection:
            for column in (BIN.c.key, ASIDE.c.key):
                found.update(
                    (await connection.execute(select(column).where(column.in_(keys)))).scalars()
                )
        return found

    async def studies(self) -> AsyncIterator[StudyInBin]:
        """See base."""
        query = (
            select(
                BIN.c.study,
                func.max(BIN.c.patient).label("patient"),
                func.count().label("instances"),
                func.sum(BIN.c.size).label("size"),
                func.max(BIN.c.deleted).label("deleted"),
                func.max(BIN.c.deleted_by).label("deleted_by"),
            )
            .group_by(BIN.c.study)
            .order_by(func.max(BIN.c.deleted), BIN.c.study)
        )
        async with self.database.connect() as connection:
            rows = (await connection.execute(query)).all()
        for row in rows:
            yield StudyInBin(
                row.study, row.patient, row.instances, int(row.size), row.deleted, row.deleted_by
            )

    async def total(self) -> Usage:
        """See base."""
        query = select(
            func.count(BIN.c.study.distinct()).label("studies"),
            func.count().label("instances"),
            func.coalesce(func.sum(BIN.c.size), 0).label("size"),
        )
        async with self.database.connect() as connection:
            row = (await connection.execute(query)).one()
        return Usage(row.studies, row.instances, int(row.size))

    async def claim(
        self, state: BinState, *, study: str = "", before: float = 0.0, limit: int = 100
    ) -> Sequence[DeletedInstance]:
        """See base."""
        now = time.time()
        died = and_(BIN.c.state == BinState.RESTORING, BIN.c.since < now - _STALE)
        query = select(BIN).where(or_(BIN.c.state.in_([BinState.WAITING, state]), died))
        if study:
            query = query.where(BIN.c.study == study)
        if before:
            query = query.where(BIN.c.deleted < before)
        async with self.database.begin() as connection:
            oldest = query.order_by(BIN.c.deleted, BIN.c.study, BIN.c.key).limit(limit)
            rows = (await connection.execute(oldest.with_for_update())).all()
            keys = [row.key for row in rows]
            claimed = update(BIN).where(BIN.c.key.in_(keys)).values(state=state, since=now)
            await connection.execute(claimed)
            aside: dict[str, list[str]] = {}
            owned = select(ASIDE).where(ASIDE.c.owner.in_(keys))
            for each in await connection.execute(owned):
                aside.setdefault(each.owner, []).append(each.key)
        return [_deleted_of(row, aside.get(row.key, ())) for row in rows]

    async def unclaim(self, keys: Collection[str]) -> None:
        """See base."""
        async with self.database.begin() as connection:
            which = BIN.c.key.in_(list(keys))
            await connection.execute(update(BIN).where(which).values(state=BinState.WAITING))

    async def _find_patient(self, study: str) -> str:
        """Return Patient ID and name of a study; the index still knows them."""
        if self._patient[0] != study:
            query = Query(Level.STUDY, (SingleValue(_STUDY, study),), frozenset(_PATIENT), limit=1)
            said = ""
            async with closing(self.node.archive.search(query)) as found:
                async for each in found:
                    said = " ".join("\\".join(texts(each, tag)) for tag in _PATIENT).strip()
            self._patient = (study, said)
        return self._patient[1]


def who_deletes(origin: Origin) -> str:
    """Return which of the deletions one is that `origin` makes."""
    return _DOORS.get(origin.interface, "plugins")


def _columns_of(instance: StoredInstance) -> dict[str, Any]:
    identity, came = instance.identity, instance.origin
    return {
        "key": instance.key,
        "study": identity.study_instance_uid,
        "series": identity.series_instance_uid,
        "instance": identity.sop_instance_uid,
        "sop_class": identity.sop_class_uid,
        "transfer_syntax": instance.transfer_syntax_uid,
        "size": instance.size,
        "dataset_offset": instance.dataset_offset,
        "digest": instance.digest.hex(),
        "corrections": json.dumps(instance.corrections),
        "came": json.dumps(
            came and [came.interface, came.calling_ae_title, came.called_ae_title, came.user]
        ),
    }


def _deleted_of(row: Row[Any], aside: Sequence[str]) -> DeletedInstance:
    came = json.loads(row.came)
    origin = None
    if came is not None:
        door, calling, called, user = came
        origin = Origin(door, calling, called, principal=Principal(user) if user else None)
    instance = StoredInstance(
        InstanceIdentity(row.study, row.series, row.instance, row.sop_class),
        row.transfer_syntax,
        row.key,
        row.size,
        row.dataset_offset,
        bytes.fromhex(row.digest),
        tuple(json.loads(row.corrections)),
        origin,
    )
    return DeletedInstance(instance, tuple(aside), row.deleted, Origin(row.deleted_by))
