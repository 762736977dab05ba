"""Requests and instances of reports about other archives and viewers, 2020 to 2026."""

import io
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from pacs_core.contracts import EntityPath, Origin
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of, picture, store_gradient
from .test_reports import store
from .test_retrieve import image_file, read

ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
DEFLATED_FRAMES = b"1.2.840.10008.1.2.8.1\0"
OCTETS = "application/octet-stream"


def test_nested_bulk_data_are_part_of_what_is_retrieved(door, wire):
    """dcm4chee-arc-light 4950, 4962: a waveform was gone from what the archive had put together.

    Here that is what a correction lies over.
    """
    web, study = door(), SampleStudy()
    samples = np.random.default_rng(1).integers(0, 65535, 200_000, "u2").tobytes()
    waveform, private, within = Dataset(), Dataset(), Dataset()
    waveform.add_new(tag_of("WaveformData"), "OW", samples)
    within.add_new(0x0009_0010, "LO", "ME")
    within.add_new(0x0009_1010, "OB", samples[:100_000])
    private.add_new(0x0009_0010, "LO", "ME")
    private.add_new(0x0009_1010, "SQ", [within])
    sequences = {"WaveformSequence": [waveform], "ReferencedImageSequence": [private]}
    path = store(web, study, ECG, **sequences)

    def check(patient):
        for accept in ("application/dicom", "application/dicom; transfer-syntax=*"):
            found = read(web.get(path, accept).content)
            assert found.PatientID == patient
            assert found.WaveformSequence[0].WaveformData == samples
            (outer,) = found.ReferencedImageSequence
            assert outer[0x0009_1010].value[0][0x0009_1010].value == samples[:100_000]
        [metadata] = web.found(f"{path}/metadata")
        reference = metadata["54000100"]["Value"][0]["54001010"]["BulkDataURI"]
        answer = web.client.get(reference, headers={"Accept": OCTETS})
        assert answer.content == samples
        parts = wire.read_parts(web.get(f"{path}/bulkdata"))
        assert [content for _, content in parts] == [samples[:100_000], samples]

    check("")
    entity = EntityPath(study_instance_uid=study.study_instance_uid)
    changes = {tag_of("PatientID"): ("LONGER",)}
    web.node.call(web.node.node.opened.archive.update, entity, changes, Origin("test"))
    check("LONGER")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", 200),
        ('multipart/related; type="application/dicom"', 200),
        ("image/png", 406),
    ],
)
def test_a_viewer_that_stores_says_what_it_accepts_frames_in(shared, wire, accept, status):
    """OHIF/Viewers 3497: no upload succeeded any more, for each was answered with 406."""
    made = SampleStudy().make("CT")
    answer = shared.client.post(
        "/studies",
        content=wire.multipart(("application/dicom", wire.part10(made))),
        headers={
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=b',
            "Accept": accept,
        },
    )
    assert answer.status_code == status, answer.text
    assert shared.get(path_of(made)).status_code == (200 if status == 200 else 404)
    if status == 200:
        assert answer.headers["content-type"] == "application/dicom+json"
        assert len(answer.json()["00081199"]["Value"]) == 1


BEGINNINGS = {
    "image/jls": b"\xff\xd8\xff\xf7",
    "image/jp2": b"\xff\x4f\xff\x51",
    "image/jphc": b"\xff\x4f\xff\x51",
    "image/jpeg": b"\xff\xd8\xff",
    "image/jxl": b"\xff\x0a",
    "image/dicom-rle": b"\2\0\0\0",
    "image/x-dicom-rle": b"\2\0\0\0",
    "image/x-dicom+rle": b"\2\0\0\0",
    "image/x-jls": b"\xff\xd8\xff\xf7",
}


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_frames_are_what_their_media_type_says(shared, wire, syntax):
    """dcm4chee-arc-light 3443, a JPEG as image/jp2; 2671, names of earlier editions, 406.

    Those names are what dicomweb-client sends besides the present ones.
    """
    made, _, content = image_file(SampleStudy(), 2, syntax)
    shared.store(content)
    frame = f"{path_of(made)}/frames/2"
    for kind, beginning in BEGINNINGS.items():
        answer = shared.get(frame, f'multipart/related; type="{kind}"')
        [(headers, octets)] = wire.read_parts(answer)
        assert headers["content-type"] == kind
        assert octets.startswith(beginning)
    [(headers, _)] = wire.read_parts(shared.get(frame, 'multipart/related; type="image/*"'))
    own = {RLELossless: "image/dicom-rle", JPEGLSLossless: "image/jls"}
    assert headers["content-type"] == own.get(syntax, "image/jp2")
    for kind in ("image/png", "video/mp4", "image/jpx"):
        assert shared.get(frame, f'multipart/related; type="{kind}"').status_code == 406


