# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of an index as a test suite, which authors of indexes inherit."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from pacs_core.concurrency import closing
from pacs_core.contracts import (
    Condition,
    Durability,
    Index,
    InstancePath,
    InstanceRecord,
    Level,
    Query,
    SingleValue,
    StoredInstance,
    UidList,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_changes import IndexChanges
from pacs_core.testing.index_conflicts import IndexConflicts
from pacs_core.testing.index_corrections import IndexCorrections
from pacs_core.testing.index_harness import (
    MR,
    attributes_of,
    found,
    make_record,
    path,
    path_of,
    populate,
)
from pacs_core.testing.index_headers import IndexHeaders
from pacs_core.testing.index_identity import IndexIdentity
from pacs_core.testing.index_leases import IndexLeases
from pacs_core.testing.index_levels import IndexLevels
from pacs_core.testing.index_matching import IndexMatching
from pacs_core.testing.index_metadata import IndexMetadata
from pacs_core.testing.index_moments import IndexMoments
from pacs_core.testing.index_order import IndexOrder
from pacs_core.testing.index_restrictions import IndexRestrictions
from pacs_core.testing.index_state import IndexState
from pacs_core.testing.index_unflushed import IndexUnflushed

_REQUIRED = {
    Level.PATIENT: "PatientID PatientName",
    Level.STUDY: """StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID ModalitiesInStudy
        SOPClassesInStudy NumberOfPatientRelatedStudies NumberOfStudyRelatedInstances""",
    Level.SERIES: "SeriesInstanceUID Modality SeriesNumber NumberOfSeriesRelatedInstances",
    Level.IMAGE: "SOPInstanceUID InstanceNumber SOPClassUID",
}


class IndexContract(
    IndexMatching,
    IndexMoments,
    IndexOrder,
    IndexLevels,
    IndexIdentity,
    IndexHeaders,
    IndexConflicts,
    IndexRestrictions,
    IndexChanges,
    IndexMetadata,
    IndexCorrections,
    IndexLeases,
    IndexUnflushed,
    IndexState,
):
    """Inherit this, give :meth:`make_index`, and pytest holds the index to its contract.

    ::

        class TestTreeIndex(IndexContract):
            async def make_index(self, tmp_path):
                return TreeIndex(tmp_path)

    Tests are asynchronous and run with anyio's pytest plugin; the fixture ``anyio_backend`` says
    on which event loop. Override the fixture ``index`` where a fresh, started index needs more.
    """

    pytestmark = pytest.mark.anyio

    async def make_index(self, tmp_path: Path) -> Index:
        """Return an empty index that has not been started."""
        raise NotImplementedError

    @pytest.fixture
    async def index(self, tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Index]:
        """An empty index, started; stopped afterwards."""
        index = await self.make_index(tmp_path)
        await index.start()
        yield index
        await index.stop()

    async def test_stop_after_failed_or_missing_start(self, tmp_path: Path) -> None:
        await (await self.make_index(tmp_path)).stop()

    # What is wanted and offered

    @pytest.mark.parametrize("level", Level)
    async def test_offers_required_keys(self, index: Index, level: Level) -> None:
        required = {tag_of(word) for word in _REQUIRED[level].split()}
        assert required <= index.searchable_tags(level)

    async def test_lower_levels_offer_the_keys_of_higher_ones(self, index: Index) -> None:
        offered = [index.searchable_tags(level) for level in Level]
        assert all(up <= low for up, low in pairwise(offered))

    async def test_wants_keys_that_it_does_not_compute(self, index: Index) -> None:
        assert {tag_of("PatientName"), tag_of("StudyDate"), tag_of("Modality")} <= index.wanted_tags
        assert tag_of("ModalitiesInStudy") not in index.wanted_tags

    # Adding, locating, replacing, removing

    async def test_added_instance_is_located(self, index: Index) -> None:
        record = make_record()
        assert await index.locate(path_of(record)) is None
        assert (await index.add(record)).existing is None
        assert await index.locate(path_of(record)) == record.instance

    async def test_duplicate_changes_nothing(self, index: Index) -> None:
        first = make_record(StudyDate="20200101")
        again = make_record(StudyDate="20210101", StudyTime="1200", SeriesInstanceUID="1.2.3.9")
        await index.add(first)
        assert (await index.add(again)).existing == first.instance
        assert await index.locate(path_of(first)) == first.instance
        assert await found(index, Level.STUDY, key="StudyDate") == ["20200101"]
        assert await found(index, Level.STUDY, key="StudyTime") == [""]

    async def test_replace_puts_the_new_in_the_place_of_the_old(self, index: Index) -> None:
        old, new = make_record(), make_record(InstanceNumber="5", SOPClassUID=MR)
        assert (await index.replace(old)).existing is None
        assert (await index.replace(new)).existing == old.instance
        assert await index.locate(path_of(new)) == new.instance
        assert await found(index, Level.IMAGE, key="InstanceNumber") == ["5"]

    async def test_replace_moves_to_another_series(self, index: Index) -> None:
        uid = "1.2.3.99"
        await index.add(make_record("1.1.1", SOPInstanceUID=uid))
        await index.replace(make_record("1.2.1", SOPInstanceUID=uid, PatientID="P2"))
        assert await found(index, Level.SERIES) == ["1.2.3.1.2"]
        assert await found(index, Level.PATIENT) == ["P2"]

    async def test_digest_is_kept(self, index: Index) -> None:
        def digested(record: InstanceRecord, digest: bytes) -> InstanceRecord:
            return evolve(record, instance=evolve(record.instance, digest=digest))

        first, second = make_record("1"), digested(make_record("2"), b"\x00\xff" * 16)
        await index.add(first, durability=Durability.WRITE_BEHIND)
        await index.add(second, durability=Durability.WRITE_BEHIND)
        known = [first.instance, second.instance]
        assert [await index.locate(path_of(record)) for record in (first, second)] == known
        assert [i async for i in index.instances(Query(Level.STUDY))] == known
        assert [i async for i in index.unflushed()] == known
        assert (await index.add(second)).existing == second.instance
        anew = digested(second, b"other")
        assert (await index.replace(anew)).existing == second.instance
        assert await index.remove(path_of(anew)) == anew.instance

    async def test_remove_takes_what_becomes_empty(self, index: Index) -> None:
        records = [make_record(n) for n in ("1.1.1", "1.1.2", "1.2.1", "2.1.1")]
        for record in records:
            await index.add(record)
        counts = []
        for record in records:
            assert await index.remove(path_of(record)) == record.instance
            assert await index.locate(path_of(record)) is None
            counts.append([len(await found(index, level)) for level in Level])
        assert counts == [[1, 2, 3, 3], [1, 2, 2, 2], [1, 1, 1, 1], [0, 0, 0, 0]]

    async def test_remove_of_nothing(self, index: Index) -> None:
        assert await index.remove(path("1")) is None

    async def test_series_can_return_after_removal(self, index: Index) -> None:
        record = make_record(SeriesDescription="first")
        await index.add(record)
        await index.remove(path_of(record))
        await index.add(make_record(SeriesDescription="second"))
        assert await found(index, Level.SERIES, key="SeriesDescription") == ["second"]

    async def test_clear(self, index: Index) -> None:
        for n in range(3):
            await index.add(make_record(f"{n}.1.1"))
        await index.clear()
        assert [await found(index, level) for level in Level] == [[], [], [], []]
        assert (await index.add(make_record("1.1.1"))).existing is None

    # The hierarchy

    async def test_patients_differ_by_id_and_issuer(self, index: Index) -> None:
        await index.add(make_record("1.1.1", IssuerOfPatientID="A"))
        await index.add(make_record("2.1.1", IssuerOfPatientID="B"))
        await index.add(make_record("3.1.1", IssuerOfPatientID="A"))
        issuers = await found(index, Level.PATIENT, key="IssuerOfPatientID")
        assert sorted(issuers) == ["A", "B"]

    # Results

    async def test_result_has_what_is_wanted_and_known(self, index: Index) -> None:
        await index.add(make_record(StudyDate="20200101"))
        unknown = 0x0099_1099
        wanted = {tag_of("StudyDate"), tag_of("StudyTime"), tag_of("PatientID"), unknown}
        results = [r async for r in index.search(Query(Level.STUDY, (), frozenset(wanted)))]
        assert results == [
            attributes_of({"StudyDate": "20200101", "StudyTime": "", "PatientID": "P1"})
        ]

    async def test_nothing_wanted_gives_empty_results(self, index: Index) -> None:
        await index.add(make_record())
        assert [r async for r in index.search(Query(Level.STUDY))] == [{}]

    async def test_limit_and_offset_in_a_stable_order(self, index: Index) -> None:
        for n in range(40):
            await index.add(make_record(f"{n}.1.1"))
        everything = await found(index, Level.STUDY)
        assert len(set(everything)) == 40
        assert await found(index, Level.STUDY) == everything
        pages = [await found(index, Level.STUDY, limit=7, offset=n) for n in range(0, 42, 7)]
        assert [uid for page in pages for uid in page] == everything
        assert await found(index, Level.STUDY, limit=0) == []
        assert await found(index, Level.STUDY, offset=100) == []

    async def test_many_results(self, index: Index) -> None:
        async with anyio.create_task_group() as group:
            for n in range(1500):
                group.start_soon(index.add, make_record(f"1.{n % 7}.{n}"))
        assert len(set(await found(index, Level.IMAGE))) == 1500

    async def test_iterators_may_be_closed_early(self, index: Index) -> None:
        for n in range(100):
            await index.add(make_record(str(n)))
        for _ in range(20):
            async with closing(index.search(Query(Level.IMAGE))) as results:
                async for _result in results:
                    break
            async with closing(index.instances(Query(Level.STUDY))) as stored:
                async for _instance in stored:
                    break
        assert await index.remove(path("1")) is not None
        assert len(await found(index, Level.IMAGE)) == 99

    async def test_index_may_change_during_a_search(self, index: Index) -> None:
        for n in range(100):
            await index.add(make_record(str(n)))
        wanted = frozenset({tag_of("SOPInstanceUID")})
        seen = set()
        async for result in index.search(Query(Level.IMAGE, (), wanted)):
            (uid,) = result[tag_of("SOPInstanceUID")]
            seen.add(uid)
            await index.remove(InstancePath("1.2.3.1", str(uid)))
        assert len(seen) == 100
        assert await found(index, Level.IMAGE) == []

    # Instances for retrieval

    async def test_instances_of_a_study_in_order(self, index: Index) -> None:
        names = [f"1.{series}.{number}" for number in (10, 9, 2, 1) for series in (1, 2)]
        for n in [*names, "2.1.1"]:
            await index.add(make_record(n))
        condition = SingleValue(tag_of("StudyInstanceUID"), "1.2.3.1")
        stored = [i async for i in index.instances(Query(Level.STUDY, (condition,)))]
        expected = [f"1.2.3.1.{series}.{n}" for series in (1, 2) for n in (1, 2, 9, 10)]
        assert [i.identity.sop_instance_uid for i in stored] == expected
        assert stored[0] == make_record("1.1.1").instance

    @pytest.mark.parametrize(
        ("level", "condition", "count"),
        [
            (Level.PATIENT, SingleValue(tag_of("PatientID"), "P1"), 4),
            (Level.SERIES, UidList(tag_of("SeriesInstanceUID"), ("1.2.3.1.1", "1.2.3.2.1")), 3),
            (Level.IMAGE, UidList(tag_of("SOPInstanceUID"), ("1.2.3.1.1.2", "1.2.3.9")), 1),
            (Level.STUDY, SingleValue(tag_of("Modality"), "MR"), 3),
            (Level.STUDY, SingleValue(tag_of("PatientID"), "P9"), 0),
        ],
    )
    async def test_instances_at_or_below_what_matches(
        self, index: Index, level: Level, condition: Condition, count: int
    ) -> None:
        await populate(index)
        stored = [i async for i in index.instances(Query(level, (condition,)))]
        assert len(stored) == count

    # Many at once

    async def test_concurrent_adds(self, index: Index) -> None:
        records = [make_record(f"{n % 5}.{n % 10}.{n}") for n in range(100)]
        added: list[StoredInstance | None] = []

        async def add(record: InstanceRecord) -> None:
            added.append((await index.add(record)).existing)
            assert await index.locate(path_of(record)) == record.instance

        async with anyio.create_task_group() as group:
            for record in records:
                group.start_soon(add, record)
        assert added == [None] * 100
        assert [len(await found(index, level)) for level in Level] == [1, 5, 10, 100]

    async def test_of_adds_that_race_one_succeeds(self, index: Index) -> None:
        results: list[StoredInstance | None] = []

        async def add() -> None:
            results.append((await index.add(make_record())).existing)

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(add)
        assert results.count(None) == 1
        assert {r for r in results if r} == {make_record().instance}

    async def test_adds_and_removals_race(self, index: Index) -> None:
        async def come_and_go(n: int) -> None:
            for _ in range(5):
                await index.add(make_record(f"1.1.{n}"))
                await index.remove(path(f"1.1.{n}"))

        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(come_and_go, n)
        assert [await found(index, level) for level in Level] == [[], [], [], []]
