"""Requests and images of kinds that broke other archives and viewers; a number names a report."""

import io

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pacs_core.testing.datasets import SampleStudy

from .test_presentation_states import item, store_state
from .test_rendered import path_of, picture, store_gradient

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
OCTETS = 'multipart/related; type="application/octet-stream"'


def store(web, study, sop_class, **values):
    """Store an instance of a class; return its path."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = study.study_instance_uid, generate_uid()
    made.PatientID, made.PatientName, made.Modality = "", "", "OT"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = sop_class
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    answer = web.store(out.getvalue())
    assert answer.status_code == 200, answer.text
    return (
        f"/studies/{made.StudyInstanceUID}/series/{made.SeriesInstanceUID}"
        f"/instances/{made.SOPInstanceUID}"
    )


def test_an_overlay_without_rows(shared):
    """dcm4chee-arc-light 3390: 500 for a picture, also where a presentation state shows it."""
    study = SampleStudy()
    overlay = {
        (0x6000, 0x0010, "US"): 0,
        (0x6000, 0x0011, "US"): 64,
        (0x6000, 0x0040, "CS"): "G",
        (0x6000, 0x0050, "SS"): [1, 1],
        (0x6000, 0x0100, "US"): 1,
        (0x6000, 0x0102, "US"): 0,
        (0x6000, 0x3000, "OW"): b"\xff\xff",
    }
    image = store_gradient(shared, study, elements=overlay)
    given = {"requestType": "WADO", "objectUID": image.sop_instance_uid}
    answer = shared.client.get("/wado", params={**given, "contentType": "image/jpeg"})
    assert picture(answer).size == (64, 32)
    path, _ = store_state(shared, study, image, elements={(0x6000, 0x1001, "CS"): "LAYER"})
    assert picture(shared.get(f"{path}/rendered", "image/png")).size == (64, 32)


def test_frames_of_single_bits_that_end_within_an_octet(shared, wire):
    """Segmentations: the second frame begins in the middle of an octet (PS3.5 8.1.1)."""
    masks = np.random.default_rng(1).integers(0, 2, (3, 5, 7), dtype="u1")
    content = np.packbits(masks.ravel(), bitorder="little").tobytes()
    path = store(
        shared,
        SampleStudy(),
        SEGMENTATION,
        Rows=5,
        Columns=7,
        NumberOfFrames=3,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        SamplesPerPixel=1,
        PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2",
        PixelData=content + b"\0" * (len(content) % 2),
    )
    answer = shared.get(f"{path}/frames/1,2,3", OCTETS)
    assert answer.status_code == 200, answer.text
    for (_, frame), mask in zip(wire.read_parts(answer), masks, strict=True):
        bits = np.unpackbits(np.frombuffer(frame, "u1"), bitorder="little")[:35]
        assert (bits == mask.ravel()).all()


def test_frames_of_floats(shared, wire):
    """Parametric maps: what has no Pixel Data has frames all the same (PS3.5 8.1.1)."""
    values = np.arange(2 * 4 * 4, dtype="<f4").reshape(2, 4, 4) / 3
    path = store(
        shared,
        SampleStudy(),
        PARAMETRIC_MAP,
        Rows=4,
        Columns=4,
        NumberOfFrames=2,
        BitsAllocated=32,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        FloatPixelData=values.tobytes(),
    )
    (metadata,) = shared.found(f"{path}/metadata")
    assert "BulkDataURI" in metadata["7FE00008"]
    answer = httpx.get(metadata["7FE00008"]["BulkDataURI"], headers={"Accept": OCTETS})
    assert wire.read_parts(answer)[0][1] == values.tobytes()
    answer = shared.get(f"{path}/frames/2", OCTETS)
    assert answer.status_code == 200, answer.text
    assert wire.read_parts(answer)[0][1] == values[1].tobytes()


def test_the_same_instance_twice_in_a_request(shared, wire):
    """The same instance twice in one request is no failure of it."""
    made = wire.part10(SampleStudy().make("CT"))
    answer = shared.store(made, made)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["00081199"]["Value"]) == 2
    assert "00081198" not in answer.json()


@pytest.mark.parametrize(
    "field", ["00400275.00400009", "RequestAttributesSequence.ScheduledProcedureStepID", "00400275"]
)
def test_a_sequence_in_includefield(shared, field):
    """DICOMcloud 70: a path in includefield was read as one tag."""
    study = SampleStudy()
    request = {"RequestAttributesSequence": [item(ScheduledProcedureStepID="S1")]}
    path = store(shared, study, "1.2.840.10008.5.1.4.1.1.7", **request)
    series = path.rpartition("/instances")[0].rpartition("/")[2]
    where = f"/studies/{study.study_instance_uid}/series"
    (found,) = shared.found(where, params={"SeriesInstanceUID": series, "includefield": field})
    (held,) = found["00400275"]["Value"]
    assert held["00400009"]["Value"] == ["S1"]


def test_an_empty_tag_as_xml(shared, wire):
    """DICOMcloud 0.7.1: metadata as XML failed where an element of VR AT has no value."""
    path = store(shared, SampleStudy(), "1.2.840.10008.5.1.4.1.1.7", FrameIncrementPointer=None)
    answer = shared.get(f"{path}/metadata", 'multipart/related; type="application/dicom+xml"')
    assert answer.status_code == 200, answer.text
    assert b'keyword="FrameIncrementPointer"' in wire.read_parts(answer)[0][1]


def test_a_conversion_that_does_not_exist(shared):
    """16 bits as JPEG Baseline, which has 8 (PS3.5 8.2.1), is no error of the server."""
    image = store_gradient(shared, SampleStudy())
    files = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50'
    answer = shared.get(path_of(image), files)
    assert answer.status_code == 406, answer.text
    assert "JPEG Baseline" in answer.text


@pytest.mark.parametrize(
    ("values", "number"), [("CT\\MR", 1), ("CT,MR", 1), ("MR, CT", 1), ("MR,PT", 0), ("ct", 0)]
)
def test_several_modalities(shared, values, number):
    """With backslashes, or with commas as OHIF 3.13 asks for those that are chosen in its list."""
    study = SampleStudy()
    store(shared, study, "1.2.840.10008.5.1.4.1.1.7", Modality="CT")
    given = {"StudyInstanceUID": study.study_instance_uid, "ModalitiesInStudy": values}
    answer = shared.get("/studies", params=given)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == number


def test_where_bulk_data_of_an_overlay_are(shared):
    """OHIF 1602, 4256: the URI of bulk data led past the proxy, to an address of the server."""
    study = SampleStudy()
    overlay = {
        (0x6000, 0x0010, "US"): 32,
        (0x6000, 0x0011, "US"): 64,
        (0x6000, 0x3000, "OW"): bytes(2048),
    }
    image = store_gradient(shared, study, elements=overlay)
    (metadata,) = shared.found(f"{path_of(image)}/metadata")
    uri = metadata["60003000"]["BulkDataURI"]
    assert uri.startswith(f"{shared.url}/studies/")
    assert httpx.get(uri, headers={"Accept": "*/*"}).status_code == 200


@pytest.mark.parametrize("resource", ["/thumbnail", "/rendered"])
def test_a_report_has_no_picture(shared, resource):
    """A structured report has no picture, which is no error of the server."""
    path = store(shared, SampleStudy(), "1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    for where in (path, path.rpartition("/instances")[0], path.partition("/series")[0]):
        answer = shared.get(f"{where}{resource}", headers={"accept": "image/jpeg"})
        assert answer.status_code in {404, 406}, answer.text
        assert answer.json()["detail"]


def test_what_is_retrieved_can_be_read_by_others(shared, wire):
    """dcmjs-org/dicomweb-client 17: every part has its own media type, and is a file by itself."""
    study = SampleStudy()
    stored = [study.make("CT") for _ in range(3)]
    shared.store(*stored)
    files = 'multipart/related; type="application/dicom"'
    parts = wire.read_parts(shared.get(f"/studies/{study.study_instance_uid}", files))
    assert [headers["content-type"].split(";")[0] for headers, _ in parts] == [
        "application/dicom"
    ] * 3
    read = {pydicom.dcmread(io.BytesIO(each)).SOPInstanceUID for _, each in parts}
    assert read == {each.sop_instance_uid for each in stored}
