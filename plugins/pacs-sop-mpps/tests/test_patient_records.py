"""The contract of records about patients, for performed procedure steps."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pacs_database.testing import open_database
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_mpps.api import PerformedProcedureSteps
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.database_steps import DatabasePerformedSteps
from pacs_sop_mpps.testing import sample_attributes

from pacs_core.contracts import NodeSettings, PatientRecords
from pacs_core.dataset import Attributes
from pacs_core.testing.patient_records_contract import PatientRecordsContract


class TestPerformedSteps(PatientRecordsContract):
    @pytest.fixture
    async def records(
        self, tmp_path: Path, database_url: str, anyio_backend: Any
    ) -> AsyncIterator[PatientRecords]:
        async with open_database(tmp_path, database_url) as database:
            queue = DatabaseJobQueue(database)
            await queue.start()
            steps = DatabasePerformedSteps(database, queue, MppsConfig(), NodeSettings)
            await steps.start()
            yield steps

    async def keep(self, records: PatientRecords, patient: Attributes, number: int) -> str:
        steps = cast(PerformedProcedureSteps, records)
        made = await steps.create(f"1.2.{number}", {**sample_attributes(), **patient})
        return made.instance_uid

    async def read(self, records: PatientRecords, key: str) -> Attributes:
        return (await cast(PerformedProcedureSteps, records).find(key)).attributes
