"""What is deleted into the bin is found by nobody, and comes back as it was."""

import pytest

from pacs_core.archive import (
    BinNotRunningError,
    DeletionGuards,
    NodeBin,
    find_gap,
    rebuild_index,
    verify_index,
)
from pacs_core.association import AccessControl
from pacs_core.contracts import (
    AccessAction,
    AccessDeniedError,
    Allow,
    Authorizer,
    Deny,
    EntityPath,
    IngestOutcome,
    InstanceHeldError,
    InstanceNotFoundError,
    InstancePath,
    Level,
    Query,
    Restrict,
    SingleValue,
)
from pacs_core.dataset import tag_of, texts
from pacs_core.testing.memory_bin import MemoryDeletionBin
from pacs_core.testing.memory_guard import MemoryDeletionGuard

from .conftest import ORIGIN

pytestmark = pytest.mark.anyio

PATH = InstancePath("1.2.3", "1.2.3.4")
ALL = Query(Level.IMAGE)
PATIENT_ID = tag_of("PatientID")


@pytest.fixture
def kept():
    return MemoryDeletionBin()


@pytest.fixture
def waiting_bin(kept):
    async def start():
        return kept

    return NodeBin(start)


@pytest.fixture
def archive(bench, waiting_bin):
    return bench.archive(waiting_bin=waiting_bin)


async def differences(bench, waiting_bin):
    return [each async for each in verify_index(bench.store, bench.index, waiting_bin=waiting_bin)]


async def test_what_is_deleted_is_in_no_row_and_comes_back_as_it_was(
    bench, archive, dataset, kept, waiting_bin
):
    await bench.send(archive, dataset())
    rows, objects = await bench.rows(), await bench.objects()
    assert (await archive.delete_all(ALL, ORIGIN)).studies == {"1.2.3": 1}
    assert await bench.rows() == {}
    assert await bench.objects() == objects
    (deleted,) = kept.deleted.values()
    assert (deleted.origin, deleted.aside) == (ORIGIN, ())
    # It is no orphan, the index lacks nothing, and a rebuild adopts nothing.
    assert await differences(bench, waiting_bin) == []
    assert await find_gap(bench.store, bench.index, waiting_bin) == ""
    report = await rebuild_index(bench.store, bench.index, waiting_bin=waiting_bin)
    assert (report.objects, await bench.rows()) == (0, {})
    for _ in range(2):
        served = await archive.restore(deleted, ORIGIN)
        assert {served.key: served} == await bench.rows() == rows
    assert next(iter((await bench.rows()).values())).origin == ORIGIN
    assert await bench.objects() == objects


async def test_corrections_made_meanwhile_hold_for_what_comes_back(bench, archive, dataset, kept):
    await bench.send(archive, dataset())
    await archive.update(EntityPath("P1"), {PATIENT_ID: ("P2",)}, ORIGIN)
    await archive.delete(PATH, ORIGIN)
    await archive.update(EntityPath("P2"), {PATIENT_ID: ("P3",)}, ORIGIN, in_advance=True)
    (deleted,) = kept.deleted.values()
    served = await archive.restore(deleted, ORIGIN)
    assert served.corrections == (1, 2)
    query = Query(Level.PATIENT, returning=frozenset({PATIENT_ID}))
    assert [texts(found, PATIENT_ID) async for found in archive.search(query)] == [("P3",)]


async def test_what_is_purged_is_gone_with_what_was_set_aside(bench, archive, dataset, kept):
    await bench.send(archive, dataset())
    other = await bench.send(archive, dataset(pixels=b"\3" * 100))
    assert other.outcome is IngestOutcome.SET_ASIDE
    await archive.delete(PATH, ORIGIN)
    (deleted,) = kept.deleted.values()
    assert len(deleted.aside) == 1
    assert await archive.purge(deleted, ORIGIN)
    assert await bench.objects() == {}
    assert await archive.purge(deleted, ORIGIN)
    with pytest.raises(InstanceNotFoundError, match="is gone"):
        await archive.restore(deleted, ORIGIN)


async def test_what_is_served_is_not_purged(bench, archive, dataset, kept):
    """Neither what was restored, whatever became of its study since, nor what never left."""
    await bench.send(archive, dataset())
    await archive.delete(PATH, ORIGIN)
    (deleted,) = kept.deleted.values()
    await archive.restore(deleted, ORIGIN)
    study = EntityPath("P1", study_instance_uid="1.2.3")
    await archive.update(study, {tag_of("StudyInstanceUID"): ("1.2.9",)}, ORIGIN)
    assert not await archive.purge(deleted, ORIGIN)
    assert await bench.served() == dataset()


