"""WADO-RS over the wire: instances, metadata, bulk data, frames (PS3.18 §10.4)."""

import io
import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

DICOM = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'


def path_of(dataset):
    values = dataset.values
    return (
        f"/studies/{values['StudyInstanceUID']}/series/{values['SeriesInstanceUID']}"
        f"/instances/{values['SOPInstanceUID']}"
    )


def read(content):
    return pydicom.dcmread(io.BytesIO(content))


def image_file(study, frames=1, syntax=None, rows=32, columns=48):
    """Return an image of noise with frames, and its file, compressed if a syntax is named."""
    made = study.make("CT")
    dataset = read(
        file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
        + made.encode()
    )
    pixels = np.random.default_rng(7).integers(0, 4096, (frames, rows, columns), "u2")
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    out = io.BytesIO()
    dataset.save_as(out)
    return made, pixels, out.getvalue()


@pytest.fixture(scope="module")
def stored(shared):
    study = SampleStudy()
    made, pixels, content = image_file(study, frames=3)
    squeezed, squeezed_pixels, squeezed_content = image_file(study, 3, RLELossless)
    ct, mr = study.make("CT"), study.make("MR")
    response = shared.store(content, squeezed_content, ct, mr)
    assert response.status_code == 200, response.text

    class Stored:
        web = shared
        uid = study.study_instance_uid
        native, compressed, small, other = made, squeezed, ct, mr
        native_pixels, compressed_pixels = pixels, squeezed_pixels

    return Stored


