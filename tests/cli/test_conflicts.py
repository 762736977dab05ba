"""What instances contradict, as the command line shows and settles it; PS3.5 §9 notwithstanding."""

import json
from pathlib import Path

import pytest

from pacs_core.dataset import encode_attributes, file_meta, tag_of

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keep(pacs, tmp_path: Path, data: Path):
    """Import instances that are given as study, and further values."""
    folder = tmp_path / "files"
    folder.mkdir()

    def keep(*instances: dict[str, str]) -> None:
        for number, values in enumerate(instances):
            given = {
                "SOPClassUID": CT,
                "SOPInstanceUID": f"1.2.9.{number}",
                "StudyInstanceUID": "1.2.1",
                "SeriesInstanceUID": f"1.2.3.{number}",
                "PatientID": "P1",
                "PatientName": "DOE^JANE",
                **values,
            }
            attributes = {tag_of(keyword): (value,) for keyword, value in given.items()}
            dataset = encode_attributes(attributes, EXPLICIT)
            meta = file_meta(CT, given["SOPInstanceUID"], EXPLICIT)
            (folder / f"{number}.dcm").write_bytes(meta + dataset)
        done = pacs("import", "--data", data, folder)
        assert (done.code, done.out) == (0, f"{len(instances)} instances stored\n")

    return keep


TWINS = (
    {"SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.9", "PatientID": "P1"},
    {
        "SeriesInstanceUID": "1.2.3",
        "SOPInstanceUID": "1.2.9",
        "PatientID": "P2",
        "PatientName": "ROE^ANN",
        "StudyInstanceUID": "1.2.2",
    },
)


def audited(data: Path) -> list[dict[str, object]]:
    text = "".join(path.read_text() for path in data.rglob("audit.jsonl"))
    events = [json.loads(line) for line in text.splitlines()]
    return [event["details"] for event in events if "conflict" in event.values()]


def test_a_directory_that_is_not_there_is_not_made_by_looking(pacs, data: Path) -> None:
    for command in (
        ["index", "verify"],
        ["index", "verify", "--consistency"],
        ["index", "conflicts"],
        ["index", "rebuild"],
        ["archive", "aside", "list"],
        ["archive", "aside", "show", "1.dcm"],
        ["archive", "aside", "promote", "1.dcm", "--yes"],
        ["archive", "aside", "discard", "1.dcm", "--yes"],
        ["delete", "--study", "1.2"],
    ):
        result = pacs(*command, "--data", data)
        assert (result.code, result.out) == (1, "")
        assert f"there is no data directory {data}" in result.err
    assert not data.exists()


def test_consistency_of_what_agrees(pacs, data: Path, keep) -> None:
    keep({}, {"StudyInstanceUID": "1.2.2"})
    result = pacs("index", "verify", "--consistency", "--data", data)
    assert (result.code, result.out) == (0, "0 faults, 0 set aside, 0 conflicts\n")
    assert pacs("index", "conflicts", "--data", data).out == "0 conflicts\n"


def test_conflicts_are_listed_and_shown(pacs, data: Path, keep) -> None:
    keep(*TWINS)
    listed = ["series  1.2.3: 1.2.1, 1.2.2", "instance  1.2.9: 1.2.1, 1.2.2"]
    verified = pacs("index", "verify", "--consistency", "--data", data)
    assert verified.code == 1
    assert verified.out.splitlines() == [*listed, "0 faults, 0 set aside, 2 conflicts"]
    assert pacs("index", "verify", "--data", data).code == 0
    conflicts = pacs("index", "conflicts", "--data", data)
    assert (conflicts.code, conflicts.out.splitlines()) == (1, [*listed, "2 conflicts"])
    shown = pacs("index", "conflicts", "1.2.9", "--data", data)
    assert shown.code == 0
    title, header, *sides, delete, accept = shown.out.splitlines()
    assert title == listed[1]
    assert header.split()[:3] == ["PatientID", "IssuerOfPatientID", "PatientName"]
    # Files are imported several at once, in no order.
    assert sorted(side.split()[:2] for side in sides) == [["P1", "DOE^JANE"], ["P2", "ROE^ANN"]]
    assert "pacs delete --instance 1.2.9 --in-study STUDY --yes" in delete
    assert "pacs index conflicts 1.2.9 --accept" in accept
    assert [event["uid"] for event in audited(data)] == ["1.2.3", "1.2.9"]


