"""Wild cards: what SQL leaves out does not match, in SQLite and in PostgreSQL."""

from datetime import datetime
from random import Random

import pytest
from attrs import evolve
from pacs_database.api import Database
from pacs_sop_worklist.api import Step, steps_of
from pacs_sop_worklist.database_worklist import DatabaseWorklist
from pacs_sop_worklist.narrowing import with_texts
from pacs_sop_worklist.orders import PATIENT_NAME, make_order
from pacs_sop_worklist.searching import read_conditions

from pacs_core.contracts import matches

pytestmark = pytest.mark.anyio

NAMES = (
    "", "Doe^Jane", "DOE^JANE^^", "Doe ^ Jane", "doe", "Stra\u00dfe^\u00c9va", "Strasse^E\u0301va",
    "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046",
    "=\u5c71\u7530=",
    "\uff24\uff4f\uff45^100%_/", "O'Neil^\"", "a\0b^Doe", "x" * 70,
)  # fmt: skip
"""Case, compatible and composed forms, groups, empty components, what SQL has as signs."""
PIECES = (
    "*", "*", "*", "?", "^", "=", "doe", "D", "jane", "ss", "\u00df", "e\u0301", "\u5c71", "\u305f",
    "%", "_", "/", "'", "\0", "b", "x" * 66, " ", "\uff45", "100",
)  # fmt: skip


@pytest.fixture
async def worklist(database: Database) -> DatabaseWorklist:
    worklist = DatabaseWorklist(database)
    await worklist.start()
    return worklist


def order(number: int, name: str) -> Step:
    start = datetime(2099, 1, 1, 8, number)
    patient, accession = f"P{number % 4}/{number}", f"A_{number}"
    entry = make_order(patient, "Doe", "CT", start, study=f"1.2.{number}", accession=accession)
    (step,) = steps_of({**entry, PATIENT_NAME: (name,)})
    return step


async def test_nothing_that_matches_is_left_out(worklist: DatabaseWorklist) -> None:
    steps = [order(number, name) for number, name in enumerate(NAMES) if name]
    await worklist.put(steps, "test")
    random, narrowed = Random(20), 0
    for _ in range(300):
        pattern = "".join(random.choices(PIECES, k=random.randint(1, 6)))
        conditions = read_conditions([("PatientName", pattern)])
        narrowed += bool(list(with_texts(conditions, "sqlite")))
        found = [listed.step.start async for listed in worklist.search(conditions)]
        expected = [
            step.start for step in steps if all(matches(c, step.answered()) for c in conditions)
        ]
        assert (pattern, found) == (pattern, expected)
    assert narrowed > 200
    for key, pattern, count in (
        ("PatientID", "P?/1*", 4), ("PatientID", "p*", 0), ("AccessionNumber", "A_1*", 4),
        ("AccessionNumber", "A?*", 12), ("PatientID", "*%*", 0),
    ):  # fmt: skip
        conditions = read_conditions([(key, pattern)])
        found = [listed.step.start async for listed in worklist.search(conditions)]
        assert (pattern, len(found)) == (pattern, count)


async def test_a_name_that_was_corrected_is_found_by_the_new_one(
    worklist: DatabaseWorklist,
) -> None:
    before = order(1, "Doe^Jane")
    after = evolve(before, attributes={**before.attributes, PATIENT_NAME: ("Roe^Jane",)})
    for step in (before, after):
        await worklist.put([step], "test")
    for pattern, count in (("D*", 0), ("r*", 1)):
        conditions = read_conditions([("PatientName", pattern)])
        assert len([each async for each in worklist.search(conditions)]) == count
