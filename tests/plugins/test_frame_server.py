"""Metadata, frames and searches by a distribution of a third party, over a socket of its own."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from pacs_core.testing.node import node_process, write_config

SERVER = Path(__file__).parents[1] / "distributions" / "pacs-frame-server"
FRAMES = 12
PIXELS = numpy.arange(FRAMES * 16 * 20, dtype="<u2").reshape(FRAMES, 16, 20)
PATIENCE = 60.0


def sample(study: str, date: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.3"
    dataset.SOPInstanceUID = f"{study}.1.1"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study}.1"
    dataset.StudyDate = date
    dataset.PatientID = "P1"
    dataset.PatientName = "Müller^Jörg"
    dataset.Modality = "OT"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.NumberOfFrames = FRAMES
    dataset.Rows, dataset.Columns = PIXELS.shape[1:]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.add_new(0x0009_0010, "LO", "ACME")
    dataset.add_new(0x0009_1001, "OB", bytes(range(256)) * 20)
    dataset.PixelData = PIXELS.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@pytest.fixture(scope="module")
def stored(site, tmp_path_factory):
    """Return the folder of a node with two studies, of which one is compressed."""
    site.link(SERVER)
    folder = tmp_path_factory.mktemp("node")
    files = tmp_path_factory.mktemp("files")
    for study, date in (("1.2.3", "20200101"), ("1.2.4", "20210101")):
        dataset = sample(study, date)
        if study == "1.2.3":
            dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(files / f"{study}.dcm", enforce_file_format=True)
    config = write_config(folder, TABLES)
    command = [sys.executable, "-m", "pacs_core.cli.main", "import", str(files)]
    subprocess.run([*command, "--config", str(config)], check=True, timeout=60)
    return folder, files


TABLES = {"log": {"level": "info"}, "network": {"timeouts": {"shutdown": 1.0}}}


@pytest.fixture(scope="module")
def ask(stored):
    """Return what sends a request to the node, and returns head and body of the answer."""
    with node_process(stored[0], TABLES) as node:
        name, _, address = node.process.stdout.readline().partition(": ")
        assert name == "frames"
        port = int(address.rpartition(":")[2])

        def send(**request):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as answer:
                    return json.loads(answer.readline()), answer.read()

        yield send


RLE = {"study": "1.2.3", "instance": "1.2.3.1.1"}
NATIVE = {"study": "1.2.4", "instance": "1.2.4.1.1"}


def test_metadata_are_those_of_the_file(ask, stored):
    head, body = ask(**NATIVE)
    assert head == {"status": 200}
    found = json.loads(body)
    expected = dcmread(stored[1] / "1.2.4.dcm").to_json_dict(100, lambda element: "x")
    assert found.pop("7FE00010") == {"vr": "OW", "BulkDataURI": "7FE00010"}
    assert found.pop("00091001") == {"vr": "OB", "BulkDataURI": "00091001"}
    del expected["7FE00010"], expected["00091001"]
    assert found == expected
    _, body = ask(**NATIVE, xml=True)
    assert "<FamilyName>Müller</FamilyName>" in body.decode()


def test_metadata_of_a_study_come_with_references_below_their_instance(ask):
    (metadata,) = json.loads(ask(metadata="1.2.4")[1])
    alone = json.loads(ask(**NATIVE)[1])
    assert metadata["7FE00010"] == {"vr": "OW", "BulkDataURI": "1.2.4.1.1/7FE00010"}
    reference = metadata["00091001"]["BulkDataURI"]
    assert metadata | {"7FE00010": alone["7FE00010"], "00091001": alone["00091001"]} == alone
    instance, _, path = reference.partition("/")
    assert ask(study="1.2.4", instance=instance, bulkdata=path)[1] == bytes(range(256)) * 20
    assert ask(metadata="1.2.5") == ({"status": 200}, b"[]")


def test_bulk_data_are_found_by_their_path(ask):
    assert ask(**RLE, bulkdata="00091001") == (
        {"status": 200, "vr": "OB"},
        bytes(range(256)) * 20,
    )
    assert ask(**RLE, bulkdata="00400555/2/00091001")[0]["status"] == 404


@pytest.mark.parametrize("instance", [RLE, NATIVE])
@pytest.mark.parametrize("number", [1, 7, FRAMES])
def test_a_frame_is_decoded_on_its_own(ask, instance, number):
    head, body = ask(**instance, frame=number, accept=[ExplicitVRLittleEndian])
    assert head == {"status": 200, "transfer_syntax": ExplicitVRLittleEndian}
    assert body == PIXELS[number - 1].tobytes()


def test_a_frame_comes_as_it_is_stored(ask, stored):
    from pydicom.encaps import get_frame

    head, body = ask(**RLE, frame=3)
    assert head["transfer_syntax"] == RLELossless
    file = dcmread(stored[1] / "1.2.3.dcm")
    assert body == get_frame(file.PixelData, 2, number_of_frames=FRAMES)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({**RLE, "frame": 0}, 404),
        ({**RLE, "frame": FRAMES + 1}, 404),
        ({**RLE, "instance": "1.9"}, 404),
        ({**RLE, "frame": 1, "accept": ["1.2.3"]}, 406),
        ({"find": {"StudyDate": "yesterday"}}, 400),
    ],
)
def test_what_cannot_be_had_is_said_in_the_terms_of_http(ask, request_, status):
    head, body = ask(**request_)
    assert head["status"] == status
    assert head["error"]
    assert body == b""


@pytest.mark.parametrize("order", ["StudyDate", "-StudyDate"])
def test_studies_are_found_counted_and_sorted(ask, order):
    head, _ = ask(find={"PatientName": "müller*", "StudyDate": "20200101-"}, order=order)
    dates = [found["StudyDate"] for found in head["found"]]
    assert head["count"] == 2
    assert dates == sorted(dates, reverse=order.startswith("-"))