class TestInstances:
    def test_study(self, stored, wire):
        response = stored.web.get(f"/studies/{stored.uid}", DICOM)
        assert response.status_code == 200
        parts = wire.read_parts(response)
        assert len(parts) == 4
        found = {read(content).SOPInstanceUID for _, content in parts}
        assert found == {
            each.sop_instance_uid
            for each in (stored.native, stored.compressed, stored.small, stored.other)
        }
        for headers, content in parts:
            uid = read(content).SOPInstanceUID
            assert headers["content-location"].endswith(f"/instances/{uid}")
            # Without a transfer syntax, it is Explicit VR Little Endian (§8.7.3.5.2).
            assert headers["content-type"].endswith(f"transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}")
            assert read(content).file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN

    def test_as_it_is_stored(self, stored, wire):
        response = stored.web.get(path_of(stored.compressed), f"{DICOM}; transfer-syntax=*")
        [(headers, content)] = wire.read_parts(response)
        assert headers["content-type"] == f"application/dicom; transfer-syntax={RLELossless}"
        assert int(headers["content-length"]) == len(content)
        assert read(content).file_meta.TransferSyntaxUID == RLELossless

    def test_a_study_as_it_is_stored_says_how_long_it_is(self, stored, wire):
        """So a client can show how far it is, and tells a part from the whole (RFC 9112 §6.3)."""
        response = stored.web.get(f"/studies/{stored.uid}", f"{DICOM}; transfer-syntax=*")
        assert int(response.headers["content-length"]) == len(response.content)
        assert len(wire.read_parts(response)) == 4
        converted = stored.web.get(f"/studies/{stored.uid}", DICOM)
        assert "content-length" not in converted.headers

    def test_converted(self, stored, wire):
        accept = f"{DICOM}; transfer-syntax={JPEG2000Lossless}"
        [(_, content)] = wire.read_parts(stored.web.get(path_of(stored.native), accept))
        dataset = read(content)
        assert dataset.file_meta.TransferSyntaxUID == JPEG2000Lossless
        assert (dataset.pixel_array == stored.native_pixels).all()

    def test_single_file_and_ranges(self, stored):
        path = path_of(stored.small)
        whole = stored.web.get(path, "application/dicom")
        assert whole.headers["content-type"].startswith("application/dicom; transfer-syntax=")
        assert read(whole.content).SOPInstanceUID == stored.small.sop_instance_uid
        assert int(whole.headers["content-length"]) == len(whole.content)
        part = stored.web.get(path, "application/dicom", headers={"Range": "bytes=128-131"})
        assert (part.status_code, part.content) == (206, b"DICM")
        assert part.headers["content-range"] == f"bytes 128-131/{len(whole.content)}"
        behind = stored.web.get(path, "application/dicom", headers={"Range": "bytes=999999999-"})
        assert behind.status_code == 416
        assert behind.headers["content-range"] == f"bytes */{len(whole.content)}"
        tag = whole.headers["etag"]
        resumed = {"Range": "bytes=128-131", "If-Range": tag}
        assert stored.web.get(path, "application/dicom", headers=resumed).status_code == 206
        other = {"Range": "bytes=128-131", "If-Range": '"other"'}
        assert stored.web.get(path, "application/dicom", headers=other).status_code == 200

    @pytest.mark.parametrize("accept", ["application/dicom", DICOM, "application/zip"])
    def test_unchanged(self, stored, accept):
        path = path_of(stored.small)
        tag = stored.web.get(path, accept).headers["etag"]
        response = stored.web.get(path, accept, headers={"If-None-Match": tag})
        assert (response.status_code, response.content) == (304, b"")

    def test_implicit_is_not_for_the_web(self, shared, wire):
        made = SampleStudy().make("CT")
        shared.store(wire.part10(made, IMPLICIT_VR_LITTLE_ENDIAN))
        response = shared.get(path_of(made), f"{DICOM}; transfer-syntax=*")
        [(_, content)] = wire.read_parts(response)
        assert read(content).file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN
        accept = f"{DICOM}; transfer-syntax={IMPLICIT_VR_LITTLE_ENDIAN}"
        assert shared.get(path_of(made), accept).status_code == 406

    def test_what_cannot_be_had_so_is_told(self, stored, wire):
        """An MR of the study is no image that could be compressed so."""
        accept = f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.100"
        response = stored.web.get(f"/studies/{stored.uid}", accept)
        assert response.status_code == 406
        assert response.headers["content-type"] == "application/problem+json"

    def test_zip(self, stored):
        response = stored.web.get(f"/studies/{stored.uid}?accept=application/zip")
        assert response.headers["content-type"] == "application/zip"
        assert f"{stored.uid}.zip" in response.headers["content-disposition"]
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            assert len(names) == 4
            assert all(name.startswith(f"{stored.uid}/") for name in names)
            assert {read(archive.read(n)).StudyInstanceUID for n in names} == {stored.uid}

    @pytest.mark.parametrize("suffix", ["", "/metadata", "/frames/1", "/bulkdata/7FE00010"])
    def test_not_there(self, stored, suffix):
        path = path_of(stored.small)
        absent = path.rpartition("/")[0] + "/1.2.3"
        assert stored.web.get(absent + suffix).status_code == 404
        # In another series than its own.
        other = path.replace(
            stored.small.values["SeriesInstanceUID"], stored.other.values["SeriesInstanceUID"]
        )
        assert stored.web.get(other + suffix).status_code == 404
        assert stored.web.get("/studies/1.2.3").status_code == 404

    def test_head(self, stored):
        response = stored.web.client.head(path_of(stored.small))
        assert response.status_code == 200
        assert not response.content


class TestMetadata:
    def test_json(self, stored):
        [found] = stored.web.found(f"{path_of(stored.native)}/metadata")
        assert found["00080018"]["Value"] == [stored.native.sop_instance_uid]
        assert found["00280008"]["Value"] == [3]
        assert "00020010" not in found
        uri = found["7FE00010"]["BulkDataURI"]
        assert uri == f"{stored.web.url}{path_of(stored.native)}/bulkdata/7FE00010"
        assert len(stored.web.found(f"/studies/{stored.uid}/metadata")) == 4
        series = path_of(stored.other).rpartition("/instances")[0]
        assert len(stored.web.found(f"{series}/metadata")) == 1

    def test_xml(self, stored, wire):
        accept = 'multipart/related; type="application/dicom+xml"'
        response = stored.web.get(f"/studies/{stored.uid}/metadata", accept)
        parts = wire.read_parts(response)
        assert len(parts) == 4
        assert all(b"NativeDicomModel" in content for _, content in parts)

    def test_unchanged(self, stored):
        path = f"/studies/{stored.uid}/metadata"
        tag = stored.web.get(path).headers["etag"]
        assert stored.web.get(path, headers={"If-None-Match": tag}).status_code == 304

    def test_numbers_that_are_none(self, shared):
        """JSON remains JSON, whatever is in DS and IS (PS3.18 F.2.3)."""
        made = SampleStudy().make("CT", SliceThickness="thin", PixelSpacing=("0.5", "NaN"))
        shared.store(made)
        [found] = shared.found(f"{path_of(made)}/metadata")
        assert found["00180050"]["Value"] == ["thin"]


