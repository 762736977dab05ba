"""Query keys as they are typed."""

import pytest

from pacs_core.cli.errors import UsageError
from pacs_core.cli.keys import at_level, deepest_level, parse_keys
from pacs_core.cli.retrieve import retrieve_keys

NAME, STUDY, SERIES = 0x0010_0010, 0x0020_000D, 0x0020_000E
REQUEST, STEP, DESCRIPTION = 0x0040_0275, 0x0040_0009, 0x0040_0007


def test_values_and_return_keys() -> None:
    typed = ["PatientName=DOE*", "StudyDate=20200101-", "Modality", "0020,000D=1.2\\1.3"]
    assert parse_keys(typed) == {
        NAME: ("DOE*",),
        0x0008_0020: ("20200101-",),
        0x0008_0060: (),
        STUDY: ("1.2", "1.3"),
    }


def test_a_value_may_hold_an_equals_sign_and_be_empty() -> None:
    assert parse_keys(["PatientName==YAMADA", "PatientID="]) == {
        NAME: ("=YAMADA",),
        0x0010_0020: (),
    }


def test_keys_within_one_sequence_share_its_item() -> None:
    path = "RequestAttributesSequence.ScheduledProcedureStep"
    keys = parse_keys([f"{path}ID=7", f"{path}Description"])
    assert keys == {REQUEST: ({STEP: ("7",), DESCRIPTION: ()},)}


def test_a_sequence_alone_is_returned() -> None:
    assert parse_keys(["RequestAttributesSequence"]) == {REQUEST: ()}


def test_a_return_key_does_not_undo_a_value() -> None:
    assert parse_keys(["PatientName=DOE", "PatientName"]) == {NAME: ("DOE",)}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("PatintName=DOE", "did you mean PatientName"),
        ("PatientName.PatientID=1", "PatientName is no sequence"),
        ("RequestAttributesSequence=1", "is a sequence"),
        ("=1", "write KEYWORD"),
        ("RequestAttributesSequence.", "write KEYWORD"),
    ],
)
def test_wrong_keys(key: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_keys([key])


@pytest.mark.parametrize(
    ("typed", "level"),
    [
        (["PatientID=1"], "patient"),
        (["PatientID=1", "StudyInstanceUID=1.2"], "study"),
        (["SeriesInstanceUID=1.2", "StudyInstanceUID=1.2"], "series"),
        (["SOPInstanceUID=1.2", "SeriesInstanceUID=1.2"], "image"),
        (["SOPInstanceUID", "StudyInstanceUID=1"], "study"),
        (["PatientName=DOE"], None),
    ],
)
def test_the_level_is_that_of_the_deepest_unique_key(typed: list[str], level: str | None) -> None:
    assert deepest_level(parse_keys(typed)) == level


def test_the_level_becomes_an_attribute() -> None:
    assert at_level("image", {NAME: ()}) == {NAME: (), 0x0008_0052: ("IMAGE",)}


def test_retrieval_takes_unique_keys_only() -> None:
    assert retrieve_keys(["StudyInstanceUID=1.2"], None) == ("study", {STUDY: ("1.2",)})
    with pytest.raises(UsageError, match="not PatientName"):
        retrieve_keys(["StudyInstanceUID=1.2", "PatientName=DOE"], None)
    with pytest.raises(UsageError, match="say what to retrieve"):
        retrieve_keys(None, None)
    with pytest.raises(UsageError, match="level series needs -k SeriesInstanceUID"):
        retrieve_keys(["StudyInstanceUID=1.2"], "series")
