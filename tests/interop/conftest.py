"""Peers of other makes: DCMTK's programs in processes, against a node in a thread."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from pacs_core.dataset import MalformedDataset, NotPart10, read_file_meta
from pacs_core.testing.peer_programs import PeerPrograms, find_free_port


class Dcmtk(PeerPrograms):
    """DCMTK's programs."""

    def find(self, node, *arguments, model="-S"):
        """Run findscu; return the identifiers that it received."""
        received = self.directory / "responses"
        shutil.rmtree(received, ignore_errors=True)
        received.mkdir()
        address = ("-aec", "PACS", "127.0.0.1", node.port)
        self.run("findscu", model, "-X", "-od", received, *arguments, *address)
        return [dcmread(path, force=True) for path in sorted(received.iterdir())]


@pytest.fixture
def dcmtk(tmp_path):
    return _dcmtk(tmp_path)


@pytest.fixture(scope="module")
def module_dcmtk(tmp_path_factory):
    return _dcmtk(tmp_path_factory.mktemp("module"))


def _dcmtk(directory):
    work = directory / "dcmtk"
    work.mkdir()
    return Dcmtk(work)


@pytest.fixture(scope="session")
def free_port():
    """Return a function that finds a port for a server that cannot choose one itself."""
    return find_free_port


@pytest.fixture
def destination(dcmtk, free_port, tmp_path):
    """Start storescp's, which keep what they receive bit by bit, until the test ends."""
    with ExitStack() as stack:

        def destination(*arguments):
            port, received = free_port(), tmp_path / f"received-{free_port()}"
            received.mkdir()
            options = ("+B", "+xa", "+uf", "-aet", "DESTINATION", "-od", received, *arguments)
            stack.enter_context(dcmtk.serve("storescp", port, *options))
            return port, received

        yield destination


@pytest.fixture(scope="session")
def dataset_bytes():
    """Return a function that splits a Part 10 file: transfer syntax, and dataset as it is."""

    def dataset_bytes(data):
        meta = read_file_meta(data)
        return meta.transfer_syntax_uid, bytes(data[meta.dataset_offset :])

    return dataset_bytes


@pytest.fixture(scope="session")
def stored(dataset_bytes):
    """Return a function that reads all that a node holds: encodings and datasets."""

    async def read(store):
        found = set()
        async for each in store.objects():
            async with await store.open(each.key) as reader:
                found.add(dataset_bytes(await reader.read(0, reader.size)))
        return found

    return lambda node: node.call(read, node.node.opened.store)


@pytest.fixture(scope="session")
def received_files(dataset_bytes):
    """Return a function that reads all that a peer has written: encodings and datasets."""

    def received_files(directory):
        return {dataset_bytes(path.read_bytes()) for path in Path(directory).iterdir()}

    return received_files


@pytest.fixture(scope="session")
def sample_files():
    """Return a function that lists pydicom's test files: of one encoding, or of all."""
    directory = Path(pydicom.data.__file__).parent / "test_files"
    found = []
    for path in sorted(directory.rglob("*.dcm")):
        try:
            found.append((path, read_file_meta(path.read_bytes()).transfer_syntax_uid))
        except (MalformedDataset, NotPart10):
            continue
    return lambda wanted=None: [path for path, syntax in found if wanted in (syntax, None)]


@pytest.fixture(scope="session")
def make_ct():
    """Return a function that makes small CT images; keywords set attributes."""

    def make_ct(sop_instance_uid, **attributes):
        ct = Dataset()
        ct.SOPClassUID = CTImageStorage
        ct.SOPInstanceUID = sop_instance_uid
        ct.Modality = "CT"
        ct.Rows = ct.Columns = 4
        ct.BitsAllocated = ct.BitsStored = 16
        ct.HighBit, ct.PixelRepresentation, ct.SamplesPerPixel = 15, 0, 1
        ct.PhotometricInterpretation = "MONOCHROME2"
        for keyword, value in attributes.items():
            setattr(ct, keyword, value)
        ct.PixelData = bytes(32)
        ct.file_meta = FileMetaDataset()
        ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ct.file_meta.MediaStorageSOPClassUID = ct.SOPClassUID
        ct.file_meta.MediaStorageSOPInstanceUID = sop_instance_uid
        return ct

    return make_ct


@pytest.fixture(scope="session")
def make_cts(make_ct):
    """Return a function that makes two patients of two studies of two series of two images."""

    def make_cts():
        for number in range(16):
            patient, study, series, image = (number >> bit & 1 for bit in (3, 2, 1, 0))
            request = Dataset()
            request.ScheduledProcedureStepID = f"SPS{patient}{study}"
            yield make_ct(
                f"1.2.826.0.1.7.{patient}.{study}.{series}.{image + 1}",
                PatientName=("Müller^Anna", "Doe^John")[patient],
                PatientID=f"P{patient}",
                PatientSex="FM"[patient],
                SpecificCharacterSet="ISO_IR 100",
                StudyInstanceUID=f"1.2.826.0.1.7.{patient}.{study}",
                StudyDate=("20240115", "20250630")[study],
                StudyTime=("083000", "173000.5")[study],
                AccessionNumber=f"A{patient}{study}",
                StudyDescription=("Head", "Thorax")[study],
                StudyID=str(study),
                SeriesInstanceUID=f"1.2.826.0.1.7.{patient}.{study}.{series}",
                SeriesNumber=series + 1,
                SeriesDescription=("Scout", "Axial")[series],
                InstanceNumber=image + 1,
                RequestAttributesSequence=[request],
            )

    return make_cts


@pytest.fixture(scope="session")
def write_files():
    """Return a function that writes datasets as Part 10 files into a directory."""

    def write_files(directory, datasets):
        directory.mkdir(parents=True, exist_ok=True)
        for number, dataset in enumerate(datasets):
            dataset.save_as(directory / f"{number:04}.dcm", enforce_file_format=True)
        return directory

    return write_files
