"""Transactions and promises in a database: by several clients at once, held, and forgotten."""

import time
from pathlib import Path

import anyio
import pytest
from pacs_database.api import Database
from pacs_database.testing import open_database
from pacs_sop_storage_commitment import pacs_change_consumers, pacs_deletion_guards
from pacs_sop_storage_commitment.api import (
    CommitmentRequest,
    Direction,
    FailureReason,
    Reference,
    Transaction,
    Transactions,
    TransactionState,
)
from pacs_sop_storage_commitment.config import StorageCommitmentConfig
from pacs_sop_storage_commitment.database_transactions import DatabaseTransactions
from pacs_sop_storage_commitment.tables import HOLDS
from sqlalchemy import delete, func, select, text, update

from pacs_core.contracts import (
    ChangeConsumerDescriptor,
    DeletionGuard,
    DeletionGuardDescriptor,
    Node,
    NodeSettings,
    Setup,
    StoredInstance,
)
from pacs_core.testing.change_consumer_contract import ChangeConsumerContract
from pacs_core.testing.deletion_guard_contract import DeletionGuardContract
from pacs_core.testing.event_handler_contract import ORIGIN
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.testing.operations import memory_node

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
ONE, TWO, THREE = (Reference(CT, f"1.2.{n}") for n in (1, 2, 3))


@pytest.fixture
async def transactions(database: Database) -> DatabaseTransactions:
    transactions = DatabaseTransactions(database)
    await transactions.start()
    return transactions


async def ask(
    transactions: DatabaseTransactions, *references: Reference, uid: str = "1.9", peer: str = "CT1"
) -> Transaction:
    async with transactions.database.begin() as connection:
        request = CommitmentRequest(uid, references)
        return await transactions.add(connection, Direction.RECEIVED, peer, request)


async def test_several_who_ask_at_once_under_one_transaction_uid(
    tmp_path: Path, database_url: str, transactions: DatabaseTransactions
) -> None:
    """As by two workers of a node: the same is one transaction, and of others one is first."""
    asked: list[Transaction] = []
    async with open_database(tmp_path, database_url) as other:
        second = DatabaseTransactions(other)
        await second.start()

        async def add(by: DatabaseTransactions, *references: Reference) -> None:
            asked.append(await ask(by, *references))

        async with anyio.create_task_group() as tasks:
            for by in (transactions, second) * 3:
                tasks.start_soon(add, by, ONE, TWO)
                tasks.start_soon(add, by, TWO, THREE)
    first = {each.number for each in asked if each.state is TransactionState.ASKED}
    refused = [each for each in asked if each.failures]
    assert len(first) == 1
    assert len(asked) == 12
    assert len(refused) == 6
    assert {reason for each in refused for reason in each.failures.values()} == {0x0131}
    assert len({each.number for each in asked}) == 2


async def test_what_is_asked_about_is_promised_until_the_result_says_otherwise(
    transactions: DatabaseTransactions,
) -> None:
    asked = await ask(transactions, ONE, TWO)
    promised = await transactions.promises(["1.2.1", "1.2.2", "1.2.3"])
    assert set(promised) == {"1.2.1", "1.2.2"}
    assert all(each.is_asked_for and each.peer == "CT1" for each in promised.values())
    await transactions.set_result(asked.number, {TWO: FailureReason.NO_SUCH_INSTANCE})
    promised = await transactions.promises(["1.2.1", "1.2.2"])
    assert set(promised) == {"1.2.1"}
    assert promised["1.2.1"].since >= asked.created
    # Who asks again, and gets a worse answer, has deleted his images because of the first.
    again = await ask(transactions, ONE, TWO)
    assert again.number == asked.number
    await transactions.set_result(again.number, {ONE: FailureReason.RESOURCE_LIMITATION})
    assert set(await transactions.promises(["1.2.1", "1.2.2"])) == {"1.2.1", "1.2.2"}
    # A transaction UID that is in use promises nothing.
    assert (await ask(transactions, THREE)).failures
    assert not await transactions.promises(["1.2.3"])


async def test_an_instance_that_is_named_with_a_wrong_class_as_well_is_promised(
    transactions: DatabaseTransactions,
) -> None:
    wrong = Reference("1.2.840.10008.5.1.4.1.1.4", ONE.sop_instance_uid)
    asked = await ask(transactions, wrong, ONE)
    await transactions.set_result(asked.number, {wrong: FailureReason.CLASS_INSTANCE_CONFLICT})
    assert set(await transactions.promises(["1.2.1"])) == {"1.2.1"}


async def test_promises_outlive_their_transactions(
    database: Database, transactions: DatabaseTransactions
) -> None:
    done = await ask(transactions, ONE)
    await transactions.set_result(done.number, {})
    await ask(transactions, TWO, uid="1.10")  # and never looked at
    assert await transactions.forget(days=-1, promised=1) == 2
    assert set(await transactions.promises(["1.2.1", "1.2.2"])) == {"1.2.1"}
    async with database.begin() as connection:
        await connection.execute(update(HOLDS).values(since=time.time() - 2 * 24 * 3600))
    assert await transactions.forget(days=1, promised=float("inf")) == 0
    assert await transactions.promises(["1.2.1"])
    await transactions.forget(days=1, promised=1)
    assert not await transactions.promises(["1.2.1"])


