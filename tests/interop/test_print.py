"""Print Management (PS3.4 Annex H), driven by DCMTK's print programs and pynetdicom."""

import base64
import re
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pacs_core.testing.node import node_thread
from pacs_core.testing.waiting import until

PLUGINS = ["sop-print", "jobs", "database", "audit-json", "sop-verification"]
GRAY_META, COLOR_META = "1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.18"
SESSION, FILM = "1.2.840.10008.5.1.1.1", "1.2.840.10008.5.1.1.2"
GRAY_BOX, COLOR_BOX = "1.2.840.10008.5.1.1.4", "1.2.840.10008.5.1.1.4.1"
PRINTER, PRINTER_UID = "1.2.840.10008.5.1.1.16", "1.2.840.10008.5.1.1.17"
CONFIGURATION = "1.2.840.10008.5.1.1.16.376"
JOB, ANNOTATION = "1.2.840.10008.5.1.1.14", "1.2.840.10008.5.1.1.15"
LUT = "1.2.840.10008.5.1.1.23"

pytestmark = [pytest.mark.peer, pytest.mark.timeout(180)]

DCMPSTAT = """\
[[GENERAL]]
[APPLICATION]
LogDirectory = log
LogFile = general.log
LogLevel = INFO
[PRINT]
Spooler = dcmprscu
Directory = spool
DetailedLog = true
BinaryLog = false
Sleep = 1
MinPrintResolution = 64\\64
MaxPrintResolution = 8192\\8192
DefaultIllumination = 2000
DefaultReflection = 10
DeletePrintJobs = false
AlwaysDeleteTerminateJobs = false
[DATABASE]
Directory = database
[LUT]
Directory = lut
[NETWORK]
aetitle = DCMPSTATE
[[COMMUNICATION]]
[NODE]
Aetitle = PACS
Description = node
Hostname = 127.0.0.1
Port = {port}
Type = PRINTER
BorderDensity = 150\\20\\BLACK\\WHITE
DisableNewVRs = false
DisplayFormat=1,1\\1,2\\2,2
EmptyImageDensity = 20\\BLACK\\WHITE
FilmDestination = MAGAZINE\\PROCESSOR
FilmSizeID = 8INX10IN\\14INX17IN
ImplicitOnly = false
MagnificationType = REPLICATE\\BILINEAR\\CUBIC\\NONE
MaxDensity = 310
MinDensity = 20
MaxPDU = 32768
MediumType = PAPER\\CLEAR FILM\\BLUE FILM
OmitSOPClassUIDFromCreateResponse = false
PresentationLUTMatchRequired = false
PresentationLUTinFilmSession = false
ResolutionID = STANDARD\\HIGH
SmoothingType = NONE
Annotation = 2\\LABEL
Supports12Bit = true
SupportsDecimateCrop = true
SupportsImageSize = true
SupportsPresentationLUT = true
SupportsTrim = true
[[VOI]]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def node(tmp_path_factory, folder):
    tables = {
        "plugin": {
            "sop-print": {
                "folder": str(folder),
                "resolution": 50,
                "high_resolution": 100,
                "film_sizes": ["8INX10IN", "14INX17IN"],
                "max_films": 5,
                "max_boxes": 20,
                "max_image": 1 << 20,
                "max_session": 3 << 20,
            }
        }
    }
    with node_thread(tmp_path_factory.mktemp("node"), tables, plugins=PLUGINS) as running:
        yield running


@contextmanager
def new_films(folder, count=1):
    """Yield a list that has the new films at the end."""
    before, found = set(folder.glob("*/film-*.png")), []
    yield found
    until(lambda: len(set(folder.glob("*/film-*.png")) - before) == count)
    paths = sorted(set(folder.glob("*/film-*.png")) - before)
    until(lambda: all(path.with_suffix(".pdf").exists() for path in paths))
    found += [np.asarray(Image.open(path)) for path in paths]


def write_image(path, pixels, **own):
    """Write a CT image whose window shows all of its values."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.PatientName, dataset.PatientID = "Film^Test", "F1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.SamplesPerPixel = "CT", 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.update(own)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


