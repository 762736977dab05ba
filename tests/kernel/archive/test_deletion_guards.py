"""What deletion guards hold stays: by whatever way it would go, and whoever is first."""

import pytest

from pacs_core.archive import DeletionGuards, DuplicatePolicy
from pacs_core.contracts import (
    DeletionGuard,
    DeletionReport,
    IngestOutcome,
    InstanceHeldError,
    InstanceNotFoundError,
    InstancePath,
    Level,
    Query,
    http_status_of,
)
from pacs_core.testing.memory_guard import MemoryDeletionGuard

from .conftest import ORIGIN

pytestmark = pytest.mark.anyio

PATH = InstancePath("1.2.3", "1.2.3.4")
ALL = Query(Level.IMAGE)
HELD = "committed to CT1"


@pytest.fixture
def guard():
    return MemoryDeletionGuard()


@pytest.fixture
def guards(guard):
    guards = DeletionGuards()
    guards.install({"promises": guard})
    return guards


def recorded(bench):
    kinds = {"delete", "duplicate"}
    return [e for e in bench.trail.events if e.kind.value in kinds]


async def test_what_is_held_stays_with_its_study_and_all_else_goes(bench, dataset, guard, guards):
    archive = bench.archive(guards=guards)
    for uid, study in (("1.2.3.4", "1.2.3"), ("1.2.3.5", "1.2.3"), ("1.2.4.1", "1.2.4")):
        await bench.send(archive, dataset(uid, study=study), uid)
    before = await bench.objects()
    guard.holds["1.2.3.4"] = HELD
    assert await archive.holds(ALL, ORIGIN) == {PATH: f"promises: {HELD}"}
    with pytest.raises(InstanceHeldError, match=f"promises: {HELD}") as held:
        await archive.delete(PATH, ORIGIN)
    assert http_status_of(held.value) == 409
    report = await archive.delete_all(ALL, ORIGIN)
    assert report == DeletionReport({"1.2.4": 1}, held={PATH: f"promises: {HELD}"})
    with pytest.raises(InstanceHeldError, match=f"1 instance is held: promises: {HELD}"):
        report.raise_unless_deleted("study 1.2.3")
    assert len(await bench.rows()) == 2
    assert (await bench.objects()).items() < before.items()
    refused = [event for event in recorded(bench) if event.outcome.value == "failure"]
    assert [event.details["reason"] for event in refused] == [
        f"promises: {HELD}", (f"promises: {HELD}",)
    ]  # fmt: skip
    assert set(guard.asked) == {ORIGIN}


async def test_a_hold_is_overridden_with_a_reason_that_is_recorded(bench, dataset, guard, guards):
    archive = bench.archive(guards=guards)
    for uid in ("1.2.3.4", "1.2.3.5"):
        await bench.send(archive, dataset(uid), uid)
        guard.holds[uid] = HELD
    await archive.delete(PATH, ORIGIN, override="ten years are over")
    assert (await archive.delete_all(ALL, ORIGIN, override="the patient asks")).instances == 1
    assert await bench.objects() == {}
    one, study = (event.details for event in recorded(bench))
    assert (one["held"], one["override"]) == (f"promises: {HELD}", "ten years are over")
    assert (study["held"], study["override"]) == (1, "the patient asks")


class Broken(DeletionGuard):
    async def find_holds(self, instances, origin):
        raise OSError("the database is gone")


async def test_nothing_goes_while_a_guard_cannot_say(bench, dataset, guards, guard):
    guards.install({"broken": Broken(), "promises": guard})
    archive = bench.archive(guards=guards)
    await bench.send(archive, dataset())
    with pytest.raises(InstanceHeldError, match="broken: it failed, see the node's log"):
        await archive.delete(PATH, ORIGIN)
    assert await archive.locate(PATH)


async def test_guards_start_when_they_are_asked(bench, dataset, guard):
    started = []

    async def start():
        started.append(1)
        return {"promises": guard}

    guards = DeletionGuards()
    guards.start_with(start)
    archive = bench.archive(guards=guards)
    await bench.send(archive, dataset())
    assert not started
    await archive.delete(PATH, ORIGIN)
    assert started == [1]


class Late(MemoryDeletionGuard):
    """Holds what it is asked about after the first question."""

    async def find_holds(self, instances, origin):
        found = await super().find_holds(instances, origin)
        self.holds |= {each.identity.sop_instance_uid: HELD for each in instances}
        return found


async def test_who_promises_while_it_is_deleted_is_told_or_heeded(bench, dataset):
    """A hold that comes between the question and the deletion is met: the row comes back."""
    guards = DeletionGuards()
    guards.install({"late": Late()})
    archive = bench.archive(guards=guards)
    await bench.send(archive, dataset())
    before = await bench.rows(), await bench.objects()
    with pytest.raises(InstanceHeldError):
        await archive.delete(PATH, ORIGIN)
    assert (await bench.rows(), await bench.objects()) == before
    assert (await archive.delete_all(ALL, ORIGIN)).held == {PATH: f"late: {HELD}"}


@pytest.mark.parametrize("held", [True, False])
async def test_what_is_held_is_not_replaced_by_other_content(bench, dataset, guard, guards, held):
    archive = bench.archive(guards=guards, policy=DuplicatePolicy.REPLACE)
    await bench.send(archive, dataset())
    if held:
        guard.holds["1.2.3.4"] = HELD
    result = await bench.send(archive, dataset(pixels=b"of another time!"))
    if not held:
        assert result.outcome is IngestOutcome.REPLACED
        return
    assert result.outcome is IngestOutcome.SET_ASIDE
    assert await bench.served() == dataset()
    assert sorted((await bench.datasets()).values()) == sorted(
        [dataset(), dataset(pixels=b"of another time!")]
    )
    assert [event.details["decision"] for event in recorded(bench)] == ["set-aside"]
    # Nor on purpose, by hand, unless somebody says why.
    (key,) = (await bench.objects()).keys() - (await bench.rows()).keys()
    with pytest.raises(InstanceHeldError, match="what is served is held"):
        await archive.aside.promote(key, ORIGIN)
    await archive.aside.promote(key, ORIGIN, override="the first was of another patient")
    assert await bench.served() == dataset(pixels=b"of another time!")
    assert recorded(bench)[-1].details["override"] == "the first was of another patient"


async def test_what_is_promised_while_it_is_replaced_is_not_lost(bench, dataset):
    guards = DeletionGuards()
    guards.install({"late": Late()})
    archive = bench.archive(guards=guards, policy=DuplicatePolicy.REPLACE)
    await bench.send(archive, dataset())
    assert (await bench.send(archive, dataset(pixels=b"new!"))).outcome is IngestOutcome.REPLACED
    assert dataset() in (await bench.datasets()).values()
    with pytest.raises(InstanceNotFoundError):
        await archive.delete(InstancePath("1.2.3", "9.9"), ORIGIN, override="none")