async def test_what_was_committed_to_before_is_promised_by_the_migration(
    database: Database, transactions: DatabaseTransactions
) -> None:
    done = await ask(transactions, ONE, TWO)
    await transactions.set_result(done.number, {TWO: FailureReason.PROCESSING_FAILURE})
    async with database.begin() as connection:
        await connection.execute(text("DROP TABLE commitment_holds"))
        await connection.execute(text("UPDATE commitment_revisions SET version_num='commitment_1'"))
    await DatabaseTransactions(database).start()
    assert set(await transactions.promises(["1.2.1", "1.2.2"])) == {"1.2.1"}


async def test_ten_thousand_instances(
    database: Database, transactions: DatabaseTransactions
) -> None:
    many = [Reference(CT, f"1.3.{n}") for n in range(10_000)]
    asked = await ask(transactions, *many)
    await transactions.set_result(
        asked.number, dict.fromkeys(many[1:], FailureReason.NO_SUCH_INSTANCE)
    )
    async with database.begin() as connection:
        count = await connection.scalar(select(func.count()).select_from(HOLDS))
        assert count == 1
        await connection.execute(delete(HOLDS))
    assert len((await transactions.find(asked.number)).failures) == 9_999


async def test_a_promise_that_was_broken_is_noted(transactions: DatabaseTransactions) -> None:
    """In each transaction that it was of, and for the instance that is gone only; once."""
    kept, gone = Reference("1.2", "1.2.1"), Reference("1.2", "1.2.2")
    first = await ask(transactions, kept, gone, uid="1.9.1")
    second = await ask(transactions, gone, uid="1.9.2", peer="CT2")
    await ask(transactions, gone, uid="1.9.3", peer="CT3")
    for each in (first, second):
        await transactions.set_result(each.number, {}, TransactionState.REPORTED)
    assert await transactions.break_promises(["1.2.2", "1.2.3"]) == 1
    assert await transactions.break_promises(["1.2.2"]) == 0
    for each in (first, second):
        found = await transactions.find(each.number)
        assert found.state is TransactionState.REPORTED
        assert found.failures == {gone: FailureReason.NO_SUCH_INSTANCE}
        assert "deleted in spite of it" in found.note
    promises = await transactions.promises(["1.2.1", "1.2.2"])
    assert (promises["1.2.1"].peer, promises["1.2.2"].peer) == ("CT1", "CT3")
    assert promises["1.2.2"].is_asked_for


class TestBrokenPromises(ChangeConsumerContract):
    @pytest.fixture
    def descriptor(self) -> ChangeConsumerDescriptor:
        return pacs_change_consumers(Setup(NodeSettings()))[0]

    @pytest.fixture
    def node(self, transactions: DatabaseTransactions) -> Node:
        node = memory_node(NodeSettings())
        node.capabilities.provide(Transactions, transactions)  # type: ignore[type-abstract]
        return node


class TestCommitmentGuard(DeletionGuardContract):
    """The guard on the contract of all guards, on both databases."""

    @pytest.fixture
    def descriptor(self) -> DeletionGuardDescriptor:
        return pacs_deletion_guards(self.setup())[0]

    def setup(self, protect_for: float = 30.0) -> Setup:
        config = StorageCommitmentConfig(protect_for=protect_for)
        return Setup(NodeSettings(), {StorageCommitmentConfig: config})

    @pytest.fixture
    async def node(  # type: ignore[override]
        self, tmp_path: Path, transactions: DatabaseTransactions
    ) -> Node:
        self.transactions = transactions
        node = memory_node(NodeSettings(data_directory=tmp_path))
        node.capabilities.provide(Transactions, transactions)
        return node

    async def hold(self, guard: DeletionGuard, instance: StoredInstance) -> None:
        identity = instance.identity
        reference = Reference(identity.sop_class_uid, identity.sop_instance_uid)
        asked = await ask(self.transactions, reference, uid=f"{identity.sop_instance_uid}.1")
        await self.transactions.set_result(asked.number, {})

    async def test_it_says_to_whom_and_goes_by_what_is_configured(
        self, guard: DeletionGuard
    ) -> None:
        (held,) = self.store(MemoryArchive())
        await self.hold(guard, held)
        (reason,) = (await guard.find_holds([held], ORIGIN)).values()
        assert reason == f"committed to CT1 on {time.strftime('%Y-%m-%d')}"
        await guard.reconfigure(self.setup(protect_for=0.0))
        assert not await guard.find_holds([held], ORIGIN)
        await guard.reconfigure(self.setup(protect_for=float("inf")))
        assert await guard.find_holds([held], ORIGIN)
