"""Results are looked at before they are archived: what is wrong, is corrected, is kept aside."""

import copy
from collections.abc import AsyncIterator, Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from attrs import define
from pacs_ai.api import InferenceResult
from pacs_ai.desk import AiDesk
from pacs_ai.intake import Intake
from pacs_ai_example.results import infer, write
from pacs_ai_example.samples import make_series
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from pacs_core.dataset import file_meta, read_file_meta

SERVICE = {"adapter": "rest-push", "url": "http://127.0.0.1:1/", "version": "1", "max_size": 50_000}


@define
class Bench:
    """A node with a study, the results about it, and its intake."""

    site: Any
    images: list[Dataset]
    request: Any

    @property
    def study(self) -> str:
        return str(self.images[0].StudyInstanceUID)

    def make(self) -> tuple[Dataset, Dataset]:
        """Return a segmentation and a report, as the example makes them."""
        first, second = (dcmread(BytesIO(e)) for e in infer([write(i) for i in self.images]))
        return first, second

    def take(self, result: Dataset | bytes, request: Any = None) -> InferenceResult:
        data = result if isinstance(result, bytes) else write(result)

        async def content() -> AsyncIterator[bytes]:
            yield data

        async def take() -> InferenceResult:
            desk = self.site.node.node.opened.node.find(AiDesk)
            asked = request or self.request
            return await Intake(desk).take_file(asked.service, content(), asked)

        found: InferenceResult = self.site.node.call(take)
        return found


