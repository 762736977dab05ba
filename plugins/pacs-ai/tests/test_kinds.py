"""Results of each kind that a service may answer with: archived when whole, else kept aside."""

import copy
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from attrs import define
from pacs_ai_example.multipart import read_parts, write_parts
from pacs_ai_example.results import write
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    generate_uid,
)

STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.2"
MADE_BY = {"manufacturer": "ACME", "manufacturer_model_name": "Finder", "software_versions": "2.1"}


def _numbers(series_number: int) -> dict[str, Any]:
    return {
        "series_instance_uid": generate_uid(),
        "series_number": series_number,
        "sop_instance_uid": generate_uid(),
        "instance_number": 1,
    }


def make_map(images: list[Dataset]) -> Dataset:
    """Return a parametric map (PS3.3 A.75)."""
    meaning = hd.pm.RealWorldValueMapping(
        lut_label="1",
        lut_explanation="probability of a lesion",
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, 1.0),
        intercept=0,
        slope=1,
    )
    values = np.full((len(images), images[0].Rows, images[0].Columns), 0.25, np.float32)
    return hd.pm.ParametricMap(
        images, values, **_numbers(903), **MADE_BY, device_serial_number="1",
        contains_recognizable_visual_features=False, real_world_value_mappings=[meaning],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
    )  # fmt: skip


def make_presentation(images: list[Dataset]) -> Dataset:
    """Return a presentation state with a circle on the first image (PS3.3 A.33.1)."""
    circle = hd.pr.GraphicObject(
        graphic_type=hd.pr.GraphicTypeValues.CIRCLE,
        graphic_data=np.array([[10.0, 10.0], [11.0, 11.0]]),
        units=hd.pr.AnnotationUnitsValues.PIXEL,
    )
    layer = hd.pr.GraphicLayer("LESIONS", order=1, description="lesions")
    drawn = hd.pr.GraphicAnnotation([images[0]], layer, graphic_objects=[circle])
    return hd.pr.GrayscaleSoftcopyPresentationState(
        images, **_numbers(904), **MADE_BY, device_serial_number="1", content_label="LESIONS",
        concept_name=codes.DCM.PresentationState, graphic_layers=[layer],
        graphic_annotations=[drawn],
    )  # fmt: skip


def make_capture(images: list[Dataset]) -> Dataset:
    """Return a secondary capture that says what has made it as such do (PS3.3 C.8.6.1)."""
    made = hd.sc.SCImage.from_ref_dataset(
        images[0], np.zeros((64, 48), np.uint8), "MONOCHROME2", 8, "PATIENT",
        manufacturer="ACME", patient_orientation=("L", "P"), **_numbers(905),
    )  # fmt: skip
    made.SecondaryCaptureDeviceManufacturerModelName = "Finder"
    made.SecondaryCaptureDeviceSoftwareVersions = "2.1"
    return made


def _composite(image: Dataset, sop_class: str, modality: str, number: int) -> Dataset:
    made = Dataset()
    for keyword in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
        "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
    ):  # fmt: skip
        setattr(made, keyword, image.get(keyword, ""))
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = generate_uid(), number, 1
    made.Modality, made.Manufacturer = modality, "ACME"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = sop_class
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def _item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def make_structures(images: list[Dataset]) -> Dataset:
    """Return a structure set; it names the study as C.8.8.5 has it, by its UID."""
    image = images[0]
    made = _composite(image, RTStructureSetStorage, "RTSTRUCT", 906)
    made.ManufacturerModelName, made.SoftwareVersions = "Finder", "2.1"
    made.StructureSetLabel, made.StructureSetDate, made.StructureSetTime = "AI", "20260103", ""
    study = {
        "ReferencedSOPClassUID": STUDY_COMPONENT,
        "ReferencedSOPInstanceUID": image.StudyInstanceUID,
    }
    reference = _item(
        ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
    )
    series = _item(
        SeriesInstanceUID=image.SeriesInstanceUID, ContourImageSequence=[copy.copy(reference)]
    )
    made.ReferencedStudySequence = [_item(**study)]
    made.ReferencedFrameOfReferenceSequence = [
        _item(
            FrameOfReferenceUID=image.FrameOfReferenceUID,
            RTReferencedStudySequence=[_item(**study, RTReferencedSeriesSequence=[series])],
        )
    ]
    made.StructureSetROISequence = [
        _item(
            ROINumber=1,
            ReferencedFrameOfReferenceUID=image.FrameOfReferenceUID,
            ROIName="lesion",
            ROIGenerationAlgorithm="AUTOMATIC",
        )
    ]
    contour = _item(
        ContourImageSequence=[reference],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=3,
        ContourData=[1, 1, 0, 5, 1, 0, 3, 4, 0],
    )
    made.ROIContourSequence = [_item(ReferencedROINumber=1, ContourSequence=[contour])]
    made.RTROIObservationsSequence = [
        _item(
            ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="", ROIInterpreter=""
        )
    ]
    made.ApprovalStatus = "UNAPPROVED"
    return made