def deflate(frame):
    compressor = zlib.compressobj(wbits=-15)
    deflated = compressor.compress(frame) + compressor.flush()
    return deflated + b"\0" * (len(deflated) % 2)


@pytest.mark.parametrize("colour", ["MONOCHROME2", "PALETTE COLOR"])
@pytest.mark.parametrize("encoding", ["native", "RLE", "JPEG-LS", "deflated frames"])
def test_label_maps_in_any_transfer_syntax(shared, wire, encoding, colour):
    """OHIF/Viewers 4875, 5806: label maps (PS3.3 A.51.2) were shown as native octets only."""
    pixels = np.random.default_rng(1).integers(0, 4, (5, 33, 47), "u1")
    made = SampleStudy().make("CT")
    dataset = read(wire.part10(made))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = LABEL_MAP
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 33, 47, 5
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.SegmentationType = 7, 0, "LABELMAP"
    dataset.PhotometricInterpretation = colour
    if colour == "PALETTE COLOR":
        for number, name in enumerate(("Red", "Green", "Blue"), 1):
            table = np.zeros(4, "u2")
            table[number] = 65535
            tag = f"{name}PaletteColorLookupTable"
            dataset.add_new(tag_of(f"{tag}Descriptor"), "US", [4, 0, 16])
            dataset.add_new(tag_of(f"{tag}Data"), "OW", table.tobytes())
    dataset.PixelData = pixels.tobytes() + b"\0"
    dataset["PixelData"].VR = "OB"
    if encoding in ("RLE", "JPEG-LS"):
        syntax = RLELossless if encoding == "RLE" else JPEGLSLossless
        dataset.compress(syntax, generate_instance_uid=False)
    if encoding == "deflated frames":
        dataset.PixelData = encapsulate([deflate(frame.tobytes()) for frame in pixels])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEGLSLossless  # pydicom does not know the other
    out = io.BytesIO()
    dataset.save_as(out)
    content = out.getvalue()
    if encoding == "deflated frames":
        content = content.replace(JPEGLSLossless.encode(), DEFLATED_FRAMES, 1)
    assert shared.store(content).status_code == 200
    path = path_of(made)
    assert shared.get(f"{path}/frames/3", OCTETS).content == pixels[2].tobytes()
    rendered = picture(shared.get(f"{path}/frames/3/rendered", "image/png"))
    assert rendered.size == (47, 33)
    if colour == "PALETTE COLOR":
        row, column = np.argwhere(pixels[2] == 2)[0]
        assert rendered.getpixel((int(column), int(row))) == (0, 255, 0)
    whole = read(shared.get(path, "application/dicom").content)
    assert (whole.pixel_array == pixels).all()


def test_an_image_that_is_compressed_but_calls_itself_native(shared):
    """fo-dicom 645: its frames were cut out of the codestreams as if they were pixels."""
    made, _, content = image_file(SampleStudy(), 2, RLELossless)
    native = f"{ExplicitVRLittleEndian}\0".encode()
    lying = content.replace(f"{RLELossless}\0".encode(), native, 1)
    answer = shared.store(lying)
    assert answer.status_code == 202
    assert "is encapsulated" in answer.headers["warning"]
    for resource in ("/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"):
        assert shared.get(path_of(made) + resource).status_code == 406
    assert shared.get(f"{path_of(made)}/metadata").status_code == 200
    whole = shared.get(path_of(made), "application/dicom; transfer-syntax=*")
    assert whole.content.endswith(lying[400:])


