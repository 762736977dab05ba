# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of those who keep records about patients, as tests: say how one is kept and read.

Example
-------
::

    class TestWorklist(PatientRecordsContract):
        @pytest.fixture
        async def records(self, tmp_path, anyio_backend) -> AsyncIterator[PatientRecords]:
            ...

        async def keep(self, records: PatientRecords, patient: Attributes, number: int) -> str:
            ...
            return key

        async def read(self, records: PatientRecords, key: str) -> Attributes:
            ...
"""

from typing import Final

import anyio
import pytest

from pacs_core.contracts import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    PATIENT_TAGS,
    EntityPath,
    PatientRecords,
)
from pacs_core.dataset import Attributes, Changes, Value, tag_of, texts

_NAME: Final = tag_of("PatientName")
_BIRTH_DATE: Final = tag_of("PatientBirthDate")
_TRAUMA: Final[Attributes] = {
    PATIENT_ID: ("TRAUMA-1",),
    ISSUER_OF_PATIENT_ID: ("HOSPITAL",),
    _NAME: ("Doe^John",),
    _BIRTH_DATE: (),
    tag_of("PatientSex"): ("O",),
}
_UNKNOWN: Final = EntityPath("TRAUMA-1", "HOSPITAL")
_KNOWN: Final = EntityPath("4711", "HOSPITAL")
_MERGE: Final[dict[int, tuple[Value, ...]]] = {
    PATIENT_ID: ("4711",),
    _NAME: ("Roe^Jane",),
    _BIRTH_DATE: ("19700101",),
}
_ODD: Final = ("100%", "A_1", "o'Neil", 'say "hi"', "back/slash", "Müller-7", "山田-1", "a b")


class PatientRecordsContract:
    """What all must do who keep records about patients, when patients are merged or renamed.

    Subclass it in a test module, define the fixture ``records``, and :meth:`keep` and :meth:`read`.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def records(self) -> PatientRecords:
        """Return the records, started, of which there are none yet."""
        raise NotImplementedError("define the fixture `records`")

    async def keep(self, records: PatientRecords, patient: Attributes, number: int) -> str:
        """Keep a record that says this of a patient, and return its key.

        Parameters
        ----------
        records : PatientRecords
        patient : Attributes
            Of :data:`PATIENT_TAGS`.
        number : int
            Tells records of a test apart.
        """
        raise NotImplementedError("define the method `keep`")

    async def read(self, records: PatientRecords, key: str) -> Attributes:
        """Return what a record says now."""
        raise NotImplementedError("define the method `read`")

    async def says(self, records: PatientRecords, key: str) -> Attributes:
        """Return what a record says of its patient, without what it leaves empty."""
        found = await self.read(records, key)
        return {tag: texts(found, tag) for tag in PATIENT_TAGS if any(texts(found, tag))}

    async def test_records_have_a_name(self, records: PatientRecords) -> None:
        assert records.records_name.strip()

    async def test_there_is_nothing_to_change(self, records: PatientRecords) -> None:
        assert not await records.change_patient(_UNKNOWN, _MERGE)

    async def test_all_records_of_a_patient_change_and_nobody_elses(
        self, records: PatientRecords
    ) -> None:
        first = await self.keep(records, _TRAUMA, 1)
        second = await self.keep(records, _TRAUMA, 2)
        other = await self.keep(records, {**_TRAUMA, PATIENT_ID: ("TRAUMA-10",)}, 3)
        elsewhere = await self.keep(records, {**_TRAUMA, ISSUER_OF_PATIENT_ID: ("CLINIC",)}, 4)
        unchanged = [await self.says(records, key) for key in (other, elsewhere)]
        former = await records.change_patient(_UNKNOWN, _MERGE)
        assert set(former) == {first, second}
        for key in (first, second):
            assert former[key] == {tag: tuple(texts(_TRAUMA, tag)) for tag in _MERGE}
            said = await self.says(records, key)
            assert {tag: said[tag] for tag in _MERGE} == _MERGE
            assert said[ISSUER_OF_PATIENT_ID] == ("HOSPITAL",)
        assert [await self.says(records, key) for key in (other, elsewhere)] == unchanged

    async def test_what_is_so_already_is_left_alone(self, records: PatientRecords) -> None:
        key = await self.keep(records, _TRAUMA, 1)
        same: Changes = {PATIENT_ID: ("TRAUMA-1",), _NAME: ("Doe^John",), _BIRTH_DATE: None}
        assert not await records.change_patient(_UNKNOWN, same)
        renamed = await records.change_patient(_UNKNOWN, {**same, _NAME: ("Doe^Jim",)})
        assert renamed == {key: {_NAME: ("Doe^John",)}}

    async def test_what_is_not_of_patients_is_not_changed(self, records: PatientRecords) -> None:
        await self.keep(records, _TRAUMA, 1)
        assert not await records.change_patient(_UNKNOWN, {tag_of("AccessionNumber"): ("X",)})

    async def test_only_some_records(self, records: PatientRecords) -> None:
        first = await self.keep(records, _TRAUMA, 1)
        second = await self.keep(records, _TRAUMA, 2)
        assert not await records.change_patient(_UNKNOWN, _MERGE, keys=())
        assert not await records.change_patient(_UNKNOWN, _MERGE, keys=("no such record",))
        assert set(await records.change_patient(_UNKNOWN, _MERGE, keys=(second,))) == {second}
        assert (await self.says(records, first))[PATIENT_ID] == ("TRAUMA-1",)

    async def test_a_change_is_undone_with_what_was_before(self, records: PatientRecords) -> None:
        """Of a patient into whom others were merged, only what came from those goes back."""
        key = await self.keep(records, _TRAUMA, 1)
        own = await self.keep(records, {**_TRAUMA, **_MERGE}, 2)
        before = await self.says(records, key)
        former = await records.change_patient(_UNKNOWN, _MERGE)
        assert set(former) == {key}
        undone = await records.change_patient(_KNOWN, former[key], keys=(key,))
        assert set(undone) == {key}
        assert await self.says(records, key) == before
        assert (await self.says(records, own))[PATIENT_ID] == ("4711",)

    async def test_identifiers_are_text_and_no_patterns(self, records: PatientRecords) -> None:
        others = [
            await self.keep(records, {**_TRAUMA, PATIENT_ID: (identifier,)}, number)
            for number, identifier in enumerate(("AB1", "1000", "o'NEIL", "trauma-1"), 1)
        ]
        for number, identifier in enumerate(_ODD, 10):
            odd = await self.keep(records, {**_TRAUMA, PATIENT_ID: (identifier,)}, number)
            patient = EntityPath(identifier, "HOSPITAL")
            assert set(await records.change_patient(patient, _MERGE)) == {odd}
            assert set(await records.change_patient(_KNOWN, {PATIENT_ID: (identifier,)})) == {odd}
            assert (await self.says(records, odd))[PATIENT_ID] == (identifier,)
        assert all([(await self.says(records, key))[_NAME] == ("Doe^John",) for key in others])

    async def test_of_many_who_change_at_once_one_does(self, records: PatientRecords) -> None:
        keys = [await self.keep(records, _TRAUMA, number) for number in range(1, 4)]
        found: list[str] = []

        async def change() -> None:
            found.extend(await records.change_patient(_UNKNOWN, _MERGE))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(change)
        assert sorted(found) == sorted(keys)

    async def test_a_cancelled_change_is_whole_or_none(self, records: PatientRecords) -> None:
        keys = [await self.keep(records, _TRAUMA, number) for number in range(1, 4)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(records.change_patient, _UNKNOWN, _MERGE)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        said = {(await self.says(records, key))[PATIENT_ID] for key in keys}
        assert len(said) == 1
        await records.change_patient(_UNKNOWN, _MERGE)
        assert {(await self.says(records, key))[PATIENT_ID] for key in keys} == {("4711",)}
