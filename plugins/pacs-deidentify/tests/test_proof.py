"""The proof: what is left is found wherever and however it is written, before it is let out."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pacs_deidentify import batch
from pacs_deidentify.evidence import gather_evidence
from pacs_deidentify.files import deidentify_file
from pacs_deidentify.leaks import find_leaks
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.pseudonyms import Pseudonyms
from pacs_deidentify.worker import Request, answer
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from .samples import make_instance, make_report
from .test_files import DEFLATED, JPEG, PROFILE, run, save

__all__ = ["run"]

EXCLUSIVE = {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES}
NEED_RULES = {Option.CLEAN_VISUAL_FEATURES, Option.CLEAN_PIXEL_DATA}


def encode(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def deidentify(dataset: Dataset, *options: Option):
    """Return what is made of a dataset, and what it told."""
    target = BytesIO()
    profile = Profile(pseudonyms=Pseudonyms(b"k" * 16), options=frozenset(options))
    report = deidentify_file(BytesIO(encode(dataset)), profile, lambda made: target)
    return target.getvalue(), report.evidence


CONFIG = """
[plugin.deidentify]
profile = "careless"
[plugin.deidentify.profiles.careless]
{}
"""


@pytest.mark.parametrize(
    ("rules", "options", "path"),
    [
        ('keep = ["PatientID"]', (), "(0010,0020)"),
        ('keep = ["StudyDescription"]', (), "(0008,1030)"),
        ('keep = ["RequestAttributesSequence", "PersonName"]', (), "(0040,0275)[0]."
         "(0040,0008)[0].(0040,A123)"),
        ('keep = ["AcquisitionDateTime"]', (), "(0008,002A)"),
        ('keep = ["InstitutionName"]', ("--option", "retain-uids"), "(0008,0080)"),
    ],
)  # fmt: skip
def test_what_a_careless_profile_leaves_is_not_let_out(
    run: Callable, tmp_path: Path, monkeypatch, rules: str, options: tuple[str, ...], path: str
) -> None:
    save(tmp_path / "in" / "a", make_instance())
    (tmp_path / "pacs.toml").write_text(CONFIG.format(rules))
    there: list[list[Path]] = []

    def look(*given, **more):
        there.append(list((tmp_path / "out").rglob("*.dcm")))
        return find_leaks(*given, **more)

    monkeypatch.setattr(batch, "find_leaks", look)
    arguments = ("in", "out", "--config", "pacs.toml", "--report", "r", "--jobs", 1, *options)
    result = run(*arguments)
    assert (result.code, result.out) == (1, "0 instances de-identified, 1 leaking\n")
    assert path in result.err
    assert "not kept" in result.err
    assert there == [[]]  # it has no name yet when it is searched
    assert list((tmp_path / "out").iterdir()) == []
    _, line = map(json.loads, (tmp_path / "r").read_text().splitlines())
    assert (line["outcome"], line["target"]) == ("leaking", "")
    assert path in line["leaks"]
    assert line["sought"]["patient"] >= 3
    assert line["searched"] > 1000
    kept = run(*arguments, "--keep-leaking")
    assert kept.code == 1
    assert "kept as" in kept.err
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


def test_a_profile_may_ask_for_the_proof(tmp_path: Path, run: Callable) -> None:
    """Then it is done without a report, and for what a node hands out."""
    source = save(tmp_path / "in" / "a", make_instance())
    (tmp_path / "pacs.toml").write_text(CONFIG.format('keep = ["PatientID"]\nprove = true'))
    assert run("in", "out", "--config", "pacs.toml").code == 1
    assert list((tmp_path / "out").iterdir()) == []
    pseudonyms = Pseudonyms(b"k" * 16)
    careless = Profile(pseudonyms=pseudonyms, keep=frozenset({0x00100020}), proves=True)
    found = answer(Request(source, tmp_path / "one", careless))
    assert found == {"refused": "it would still show who it is of, in (0010,0020)"}
    careful = Profile(pseudonyms=pseudonyms, proves=True)
    assert "sop_instance_uid" in answer(Request(source, tmp_path / "two", careful))


PLANTS = {
    "text": ("ConvolutionKernel", "for RUIZ"),
    "a name turned round": ("ConvolutionKernel", "MarisolRuiz"),
    "a code string": ("BodyPartExamined", "RUIZ"),
    "a number": ("KVP", "5550199000"),
    "an identifier without separators": ("FilterType", "MRN77120"),
    "its number alone": ("FilterType", "no 77120."),
    "an old date in text": ("ConvolutionKernel", "4/23/1961"),
    "a date in words": ("ConvolutionKernel", "on 23 April 1961"),
    "a short date": ("ConvolutionKernel", "23.04.61"),
    "a date that stays": ("StudyDate", "20230817"),
    "a date before a time": ("StudyTime", "20230817101500"),
    "a short value that stays": ("StudyID", "S1"),
    "a UID": ("FrameOfReferenceUID", "1.2.826.99.77"),
    "a UID in text": ("ContrastBolusAgent", "see 1.2.826.99.77, 5"),
    "another charset": ("ConvolutionKernel", "Müller"),
    "without accents": ("ConvolutionKernel", "MUELLER"),
    "a mail address": ("FilterType", "ruiz@example.org"),
    "binary text": ("ICCProfile", b"\0\1for Ruiz\0"),
    "UTF-16": ("ICCProfile", b"\0\1" + "Marisol".encode("utf-16-be")),
    "a long binary value": ("ICCProfile", bytes(4000) + b"Marisol Ruiz" + bytes(9)),
    "pixels": ("PixelData", bytes(40) + b"Mercy West" + bytes(78)),
}


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize(("keyword", "value"), PLANTS.values(), ids=PLANTS)
def test_what_is_planted_is_found(keyword: str, value: object) -> None:
    original = make_instance(
        OtherPatientNames="Müller^Jörg", OtherPatientIDs=["5550199000"], PatientComments=""
    )
    content, evidence = deidentify(original)
    assert find_leaks(BytesIO(content), evidence).leaks == ()
    made = dcmread(BytesIO(content))
    setattr(made, keyword, value)
    found = find_leaks(BytesIO(encode(made)), evidence).leaks
    assert len(found) == 1
    assert found[0].startswith("bytes at") == (keyword == "PixelData")


def test_in_private_elements_sequences_and_around_the_dataset() -> None:
    content, evidence = deidentify(make_instance())
    made = dcmread(BytesIO(content))
    item = Dataset()
    item.add_new(0x00290010, "LO", "ACME 1")
    item.add_new(0x00291001, "LT", "seen by Per Lindqvist")
    made.add_new(0x00290010, "LO", "ACME 1")
    made.add_new(0x00291002, "SQ", [item])
    made.add_new(0x60003000, "OW", b"Ruiz")
    made.preamble = b"Castellanos".ljust(128, b"\0")
    found = find_leaks(BytesIO(encode(made)), evidence).leaks
    assert found == ("(0029,1002)[0].(0029,1001)", "(6000,3000)", "file meta information")
    made = dcmread(BytesIO(content))
    made.file_meta.SourceApplicationEntityTitle = "CTSCANNER9"
    assert find_leaks(BytesIO(encode(made)), evidence).leaks == ("file meta information",)


def test_in_comments_of_compressed_pixels_and_in_deflated_files() -> None:
    made, evidence = deidentify(make_instance())
    dataset = dcmread(BytesIO(made))
    dataset.file_meta.TransferSyntaxUID = JPEG
    comment = b"\xff\xd8\xff\xfe\0\x0eMarisol Ruiz\xff\xd9"
    dataset.PixelData = encapsulate([comment])
    dataset["PixelData"].is_undefined_length = True
    (found,) = find_leaks(BytesIO(encode(dataset)), evidence).leaks
    assert found.startswith("bytes at")
    dataset = dcmread(BytesIO(made))
    dataset.file_meta.TransferSyntaxUID = DEFLATED
    dataset.PixelData = bytes(40) + b"Mercy West" + bytes(78)
    (found,) = find_leaks(BytesIO(encode(dataset)), evidence).leaks
    assert found.startswith("bytes at")


def test_across_the_blocks_in_which_bytes_are_read() -> None:
    content, evidence = deidentify(make_instance())
    for before in ((1 << 20) - 5, (1 << 20) * 2 - 9):
        made = dcmread(BytesIO(content))
        made.PixelData = bytes(before) + b"1.2.826.99.77" + bytes(9)
        assert find_leaks(BytesIO(encode(made)), evidence).leaks


def test_dates_that_move() -> None:
    """One may become another by chance, but none may stay where it was."""
    content, evidence = deidentify(make_instance(), Option.RETAIN_MODIFIED_DATES)
    made = dcmread(BytesIO(content))
    made.SeriesDate, made.InstanceCreationDate = "20230817", "20230817"
    found = find_leaks(BytesIO(encode(made)), evidence, dates_move=True).leaks
    assert found == ("(0008,0021)",)


def test_codes_are_words_of_the_standard() -> None:
    """Somebody is called Head, and what is examined is a head."""
    original = make_instance(OperatorsName="Head^Abdomen", BodyPartExamined="HEAD")
    content, evidence = deidentify(original)
    assert find_leaks(BytesIO(content), evidence).leaks == ()
    assert dcmread(BytesIO(content)).BodyPartExamined == "HEAD"
    content, _ = deidentify(make_instance(BodyPartExamined="RUIZ"))
    assert "BodyPartExamined" not in dcmread(BytesIO(content))


def test_what_is_retained_does_not_count() -> None:
    options = (Option.RETAIN_UIDS, Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_FULL_DATES)
    groups = gather_evidence(make_instance(), options).groups
    assert not {"uid", "device", "date"} & set(groups)
    assert groups["birth"] == {"19610423"}
    # The scanner is also named as where the patient is: that is retained, wherever it stands.
    dataset = make_instance(CurrentPatientLocation="CTSCANNER9")
    assert "CTSCANNER9" not in gather_evidence(dataset, options).groups["patient"]


@settings(max_examples=10, deadline=None)
@given(st.sets(st.sampled_from(sorted(set(Option) - NEED_RULES))), st.booleans())
def test_nothing_is_found_that_is_not_there(options: set[Option], tree: bool) -> None:
    if options >= EXCLUSIVE:
        options.discard(Option.RETAIN_FULL_DATES)
    content, evidence = deidentify(make_report() if tree else make_instance(), *options)
    moves = Option.RETAIN_MODIFIED_DATES in options
    assert find_leaks(BytesIO(content), evidence, dates_move=moves).leaks == ()
    assert PROFILE.proves is False


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("clean-descriptors", "retain-modified-dates", "retain-device-identity"),
        ("retain-full-dates", "retain-uids", "retain-institution-identity"),
    ],
)
def test_files_of_many_devices(run: Callable, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Nothing is found in what is made of them, and who has made them is still said."""
    folder = Path(get_testdata_file("CT_small.dcm")).parent
    arguments = [each for option in options for each in ("--option", option)]
    result = run(folder, "out", "--report", "r", "--json", "--jobs", 1, *arguments)
    lines = [json.loads(line) for line in result.out.splitlines()]
    made = [line for line in lines if line["outcome"] == "de-identified"]
    assert len(made) > 80
    assert [line["source"] for line in lines if line["outcome"] == "leaking"] == []
    changed = []
    for line in made:
        before = dcmread(line["source"], force=True, stop_before_pixels=True)
        after = dcmread(tmp_path / "out" / line["target"], stop_before_pixels=True)
        changed += [
            line["source"]
            for keyword in ("Manufacturer", "Modality", "ImageType", "ConvolutionKernel")
            if before.get(keyword) != after.get(keyword)
        ]
    assert len(changed) <= 2  # one whose department is its manufacturer, and a made-up one
