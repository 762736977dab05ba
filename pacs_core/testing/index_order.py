# ruff: noqa: D102 - the names of the tests are their documentation
"""Counting and sorting, as part of the contract of an index."""

import pytest
from attrs import evolve

from pacs_core.contracts import Fingerprint, Index, InstanceRecord, Level, Order, Query, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import make_record, path


def _record_with(digest: bytes, name: str) -> InstanceRecord:
    record = make_record(name)
    return evolve(record, instance=evolve(record.instance, digest=digest))


class IndexOrder:
    """Part of `IndexContract`."""

    async def test_count_is_of_all_that_match(self, index: Index) -> None:
        for n in range(40):
            await index.add(make_record(f"{n % 8}.{n}.1", Modality="MR" if n % 2 else "CT"))
        assert await index.count(Query(Level.STUDY)) == 8
        assert await index.count(Query(Level.SERIES, limit=3, offset=7)) == 40
        modality = tag_of("Modality")
        assert await index.count(Query(Level.SERIES, (SingleValue(modality, "MR"),))) == 20
        assert await index.count(Query(Level.STUDY, (SingleValue(modality, "MR"),))) == 4
        assert await index.count(Query(Level.STUDY, (SingleValue(modality, "US"),))) == 0
        only = (SingleValue(modality, "CT"),)
        assert await index.count(Query(Level.STUDY, restrictions=only)) == 4

    async def test_a_fingerprint_is_of_all_that_match(self, index: Index) -> None:
        series = Query(Level.SERIES, (SingleValue(tag_of("SeriesInstanceUID"), "1.2.3.1.1"),))
        assert (await index.fingerprint(series)).instances == 0
        told = set()
        for n in range(600):
            await index.add(_record_with(b"%032d" % n, f"1.1.{n}"))
            if n % 200 == 199:
                made = await index.fingerprint(series)
                assert made == await Fingerprint.of_instances(index.instances(series))
                assert (made.instances, len(made.digest)) == (n + 1, 16)
                told.add(made.digest)
        assert await index.fingerprint(evolve(series, limit=3, offset=9)) == made
        # What lies elsewhere does not matter, and what is not shown does not count.
        await index.add(_record_with(bytes(32), "1.2.1"))
        assert await index.fingerprint(series) == made
        few = evolve(series, restrictions=(SingleValue(tag_of("Modality"), "US"),))
        assert (await index.fingerprint(few)).instances == 0
        await index.remove(path("1.1.7"))
        told.add((await index.fingerprint(series)).digest)
        await index.replace(_record_with(b"other", "1.1.8"))
        told.add((await index.fingerprint(series)).digest)
        assert len(told) == 5
        one = Query(Level.IMAGE, (SingleValue(tag_of("SOPInstanceUID"), "1.2.3.1.1.9"),))
        assert (await index.fingerprint(one)).instances == 1
        # The content of one is not known.
        await index.add(_record_with(b"", "1.1.700"))
        unknown = await index.fingerprint(series)
        assert (unknown.instances, unknown.digest) == (600, b"")

    @pytest.mark.parametrize(
        ("keyword", "values"),
        [
            ("StudyDate", ["2019.12.31", "20200101", "20200102"]),
            ("PatientName", ["adams^a", "Adams^B", "BROWN", "zoë"]),
            ("StudyDescription", ["abc", "Abd", "b", "Ä"]),
            ("InstanceNumber", ["-2", "9", "10", "100"]),
            ("PatientWeight", ["9.5", "10", "1e2"]),
        ],
    )
    @pytest.mark.parametrize("descending", [False, True])
    async def test_results_are_sorted(
        self, index: Index, keyword: str, values: list[str], descending: bool
    ) -> None:
        tag = tag_of(keyword)
        level = Level.IMAGE if keyword == "InstanceNumber" else Level.STUDY
        for n, value in enumerate([values[-1], "", *values[:-1]]):
            await index.add(make_record(f"{n}.1.1", **{keyword: value, "PatientID": str(n)}))
        wanted = [*(values[::-1] if descending else values), ""]
        query = Query(level, returning=frozenset({tag}), order=(Order(tag, descending),))
        found = [r[tag] async for r in index.search(query)]
        assert found == [(value,) if value else () for value in wanted]
        page = evolve(query, limit=2, offset=1)
        assert [r[tag] async for r in index.search(page)] == found[1:3]

    async def test_what_is_equal_is_sorted_by_the_next(self, index: Index) -> None:
        for n, (name, position) in enumerate([("MR", "2"), ("CT", "3"), ("MR", "1")]):
            await index.add(make_record(f"1.{n}.1", Modality=name, SeriesNumber=position))
        modality, number = map(tag_of, ("Modality", "SeriesNumber"))
        order = (Order(modality, descending=True), Order(number))
        query = Query(Level.SERIES, returning=frozenset({modality, number}), order=order)
        found = [(r[modality][0], r[number][0]) async for r in index.search(query)]
        assert found == [("MR", "1"), ("MR", "2"), ("CT", "3")]

    async def test_series_are_sorted_by_what_their_study_is(self, index: Index) -> None:
        for n, day in enumerate(["20200103", "20200101", "20200102"]):
            await index.add(make_record(f"{n}.1.1", StudyDate=day))
        date = tag_of("StudyDate")
        query = Query(Level.SERIES, returning=frozenset({date}), order=(Order(date),))
        assert [r[date][0] async for r in index.search(query)] == [
            "20200101",
            "20200102",
            "20200103",
        ]

    @pytest.mark.parametrize(
        "keyword", ["InstanceNumber", "ModalitiesInStudy", "ProcedureCodeSequence", "PixelData"]
    )
    async def test_what_cannot_be_sorted_by_is_said(self, index: Index, keyword: str) -> None:
        await index.add(make_record())
        query = Query(Level.STUDY, order=(Order(tag_of(keyword)),))
        with pytest.raises(ValueError, match=keyword):
            _ = [result async for result in index.search(query)]