def test_one_side_is_deleted(pacs, data: Path, keep) -> None:
    keep(*TWINS)
    for level, uid in (("--instance", "1.2.9"), ("--series", "1.2.3")):
        refused = pacs("delete", "--data", data, level, uid, "--yes")
        assert refused.code == 1
        assert f"{uid} is in 2 studies: name one of 1.2.1, 1.2.2 with --in-study" in refused.err
    deleted = pacs("delete", "--data", data, "--instance", "1.2.9", "--in-study", "1.2.2", "--yes")
    assert (deleted.code, deleted.out) == (0, "1 instance deleted\n")
    assert [path.parts[-3] for path in data.rglob("*.dcm")] == ["1.2.1"]
    result = pacs("index", "verify", "--consistency", "--data", data)
    assert (result.code, result.out) == (0, "0 faults, 0 set aside, 0 conflicts\n")


def test_both_sides_are_accepted(pacs, data: Path, keep) -> None:
    keep(*TWINS)
    for uid in ("1.2.9", "1.2.3"):
        accepted = pacs("index", "conflicts", uid, "--accept", "--data", data)
        assert (accepted.code, accepted.out) == (0, "1 conflict accepted\n")
    assert pacs("index", "conflicts", "--data", data).out == "0 conflicts\n"
    pacs("index", "rebuild", "--data", data)
    assert pacs("index", "verify", "--consistency", "--data", data).code == 0
    every = pacs("index", "conflicts", "--accepted", "--data", data)
    assert every.code == 0
    assert every.out.count("(accepted)") == 2
    assert [event.get("accepted") for event in audited(data)] == [None, None, True, True]


def test_study_of_two_patients_is_deleted_by_patient(pacs, data: Path, keep) -> None:
    keep({}, {"IssuerOfPatientID": "HOSPITAL"}, {"PatientID": ""})
    listed = pacs("index", "conflicts", "--data", data).out.splitlines()[0]
    assert listed == "study  1.2.1: (none), P1, P1^^^HOSPITAL"
    for patient in ("P1^^^HOSPITAL", ""):
        deletion = ["delete", "--data", data, "--study", "1.2.1", "--of-patient", patient, "--yes"]
        assert pacs(*deletion).out == "1 instance deleted\n"
    assert pacs("index", "conflicts", "--data", data).out == "0 conflicts\n"


def test_demographics_and_attributes(pacs, data: Path, keep) -> None:
    keep(
        {"StudyDescription": "HEAD"},
        {"StudyDescription": "CHEST"},
        {"StudyInstanceUID": "1.2.2", "PatientName": "ROE^ANN"},
    )
    result = pacs("index", "conflicts", "--data", data)
    assert result.out.splitlines() == [
        "patient  P1 PatientName: DOE^JANE, ROE^ANN",
        "study-attribute  1.2.1 StudyDescription: CHEST, HEAD",
        "2 conflicts",
    ]
    shown = pacs("index", "conflicts", "P1", "--data", data).out
    assert all(name in shown for name in ("DOE^JANE", "ROE^ANN"))
    nothing = pacs("index", "conflicts", "1.2.99", "--data", data)
    assert (nothing.code, nothing.err) == (1, "pacs: nothing contradicts about 1.2.99\n")


def test_a_damaged_list_of_what_was_accepted_is_named(pacs, data: Path, keep) -> None:
    keep(*TWINS)
    (data / "accepted-conflicts.json").write_text("[")
    result = pacs("index", "conflicts", "--data", data)
    assert result.code == 1
    assert "accepted-conflicts.json is damaged" in result.err
