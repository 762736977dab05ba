# ruff: noqa: D102 - the names of the tests are their documentation
"""Corrections are kept with their instances: part of the contract suite of indexes."""

import pytest
from attrs import evolve

from pacs_core.contracts import (
    Correction,
    CorrectionExistsError,
    CorrectionLog,
    Durability,
    EntityPath,
    Fingerprint,
    Index,
    InstanceRecord,
    Level,
    Origin,
    Principal,
    Query,
    correction_from_json,
    correction_to_json,
)
from pacs_core.dataset import Changes, tag_of
from pacs_core.testing.index_changes import kept, told
from pacs_core.testing.index_harness import found, make_record, path

_PRINCIPAL = Principal("jane", frozenset({"admin", "mpi"}), "jwt", {"iss": "https://idp"})
ORIGIN = Origin("HL7", "ADT", "PACS", "10.0.0.1", 2575, _PRINCIPAL, "a1")


def make_correction(number: int, patient_id: str = "P1") -> Correction:
    """Return a correction of a patient's ID, name and sequence of other IDs."""
    changes: Changes = {
        tag_of("PatientID"): ("P2",),
        tag_of("PatientName"): ("山田^太郎",),
        tag_of("PatientComments"): None,
        tag_of("OtherPatientIDsSequence"): ({tag_of("PatientID"): (patient_id,)}, {}),
    }
    entity = EntityPath(patient_id, "HOSPITAL", "1.2.3")
    return Correction(
        number, 1e9 + 0.25, entity, changes, ORIGIN, "COERCE", "a merge", key=f"key/{number}"
    )


def correct(record: InstanceRecord, *numbers: int, study: str = "") -> InstanceRecord:
    """Return the record of the same object as corrections have it."""
    identity = record.instance.identity
    if study:
        identity = evolve(identity, study_instance_uid=study)
    instance = evolve(record.instance, identity=identity, corrections=numbers)
    changed = {
        tag_of("PatientID"): ("P2",),
        tag_of("StudyInstanceUID"): (identity.study_instance_uid,),
    }
    return InstanceRecord(instance, {**record.attributes, **changed})


class IndexCorrections:
    """Of indexes that have a :attr:`Index.correction_log`; the others do without these tests."""

    @pytest.fixture
    def corrections(self, index: Index) -> CorrectionLog:
        """Return the log of the index."""
        if index.correction_log is None:
            pytest.skip("the index keeps no corrections")
        return index.correction_log

    async def test_a_correction_is_kept_whole(self, corrections: CorrectionLog) -> None:
        assert (corrections.seen, list(await corrections.corrections())) == (0, [])
        entries = [make_correction(number) for number in (1, 2, 4)]
        entries[1] = evolve(entries[1], changes={}, reverts=1, origin=Origin("local"))
        for entry in entries:
            await corrections.add(entry)
        kept_entries = list(await corrections.corrections())
        assert kept_entries == entries
        assert [entry.key for entry in kept_entries] == ["key/1", "key/2", "key/4"]
        assert [entry.number for entry in await corrections.corrections(after=1)] == [2, 4]
        assert corrections.seen == 4
        assert correction_from_json(correction_to_json(entries[0])) == entries[0]

    async def test_a_number_is_given_once(self, corrections: CorrectionLog) -> None:
        await corrections.add(make_correction(1))
        with pytest.raises(CorrectionExistsError):
            await corrections.add(make_correction(1, "P9"))
        assert list(await corrections.corrections()) == [make_correction(1)]

    async def test_what_is_settled_stays_so(self, corrections: CorrectionLog) -> None:
        for number in (1, 2):
            await corrections.add(make_correction(number))
        await corrections.settle(1)
        await corrections.settle(7)
        settled = [entry.is_settled for entry in await corrections.corrections()]
        assert settled == [True, False]

    async def test_instances_keep_their_corrections(
        self, index: Index, corrections: CorrectionLog
    ) -> None:
        await index.add(correct(make_record("1"), 1, 12))
        await index.add(make_record("2"))
        for _ in range(2):
            located = await index.locate(path("1"))
            assert located is not None
            assert located.corrections == (1, 12)
            listed = {i.identity.sop_instance_uid: i async for i in index.instances(_ALL)}
            assert listed["1.2.3.1.1.1"] == located
            assert listed["1.2.3.1.1.2"].corrections == ()
            assert [i async for i in index.corrected()] == [located]
            fingerprint = await index.fingerprint(_ALL)
            assert fingerprint == await Fingerprint.of_instances(index.instances(_ALL))
        removed = await index.remove(path("1"))
        assert removed == located
        assert [i async for i in index.corrected()] == []

    async def test_many_corrected_instances_are_listed(
        self, index: Index, corrections: CorrectionLog
    ) -> None:
        for n in range(600):
            await index.add(correct(make_record(str(n)), 3))
        assert len({i.identity.path async for i in index.corrected()}) == 600

    async def test_a_record_moves_to_what_corrections_make_of_it(
        self, index: Index, corrections: CorrectionLog
    ) -> None:
        log = index.change_log
        if log is not None:
            await log.follow("a")
        await index.add(make_record("1"))
        result = await index.replace(correct(make_record("1"), 1))
        assert result.existing == make_record("1").instance
        assert await found(index, Level.PATIENT) == ["P2"]
        await index.replace(make_record("1"))
        assert await found(index, Level.PATIENT) == ["P1"]
        if log is not None:
            changes = await kept(log)
            assert told(changes) == [("added", "1.1.1"), *[("updated", "1.1.1")] * 2]
            assert changes[1].instance == correct(make_record("1"), 1).instance

    async def test_an_object_that_is_not_on_disk_stays_noted_when_it_is_corrected(
        self, index: Index, corrections: CorrectionLog
    ) -> None:
        await index.add(make_record("1"), durability=Durability.WRITE_BEHIND)
        await index.add(make_record("2"))
        for n in "12":
            await index.replace(correct(make_record(n), 1))
        noted = [i async for i in index.unflushed()]
        assert noted == [correct(make_record("1"), 1).instance]

    async def test_a_correction_is_seen_by_whoever_adds_after_it(
        self, index: Index, corrections: CorrectionLog
    ) -> None:
        await corrections.add(make_correction(5))
        await index.add(make_record("1"))
        assert corrections.seen == 5

    async def test_the_log_goes_with_all_else(
        self, index: Index, corrections: CorrectionLog
    ) -> None:
        await corrections.add(make_correction(1))
        await index.clear()
        assert list(await corrections.corrections()) == []


_ALL = Query(Level.IMAGE)
