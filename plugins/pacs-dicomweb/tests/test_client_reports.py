"""Requests of clients about which reports were written elsewhere; a number names the report."""

import io
import json
from xml.sax.saxutils import quoteattr

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, generate_uid

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of, store_gradient
from .test_reports import store
from .test_retrieve import read

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
GREYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
NATIVE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"


@pytest.fixture(scope="module")
def image(shared):
    return store_gradient(shared, SampleStudy())


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        # cornerstone3D 913, dcmjs-org/dicomweb-client 108
        ('multipart/related; type="*/*"; transfer-syntax=*', "multipart/related"),
        ("multipart/related; type=*/*; transfer-syntax=*", "multipart/related"),
        ("image/*", "image/jpeg"),
        ('multipart/related; type="image/*"', "multipart/related"),
        # OHIF/Viewers 2969
        ("multipart/related; type=application/octet-stream", "multipart/related"),
        ('application/octet-stream; transfer-syntax="*"', "application/octet-stream"),
        ("application/*", "application/octet-stream"),
        ("multipart/*", "multipart/related"),
    ],
)
def test_what_frames_are_accepted_in(shared, image, accept, media_type):
    answer = shared.get(f"{path_of(image)}/frames/1", accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(media_type)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/octet-stream", "application/octet-stream"),
        ('multipart/related; type="application/octet-stream"', "multipart/related"),
    ],
)
def test_bulk_data_come_as_one_part_or_by_themselves(shared, image, accept, content_type):
    """dcmjs-org/dicomweb-client 47: which of both is said by who asks."""
    (metadata,) = shared.found(f"{path_of(image)}/metadata")
    uri = metadata["7FE00010"]["BulkDataURI"]
    answer = shared.client.get(uri, headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(content_type)
    stored = read(shared.get(path_of(image), "application/dicom").content)
    assert stored.PixelData in answer.content


@pytest.mark.parametrize("fields", ["", "00080061", "ModalitiesInStudy,00080060", "all"])
def test_a_study_without_a_modality(shared, fields):
    """OHIF/Viewers 2774: what is there without values kept it from showing any study."""
    study = SampleStudy()
    store(shared, study, "1.2.840.10008.5.1.4.1.1.7", Modality="")
    given = {"StudyInstanceUID": study.study_instance_uid, "includefield": fields}
    (found,) = shared.found("/studies", params=given)
    assert "00080061" not in found
    assert found["00100010"] == {"vr": "PN"}
    store(shared, study, "1.2.840.10008.5.1.4.1.1.7", Modality="XA")
    (found,) = shared.found("/studies", params=given)
    assert found["00080061"]["Value"] == ["XA"]


@pytest.mark.parametrize("field", ["AvailableTransferSyntaxUID", "00083002"])
def test_the_transfer_syntax_of_instances(shared, field):
    """wsidicom 149: it asks before it asks for tiles; 400."""
    study = SampleStudy()
    store_gradient(shared, study, syntax=JPEG2000Lossless)
    store_gradient(shared, study)
    where = f"/studies/{study.study_instance_uid}/instances"
    answer = shared.get(where, params={"includefield": field})
    assert "warning" not in answer.headers
    found = {each["00083002"]["Value"][0] for each in answer.json()}
    assert found == {JPEG2000Lossless, EXPLICIT_VR_LITTLE_ENDIAN}
    assert all("00083002" not in each for each in shared.found(where))


def test_fields_that_are_not_kept_are_named(shared):
    """PS3.18 §8.3.4.3: who asked for them is not left to wonder."""
    given = {"includefield": "ImageComments,00091011,PatientID,Modality,RetrieveURL"}
    warning = shared.get("/studies", params=given).headers["warning"]
    assert "00091011, ImageComments: not kept here, and not returned" in warning
    many = ",".join(f"0009{number:04X}" for number in range(0x1000, 0x1400))
    warning = shared.get("/studies", params={"includefield": many}).headers["warning"]
    assert "and 1016 more" in warning


@pytest.mark.parametrize(
    ("resource", "accepted"),
    [
        ("", ("application/dicom", "application/zip")),
        (
            "/metadata",
            ("application/dicom+json", 'multipart/related; type="application/dicom+xml"'),
        ),
        ("/frames/1", ("application/octet-stream", "image/jls")),
        ("/rendered", ("image/png", "image/jpeg")),
        ("/thumbnail", ("image/png", "image/jpeg")),
    ],
)
def test_caches_are_told_that_it_depends_on_what_is_accepted(shared, image, resource, accepted):
    """RFC 9110 §12.5.5: a proxy that caches gave a JPEG to who accepts a PNG."""
    for accept in accepted:
        answer = shared.get(path_of(image) + resource, accept)
        assert answer.status_code == 200, answer.text
        assert "accept" in answer.headers["vary"].lower().replace(",", " ").split()
        again = shared.get(path_of(image) + resource, accept, headers={"If-None-Match": "*"})
        if again.status_code == 304:
            assert "accept" in again.headers["vary"].lower().replace(",", " ").split()


def test_octets_of_a_whole_instance(shared, image):
    """cornerstoneWADOImageLoader 356: 400, since only application/dicom was known."""
    accept = 'multipart/related; type="application/octet-stream"'
    answer = shared.get(path_of(image), accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("multipart/related")


@pytest.mark.parametrize(
    "accept", ["application/dicom", 'multipart/related; type="application/dicom"']
)
def test_what_names_no_transfer_syntax_is_explicit_little_endian(shared, wire, accept):
    """dcm4chee-arc-light 1749: it came in the one in which it was stored (PS3.18 §8.7.3.5.2)."""
    path = path_of(store_gradient(shared, SampleStudy(), syntax=JPEG2000Lossless))
    answer = shared.get(path, accept)
    file = answer.content if accept == "application/dicom" else wire.read_parts(answer)[0][1]
    assert read(file).file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize(
    "resource", ["frames/2", "frames/2/rendered", "frames/1,2", "frames/9/thumbnail"]
)
def test_frames_that_there_are_not(shared, image, resource):
    """dcm4chee-arc-light 2827: 500."""
    assert shared.get(f"{path_of(image)}/{resource}").status_code == 404


def test_every_value_of_a_number(shared):
    """dicomweb-proxy 12: of Image Orientation (Patient) there was the first alone."""
    orientation = [1, 0, 0, 0, 0.5, -0.5]
    path = store(
        shared, SampleStudy(), "1.2.840.10008.5.1.4.1.1.7", ImageOrientationPatient=orientation
    )
    (metadata,) = shared.found(f"{path}/metadata")
    assert metadata["00200037"]["Value"] == orientation


@pytest.mark.parametrize("sop_class", [REPORT, GREYSCALE_STATE])
def test_metadata_without_bulk_data_are_an_instance(shared, sop_class):
    """dcm4chee-arc-light 2454: reports and presentation states have no bulk data; 500."""
    values = {
        ("00020010", "UI"): EXPLICIT_VR_LITTLE_ENDIAN,
        ("00080016", "UI"): sop_class,
        ("00080018", "UI"): (uid := generate_uid()),
        ("00080060", "CS"): "SR",
        ("00100020", "LO"): "Größe",
        ("0020000D", "UI"): (study := generate_uid()),
        ("0020000E", "UI"): generate_uid(),
    }
    elements = "".join(
        f'<DicomAttribute tag={quoteattr(tag)} vr={quoteattr(vr)}><Value number="1">{value}</Value>'
        "</DicomAttribute>"
        for (tag, vr), value in values.items()
    )
    model = f'<?xml version="1.0"?><NativeDicomModel xmlns="{NATIVE}">{elements}</NativeDicomModel>'
    body = f"--b\r\nContent-Type: application/dicom+xml\r\n\r\n{model}\r\n--b--\r\n".encode()
    kind = 'multipart/related; type="application/dicom+xml"; boundary=b'
    answer = shared.client.post("/studies", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    (found,) = shared.found(f"/studies/{study}/metadata")
    assert found["00080018"]["Value"] == [uid]
    assert found["00100020"]["Value"] == ["Größe"]


def test_the_same_dataset_under_other_file_meta_information(shared, wire):
    """healthcare-dicom-dicomweb-adapter 54: a conflict, since who sends it has other UIDs there."""
    made = SampleStudy().make("CT")
    dataset = pydicom.dcmread(io.BytesIO(wire.part10(made)))
    dataset.file_meta.ImplementationClassUID = "1.2.3.4"
    dataset.file_meta.ImplementationVersionName = "ADAPTER"
    other = io.BytesIO()
    dataset.save_as(other)
    for content in (wire.part10(made), other.getvalue()):
        answer = shared.store(content)
        assert answer.status_code == 200, answer.text
    assert len(shared.found(f"/studies/{made.values['StudyInstanceUID']}/instances")) == 1


@pytest.mark.parametrize("tail", [b"x", b"-", b" x", b"\r"])
def test_pixels_that_look_like_a_delimiter(shared, wire, tail):
    """ImagingDataCommons/dicomweb-client 39: parts were cut where there was no delimiter."""
    made = SampleStudy().make("CT")
    dataset = pydicom.dcmread(io.BytesIO(wire.part10(made)))
    near = b"\r\n--boundary" + tail
    pixels = near + bytes(len(dataset.PixelData) - len(near))
    dataset.PixelData = pixels
    out = io.BytesIO()
    dataset.save_as(out)
    body = wire.multipart(("application/dicom", out.getvalue()), boundary="boundary")
    kind = 'multipart/related; type="application/dicom"; boundary=boundary'
    answer = shared.client.post("/studies", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    stored = shared.get(path_of(made), "application/dicom; transfer-syntax=*").content
    assert read(stored).PixelData == pixels


def store_picture(web, wire, content, media_type):
    """Store a picture of a camera as metadata with Pixel Data beside them (PS3.18 §10.5.2)."""
    made = SampleStudy().make("CT", SOPClassUID=CAPTURE)
    dataset = pydicom.dcmread(io.BytesIO(wire.part10(made)))
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    metadata = dataset.to_json_dict()
    metadata["7FE00010"] = {"vr": "OB", "BulkDataURI": "pixels"}
    head = f"--b\r\nContent-Type: {media_type}\r\nContent-Location: pixels\r\n\r\n".encode()
    first = wire.multipart(("application/dicom+json", json.dumps([metadata]).encode()))
    body = first.removesuffix(b"--b--\r\n") + head + content + b"\r\n--b--\r\n"
    kind = 'multipart/related; type="application/dicom+json"; boundary=b'
    return path_of(made), web.client.post("/studies", content=body, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    ("options", "syntax"),
    [({}, JPEGBaseline8Bit), ({"progressive": True}, "1.2.840.10008.1.2.4.55")],
)
def test_a_jpeg_that_names_no_transfer_syntax(shared, wire, options, syntax):
    """dcm4chee-arc-light 1127: what comes as image/jpeg is seldom lossless, as the default is.

    It was stored as that (PS3.18 Table 8.7.3-5), and could not be decoded by anyone.
    """
    file = io.BytesIO()
    Image.new("L", (16, 16), 99).save(file, "JPEG", **options)
    path, response = store_picture(shared, wire, file.getvalue(), "image/jpeg")
    assert response.status_code == 200, response.text
    stored = shared.get(path, "application/dicom; transfer-syntax=*").content
    assert pydicom.dcmread(io.BytesIO(stored)).file_meta.TransferSyntaxUID == syntax
    pixels = shared.get(f"{path}/frames/1", "application/octet-stream")
    assert abs(pixels.content[0] - 99) < 3


def test_compressed_pixels_by_the_former_name_of_their_media_type(shared, wire):
    """As image/x-jls (PS3.18 of 2013, Table 6.5-1) they were stored as if they were native."""
    codestream = imagecodecs.jpegls_encode(np.full((16, 16), 99, np.uint8))
    path, response = store_picture(shared, wire, bytes(codestream), "image/x-jls")
    assert response.status_code == 200, response.text
    assert set(shared.get(f"{path}/frames/1", "application/octet-stream").content) == {99}


@pytest.mark.parametrize("media_type", ["image/png", "image/gif", "application/pdf"])
def test_pixels_in_a_form_that_dicom_does_not_have(shared, wire, media_type):
    """dcm4chee-arc-light 2430: a PNG became Pixel Data that nobody could show."""
    file = io.BytesIO()
    Image.new("L", (16, 16), 99).save(file, "PNG")
    path, response = store_picture(shared, wire, file.getvalue(), media_type)
    assert response.status_code == 409
    assert f"{media_type} is no media type of Pixel Data" in response.headers["warning"]
    assert shared.get(f"{path}/metadata").status_code == 404
