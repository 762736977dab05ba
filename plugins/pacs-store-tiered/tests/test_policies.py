"""What policies say, of studies that are known by a table, and the plan that follows."""

from pathlib import Path

import anyio
import pytest
from hypothesis import given, strategies as st
from pacs_database.testing import open_database
from pacs_store_tiered.config import PolicyConfig, TieredConfig
from pacs_store_tiered.database_studies import DatabaseStudies
from pacs_store_tiered.interface import StudyFacts
from pacs_store_tiered.policies import DAY, Candidate, about, choose

from pacs_core.contracts import InstanceIdentity, StoredInstance

NOW = 1_800_000_000.0
CT, MG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2"


def target(
    policies: list[PolicyConfig],
    *,
    age: float = 100.0,
    unused: float | None = None,
    complete: bool = True,
    modality: str = "CT",
    sop_class: str = CT,
    size: int = 1000,
    lacking: frozenset[str] = frozenset(),
) -> str:
    """Return where policies send an object that is hot; empty for nowhere."""
    unused = age if unused is None else unused
    study = StudyFacts("1.2", NOW - age * DAY, NOW - unused * DAY, complete)
    instance = StoredInstance(InstanceIdentity("1.2", "1.3", "1.4", sop_class), "", "k", size, 0)
    some = about(policies, study, NOW)
    chosen = choose(some, Candidate(instance, modality, "hot"), lambda tier, _: tier in lacking)
    return chosen.to if chosen else ""


def test_each_condition_of_a_policy_must_hold() -> None:
    policies = [
        PolicyConfig(to="hot", modalities=("MG",), younger_than=1826),
        PolicyConfig(to="warm", sop_classes=(MG,)),
        PolicyConfig(to="cold", older_than=50, unused_for=20, larger_than=500, smaller_than=5000),
        PolicyConfig(to="warm", free_below=0.2, incomplete=True),
    ]
    assert target(policies) == "cold"
    assert target(policies, age=49) == ""
    assert target(policies, age=50) == "cold"
    assert target(policies, unused=19) == ""
    assert target(policies, size=500) == target(policies, size=5000) == ""
    assert target(policies, complete=False) == ""
    assert target(policies, modality="MG") == "hot"
    assert target(policies, modality="MG", complete=False) == "hot"
    assert target(policies, modality="MG", age=1827) == "cold"
    assert target(policies, sop_class=MG) == "warm"
    assert target(policies, complete=False, lacking=frozenset({"hot"})) == "warm"
    assert target(policies, complete=False, lacking=frozenset({"warm"})) == ""


@given(st.floats(0, 4000), st.floats(0, 4000), st.booleans())
def test_nothing_moves_that_is_younger_or_was_used_later(
    age: float, unused: float, complete: bool
) -> None:
    unused = min(age, unused)
    said = target(
        [PolicyConfig(to="cold", older_than=365, unused_for=90)],
        age=age,
        unused=unused,
        complete=complete,
    )
    moves = complete and age > 365.1 and unused > 90.1
    stays = not complete or age < 364.9 or unused < 89.9
    assert said == ("cold" if moves else "" if stays else said)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hot": "a"}, "needs `warm` or `cold`"),
        ({"hot": "a", "cold": "b", "nearline": ("warm",)}, "there is no tier 'warm'"),
        ({"hot": "a", "cold": "b", "offline": ("hot",)}, "must be in"),
    ],
)
def test_tables_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TieredConfig(**wrong)


def test_studies_are_known_in_the_order_of_their_use(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_database(tmp_path) as database:
            studies = DatabaseStudies(database)
            await studies.start()
            await studies.note_arrivals({f"1.{number}": float(number) for number in range(1200)})
            await studies.note_complete([f"1.{number}" for number in range(1200)])
            await studies.note_uses(["1.0", "1.600", "9.9"], 5000.0)
            await studies.pin(["1.1", "7.7"], "teaching")
            await studies.note_arrivals({"1.2": 6000.0})
            known = [each async for each in studies.by_use()]
            assert [each.uid for each in known[-3:]] == ["1.0", "1.600", "1.2"]
            assert (len(known), len({each.uid for each in known})) == (1201, 1201)
            assert [each.used for each in known] == sorted(each.used for each in known)
            assert known[-1] == StudyFacts("1.2", 6000.0, 6000.0, complete=False)
            assert known[1] == StudyFacts("1.1", 1.0, 1.0, complete=True, pinned="teaching")
            assert {each.uid async for each in studies.pinned()} == {"1.1", "7.7"}
            await studies.forget("1.1")
            await studies.pin(["1.1"], "")
            await studies.forget("1.1")
            assert {each.uid async for each in studies.pinned()} == {"7.7"}

    anyio.run(run)
