"""Plans of searches in SQLite: what is asked for by its key is not looked for among all steps."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pacs_database.testing import open_database
from pacs_sop_worklist.database_worklist import DatabaseWorklist
from pacs_sop_worklist.narrowing import narrow
from pacs_sop_worklist.searching import read_conditions
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("keys", "index"),
    [
        ([("PatientID", "P1")], "worklist_patient_id"),
        ([("AccessionNumber", "A1")], "worklist_accession_number"),
        ([("StudyInstanceUID", "1.2.3")], "worklist_study_uid"),
        ([("ScheduledProcedureStepStartDate", "20990131")], "worklist_start_name"),
        ([("PatientName", "*jane*")], "worklist_start_name"),
        (
            [("ScheduledStationAETitle", "CT1"), ("ScheduledProcedureStepStartDate", "20990131")],
            "worklist_stations_1 (ae_title=? AND is_open=? AND start>? AND start<?)",
        ),
    ],
)
async def test_the_index_that_fits_is_used(
    tmp_path: Path, keys: Sequence[tuple[str, str]], index: str
) -> None:
    statement, _ = narrow(read_conditions(keys), "", with_ended=False, dialect="sqlite")
    compiled = statement.limit(20).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    async with open_database(tmp_path) as database:
        await DatabaseWorklist(database).start()
        async with database.connect() as connection:
            plan = (await connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))).all()
    assert index in plan[0].detail
    if "station" in index:
        assert not any("ORDER BY" in row.detail for row in plan)  # so the first comes at once
