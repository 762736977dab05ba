"""Transactions of Storage Commitment in a table of the site's database.

What has been promised to a requestor, or asked of a peer, outlives the process: each step is
committed before anybody is told of it.
"""

import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from pacs_database.api import Database, DatabaseConnection
from sqlalchemy import (
    JSON,
    Row,
    and_,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from pacs_sop_storage_commitment.interface import (
    Direction,
    Promise,
    Transaction,
    Transactions,
    TransactionState,
)
from pacs_sop_storage_commitment.references import (
    CommitmentRequest,
    FailureReason,
    Failures,
    Reference,
)
from pacs_sop_storage_commitment.tables import HOLDS, TRANSACTIONS

_DAY: Final = 24 * 3600.0


class DatabaseTransactions(Transactions):
    """All transactions of those who share a database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def start(self) -> None:
        """Make the table what this version expects."""
        await self.database.migrate("commitment", "pacs_sop_storage_commitment.revisions")

    async def add(
        self,
        connection: DatabaseConnection,
        direction: Direction,
        peer: str,
        request: CommitmentRequest,
    ) -> Transaction:
        """See base."""
        await self._queue_up(connection, direction, peer, request.transaction_uid)
        digest = _digest(request)
        of_peer = [
            TRANSACTIONS.c.direction == str(direction),
            TRANSACTIONS.c.peer == peer,
            TRANSACTIONS.c.uid == request.transaction_uid,
        ]
        known = select(TRANSACTIONS).where(and_(*of_peer)).order_by(TRANSACTIONS.c.number)
        rows = (await connection.execute(known)).all()
        # Who was there first has the transaction UID, whatever others say under it later.
        in_use = bool(rows) and rows[0].digest != digest
        reason = FailureReason.DUPLICATE_TRANSACTION
        failures = dict.fromkeys(request.references, reason) if in_use else {}
        state = TransactionState.CHECKED if in_use else TransactionState.ASKED
        now = time.time()
        for row in rows:
            if row.digest == digest:
                # Who asks again has not got the answer, or wants to know how it is now.
                again = update(TRANSACTIONS).where(TRANSACTIONS.c.number == row.number)
                anew = {"state": str(state), "failed": _failures_json(failures), "changed": now}
                renewed = again.values(**anew).returning(TRANSACTIONS)
                transaction = _transaction((await connection.execute(renewed)).one())
                await self._promise(connection, transaction)
                return transaction
        instances = [(each.sop_class_uid, each.sop_instance_uid) for each in request.references]
        values = {
            "direction": str(direction),
            "peer": peer,
            "uid": request.transaction_uid,
            "digest": digest,
            "state": str(state),
            "instances": json.dumps(instances),
            "failed": _failures_json(failures),
            "note": "",
            "created": now,
            "changed": now,
        }
        added = insert(TRANSACTIONS).values(**values).returning(TRANSACTIONS)
        transaction = _transaction((await connection.execute(added)).one())
        await self._promise(connection, transaction)
        return transaction

    async def _queue_up(
        self, connection: DatabaseConnection, direction: Direction, peer: str, uid: str
    ) -> None:
        """Wait for others that note a request with the same Transaction UID at this moment.

        Else neither would see the other. SQLite lets in one writer at a time anyway.
        """
        if self.database.dialect == "postgresql":
            name = sha256(f"{direction} {peer}\0{uid}".encode()).digest()[:8]
            lock = func.pg_advisory_xact_lock(int.from_bytes(name, signed=True))
            await connection.execute(select(lock))

    async def _promise(
        self, connection: DatabaseConnection, transaction: Transaction, since: float = 0.0
    ) -> None:
        """Note what a peer is promised; what it was promised before remains so."""
        if transaction.direction is Direction.SENT:
            return
        references = transaction.request.references
        kept = {each.sop_instance_uid for each in references if each not in transaction.failures}
        # One parameter, however many there are.
        listed = literal(json.dumps(sorted(kept)))
        if self.database.dialect == "sqlite":
            uids = func.json_each(listed).table_valued("value")
        else:
            uids = func.json_array_elements_text(cast(listed, JSON)).table_valued("value")
        uid = uids.c.value
        rows = select(
            uid, literal(transaction.number), literal(transaction.peer), literal(since)
        ).where(uid != "")
        promise = self.database.insert(HOLDS).from_select(list(HOLDS.c), rows)
        latest = promise.on_conflict_do_update(
            index_elements=[HOLDS.c.instance_uid, HOLDS.c.number],
            set_={"since": promise.excluded.since},
            where=promise.excluded.since > HOLDS.c.since,
        )
        await connection.execute(latest)

    async def find(self, number: int) -> Transaction:
        """See base."""
        async with self.database.connect() as connection:
            wanted = select(TRANSACTIONS).where(TRANSACTIONS.c.number == number)
            row = (await connection.execute(wanted)).one_or_none()
        if row is None:
            raise KeyError(f"there is no transaction {number}")
        return _transaction(row)

    async def with_uid(self, uid: str, *, peer: str = "", sent: bool = False) -> list[Transaction]:
        """See base."""
        conditions = [TRANSACTIONS.c.uid == uid]
        if peer:
            conditions.append(TRANSACTIONS.c.peer == peer)
        if sent:
            conditions.append(TRANSACTIONS.c.direction == str(Direction.SENT))
        wanted = select(TRANSACTIONS).where(and_(*conditions)).order_by(TRANSACTIONS.c.number)
        async with self.database.connect() as connection:
            return [_transaction(row) for row in await connection.execute(wanted)]

    async def latest(self, limit: int) -> AsyncIterator[Transaction]:
        """See base."""
        wanted = select(TRANSACTIONS).order_by(TRANSACTIONS.c.number.desc()).limit(limit)
        async with self.database.connect() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(wanted)).all()
        for row in rows:
            yield _transaction(row)

    async def set_result(
        self, number: int, failures: Failures, state: TransactionState = TransactionState.CHECKED
    ) -> None:
        """See base."""
        now = time.time()
        result = {"state": str(state), "failed": _failures_json(failures), "changed": now}
        row = update(TRANSACTIONS).where(TRANSACTIONS.c.number == number)
        undecided = and_(HOLDS.c.number == number, HOLDS.c.since == 0)
        async with self.database.begin() as connection:
            changed = row.values(**result).returning(TRANSACTIONS)
            if (transaction := (await connection.execute(changed)).one_or_none()) is not None:
                await connection.execute(delete(HOLDS).where(undecided))
                await self._promise(connection, _transaction(transaction), now)

    async def set_state(self, number: int, state: TransactionState, note: str = "") -> None:
        """See base."""
        row = update(TRANSACTIONS).where(TRANSACTIONS.c.number == number)
        values = {"state": str(state), "note": note, "changed": time.time()}
        async with self.database.begin() as connection:
            await connection.execute(row.values(**values))

    async def promises(self, uids: Sequence[str]) -> dict[str, Promise]:
        """See base."""
        found: dict[str, Promise] = {}
        async with self.database.connect() as connection:
            named = HOLDS.c.instance_uid.in_(uids)
            wanted = select(HOLDS).where(named).order_by(HOLDS.c.since)
            for row in await connection.execute(wanted):
                found[row.instance_uid] = Promise(row.peer, row.since)
        return found

    async def break_promises(self, uids: Sequence[str]) -> int:
        """See base."""
        broken = and_(HOLDS.c.instance_uid.in_(uids), HOLDS.c.since > 0)
        gone: defaultdict[int, set[str]] = defaultdict(set)
        async with self.database.begin() as connection:
            ended = delete(HOLDS).where(broken).returning(HOLDS.c.number, HOLDS.c.instance_uid)
            for number, uid in await connection.execute(ended):
                gone[number].add(uid)
            # In one order, lest two who do this at once wait for each other.
            for number in sorted(gone):
                await self._note_gone(connection, number, gone[number])
        return len(set[str]().union(*gone.values()))

    async def _note_gone(self, connection: DatabaseConnection, number: int, gone: set[str]) -> None:
        wanted = select(TRANSACTIONS).where(TRANSACTIONS.c.number == number).with_for_update()
        row = (await connection.execute(wanted)).one_or_none()
        if row is None:
            return
        transaction = _transaction(row)
        references = transaction.request.references
        missing = [each for each in references if each.sop_instance_uid in gone]
        failures = dict.fromkeys(missing, FailureReason.NO_SUCH_INSTANCE)
        day = datetime.now().astimezone().date()
        values = {
            "failed": _failures_json({**transaction.failures, **failures}),
            "note": f"instances were deleted in spite of it, last on {day}",
            "changed": time.time(),
        }
        changed = update(TRANSACTIONS).where(TRANSACTIONS.c.number == number)
        await connection.execute(changed.values(**values))

    async def forget(self, days: float, promised: float) -> int:
        """See base."""
        now = time.time()
        old = TRANSACTIONS.c.changed < now - days * _DAY
        over = and_(HOLDS.c.since > 0, HOLDS.c.since < now - promised * _DAY)
        async with self.database.begin() as connection:
            # Of what was never looked at, nothing was promised.
            forgotten = select(TRANSACTIONS.c.number).where(old)
            pending = and_(HOLDS.c.since == 0, HOLDS.c.number.in_(forgotten))
            await connection.execute(delete(HOLDS).where(or_(pending, over)))
            gone = delete(TRANSACTIONS).where(old)
            return int((await connection.execute(gone)).rowcount)


def _digest(request: CommitmentRequest) -> str:
    """Return what is the same for the same instances, in whichever order."""
    lines = sorted(f"{r.sop_class_uid} {r.sop_instance_uid}" for r in request.references)
    return sha256("\n".join(lines).encode("ascii")).hexdigest()


def _failures_json(failures: Failures) -> str:
    return json.dumps([(r.sop_class_uid, r.sop_instance_uid, int(v)) for r, v in failures.items()])


def _transaction(row: Row[Any]) -> Transaction:
    references = tuple(Reference(*each) for each in json.loads(row.instances))
    failures = {Reference(c, i): reason for c, i, reason in json.loads(row.failed)}
    return Transaction(
        row.number,
        Direction(row.direction),
        row.peer,
        CommitmentRequest(row.uid, references),
        TransactionState(row.state),
        failures,
        row.note,
        row.created,
        row.changed,
    )