def make_document(images: list[Dataset]) -> Dataset:
    """Return an encapsulated PDF (PS3.3 A.45.1)."""
    made = _composite(images[0], EncapsulatedPDFStorage, "DOC", 907)
    made.ConversionType, made.BurnedInAnnotation = "WSD", "YES"
    made.SecondaryCaptureDeviceManufacturerModelName = "Finder"
    made.SecondaryCaptureDeviceSoftwareVersions = "2.1"
    made.ContentDate = made.ContentTime = made.AcquisitionDateTime = ""
    made.DocumentTitle, made.ConceptNameCodeSequence = "Findings", []
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = b"%PDF-1.4\n%%EOF\n"
    made.SourceInstanceSequence = [
        _item(ReferencedSOPClassUID=i.SOPClassUID, ReferencedSOPInstanceUID=i.SOPInstanceUID)
        for i in images
    ]
    return made


def _lose_meaning(result: Dataset) -> None:
    del result.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence


def _lose_a_frame(result: Dataset) -> None:
    del result.PerFrameFunctionalGroupsSequence[0]


def _half_the_pixels(result: Dataset) -> None:
    result.FloatPixelData = result.FloatPixelData[: len(result.FloatPixelData) // 2]


def _lose_images(result: Dataset) -> None:
    del result.ReferencedSeriesSequence


def _draw_on_another(result: Dataset) -> None:
    image = result.GraphicAnnotationSequence[0].ReferencedImageSequence[0]
    image.ReferencedSOPInstanceUID = generate_uid()


def _lose_maker(result: Dataset) -> None:
    del result.SecondaryCaptureDeviceSoftwareVersions


def _other_space(result: Dataset) -> None:
    result.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = generate_uid()


def _unnamed_structure(result: Dataset) -> None:
    result.ROIContourSequence[0].ReferencedROINumber = 7


def _half_a_point(result: Dataset) -> None:
    result.ROIContourSequence[0].ContourSequence[0].ContourData = [1, 1, 0, 5]


def _contour_elsewhere(result: Dataset) -> None:
    contour = result.ROIContourSequence[0].ContourSequence[0]
    contour.ContourImageSequence[0].ReferencedSOPInstanceUID = generate_uid()


def _no_pdf(result: Dataset) -> None:
    result.EncapsulatedDocument = b"MZ\x90\x00 is what it begins with "


Maker = Callable[[list[Dataset]], Dataset]
MAKERS: tuple[Maker, ...] = (
    make_map, make_presentation, make_capture, make_structures, make_document,
)  # fmt: skip
FAULTS: tuple[tuple[Maker, Callable[[Dataset], None], str], ...] = (
    (make_map, _lose_meaning, "unreadable"),
    (make_map, _lose_a_frame, "unreadable"),
    (make_map, _half_the_pixels, "unreadable"),
    (make_presentation, _lose_images, "unreadable"),
    (make_presentation, _draw_on_another, "reference"),
    (make_capture, _lose_maker, "algorithm"),
    (make_structures, _other_space, "geometry"),
    (make_structures, _unnamed_structure, "unreadable"),
    (make_structures, _half_a_point, "unreadable"),
    (make_structures, _contour_elsewhere, "reference"),
    (make_document, _no_pdf, "unreadable"),
)


def make_good(images: list[Dataset]) -> list[Dataset]:
    """Return a result of each kind."""
    return [make(images) for make in MAKERS]


def make_bad(images: list[Dataset]) -> list[Dataset]:
    """Return results that have one fault each."""
    made = []
    for make, spoil, _ in FAULTS:
        result = dcmread(BytesIO(write(make(images))))
        spoil(result)
        made.append(result)
    return made


class Service(BaseHTTPRequestHandler):
    """A service that answers with results of each kind, or with such as are wrong."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = read_parts(self.headers["Content-Type"], body)
        images = [dcmread(BytesIO(each)) for each in parts]
        make = make_bad if self.path == "/bad" else make_good
        kind, answer = write_parts([write(each) for each in make(images)])
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@define
class Place:
    """The site, and a study."""

    site: Any
    study: str
    images: int


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        services = {
            name: {"adapter": "rest-push", "url": f"{base}/{name}"} for name in ("good", "bad")
        }
        with tools.open_site(tmp_path_factory.mktemp("site"), services) as site:
            images = tools.make_series(2)
            site.store(images)
            yield Place(site, str(images[0].StudyInstanceUID), len(images))
        server.shutdown()


def test_results_of_each_kind_are_archived_beside_their_source(place: Place) -> None:
    request = place.site.finish(place.site.ask("good", place.study).number)
    assert request.state == "answered", request.reason
    results = place.site.results(request=request.number)
    assert [r.reasons for r in results] == [()] * len(MAKERS)
    assert {r.algorithm for r in results} == {"Finder 2.1 (ACME)"}
    found = place.site.instances(place.study)
    assert len(found) == place.images + len(MAKERS)
    for result in results:
        stored = place.site.read(place.study, result.instance_uid)
        assert stored.SOPClassUID == found[result.instance_uid] == result.sop_class_uid
        assert stored.PatientID == "4711"


def test_what_is_wrong_with_a_kind_is_said(place: Place) -> None:
    before = len(place.site.instances(place.study))
    request = place.site.finish(place.site.ask("bad", place.study).number)
    assert request.state == "answered", request.reason
    results = sorted(place.site.results(request=request.number), key=lambda each: each.number)
    said = [{reason.partition(":")[0] for reason in each.reasons} for each in results]
    assert said == [{fault} for _, _, fault in FAULTS], [each.reasons for each in results]
    assert len(place.site.instances(place.study)) == before
