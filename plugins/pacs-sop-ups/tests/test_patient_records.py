"""The contract of records about patients, for unified procedure steps."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pacs_database.testing import open_database
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_ups.api import UnifiedProcedureSteps
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.database_steps import DatabaseProcedureSteps
from pacs_sop_ups.testing import sample_attributes

from pacs_core.contracts import PatientRecords
from pacs_core.dataset import Attributes
from pacs_core.testing.patient_records_contract import PatientRecordsContract


class TestProcedureSteps(PatientRecordsContract):
    @pytest.fixture
    async def records(
        self, tmp_path: Path, database_url: str, anyio_backend: Any
    ) -> AsyncIterator[PatientRecords]:
        async with open_database(tmp_path, database_url) as database:
            queue = DatabaseJobQueue(database)
            await queue.start()
            steps = DatabaseProcedureSteps(database, queue, UpsConfig())
            await steps.start()
            yield steps

    async def keep(self, records: PatientRecords, patient: Attributes, number: int) -> str:
        steps = cast(UnifiedProcedureSteps, records)
        await steps.create(f"1.2.{number}", {**sample_attributes(), **patient})
        return f"1.2.{number}"

    async def read(self, records: PatientRecords, key: str) -> Attributes:
        return (await cast(UnifiedProcedureSteps, records).find(key)).attributes
