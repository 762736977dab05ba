"""The contract of records about patients, for the worklist."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pacs_database.testing import open_database
from pacs_sop_worklist.api import Worklist, steps_of
from pacs_sop_worklist.database_worklist import DatabaseWorklist
from pacs_sop_worklist.steps import SEQUENCE

from pacs_core.contracts import PatientRecords, SingleValue
from pacs_core.dataset import Attributes, tag_of
from pacs_core.testing.patient_records_contract import PatientRecordsContract

STUDY = tag_of("StudyInstanceUID")
STEP = {
    tag_of(keyword): (value,)
    for keyword, value in {
        "Modality": "CT",
        "ScheduledProcedureStepID": "S1",
        "ScheduledProcedureStepStartDate": "20260131",
    }.items()
}


class TestWorklist(PatientRecordsContract):
    @pytest.fixture
    async def records(
        self, tmp_path: Path, database_url: str, anyio_backend: Any
    ) -> AsyncIterator[PatientRecords]:
        async with open_database(tmp_path, database_url) as database:
            worklist = DatabaseWorklist(database)
            await worklist.start()
            yield worklist

    async def keep(self, records: PatientRecords, patient: Attributes, number: int) -> str:
        worklist, study = cast(Worklist, records), f"1.2.{number}"
        procedure = {STUDY: (study,), tag_of("RequestedProcedureID"): ("R1",), SEQUENCE: (STEP,)}
        await worklist.put(steps_of({**procedure, **patient}), "test")
        (listed,) = [each async for each in worklist.search((SingleValue(STUDY, study),))]
        return str(listed.number)

    async def read(self, records: PatientRecords, key: str) -> Attributes:
        return (await cast(Worklist, records).find(int(key))).step.attributes