@pytest.fixture(scope="module")
def bench(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("site")
    services = {
        "strict": SERVICE,
        "fixing": {**SERVICE, "fix": True},
        "marking": {**SERVICE, "unassessed": "mark"},
    }
    with tools.open_site(directory, services) as site:
        images = tools.make_series(2, PatientID="4711")
        site.store(images)
        yield Bench(site, images, site.ask("strict", str(images[0].StudyInstanceUID)))


def _other_patient(result: Dataset, _: Bench) -> None:
    result.PatientID = "4712"


def _other_study(result: Dataset, _: Bench) -> None:
    result.StudyInstanceUID = generate_uid()


def _unknown_reference(result: Dataset, _: Bench) -> None:
    source = result.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    source.ReferencedSOPInstanceUID = generate_uid()


def _other_class(result: Dataset, _: Bench) -> None:
    for group in result.PerFrameFunctionalGroupsSequence:
        for source in group.DerivationImageSequence[0].SourceImageSequence:
            source.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"


def _other_space(result: Dataset, _: Bench) -> None:
    result.FrameOfReferenceUID = generate_uid()


def _larger_frames(result: Dataset, _: Bench) -> None:
    result.Rows = 2 * result.Rows
    result.PixelData = result.PixelData * 2


def _no_algorithm(result: Dataset, _: Bench) -> None:
    del result.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    del result.SoftwareVersions


def _taken_uid(result: Dataset, bench: Bench) -> None:
    result.SOPInstanceUID = bench.images[0].SOPInstanceUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID


def _series_of_the_source(result: Dataset, bench: Bench) -> None:
    result.SeriesInstanceUID = bench.images[0].SeriesInstanceUID


def _future(result: Dataset, _: Bench) -> None:
    result.ContentDate = "29991231"


def _before_the_study(result: Dataset, _: Bench) -> None:
    result.ContentDate = "20250101"


def _few_pixels(result: Dataset, _: Bench) -> None:
    result.PixelData = result.PixelData[:64]


def _no_pixels(result: Dataset, _: Bench) -> None:
    del result.PixelData


def _nothing_of_pixels(result: Dataset, _: Bench) -> None:
    """A secondary capture that says nothing of an image."""
    result.SOPClassUID = result.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    for keyword in ("PixelData", "Rows", "Columns", "NumberOfFrames"):
        delattr(result, keyword)


def _compress(result: Dataset, codestream: bytes, syntax: str = RLELossless) -> None:
    result.file_meta.TransferSyntaxUID = syntax
    result.PixelData = encapsulate([codestream] * int(result.NumberOfFrames))
    result["PixelData"].VR = "OB"
    result.BitsAllocated = result.BitsStored = 8
    result.HighBit = 7


def _no_codestreams(result: Dataset, _: Bench) -> None:
    _compress(result, b"no codestream!")


def _too_few_frames(result: Dataset, _: Bench) -> None:
    _compress(result, bytes(64))
    result.PixelData = encapsulate([bytes(64)])
    result["PixelData"].VR = "OB"


def _short_frames(result: Dataset, _: Bench) -> None:
    """RLE with one segment that decodes to two bytes (PS3.5 Annex G)."""
    _compress(result, bytes([1, 0, 0, 0, 64]) + bytes(59) + bytes([1, 5, 5, 128]))


def _unknown_codec(result: Dataset, _: Bench) -> None:
    _compress(result, b"\xff\xd8" + bytes(60), "1.2.840.10008.1.2.4.65")  # JPEG process 28


def _deflated_and_few(result: Dataset, _: Bench) -> None:
    result.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    result.PixelData = result.PixelData[:64]


def _wrong_segment(result: Dataset, _: Bench) -> None:
    group = result.SharedFunctionalGroupsSequence[0]  # of all frames, where there is one segment
    group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7


FAULTS: list[tuple[str, Callable[[Dataset, Bench], None]]] = [
    ("patient", _other_patient),
    ("study", _other_study),
    ("reference", _unknown_reference),
    ("reference", _other_class),
    ("geometry", _other_space),
    ("geometry", _larger_frames),
    ("algorithm", _no_algorithm),
    ("uid", _taken_uid),
    ("uid", _series_of_the_source),
    ("date", _future),
    ("date", _before_the_study),
    ("unreadable", _few_pixels),
    ("unreadable", _no_pixels),
    ("unreadable", _nothing_of_pixels),
    ("unreadable", _no_codestreams),
    ("unreadable", _too_few_frames),
    ("unreadable", _short_frames),
    ("codec", _unknown_codec),
    ("unreadable", _deflated_and_few),
    ("unreadable", _wrong_segment),
]


def test_what_is_wrong_is_quarantined_with_its_reasons(bench: Bench) -> None:
    before = bench.site.instances(bench.study)
    good, _ = bench.make()
    for fault, change in FAULTS:
        result = copy.deepcopy(good)
        result.SOPInstanceUID = result.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        change(result, bench)
        taken = bench.take(result)
        kinds = {reason.partition(":")[0] for reason in taken.reasons}
        assert (taken.state, kinds) == ("quarantined", {fault}), (change, taken.reasons)
    cut = bench.take(write(good)[:-2000])
    assert cut.reasons[0].startswith("unreadable")
    assert bench.site.instances(bench.study) == before
    # What was found wanting is none the worse for the archive: it takes the good one.
    assert bench.take(good).state == "archived"
    assert bench.take(good).number == bench.take(good).number
    repeated = bench.take(good, bench.site.ask("strict", bench.study, again=True))
    assert repeated.reasons[0].startswith("repeated")


def test_what_is_no_dicom_or_too_large_is_quarantined_and_can_be_looked_at(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page of an error; more than is taken; and what is only more than allowed, released."""
    page, endless = bench.take(b"<html>" * 20), bench.take(bytes(200_000))
    large, _ = bench.make()
    large.add_new(0x00091001, "UN", bytes(60_000))
    large.add_new(0x00090010, "LO", "ACME")
    too_large = bench.take(large)
    assert [each.state for each in (page, endless, too_large)] == ["quarantined"] * 3
    assert page.reasons[0].startswith("unreadable: it is no DICOM file")
    assert endless.reasons[0] == "size: it is larger than 50000 bytes"
    assert endless.reasons[1] == "unreadable: it was not taken further than 100000 bytes"
    assert too_large.reasons == ("size: it is larger than 50000 bytes",)
    assert too_large.instance_uid == large.SOPInstanceUID
    kept = bench.site.node.node.opened.node.find(AiDesk).quarantine
    sizes = {path.name.split("-")[2]: path.stat().st_size for path in kept.iterdir()}
    assert sizes[f"{page.digest}.dcm"] == 120
    assert sizes[f"{endless.digest}.dcm"] == 100000
    for lost in (page, endless):
        assert bench.site.run("ai", "release", str(lost.number)) == 1
        assert "cannot be archived" in capsys.readouterr().err
        assert bench.site.run("ai", "discard", str(lost.number)) == 0
    assert bench.site.run("ai", "release", str(too_large.number)) == 0
    assert large.SOPInstanceUID in bench.site.instances(bench.study)
    # The same page once more is no second result, and nobody counts it against the service.
    assert bench.take(b"<html>" * 20).number == page.number


def test_pixels_are_encapsulated_as_their_transfer_syntax_says(bench: Bench) -> None:
    """PS3.5 A.4: what OHIF 3.12 has exported for a while, and the other way round."""
    result, _ = bench.make()
    classes = (str(result.SOPClassUID), str(result.SOPInstanceUID))

    def relabel(syntax: str) -> bytes:
        data = write(result)
        return file_meta(*classes, syntax) + data[read_file_meta(data).dataset_offset :]

    native = bench.take(relabel(RLELossless))
    _compress(result, bytes(64))
    encapsulated = bench.take(relabel(ExplicitVRLittleEndian))
    for taken, why in ((native, "are not encapsulated"), (encapsulated, "is encapsulated, which")):
        assert taken.state == "quarantined"
        assert taken.reasons[0].startswith("unreadable: ")
        assert why in taken.reasons[0]


def test_compressed_pixels_that_decode_are_archived(bench: Bench) -> None:
    result, _ = bench.make()
    pixels = (bytes([127]) + bytes(128)) * (32 * 32 // 128)  # literal runs (PS3.5 G.3)
    _compress(result, bytes([1, 0, 0, 0, 64]) + bytes(59) + pixels)
    found = bench.take(result)
    assert (found.state, found.reasons) == ("archived", ())


def _without_references(result: Dataset, _: Bench) -> None:
    del result.ReferencedSeriesSequence
    for group in result.PerFrameFunctionalGroupsSequence:
        group.pop("DerivationImageSequence", None)


def _cropped(result: Dataset, _: Bench) -> None:
    result.Rows = result.Rows // 2
    result.PixelData = result.PixelData[: len(result.PixelData) // 2]


def _finer(result: Dataset, _: Bench) -> None:
    measures = result.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = [0.25, 0.5]
    result.Rows = 2 * result.Rows
    result.PixelData = result.PixelData * 2


@pytest.mark.parametrize("change", [_without_references, _cropped, _finer])
def test_what_lies_in_the_space_of_its_source_is_not_refused(
    bench: Bench, change: Callable[[Dataset, Bench], None]
) -> None:
    """PS3.3 A.51.5.1: where there is a frame of reference, frames may have any size in it."""
    result, _ = bench.make()
    change(result, bench)
    assert bench.take(result).state == "archived"


def test_patient_and_study_are_corrected_where_that_is_wanted(bench: Bench) -> None:
    request = bench.site.ask("fixing", bench.study)
    result, _ = bench.make()
    result.PatientID, result.PatientName = "WRONG", "Somebody^Else"
    result.StudyInstanceUID = generate_uid()
    taken = bench.take(result, request)
    assert taken.state == "archived", taken.reasons
    assert {"PatientID", "StudyInstanceUID"} <= set(taken.fixes)
    stored = bench.site.read(bench.study, str(result.SOPInstanceUID))
    assert (stored.PatientID, str(stored.PatientName)) == ("4711", "Doe^Jane")
    (original,) = stored.OriginalAttributesSequence
    assert original.ModifiedAttributesSequence[0].PatientID == "WRONG"
    assert original.ReasonForTheAttributeModification == "COERCE"
    assert original.SourceOfPreviousValues == "fixing"


def test_a_result_that_comes_after_its_patient_was_merged_is_of_whom_it_is_now(
    bench: Bench,
) -> None:
    """The service was asked about an unknown patient, who is known when it answers."""
    images = make_series(2, PatientID="TRAUMA-9")
    bench.site.store(images)
    study = str(images[0].StudyInstanceUID)
    late = Bench(bench.site, images, bench.site.ask("strict", study))
    result, _ = late.make()
    wanted = ("--set", "PatientID=4799", "--set", "PatientName=Roe^Jane", "--yes")
    assert bench.site.run("correct", "update", "--patient", "TRAUMA-9", *wanted) == 0
    taken = late.take(result)
    assert (taken.state, taken.reasons) == ("archived", ())
    stored = bench.site.read(study, str(result.SOPInstanceUID))
    assert (stored.PatientID, str(stored.PatientName)) == ("4799", "Roe^Jane")
    stranger, _ = late.make()
    stranger.PatientID = "TRAUMA-8"
    assert late.take(stranger).reasons[0].startswith("patient")


def test_a_report_may_come_before_what_it_is_about(bench: Bench) -> None:
    segmentation, report = bench.make()
    first = bench.take(report)
    assert [reason.partition(":")[0] for reason in first.reasons] == ["reference"]
    assert bench.take(segmentation).state == "archived"
    (again,) = [r for r in bench.site.results() if r.number == first.number]
    assert (again.state, again.reasons) == ("archived", ())
    assert str(report.SOPInstanceUID) in bench.site.instances(bench.study)


def test_quarantine_is_shown_released_and_emptied_by_commands(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    result, _ = bench.make()
    result.PatientID = "4799"
    wrong, lost = bench.take(result), bench.take(write(bench.make()[0])[:-2000])
    assert bench.site.run("ai", "list", "--state", "quarantined") == 0
    assert "PatientID is 4799, not 4711" in capsys.readouterr().out
    assert bench.site.run("ai", "release", str(lost.number)) == 1
    assert "cannot be archived" in capsys.readouterr().err
    assert bench.site.run("ai", "release", str(wrong.number)) == 0
    assert bench.site.run("ai", "release", str(wrong.number)) == 1
    stored = bench.site.read(bench.study, str(result.SOPInstanceUID))
    assert stored.PatientID == "4711"
    assert bench.site.run("ai", "discard", str(lost.number)) == 0
    capsys.readouterr()
    assert bench.site.run("ai", "show", str(result.SOPInstanceUID)) == 0
    shown = capsys.readouterr().out
    assert "released" in shown
    assert "strict" in shown
    assert bench.site.run("ai", "list", "--totals") == 0
    assert "released" in capsys.readouterr().out


def _empty_segment_number(result: Dataset) -> None:
    result.SegmentSequence[0].SegmentNumber = None


def _empty_references(result: Dataset) -> None:
    (groups,) = result.SharedFunctionalGroupsSequence
    groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber = None


def _texts_for_numbers(result: Dataset) -> None:
    result.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = None
    result.add_new("NumberOfFrames", "LO", "many")


@pytest.mark.parametrize("spoil", [_empty_segment_number, _empty_references, _texts_for_numbers])
def test_what_makes_no_sense_is_in_quarantine(
    bench: Bench, spoil: Callable[[Dataset], None]
) -> None:
    """Values that are empty, or of another VR."""
    result, _ = bench.make()
    spoil(result)
    found = bench.take(result)
    assert found.state == "quarantined"
    assert "unreadable" in {reason.partition(":")[0] for reason in found.reasons}, found.reasons


def test_items_below_each_other_without_end_are_in_quarantine(bench: Bench) -> None:
    _, report = bench.make()
    del report.ContentSequence
    assert max(report.keys()) < 0x0040A730
    level = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    ends = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    found = bench.take(write(report) + level * 1000 + ends * 1000)
    assert found.state == "quarantined"
    assert found.reasons[0].startswith("unreadable"), found.reasons


def test_who_releases_a_result_has_not_assessed_it(bench: Bench) -> None:
    result, _ = bench.make()
    result.ContentDate = "29991231"
    request = bench.site.ask("marking", bench.study)
    quarantined = bench.take(result, request)
    assert quarantined.state == "quarantined"
    assert bench.site.run("ai", "release", str(quarantined.number)) == 0

    def description() -> str:
        return str(bench.site.read(bench.study, str(result.SOPInstanceUID)).SeriesDescription)

    assert description() == f"AI, not accepted: {result.SeriesDescription}"
    assert bench.site.run("ai", "assess", str(quarantined.number), "accepted") == 0
    assert description() == result.SeriesDescription


def test_the_model_is_the_contributing_equipment_that_processed(bench: Bench) -> None:
    """IHE AIR 6.5.3.1, as MONAI Deploy writes it; its own name is that of the toolkit."""

    def make_item(scheme: str, value: str, *said: str) -> Dataset:
        item, purpose = Dataset(), Dataset()
        purpose.CodingSchemeDesignator, purpose.CodeValue = scheme, value
        purpose.CodeMeaning = "Purpose"
        item.PurposeOfReferenceCodeSequence = [purpose]
        item.Manufacturer, item.ManufacturerModelName, item.SoftwareVersions = said
        return item

    _, report = bench.make()
    result = Dataset()
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate",
                    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
                    "StudyInstanceUID", "ContentDate", "ContentTime"):  # fmt: skip
        setattr(result, keyword, getattr(report, keyword))
    result.SOPClassUID, result.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "SR"
    result.SeriesInstanceUID, result.SOPInstanceUID = generate_uid(), generate_uid()
    result.file_meta = copy.copy(report.file_meta)
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.ValueType, result.ContinuityOfContent = "CONTAINER", "SEPARATE"
    result.Manufacturer = "MONAI Deploy"
    result.ManufacturerModelName, result.SoftwareVersions = "MONAI Deploy App SDK", "3.0.0"
    result.ContributingEquipmentSequence = [
        make_item("DCM", "109101", "ACME", "CT 3000", "7"),  # Acquisition Equipment
        make_item("DCM", "109102", "contributors", "highdicom", "0.27"),  # a library
        make_item("99IHE", "Newcode1", "City Hospital", "Breast density", "1.4"),
    ]
    taken = bench.take(result)
    assert (str(taken.state), taken.reasons) == ("archived", ())
    assert taken.algorithm == "Breast density 1.4 (City Hospital)"