class TestBulkData:
    def test_native_pixels(self, stored, wire):
        path = f"{path_of(stored.native)}/bulkdata/7FE00010"
        [(headers, content)] = wire.read_parts(stored.web.get(path, OCTETS))
        assert content == stored.native_pixels.tobytes()
        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-location"].endswith(path)
        response = stored.web.get(path, "application/octet-stream", headers={"Range": "bytes=3-8"})
        assert (response.status_code, response.content) == (206, content[3:9])

    def test_what_ohif_accepts(self, stored, wire):
        accept = f"{OCTETS}, multipart/related; type=application/dicom; transfer-syntax=*"
        path = f"{path_of(stored.native)}/bulkdata/7FE00010"
        assert stored.web.get(path, accept).status_code == 200

    def test_compressed_pixels(self, stored, wire):
        path = f"{path_of(stored.compressed)}/bulkdata/7FE00010"
        parts = wire.read_parts(stored.web.get(path, OCTETS))
        assert b"".join(content for _, content in parts) == stored.compressed_pixels.tobytes()

    def test_every_reference_leads_to_its_value(self, shared, wire):
        study = SampleStudy()
        made = study.make("CT")
        dataset = read(wire.part10(made))
        item = pydicom.Dataset()
        item.add_new(0x0009_0010, "LO", "ACME")
        item.add_new(0x0009_1001, "OB", bytes(range(256)) * 20)
        item.add_new(0x0028_3006, "OW", b"\1\2" * 3000)
        dataset.ReferencedImageSequence = [pydicom.Dataset(), item]
        out = io.BytesIO()
        dataset.save_as(out)
        assert shared.store(out.getvalue()).status_code == 200
        [found] = shared.found(f"{path_of(made)}/metadata")
        nested = found["00081140"]["Value"][1]
        response = shared.client.get(
            nested["00091001"]["BulkDataURI"], headers={"Accept": "application/octet-stream"}
        )
        assert response.content == bytes(range(256)) * 20
        [(_, content)] = wire.read_parts(shared.client.get(nested["00283006"]["BulkDataURI"]))
        assert content == b"\1\2" * 3000

    @pytest.mark.parametrize(
        ("reference", "status"),
        [
            ("00081140", 404),
            ("7FE00010/0/00080018", 404),
            ("nonsense", 400),
            ("7FE00010/0", 400),
            ("..%2F..%2F..", 400),
            ("00081140/99999999999999999999/00080018", 400),
        ],
    )
    def test_no_reference(self, stored, reference, status):
        response = stored.web.get(f"{path_of(stored.small)}/bulkdata/{reference}")
        assert response.status_code == status
        assert stored.web.is_well()

    def test_document(self, shared):
        pdf = SampleStudy().make("PDF")
        shared.store(pdf)
        [found] = shared.found(f"{path_of(pdf)}/metadata")
        element = found["00420011"]
        path = f"{path_of(pdf)}/bulkdata/00420011"
        response = shared.get(path, "application/pdf")
        assert response.headers["content-type"] == "application/pdf"
        assert response.content.startswith(b"%PDF")
        assert element["vr"] == "OB"

    def test_a_document_that_would_run_scripts_comes_as_octets(self, shared):
        page = SampleStudy().make("PDF", MIMETypeOfEncapsulatedDocument="text/html")
        shared.store(page)
        path = f"{path_of(page)}/bulkdata/00420011"
        assert shared.get(path, "text/html").status_code == 406
        response = shared.get(path, "text/html, application/octet-stream;q=0.1")
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["x-content-type-options"] == "nosniff"