@pytest.mark.parametrize("other", [b"\3" * 100, b"\1\2" * 50])
async def test_what_came_meanwhile_is_served(bench, archive, dataset, kept, other):
    await bench.send(archive, dataset())
    await archive.delete(PATH, ORIGIN)
    newcomer = await bench.send(archive, dataset(pixels=other))
    assert newcomer.outcome is IngestOutcome.STORED
    (deleted,) = kept.deleted.values()
    served = await archive.restore(deleted, ORIGIN)
    assert served == newcomer.instance
    assert await bench.served() == dataset(pixels=other)
    aside = [each.instance.key async for each in archive.aside.find_all()]
    kept.deleted.clear()
    is_same = other == b"\1\2" * 50
    assert len(await bench.objects()) == (1 if is_same else 2)
    assert aside == []  # as long as it was in the bin
    assert len([each async for each in archive.aside.find_all()]) == (0 if is_same else 1)


async def test_each_deletion_of_one_uid_waits_for_itself(bench, archive, dataset, kept):
    contents = [dataset(), dataset(pixels=b"\3" * 100)]
    for each in contents:
        await bench.send(archive, each)
        await archive.delete(PATH, ORIGIN)
    first, second = kept.deleted.values()
    assert (first.aside, second.aside) == ((), ())
    await archive.purge(first, ORIGIN)
    await archive.restore(second, ORIGIN)
    assert await bench.served() == contents[1]


async def test_what_is_held_does_not_go_into_the_bin(bench, dataset, kept, waiting_bin):
    class Late(MemoryDeletionGuard):
        """Notes its hold when the row is gone."""

        async def find_holds(self, instances, origin):
            self.asked.append(origin)
            return {"1.2.3.4": "committed"} if len(self.asked) == 2 else {}

    guards = DeletionGuards()
    guards.install({"late": Late()})
    archive = bench.archive(waiting_bin=waiting_bin, guards=guards)
    await bench.send(archive, dataset())
    rows = await bench.rows()
    with pytest.raises(InstanceHeldError, match="committed"):
        await archive.delete(PATH, ORIGIN)
    assert (await bench.rows(), kept.deleted) == (rows, {})


async def test_nothing_is_deleted_while_the_bin_does_not_run(bench, dataset):
    async def start():
        raise BinNotRunningError("the deletion bin does not run: no database")

    archive = bench.archive(waiting_bin=NodeBin(start))
    await bench.send(archive, dataset())
    report = await archive.delete_all(ALL, ORIGIN)
    assert "no database" in report.failures[PATH]
    assert await bench.served() == dataset()


async def test_an_index_that_was_lost_is_found_out_although_something_is_in_the_bin(
    bench, archive, dataset, kept, waiting_bin
):
    for uid in ("1.2.3.4", "1.2.3.5"):
        await bench.send(archive, dataset(uid), uid)
    await archive.delete(PATH, ORIGIN)
    await bench.index.clear()
    assert "empty or missing" in await find_gap(bench.store, bench.index, waiting_bin)
    assert await kept.waiting(list(await bench.objects())) == set(kept.deleted)


class Rules(Authorizer):
    """Gives one verdict."""

    def __init__(self, verdict):
        self.verdict = verdict

    async def authorize(self, access):
        return self.verdict if access.action is AccessAction.DELETE else Allow()


CT_ONLY = Restrict((SingleValue(tag_of("Modality"), "CT"),))


@pytest.mark.parametrize(
    ("verdict", "may"), [(Deny("no"), False), (CT_ONLY, False), (Allow(), True)]
)
async def test_the_bin_is_for_who_may_delete_everything(
    bench, archive, dataset, kept, waiting_bin, verdict, may
):
    """Of what was deleted nobody can tell any more whether it meets a restriction."""
    await bench.send(archive, dataset())
    await archive.delete(PATH, ORIGIN)
    (deleted,) = kept.deleted.values()
    access = AccessControl(bench.trail, (Rules(verdict),))
    guarded = bench.archive(waiting_bin=waiting_bin, access=access).on_behalf_of(ORIGIN)

    async def differences():
        return [each async for each in guarded.differences()]

    calls = (
        differences,
        lambda: guarded.restore(deleted, ORIGIN),
        lambda: guarded.purge(deleted, ORIGIN),
    )
    for call in calls:
        if may:
            await call()
        else:
            with pytest.raises(AccessDeniedError):
                await call()
    assert len(await bench.rows()) == may
    assert len(await bench.objects()) == 1
