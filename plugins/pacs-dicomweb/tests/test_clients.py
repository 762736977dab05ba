"""Clients as they are: dicomweb-client, what OHIF asks for, and what broke others."""

import io
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from pacs_core.testing.datasets import SampleStudy


def read(content):
    return pydicom.dcmread(io.BytesIO(content))


def path_of(dataset):
    values = dataset.values
    return (
        f"/studies/{values['StudyInstanceUID']}/series/{values['SeriesInstanceUID']}"
        f"/instances/{values['SOPInstanceUID']}"
    )


@pytest.fixture(scope="module")
def client(shared):
    return DICOMwebClient(shared.url)


@pytest.fixture(scope="module")
def stored(shared, wire_of, client):
    """Store a study by the client."""
    study = SampleStudy()
    samples = [study.make("CT", PatientID="CLIENT"), study.make("MR", PatientID="CLIENT")]
    answer = client.store_instances([read(wire_of.part10(each)) for each in samples])
    assert len(answer.ReferencedSOPSequence) == 2

    class Stored:
        uid = study.study_instance_uid
        ct, mr = samples
        series = ct.values["SeriesInstanceUID"]
        instance = ct.sop_instance_uid
        path = (uid, series, instance)

    return Stored


@pytest.fixture(scope="module")
def wire_of():
    from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta

    class Wire:
        @staticmethod
        def part10(dataset):
            uid = dataset.sop_instance_uid
            meta = file_meta(dataset.sop_class_uid, uid, EXPLICIT_VR_LITTLE_ENDIAN)
            return meta + dataset.encode()

    return Wire


class TestDicomwebClient:
    def test_search(self, client, stored):
        [study] = client.search_for_studies(
            search_filters={"PatientID": "CLIENT"}, fuzzymatching=True
        )
        assert study["0020000D"]["Value"] == [stored.uid]
        assert len(client.search_for_series(stored.uid)) == 2
        found = client.search_for_instances(stored.uid, stored.series, fields=["Rows"], limit=5)
        assert pydicom.Dataset.from_json(found[0]).SOPInstanceUID == stored.instance
        assert client.search_for_studies(search_filters={"PatientID": "NOBODY"}) == []

    def test_metadata(self, client, stored):
        assert len(client.retrieve_study_metadata(stored.uid)) == 2
        [series] = client.retrieve_series_metadata(stored.uid, stored.series)
        assert series == client.retrieve_instance_metadata(*stored.path)
        uri = series["7FE00010"]["BulkDataURI"]
        [pixels] = client.retrieve_bulkdata(uri)
        assert pixels == stored.ct.values["PixelData"]

    def test_instances(self, client, stored, wire_of):
        assert client.retrieve_instance(*stored.path) == read(wire_of.part10(stored.ct))
        assert len(client.retrieve_study(stored.uid)) == 2
        assert len(list(client.iter_series(stored.uid, stored.series))) == 1
        media_types = (("application/dicom", "1.2.840.10008.1.2.4.90"),)
        dataset = client.retrieve_instance(*stored.path, media_types=media_types)
        assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
        original = np.frombuffer(stored.ct.values["PixelData"], dataset.pixel_array.dtype)
        assert (dataset.pixel_array.ravel() == original).all()

    def test_frames(self, client, stored):
        [frame] = client.retrieve_instance_frames(*stored.path, frame_numbers=[1])
        assert frame == stored.ct.values["PixelData"]
        media_types = (("image/jls", "1.2.840.10008.1.2.4.80"),)
        [frame] = client.retrieve_instance_frames(
            *stored.path, frame_numbers=[1], media_types=media_types
        )
        assert frame.startswith(b"\xff\xd8")

    def test_rendered(self, client, stored):
        assert client.retrieve_instance_rendered(*stored.path).startswith(b"\xff\xd8")
        png = client.retrieve_instance_frames_rendered(
            *stored.path, frame_numbers=[1], media_types=("image/png",)
        )
        assert png.startswith(b"\x89PNG")

    def test_delete(self, door, wire_of):
        web, study = door(delete=True), SampleStudy()
        client = DICOMwebClient(web.url)
        client.store_instances([read(wire_of.part10(study.make("CT")))])
        client.delete_study(study.study_instance_uid)
        assert client.search_for_studies() == []


OCTETS = "multipart/related; type=application/octet-stream"
FILES = 'multipart/related; type="application/dicom"'
ANY = "; transfer-syntax=*"
J2K = "1.2.840.10008.1.2.4.90"
JPEG_LS = "1.2.840.10008.1.2.4.80"