class TestConditions:
    """If-Match (RFC 9110 §13.1.1): nothing is done to, or given of, what is another by now."""

    @pytest.mark.parametrize("resource", ["", "/metadata", "/frames/1", "/bulkdata/7FE00010"])
    def test_what_is_not_the_one_that_is_wanted(self, stored, resource):
        path = path_of(stored.small) + resource
        accept = "application/dicom; transfer-syntax=*" if not resource else "*/*"
        tag = stored.web.get(path, accept).headers["etag"].removeprefix("W/")
        wanted = {"*": 200, tag: 200, f'"a", {tag}': 200, '"a"': 412, "": 412}
        for value, status in wanted.items():
            answer = stored.web.get(path, accept, headers={"If-Match": value})
            assert answer.status_code == status, value
        both = {"If-Match": '"a"', "If-None-Match": tag}
        assert stored.web.get(path, accept, headers=both).status_code == 412
        assert stored.web.is_well()

    def test_changes(self, door, wire):
        web, made = door(delete=True), SampleStudy().make("CT")
        single = {"content": wire.part10(made), "headers": {"Content-Type": "application/dicom"}}
        other = {"If-Match": '"a"'}
        refused = web.client.post("/studies", **single | {"headers": single["headers"] | other})
        assert (refused.status_code, web.stored()) == (412, 0)
        assert web.client.post("/studies", **single).status_code == 200
        for path in (path_of(made), f"/studies/{made.values['StudyInstanceUID']}"):
            assert web.client.delete(path, headers=other).status_code == 412
        assert web.stored() == 1
        assert web.client.delete(path, headers={"If-Match": "*"}).status_code == 204
        assert web.stored() == 0


class TestFrames:
    def test_native(self, stored, wire):
        path = f"{path_of(stored.native)}/frames"
        parts = wire.read_parts(stored.web.get(f"{path}/3,1", OCTETS))
        assert [content for _, content in parts] == [
            stored.native_pixels[number].tobytes() for number in (2, 0)
        ]
        assert parts[0][0]["content-location"].endswith("/frames/3")
        assert parts[0][0]["content-type"] == "application/octet-stream"

    def test_decoded(self, stored, wire):
        response = stored.web.get(f"{path_of(stored.compressed)}/frames/2", OCTETS)
        [(_, content)] = wire.read_parts(response)
        assert content == stored.compressed_pixels[1].tobytes()

    def test_ohif_asks_for_a_frame(self, stored, wire):
        accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
        response = stored.web.get(f"{path_of(stored.compressed)}/frames/1", accept)
        [(headers, _)] = wire.read_parts(response)
        assert headers["content-type"] == f"application/octet-stream; transfer-syntax={RLELossless}"

    def test_media_types(self, stored, wire):
        path = f"{path_of(stored.native)}/frames/1"
        [(headers, content)] = wire.read_parts(
            stored.web.get(path, 'multipart/related; type="image/jls"')
        )
        assert headers["content-type"] == "image/jls"
        assert content.startswith(b"\xff\xd8")
        response = stored.web.get(path, "image/jp2")
        assert response.headers["content-type"] == "image/jp2"
        response = stored.web.get(f"{path_of(stored.compressed)}/frames/1", "image/dicom-rle")
        assert response.headers["content-type"] == "image/dicom-rle"
        response = stored.web.get(path, "application/octet-stream")
        assert response.content == stored.native_pixels[0].tobytes()

    def test_single_part_is_for_single_frames(self, stored):
        path = f"{path_of(stored.native)}/frames/1,2"
        assert stored.web.get(path, "application/octet-stream").status_code == 406

    @pytest.mark.parametrize(
        ("frames", "status"),
        [("4", 404), ("1,4", 404), ("0", 400), ("-1", 400), ("x", 400), ("1,,2", 400), (",", 400)],
    )
    def test_no_frames(self, stored, frames, status):
        response = stored.web.get(f"{path_of(stored.native)}/frames/{frames}")
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"

    def test_list_of_many(self, stored, wire):
        numbers = ",".join(["1"] * 5000)
        response = stored.web.get(f"{path_of(stored.native)}/frames/{numbers}", OCTETS)
        assert response.status_code == 200
        assert len(wire.read_parts(response)) == 5000
        assert stored.web.is_well()

    def test_percent_encoded(self, stored, wire):
        response = stored.web.get(f"{path_of(stored.native)}/frames/1%2C2", OCTETS)
        assert len(wire.read_parts(response)) == 2

    def test_without_pixels(self, shared):
        sr = SampleStudy().make("SR")
        shared.store(sr)
        assert shared.get(f"{path_of(sr)}/frames/1").status_code == 404