def ramp(rows=128, columns=128):
    """Return an image with each row darker at its left, and a bright upper left corner."""
    pixels = np.tile(np.linspace(0, 4095, columns).astype(int), (rows, 1))
    pixels[: rows // 4, : columns // 4] = 4095
    return pixels


@pytest.fixture(scope="module")
def spooler(node, module_dcmtk):
    """Return a function that prints images by dcmpsprt and dcmprscu."""
    for name in ("spool", "database", "lut", "log"):
        (module_dcmtk.directory / name).mkdir(exist_ok=True)
    config = module_dcmtk.directory / "dcmpstat.cfg"
    config.write_text(DCMPSTAT.format(port=node.port))

    def spool(*arguments, scu=()):
        for old in (module_dcmtk.directory / "spool").iterdir():
            old.unlink()
        module_dcmtk.run("dcmpsprt", "--config", config, "--printer", "NODE", *arguments)
        stored = sorted((module_dcmtk.directory / "database").glob("SP_*.dcm"))
        said = module_dcmtk.run(
            "dcmprscu", "-v", "--config", config, "--printer", "NODE", *scu, *stored
        )
        for path in (module_dcmtk.directory / "database").iterdir():
            path.unlink()
        return said

    return spool


GREY = 255 / 4095
"""Of a picture for each value of an image of 12 bits."""


def area(picture, box, shape):
    """Return the part of a picture that an image with these rows and columns fills in its box."""
    left, top, right, bottom = box
    factor = min((right - left) / shape[1], (bottom - top) / shape[0])
    width, height = round(shape[1] * factor), round(shape[0] * factor)
    x, y = left + (right - left - width) // 2, top + (bottom - top - height) // 2
    return picture[y : y + height, x : x + width]


def test_dcmprscu_prints_a_film(spooler, folder, tmp_path):
    """A film of 8 by 10 inches at 50 pixels an inch: the image fills it, and keeps its values."""
    pixels = ramp()
    with new_films(folder) as printed:
        spooler("--filmsize", "8INX10IN", "--portrait", write_image(tmp_path / "i.dcm", pixels))
    assert printed[0].shape == (500, 400)
    shown = area(printed[0], (10, 10, 390, 490), (128, 128))
    assert shown.shape == (380, 380)
    columns = shown[200:, 10:-10].mean(axis=0)
    wanted = np.interp((np.arange(10, 370) + 0.5) * 128 / 380 - 0.5, np.arange(128), pixels[-1])
    assert np.abs(columns - wanted * GREY).max() < 2
    assert shown[:80, :80].min() >= 253
    assert printed[0][:60].max() == 0


def test_an_image_at_its_own_size_is_printed_pixel_by_pixel(spooler, folder, tmp_path):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 4096, (96, 120))
    image = write_image(tmp_path / "i.dcm", pixels)
    with new_films(folder) as printed:
        spooler("--filmsize", "8INX10IN", "--portrait", "--magnification", "NONE", image)
    found = np.argwhere(printed[0] > 0)
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
    shown = printed[0][top:bottom, left:right].astype(int)
    assert shown.shape == pixels.shape
    assert np.abs(shown - pixels * GREY).max() <= 1


def test_films_of_a_session_are_printed_together(spooler, folder, tmp_path):
    images = [write_image(tmp_path / f"{n}.dcm", np.full((64, 64), 800 * n)) for n in range(1, 5)]
    with new_films(folder, 1) as printed:
        spooler("--layout", 2, 2, "--filmsize", "8INX10IN", *images, scu=("--session-print",))
    picture = printed[0]
    centres = [picture[125, 100], picture[125, 300], picture[375, 100], picture[375, 300]]
    assert [abs(int(c) - 800 * n * GREY) < 2 for n, c in enumerate(centres, 1)] == [True] * 4


def test_the_pdf_has_the_pixels_of_the_film(spooler, folder, tmp_path):
    before = set(folder.glob("*"))
    with new_films(folder) as printed:
        spooler("--filmsize", "8INX10IN", write_image(tmp_path / "i.dcm", ramp()))
    (job,) = set(folder.glob("*")) - before
    content = (job / "film-1.pdf").read_bytes()
    assert b"/MediaBox [ 0 0 576 720 ]" in content
    (stream,) = re.findall(rb"/Width 400.*?stream\r?\n(.*?)\r?\n?endstream", content, re.DOTALL)
    pixels = zlib.decompress(base64.a85decode(stream.strip().removesuffix(b"~>")))
    shown = np.frombuffer(pixels, np.uint8).reshape(500, 400, -1)
    assert (shown[:, :, 0] == printed[0]).all()