def test_a_study_of_which_not_everything_can_be_had_so(shared, wire):
    """dicomweb-client 94: 206 where some are missing (PS3.18 Table 8.5-1), and a reason."""
    study = SampleStudy()
    video, image = study.make("CT"), study.make("CT")
    dataset = read(wire.part10(video))
    dataset.file_meta.TransferSyntaxUID = MPEG4HP41
    dataset.PixelData = encapsulate([bytes(1000)], has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    dataset.save_as(out)
    assert shared.store(out.getvalue(), image).status_code == 200
    path = f"/studies/{study.study_instance_uid}"
    files = 'multipart/related; type="application/dicom"; transfer-syntax='
    answer = shared.get(path, files + ExplicitVRLittleEndian)
    assert answer.status_code == 206
    assert "1 of 2 instances cannot be had so" in answer.headers["warning"]
    [(_, content)] = wire.read_parts(answer)
    assert read(content).SOPInstanceUID == image.sop_instance_uid
    whole = shared.get(path, f"{files}*")
    assert (whole.status_code, len(wire.read_parts(whole))) == (200, 2)


def test_what_is_accepted_counts(shared):
    """DICOM-RST 60: whatever was accepted, there came a multipart body of DICOM files."""
    made = SampleStudy().make("CT")
    shared.store(made)
    answer = shared.get(path_of(made), "application/dicom")
    assert answer.headers["content-type"].startswith("application/dicom;")
    assert pydicom.dcmread(io.BytesIO(answer.content)).SOPInstanceUID == made.sop_instance_uid
    for accept in ("application/dicom+json", "application/pdf", "image/jpeg", "text/plain"):
        assert shared.get(path_of(made), accept).status_code == 406


@pytest.mark.parametrize("key", ["StudyDate=-20200214171717", "StudyDate=20241301", "StudyTime=25"])
def test_a_date_that_there_is_not(shared, key):
    """dcm4chee-arc-light 2480: the key was passed over, and everything was found."""
    for resource in ("studies", "series", "instances"):
        answer = shared.get(f"/{resource}?{key}")
        assert answer.status_code == 400
        assert key.partition("=")[0] in answer.json()["detail"]
    assert shared.is_well()


SLOPE, INTERCEPT = (0x0028, 0x1053, "DS"), (0x0028, 0x1052, "DS")
CENTRE, WIDTH = (0x0028, 0x1050, "DS"), (0x0028, 0x1051, "DS")
PHOTOMETRIC = (0x0028, 0x0004, "CS")
GRADIENT = {
    "a slope that is very small": (
        # dcm4che 1499: a table of window width by slope, of 1.5 GB.
        {SLOPE: "4.96215E-06", INTERCEPT: "0", CENTRE: "3867.584", WIDTH: "7735.168"},
        (0, 0),
    ),
    "such a slope, and a window that is as small": (
        {SLOPE: "4.96215E-06", INTERCEPT: "0", CENTRE: "2.5E-03", WIDTH: "5E-03"},
        (0, 255),
    ),
    "a slope that is negative": (
        # OHIF/Viewers 127: levels were inverted once too often, or not at all.
        {SLOPE: "-10", INTERCEPT: "10080", CENTRE: "5040", WIDTH: "10081"},
        (255, 0),
    ),
    "the least is white": (
        # cornerstone3D 2215, bioformats 3620: inverted before the window, or about another middle.
        {PHOTOMETRIC: "MONOCHROME1", CENTRE: "504", WIDTH: "1009"},
        (255, 0),
    ),
    "all above the window": (
        # dcm4che 1513: a window of 1 around 0, above which is white, which MONOCHROME1 inverts.
        {PHOTOMETRIC: "MONOCHROME1", CENTRE: "-1", WIDTH: "1"},
        (0, 0),
    ),
}


@pytest.mark.parametrize("name", GRADIENT)
def test_greys_of_odd_rescaling_and_windows(shared, name):
    """PS3.3 C.11.1, C.11.2.1.2, C.7.6.3.1.2: slope, window, and only then MONOCHROME1."""
    elements, (left, right) = GRADIENT[name]
    path = path_of(store_gradient(shared, SampleStudy(), elements=elements))
    for resource in ("rendered", "thumbnail", "frames/1/rendered"):
        shown = picture(shared.get(f"{path}/{resource}", "image/png"))
        assert abs(shown.getpixel((0, 0)) - left) <= 2
        assert abs(shown.getpixel((shown.width - 1, 0)) - right) <= 2
    assert shared.is_well()


def test_colours_with_a_window_that_is_left_over(shared, wire):
    """cornerstoneWADOImageLoader 143: the rescaling of its source made a screenshot black."""
    made = SampleStudy().make("CT")
    dataset = read(wire.part10(made))
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 8, 8, 3
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.WindowCenter, dataset.WindowWidth = "500", "2000"
    dataset.PixelData = bytes((200, 100, 50)) * 64
    out = io.BytesIO()
    dataset.save_as(out)
    shared.store(out.getvalue())
    shown = picture(shared.get(f"{path_of(made)}/rendered", "image/png"))
    assert shown.getpixel((4, 4)) == (200, 100, 50)


def test_what_is_empty_in_metadata(shared):
    """OHIF/Viewers 4658: a viewer took an item without attributes for nothing (PS3.18 F.2.5)."""
    values = {
        "ReferencedImageSequence": [Dataset()],
        "ProcedureCodeSequence": [],
        "ImageType": ["ORIGINAL", "", "AXIAL"],
        "StudyDescription": "",
    }
    [found] = shared.found(f"{store(shared, SampleStudy(), ECG, **values)}/metadata")
    assert found["00081140"] == {"vr": "SQ", "Value": [{}]}
    assert found["00081032"] == {"vr": "SQ"}
    assert found["00080008"] == {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}
    assert found["00081030"] == {"vr": "LO"}


@pytest.mark.parametrize(
    "said",
    [
        {"Forwarded": "for=192.0.2.7;proto=https;host=pacs.example"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example"},
    ],
    ids=["RFC 7239", "as before it"],
)
def test_every_address_leads_through_the_proxy(proxied_door, wire, said):
    """orthanc-auth-service 35, OHIF/Viewers 4256, shanoir-ng 3642: it led past it."""
    web, made = proxied_door, SampleStudy().make("CT")
    web.client.headers.update({"X-Forwarded-Prefix": "/archive", **said})
    root, path = "https://pacs.example/archive/dicom-web", path_of(made)
    stored = web.store(made).json()
    assert stored["00081190"]["Value"] == [f"{root}{path.partition('/series')[0]}"]
    assert stored["00081199"]["Value"][0]["00081190"]["Value"] == [root + path]
    for resource in ("/studies", "/series", "/instances"):
        (found,) = web.found(resource)
        (where,) = found["00081190"]["Value"]
        assert (root + path).startswith(where)
    (metadata,) = web.found(f"{path}/metadata")
    assert metadata["7FE00010"]["BulkDataURI"] == f"{root}{path}/bulkdata/7FE00010"
    xml = web.get(f"{path}/metadata", 'multipart/related; type="application/dicom+xml"')
    assert f'uri="{root}{path}/bulkdata/7FE00010"' in xml.text
    for resource in ("", "/frames/1", "/bulkdata"):
        [(headers, _)] = wire.read_parts(web.get(path + resource))
        assert headers["content-location"].startswith(root + path)
    assert web.get(f"{path}/").headers["location"] == root + path


def test_the_same_instance_many_times_at_once(shared, wire):
    """dcm4che 1103, 1112, medplum 10154: it collided with itself, or was there several times."""
    study = SampleStudy()
    files = [wire.part10(study.make("CT")) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: shared.store(files[number % 4]), range(48)))
    assert {each.status_code for each in answers} == {200}
    assert all(len(each.json()["00081199"]["Value"]) == 1 for each in answers)
    path = f"/studies/{study.study_instance_uid}"
    assert len(shared.found(f"{path}/instances")) == 4
    whole = shared.get(path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
    found = {each.SOPInstanceUID: each for each in (read(c) for _, c in wire.read_parts(whole))}
    assert found == {each.SOPInstanceUID: each for each in map(read, files)}