class TestRequestsThatBrokeOthers:
    @pytest.mark.parametrize(
        ("suffix", "accept"),
        [
            # OHIF/Viewers 3990, 3726: several types, one of which is there, parameters twice.
            (
                "/metadata",
                f"application/dicom+json, {OCTETS}; transfer-syntax=*; transfer-syntax=*",
            ),
            ("/series", f"application/dicom+json, {OCTETS}"),
            # cornerstoneWADOImageLoader 356: octets of an instance are its bulk data.
            ("instance", 'multipart/related; type="application/octet-stream"'),
            # dicom-microscopy-viewer 32: all of the type within quotes.
            (
                "instance",
                'multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"',
            ),
            (
                "frame",
                'multipart/related; type="image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"',
            ),
            # dcmjs-org/dicomweb-client 46: any image.
            ("frame", 'multipart/related; type="image/*"'),
            ("frame", f"{OCTETS}, multipart/related; type=image/jls;q=0.5"),
            # dcm4chee-arc-light 1715: transfer syntaxes in Accept.
            ("instance", f"{FILES}; transfer-syntax={J2K}, {FILES}; transfer-syntax={JPEG_LS}"),
            ("instance", "*/*"),
            ("frame", "*/*"),
        ],
    )
    def test_accept(self, shared, stored, suffix, accept):
        instance = path_of(stored.ct)
        path = {
            "/metadata": f"{instance}/metadata",
            "/series": f"/studies/{stored.uid}/series",
            "instance": instance,
            "frame": f"{instance}/frames/1",
        }[suffix]
        response = shared.get(path, accept)
        assert response.status_code == 200, response.text

    def test_the_type_within_quotes_counts(self, shared, stored, wire):
        accept = 'multipart/related; type="image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"'
        response = shared.get(f"{path_of(stored.ct)}/frames/1", accept)
        [(headers, _)] = wire.read_parts(response)
        assert headers["content-type"] == "image/jls"

    @pytest.mark.parametrize("kind", ["bulkdata", "pixeldata"])
    def test_all_bulk_data(self, shared, stored, wire, kind):
        series = path_of(stored.ct).rpartition("/instances")[0]
        for path in (path_of(stored.ct), series):
            [(headers, content)] = wire.read_parts(shared.get(f"{path}/{kind}"))
            assert headers["content-type"] == "application/octet-stream"
            assert content == stored.ct.values["PixelData"]
            assert headers["content-location"].endswith("/bulkdata/7FE00010")
        assert len(wire.read_parts(shared.get(f"/studies/{stored.uid}/{kind}"))) == 2

    @pytest.mark.parametrize("kind", ["bulkdata", "pixeldata"])
    def test_nothing_of_all_bulk_data(self, shared, kind):
        """ImagingDataCommons/slim 169: a body of no parts is none (RFC 2046 §5.1.1)."""
        study = SampleStudy()
        report = study.make("SR")
        shared.store(report)
        for path in (path_of(report), f"/studies/{study.study_instance_uid}"):
            response = shared.get(f"{path}/{kind}")
            assert response.status_code == 404
            assert "there are no" in response.json()["detail"]
        shared.store(study.make("CT"))
        assert shared.get(f"/studies/{study.study_instance_uid}/{kind}").status_code == 200

    def test_pdf_of_a_study(self, shared, wire):
        """dcm4chee-arc-light 1470, OHIF/Viewers 3826."""
        study = SampleStudy()
        pdf = study.make("PDF")
        shared.store(pdf, study.make("CT"))
        accept = "multipart/related;type=application/pdf"
        for path in (f"/studies/{study.study_instance_uid}", f"{path_of(pdf)}/bulkdata/00420011"):
            response = shared.get(f"{path}?accept={accept}")
            [(headers, content)] = wire.read_parts(response)
            assert headers["content-type"] == "application/pdf"
            assert content.startswith(b"%PDF")

    def test_a_key_that_is_also_to_be_returned(self, shared, stored):
        """DICOMcloud 1."""
        path = f"/instances?0020000D={stored.uid}&includefield=00080018&includefield=0020000D"
        assert len(shared.found(path)) == 2

    def test_numbers_that_json_does_not_have(self, shared, wire_of):
        """fo-dicom 1063, microsoft/dicom-server 3532: they are referred to, and can be had."""
        made = SampleStudy().make("CT")
        dataset = read(wire_of.part10(made))
        dataset.add_new(0x0018_9073, "FD", [float("-inf"), -1.0])
        out = io.BytesIO()
        dataset.save_as(out)
        shared.store(out.getvalue())
        [found] = shared.found(f"{path_of(made)}/metadata")
        uri = found["00189073"]["BulkDataURI"]
        response = shared.client.get(uri, headers={"Accept": "application/octet-stream"})
        assert np.frombuffer(response.content, "<f8").tolist() == [float("-inf"), -1.0]

    def test_search_while_much_is_stored(self, shared):
        """dcm4chee-arc-light 1877."""
        study = SampleStudy()
        samples = [study.make("CT") for _ in range(24)]
        with ThreadPoolExecutor(4) as threads:
            storing = [threads.submit(shared.store, *samples[n::4]) for n in range(4)]
            while not all(future.done() for future in storing):
                response = shared.get(f"/studies/{study.study_instance_uid}/series")
                assert response.status_code == 200
        assert {future.result().status_code for future in storing} == {200}
        [series] = shared.found(f"/studies/{study.study_instance_uid}/series")
        assert series["00201209"]["Value"] == [24]

    def test_expect_100_continue(self, shared, wire_of):
        """dcm4che 1044: as curl does for bodies of more than a megabyte."""
        content = wire_of.part10(SampleStudy().make("CT"))
        url = shared.client.base_url
        head = (
            f"POST {url.path}studies HTTP/1.1\r\nHost: {url.host}\r\nExpect: 100-continue\r\n"
            f"Content-Type: application/dicom\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        with socket.create_connection((url.host, url.port), 10) as peer:
            peer.sendall(head.encode())
            assert peer.recv(1000).startswith(b"HTTP/1.1 100 ")
            peer.sendall(content)
            assert peer.recv(1000).startswith(b"HTTP/1.1 200 ")
