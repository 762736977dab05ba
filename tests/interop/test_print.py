"""Print Management (PS3.4 Annex H), driven by DCMTK's print programs and pynetdicom."""

import base64
import json
import re
import sys
import zlib
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
)
from io import StringIO
from types import ModuleType

import anyio
import numpy as np
import pytest
from importlib_metadata import EntryPoint
from pacs_sop_print.scu import acknowledge
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.contracts import AccessDescriptor, Allow, Authorizer, Deny, Restrict, SingleValue
from pacs_core.plugins import hookimpl
from pacs_core.testing.node import node_process, node_thread, write_config
from pacs_core.testing.waiting import until

PLUGINS = ["sop-print", "jobs", "database", "audit-json", "sop-verification"]
GRAY_META, COLOR_META = "1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.18"
SESSION, FILM = "1.2.840.10008.5.1.1.1", "1.2.840.10008.5.1.1.2"
GRAY_BOX, COLOR_BOX = "1.2.840.10008.5.1.1.4", "1.2.840.10008.5.1.1.4.1"
PRINTER, PRINTER_UID = "1.2.840.10008.5.1.1.16", "1.2.840.10008.5.1.1.17"
CONFIGURATION = "1.2.840.10008.5.1.1.16.376"
JOB, ANNOTATION = "1.2.840.10008.5.1.1.14", "1.2.840.10008.5.1.1.15"
LUT = "1.2.840.10008.5.1.1.23"

pytestmark = [
    pytest.mark.peer,
    # pynetdicom fails in a thread of its own if an association ends while it answers.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

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
Type = {type}
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


class Guard(Authorizer):
    """Denies the service that is the calling AE title, and restricts another."""

    async def authorize(self, access):
        title = access.origin.calling_ae_title
        if title == "RESTRICTED":
            return Restrict((SingleValue(0x0008_0060, "CT"),))
        service = access.what.command and access.what.command.field.name
        return Deny(f"no {service}") if title == service else Allow()


@hookimpl
def pacs_access(setup):
    return [AccessDescriptor("guard", authorizer=lambda node: Guard())]


@pytest.fixture(scope="module")
def node(tmp_path_factory, folder):
    module = ModuleType("print_guard_plugin")
    module.pacs_access = pacs_access
    guard = EntryPoint("print-guard", "print_guard_plugin", "pacs_core.plugins")
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "print_guard_plugin", module)
        plugins = [*PLUGINS, guard]
        with node_thread(tmp_path_factory.mktemp("node"), tables, plugins=plugins) as running:
            yield running


@contextmanager
def new_films(folder, count=1):
    """Yield a list that has the new films at the end."""
    before, found = set(folder.glob("*/film-*.png")), []
    yield found
    until(lambda: len(set(folder.glob("*/film-*.png")) - before) == count, 60.0)
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
    for keyword, value in own.items():
        setattr(dataset, keyword, value)
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
    config.write_text(DCMPSTAT.format(port=node.port, type="PRINTER"))

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


# Requests of pynetdicom


class Scu:
    """An association of pynetdicom with a node that prints."""

    def __init__(self, port, *contexts, meta=GRAY_META, title="MODALITY"):
        self.meta, self.events = meta, []
        ae = AE(ae_title=title)
        for context in contexts or (meta, LUT, ANNOTATION, JOB, PRINTER, CONFIGURATION):
            ae.add_requested_context(context)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._hear)]
        self.association = ae.associate("127.0.0.1", port, ae_title="PACS", evt_handlers=handlers)
        assert self.association.is_established

    def _hear(self, event):
        self.events.append((str(event.request.AffectedSOPClassUID), event.event_type))
        return 0x0000, None

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        if self.association.is_established:
            self.association.release()

    def _meta(self, sop_class):
        return self.meta if sop_class in {SESSION, FILM, GRAY_BOX, COLOR_BOX} else None

    def create(self, sop_class, uid=None, **own):
        dataset = attributes(**own) if own else None
        status, answer = self.association.send_n_create(
            dataset, sop_class, uid, meta_uid=self._meta(sop_class)
        )
        self.last = answer
        return status.Status

    def set(self, sop_class, uid, dataset=None, **own):
        dataset = dataset or attributes(**own)
        status, self.last = self.association.send_n_set(
            dataset, sop_class, uid, meta_uid=self._meta(sop_class)
        )
        return status.Status

    def get(self, sop_class, uid, tags=()):
        status, self.last = self.association.send_n_get(
            list(tags), sop_class, uid, meta_uid=self._meta(sop_class)
        )
        return status.Status

    def print(self, sop_class, uid, action=1):
        status, self.last = self.association.send_n_action(
            None, action, sop_class, uid, meta_uid=self._meta(sop_class)
        )
        return status.Status

    def delete(self, sop_class, uid):
        return self.association.send_n_delete(sop_class, uid, meta_uid=self._meta(sop_class)).Status

    def film(self, display_format="STANDARD\\1,1", session="1.2.3", uid="1.2.4", **own):
        """Create a film session and a film box; return the UIDs of the image boxes."""
        if session is not None:
            assert self.create(SESSION, session) == 0
        own.setdefault("FilmSizeID", "8INX10IN")
        self.status = self.create(
            FILM, uid, ImageDisplayFormat=display_format, **refer(SESSION, "1.2.3"), **own
        )
        boxes = self.last.ReferencedImageBoxSequence if self.last else []
        return [item.ReferencedSOPInstanceUID for item in boxes]


def refer(sop_class, uid, keyword="ReferencedFilmSessionSequence"):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return {keyword: [item]}


def attributes(**own):
    dataset = Dataset()
    for keyword, value in own.items():
        setattr(dataset, keyword, value)
    return dataset


def grey(pixels, bits=8, **own):
    """Return the item of a Basic Grayscale Image Sequence."""
    item = Dataset()
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.Rows, item.Columns = pixels.shape
    item.BitsAllocated, item.BitsStored, item.HighBit = 8 if bits == 8 else 16, bits, bits - 1
    item.PixelRepresentation = 0
    data = pixels.astype(np.uint8 if bits == 8 else "<u2").tobytes()
    item.PixelData = data + b"\0" * (len(data) % 2)
    item["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in own.items():
        setattr(item, keyword, value)
    return item


def lut_table(bits, count=256, first=0, missing=0):
    """Return a Presentation LUT Sequence that changes nothing."""
    item = Dataset()
    item.LUTDescriptor = [count, first, bits]
    values = [n * ((1 << min(bits, 16)) - 1) // (count - 1) for n in range(count - missing)]
    item.LUTData = values
    item["LUTData"].VR = item["LUTDescriptor"].VR = "US"
    return {"PresentationLUTSequence": [item]}


def box(position=1, pixels=None, item=None, **own):
    """Return the Modification List of an image box."""
    if item is None:
        item = grey(np.full((40, 40), 128) if pixels is None else pixels)
    return attributes(ImageBoxPosition=position, BasicGrayscaleImageSequence=[item], **own)


@pytest.fixture
def scu(node):
    with Scu(node.port) as scu:
        yield scu


def test_a_film_is_described_when_it_is_created(scu):
    """PS3.4 Table H.4-6: the SCP fills in Referenced Image Box Sequence."""
    boxes = scu.film("ROW\\1,2", AnnotationDisplayFormatID="2")
    assert scu.status == 0
    assert len(set(boxes)) == 3
    assert {item.ReferencedSOPClassUID for item in scu.last.ReferencedImageBoxSequence} == {
        GRAY_BOX
    }
    assert len(scu.last.ReferencedBasicAnnotationBoxSequence) == 2
    assert scu.last.FilmSizeID == "8INX10IN"
    assert scu.last.MaxDensity == 310
    assert scu.delete(SESSION, "1.2.3") == 0
    assert scu.set(GRAY_BOX, boxes[0], box()) == 0x0112


def test_instances_without_a_uid_get_one(scu):
    assert scu.create(SESSION) == 0
    assert scu.create(FILM, ImageDisplayFormat="STANDARD\\1,1") == 0
    (session,) = scu.last.ReferencedFilmSessionSequence
    assert session.ReferencedSOPInstanceUID.startswith("2.25.")


def test_a_session_without_attributes_has_defaults(scu):
    """N-CREATE without a dataset is answered with one, as some requestors need it."""
    assert scu.create(SESSION, "1.2.3") == 0
    assert (scu.last.NumberOfCopies, scu.last.PrintPriority) == (1, "MED")


STATUSES = {
    "another session": (0x0111, lambda scu: scu.create(SESSION, "1.2.9")),
    "UID in use": (0x0111, lambda scu: (scu.film(session=None) and None) or scu.status),
    "no UID": (0x0117, lambda scu: scu.create(LUT, "1.2.x", PresentationLUTShape="IDENTITY")),
    "no layout": (0x0120, lambda scu: scu.create(FILM, "1.9", **refer(SESSION, "1.2.3"))),
    "empty layout": (
        0x0121,
        lambda scu: scu.create(FILM, "1.9", ImageDisplayFormat="", **refer(SESSION, "1.2.3")),
    ),
    "custom layout": (
        0x0106,
        lambda scu: scu.create(FILM, "1.9", ImageDisplayFormat="CUSTOM\\1"),
    ),
    "bad layout": (
        0x0106,
        lambda scu: scu.create(FILM, "1.9", ImageDisplayFormat="STANDARD\\0,1"),
    ),
    "too many boxes": (
        0x0213,
        lambda scu: scu.create(FILM, "1.9", ImageDisplayFormat="STANDARD\\5,5"),
    ),
    "unknown session": (
        0x0106,
        lambda scu: scu.create(
            FILM, "1.9", ImageDisplayFormat="STANDARD\\1,1", **refer(SESSION, "1.9.9")
        ),
    ),
    "film size": (
        0x0116,
        lambda scu: scu.create(FILM, "1.9", ImageDisplayFormat="STANDARD\\1,1", FilmSizeID="A4"),
    ),
    "density": (
        0xB605,
        lambda scu: scu.create(FILM, "1.9", ImageDisplayFormat="STANDARD\\1,1", MaxDensity=400),
    ),
    "memory": (0xB600, lambda scu: scu.set(SESSION, "1.2.3", MemoryAllocation="100")),
    "copies": (0x0116, lambda scu: scu.set(SESSION, "1.2.3", NumberOfCopies="99")),
    "no copies": (0x0106, lambda scu: scu.set(SESSION, "1.2.3", NumberOfCopies="0")),
    "unknown attribute": (0x0107, lambda scu: scu.set(SESSION, "1.2.3", PatientID="1")),
    "fixed attribute": (
        0x0105,
        lambda scu: scu.set(FILM, "1.2.4", ImageDisplayFormat="STANDARD\\2,2"),
    ),
    "polarity": (0x0106, lambda scu: scu.set(GRAY_BOX, scu.box, box(Polarity="ODD"))),
    "position": (0x0106, lambda scu: scu.set(GRAY_BOX, scu.box, box(2))),
    "no position": (
        0x0120,
        lambda scu: scu.set(GRAY_BOX, scu.box, BasicGrayscaleImageSequence=Sequence()),
    ),
    "no image": (0x0120, lambda scu: scu.set(GRAY_BOX, scu.box, ImageBoxPosition=1)),
    "no such box": (0x0112, lambda scu: scu.set(GRAY_BOX, "1.9.9", box())),
    "film as box": (0x0119, lambda scu: scu.set(GRAY_BOX, "1.2.4", box())),
    "colour in grey": (
        0x0118,
        lambda scu: (
            scu.association.send_n_set(box(), COLOR_BOX, scu.box, meta_uid=GRAY_META)[0].Status
        ),
    ),
    "operation": (
        0x0211,
        lambda scu: scu.association.send_n_delete(GRAY_BOX, scu.box, meta_uid=GRAY_META).Status,
    ),
    "action": (0x0123, lambda scu: scu.print(FILM, "1.2.4", 2)),
    "empty film": (0xB603, lambda scu: scu.print(FILM, "1.2.4")),
    "empty session": (0xB602, lambda scu: scu.print(SESSION, "1.2.3")),
    "no film": (
        0xC600,
        lambda scu: scu.delete(FILM, "1.2.4") or scu.print(SESSION, "1.2.3"),
    ),
    "large image": (
        0xB604,
        lambda scu: scu.set(GRAY_BOX, scu.box, box(pixels=np.zeros((600, 600)))),
    ),
    "decimated": (
        0xB60A,
        lambda scu: scu.set(
            GRAY_BOX,
            scu.box,
            box(pixels=np.zeros((600, 600)), RequestedDecimateCropBehavior="DECIMATE"),
        ),
    ),
    "cropped": (
        0xB609,
        lambda scu: scu.set(
            GRAY_BOX,
            scu.box,
            box(pixels=np.zeros((600, 600)), RequestedDecimateCropBehavior="CROP"),
        ),
    ),
    "too large": (
        0xC603,
        lambda scu: scu.set(
            GRAY_BOX,
            scu.box,
            box(pixels=np.zeros((600, 600)), RequestedDecimateCropBehavior="FAIL"),
        ),
    ),
    "many bytes": (
        0x0213,
        lambda scu: scu.set(GRAY_BOX, scu.box, box(pixels=np.zeros((1200, 1000)))),
    ),
    "few pixels": (
        0x0106,
        lambda scu: scu.set(GRAY_BOX, scu.box, box(item=grey(np.zeros((4, 4)), Rows=5, Columns=5))),
    ),
    "samples": (
        0x0106,
        lambda scu: scu.set(GRAY_BOX, scu.box, box(item=grey(np.zeros((4, 4)), SamplesPerPixel=3))),
    ),
    "no LUT": (
        0x0106,
        lambda scu: scu.set(
            FILM, "1.2.4", **refer(LUT, "1.9.9", "ReferencedPresentationLUTSequence")
        ),
    ),
    "LUT shape": (0x0106, lambda scu: scu.create(LUT, "1.2.5", PresentationLUTShape="ROUND")),
    "LUT without": (0x0120, lambda scu: scu.create(LUT, "1.2.5", FilmSessionLabel="x")),
    "LUT of 9 bits": (0x0106, lambda scu: scu.create(LUT, "1.2.5", **lut_table(9))),
    "LUT of 10 bits": (0x0000, lambda scu: scu.create(LUT, "1.2.5", **lut_table(10))),
    "LUT of 16 bits": (0x0000, lambda scu: scu.create(LUT, "1.2.5", **lut_table(16, 4096))),
    "LUT of 17 bits": (0x0106, lambda scu: scu.create(LUT, "1.2.5", **lut_table(17))),
    "LUT from 1 on": (0x0106, lambda scu: scu.create(LUT, "1.2.5", **lut_table(12, first=1))),
    "LUT too short": (0x0106, lambda scu: scu.create(LUT, "1.2.5", **lut_table(12, missing=1))),
    "LUT twice": (
        0x0106,
        lambda scu: scu.create(LUT, "1.2.5", PresentationLUTShape="IDENTITY", **lut_table(12)),
    ),
    "LUT beyond density": (
        0xB605,
        lambda scu: scu.create(LUT, "1.2.5", PresentationLUTShape="IDENTITY", MaxDensity=400),
    ),
    "LUT with density": (
        0x0107,
        lambda scu: scu.create(LUT, "1.2.5", PresentationLUTShape="IDENTITY", MinDensity=50),
    ),
    "printer": (0x0112, lambda scu: scu.get(PRINTER, "1.2.3")),
    "job": (0x0112, lambda scu: scu.get(JOB, "1.2.3")),
    "attribute of the printer": (
        0x0107,
        lambda scu: scu.get(PRINTER, PRINTER_UID, [0x21100010, 0x00100010]),
    ),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("name", STATUSES)
def test_status(scu, name):
    """Statuses of PS3.4 H.4 and PS3.7 Annex C, each by a request that leads to it."""
    status, request = STATUSES[name]
    (scu.box,) = scu.film()
    assert f"{request(scu):04X}" == f"{status:04X}"


# What requestors of other makers send


def print_without_uid(scu):
    """N-ACTION whose Requested SOP Instance UID is empty (a computed radiography reader)."""
    assert scu.print(FILM, "") == 0x0212
    return scu.print(FILM, "1.2.4")


def create_printer(scu):
    """N-CREATE of the Printer, which is there already (a CT)."""
    return scu.create(PRINTER, PRINTER_UID)


def ask_for_all_of_the_printer(scu):
    """N-GET of each attribute of Table H.4-17, known or not (two makers of radiography)."""
    tags = [
        0x21100010, 0x21100020, 0x21100030, 0x00080070, 0x00081090,
        0x00181000, 0x00181020, 0x00181200, 0x00181201,
    ]  # fmt: skip
    status = scu.get(PRINTER, PRINTER_UID, tags)
    assert [element.tag for element in scu.last] == sorted(tags)
    return status


def send_empty_attributes(scu):
    """A session whose Memory Allocation is empty, and whose destination is nowhere."""
    scu.delete(SESSION, "1.2.3")
    own = {"MemoryAllocation": "", "FilmDestination": "SOMEWHERE", "NumberOfCopies": "1 "}
    status = scu.create(SESSION, "1.2.3", **own)
    assert scu.last.FilmDestination == "SOMEWHERE"
    return status


def print_film_and_session(scu):
    """N-ACTION of the film box and then of its session: two print jobs, as was said."""
    assert scu.set(GRAY_BOX, scu.box, box()) == 0
    assert scu.print(FILM, "1.2.4") == 0
    (first,) = scu.last.ReferencedPrintJobSequence
    status = scu.print(SESSION, "1.2.3")
    (second,) = scu.last.ReferencedPrintJobSequence
    until(lambda: scu.events.count((JOB, 3)) == 2)
    assert first.ReferencedSOPInstanceUID != second.ReferencedSOPInstanceUID
    return status


def forget_a_lut_in_use(scu):
    """N-DELETE of a Presentation LUT that a film refers to: the film keeps it (H.4.9.2.2.2)."""
    assert scu.create(LUT, "1.2.5", PresentationLUTShape="LIN OD") == 0
    reference = refer(LUT, "1.2.5", "ReferencedPresentationLUTSequence")
    assert scu.set(FILM, "1.2.4", **reference) == 0
    assert scu.delete(LUT, "1.2.5") == 0
    assert scu.set(FILM, "1.2.4", **reference) == 0x0106
    return scu.set(GRAY_BOX, scu.box, box())


@pytest.mark.parametrize(
    ("requests", "status"),
    [
        (print_without_uid, 0xB603),
        (create_printer, 0x0211),
        (ask_for_all_of_the_printer, 0),
        (send_empty_attributes, 0),
        (print_film_and_session, 0),
        (forget_a_lut_in_use, 0),
    ],
)
def test_a_requestor_of_another_maker(scu, requests, status):
    (scu.box,) = scu.film()
    assert f"{requests(scu):04X}" == f"{status:04X}"
    assert scu.association.is_established


def test_contexts_of_other_makers(node):
    """The Meta SOP Class in two contexts with the retired Print Queue beside: one film session."""
    ae = AE(ae_title="NX")
    ae.add_requested_context(GRAY_META, "1.2.840.10008.1.2")
    ae.add_requested_context(GRAY_META, "1.2.840.10008.1.2.1")
    ae.add_requested_context("1.2.840.10008.5.1.1.26")
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
    assert [context.abstract_syntax for context in association.accepted_contexts] == [GRAY_META] * 2
    assert association.send_n_create(None, SESSION, "1.2.3", meta_uid=GRAY_META)[0].Status == 0
    later = attributes(PrintPriority="HIGH")
    association.accepted_contexts.reverse()
    assert association.send_n_set(later, SESSION, "1.2.3", meta_uid=GRAY_META)[0].Status == 0
    association.release()


class Requestor:
    """Requests by the node's own requestor; returns statuses."""

    def __init__(self, association):
        self.association = association

    async def create(self, sop_class, uid, **own):
        dataset = attributes(**own)
        command, answer = await self.association.n_create(
            sop_class, uid, dataset, negotiated_as=GRAY_META
        )
        self.last = answer
        return command.status

    async def set(self, sop_class, uid, dataset):
        return (await self.association.n_set(sop_class, uid, dataset, negotiated_as=GRAY_META))[
            0
        ].status

    async def get_printer(self):
        return (await self.association.n_get(PRINTER, PRINTER_UID, negotiated_as=GRAY_META))[
            0
        ].status

    async def print(self, sop_class, uid):
        dataset = Dataset()
        return (
            await self.association.n_action(sop_class, uid, 1, dataset, negotiated_as=GRAY_META)
        )[0].status

    async def delete(self, sop_class, uid):
        return (await self.association.n_delete(sop_class, uid, negotiated_as=GRAY_META))[0].status


@asynccontextmanager
async def requestor(node, title):
    async with connect(
        node.peer, [Proposal(GRAY_META)], calling_ae_title=title, serve=acknowledge
    ) as association:
        yield Requestor(association)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "denied", ["N_CREATE_RQ", "N_SET_RQ", "N_GET_RQ", "N_ACTION_RQ", "N_DELETE_RQ", "RESTRICTED"]
)
async def test_who_may_not_is_refused(node, denied):
    """0124H, and nothing happens; who is restricted to some images prints none of any."""
    low = attributes(PrintPriority="LOW")
    async with requestor(node, denied) as scu:
        statuses = {
            "N_CREATE_RQ": await scu.create(SESSION, "1.2.3"),
            "N_SET_RQ": await scu.set(SESSION, "1.2.3", low),
            "N_GET_RQ": await scu.get_printer(),
            "N_ACTION_RQ": await scu.print(SESSION, "1.2.3"),
            "N_DELETE_RQ": await scu.delete(SESSION, "1.2.3"),
        }
    otherwise = {"N_CREATE_RQ": 0, "N_GET_RQ": 0}
    if denied == "N_CREATE_RQ":
        otherwise |= dict.fromkeys(("N_SET_RQ", "N_ACTION_RQ", "N_DELETE_RQ"), 0x0112)
    else:
        otherwise |= {"N_SET_RQ": 0, "N_ACTION_RQ": 0xC600, "N_DELETE_RQ": 0}
    assert statuses == {
        name: 0x0124 if denied in {name, "RESTRICTED"} else status
        for name, status in otherwise.items()
    }


@pytest.mark.anyio
async def test_64_requestors_at_once(node, folder):
    """All use the same UIDs at the same time; each 16th prints, and prints its own image."""
    everybody, statuses = anyio.Event(), {}
    waiting = set(range(64))
    door = anyio.CapacityLimiter(8)  # a host may begin few associations at a time

    async def request(number):
        async with AsyncExitStack() as stack:
            async with door:
                scu = await stack.enter_async_context(requestor(node, f"SCU{number}"))
            made = [
                await scu.create(SESSION, "1.2.3"),
                await scu.create(
                    FILM,
                    "1.2.4",
                    ImageDisplayFormat="STANDARD\\1,1",
                    FilmSizeID="8INX10IN",
                    **refer(SESSION, "1.2.3"),
                ),
            ]
            (uid,) = [each.ReferencedSOPInstanceUID for each in scu.last.ReferencedImageBoxSequence]
            waiting.discard(number)
            if not waiting:
                everybody.set()
            await everybody.wait()
            made.append(await scu.set(GRAY_BOX, uid, box(pixels=np.full((40, 40), 100 + number))))
            made.append(
                await (scu.delete(SESSION, "1.2.3") if number % 16 else scu.print(FILM, "1.2.4"))
            )
            statuses[number] = made

    before = set(folder.glob("*/film-*.png"))
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(request, number)
    assert statuses == {number: [0] * 4 for number in range(64)}
    await anyio.to_thread.run_sync(
        until, lambda: len(set(folder.glob("*/film-*.pdf"))) == len(before) + 4, 60.0
    )
    printed = [np.asarray(Image.open(path)) for path in set(folder.glob("*/film-*.png")) - before]
    assert sorted(int(film[250, 200]) for film in printed) == [100, 116, 132, 148]


def test_more_images_than_there_is_room_for(scu):
    """C605H: insufficient memory in printer to store the image (PS3.4 H.4.3.1.2.1.2)."""
    boxes = scu.film("STANDARD\\2,2")
    million = np.zeros((1000, 1000))
    assert [scu.set(GRAY_BOX, uid, box(n, million)) for n, uid in enumerate(boxes, 1)] == [
        0xB604, 0xB604, 0xB604, 0xC605,
    ]  # fmt: skip
    empty = attributes(ImageBoxPosition=1, BasicGrayscaleImageSequence=Sequence())
    assert scu.set(GRAY_BOX, boxes[0], empty) == 0
    assert scu.set(GRAY_BOX, boxes[3], box(4, million)) == 0xB604


def test_more_films_than_allowed(scu):
    scu.film()
    made = [scu.film(session=None, uid=f"1.5.{n}") and scu.status for n in range(4)]
    assert made == [0, 0, 0, 0]
    assert scu.film(session=None, uid="1.5.9") == []
    assert scu.status == 0x0213


def test_the_printer_and_its_configuration(scu):
    assert scu.get(PRINTER, PRINTER_UID) == 0
    assert (scu.last.PrinterStatus, scu.last.PrinterStatusInfo) == ("NORMAL", "NORMAL")
    assert scu.get(CONFIGURATION, "1.2.840.10008.5.1.1.17.376") == 0
    grey_item, color = scu.last.PrinterConfigurationSequence
    assert list(grey_item.SOPClassesSupported) == [GRAY_META, JOB, ANNOTATION, LUT]
    assert color.SOPClassesSupported[0] == COLOR_META
    assert grey_item.MaximumMemoryAllocation == 0  # PS3.3 C.13.13: it is not supported
    assert grey_item.MediaInstalledSequence[0].FilmSizeID == "8INX10IN"


def test_a_print_job_is_reported_until_it_is_done(scu, folder):
    """PS3.4 H.4.5: N-GET, and events 1 to 4 on the same association."""
    (uid,) = scu.film()
    assert scu.set(GRAY_BOX, uid, box()) == 0
    with new_films(folder):
        assert scu.print(FILM, "1.2.4") == 0
        (job,) = scu.last.ReferencedPrintJobSequence
        assert job.ReferencedSOPClassUID == JOB
        until(lambda: (JOB, 3) in scu.events)
    assert [event for _, event in scu.events] == sorted(event for _, event in scu.events)
    assert scu.get(JOB, job.ReferencedSOPInstanceUID) == 0
    assert (scu.last.ExecutionStatus, scu.last.Originator) == ("DONE", "MODALITY")


def test_a_print_job_is_known_to_its_originator_only(scu, node, folder):
    (uid,) = scu.film()
    scu.set(GRAY_BOX, uid, box())
    with new_films(folder):
        scu.print(SESSION, "1.2.3")
    job = scu.last.ReferencedPrintJobSequence[0].ReferencedSOPInstanceUID
    with Scu(node.port, title="OTHER") as other:
        assert other.get(JOB, job) == 0x0112


def test_who_cannot_ask_for_a_job_is_told_of_none(node, folder):
    with Scu(node.port, GRAY_META) as scu, new_films(folder):
        (uid,) = scu.film()
        scu.set(GRAY_BOX, uid, box())
        assert (scu.print(FILM, "1.2.4"), not scu.last) == (0, True)


# What is drawn


def printed(scu, folder, *images, sop_class=GRAY_BOX, film=None, **own):
    """Print a film with these image boxes; return its picture."""
    boxes = scu.film(film or "STANDARD\\1,1", **own)
    for uid, image in zip(boxes, images, strict=False):
        assert scu.set(sop_class, uid, image) in {0, 0xB604, 0xB609, 0xB60A}
    with new_films(folder) as found:
        assert scu.print(FILM, "1.2.4") < 0xC000
    return found[0]


RAMP = np.tile(np.arange(0, 256, 2), (64, 1))


def test_polarity_and_monochrome1_invert(scu, folder):
    images = [
        box(1, RAMP, MagnificationType="NONE"),
        box(2, RAMP, MagnificationType="NONE", Polarity="REVERSE"),
        box(3, item=grey(RAMP, PhotometricInterpretation="MONOCHROME1"), MagnificationType="NONE"),
        box(
            4,
            item=grey(RAMP, PhotometricInterpretation="MONOCHROME1"),
            MagnificationType="NONE",
            Polarity="REVERSE",
        ),
    ]
    picture = printed(scu, folder, *images, film="STANDARD\\2,2")
    parts = [part for half in np.split(picture, 2) for part in np.split(half, 2, axis=1)]
    offsets = (41, 31, 41, 31)  # the middle of each box, but for half of the image
    rows = [part[125, x : x + 128].astype(int) for part, x in zip(parts, offsets, strict=True)]
    assert (rows[0] == RAMP[0]).all()
    assert (rows[3] == RAMP[0]).all()
    assert (rows[1] == 255 - RAMP[0]).all()
    assert (rows[2] == 255 - RAMP[0]).all()


def test_a_presentation_lut_table_makes_p_values(scu, folder):
    """PS3.3 C.11.4: a table that turns the lower half black and the upper half white."""
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [256, 0, 12], [0] * 128 + [4095] * 128
    item["LUTData"].VR, item["LUTDescriptor"].VR = "US", "US"
    assert scu.create(LUT, "1.2.5", PresentationLUTSequence=[item]) == 0
    reference = refer(LUT, "1.2.5", "ReferencedPresentationLUTSequence")
    picture = printed(scu, folder, box(1, RAMP, MagnificationType="NONE"), **reference)
    row = picture[250, 136:264]
    assert (row == np.where(RAMP[0] < 128, 0, 255)).all()


def test_density_is_what_the_film_would_have(scu, folder):
    """LIN OD, and densities of film and border: lighter than the blackest, by PS3.14."""
    assert scu.create(LUT, "1.2.5", PresentationLUTShape="LIN OD") == 0
    reference = refer(LUT, "1.2.5", "ReferencedPresentationLUTSequence")
    image = box(1, RAMP, MagnificationType="NONE")
    picture = printed(
        scu, folder, image, BorderDensity="150", MaxDensity=200, MinDensity=50, **reference
    )
    row, border = picture[250, 136:264].astype(int), int(picture[5, 5])
    assert (np.diff(row) >= 0).all()
    assert 0 < row[0] < border < row[-1] < 255
    # Density 1.5 is at a third of the way from 2.0 to 0.5.
    assert abs(border - row[np.argmin(np.abs(RAMP[0] - 85))]) <= 1


def test_requested_size_crop_trim_and_empty_boxes(scu, folder):
    images = [box(1, RAMP, RequestedImageSize="50.8"), box(2, np.full((600, 600), 200),
        RequestedDecimateCropBehavior="CROP")]  # fmt: skip
    picture = printed(
        scu, folder, *images, film="STANDARD\\1,3", Trim="YES", EmptyImageDensity="WHITE"
    )
    shown = picture[10:168]
    columns = np.flatnonzero(shown.max(axis=0) > 0)
    assert columns[-1] - columns[0] + 1 == 100  # 50.8 mm at 50 pixels an inch
    assert (picture[175:325, 15:385] == 200).all()
    assert (picture[335:485, 15:385] == 255).all()


def test_annotation_is_drawn_below_the_images(scu, folder):
    """PS3.4 H.4.4: an annotation box for each line."""
    (uid,) = scu.film(AnnotationDisplayFormatID="LABEL")
    (annotation,) = scu.last.ReferencedBasicAnnotationBoxSequence
    assert scu.set(GRAY_BOX, uid, box(1, np.full((40, 40), 60))) == 0
    wanted = {"AnnotationPosition": 1, "TextString": "Müller 4711"}
    text = attributes(SpecificCharacterSet="ISO_IR 192", **wanted)
    assert scu.set(ANNOTATION, annotation.ReferencedSOPInstanceUID, text) == 0
    assert scu.set(ANNOTATION, annotation.ReferencedSOPInstanceUID, TextString="x") == 0x0120
    with new_films(folder) as found:
        assert scu.print(FILM, "1.2.4") == 0
    line = found[0][478:490]
    assert line.max() > 200
    assert 10 <= np.flatnonzero(line.max(axis=0) > 100)[0] < 16


@pytest.mark.parametrize("planar", [0, 1])
def test_a_film_in_colour(node, folder, planar):
    pixels = np.random.default_rng(2).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    item = Dataset()
    item.SamplesPerPixel, item.PhotometricInterpretation = 3, "RGB"
    item.PlanarConfiguration, item.Rows, item.Columns = planar, 50, 60
    item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 8, 8, 7, 0
    item.PixelData = (pixels.transpose(2, 0, 1) if planar else pixels).tobytes()
    item["PixelData"].VR = "OB"
    image = attributes(ImageBoxPosition=1, BasicColorImageSequence=[item], MagnificationType="NONE")
    with Scu(node.port, COLOR_META, meta=COLOR_META) as scu:
        picture = printed(scu, folder, image, sop_class=COLOR_BOX)
    assert (picture[225:275, 170:230] == pixels).all()


@pytest.mark.parametrize(
    ("display_format", "count"), [("COL\\1,3", 4), ("SLIDE", 20), ("SUPERSLIDE", 20)]
)
def test_other_layouts(scu, folder, display_format, count):
    boxes = scu.film(display_format)
    assert len(boxes) == count
    assert scu.set(GRAY_BOX, boxes[-1], box(count, np.full((40, 40), 255))) == 0
    with new_films(folder) as found:
        assert scu.print(FILM, "1.2.4") == 0
    ys, xs = np.nonzero(found[0])
    assert xs.min() > 200
    assert ys.min() > 300


# The printer


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A node whose printer is a script: it fails while there is a file `jam`, and stores films."""
    directory = tmp_path_factory.mktemp("troubled")
    script = directory / "lp"
    script.write_text(
        f'#!/bin/sh\n[ -e {directory}/jam ] && {{ echo "paper jam" >&2; exit 1; }}\n'
        f'printf "%s " "$@" >> {directory}/taken\n'
    )
    script.chmod(0o755)
    config = {"printer": "films", "lp": [str(script)], "store": True, "max_jobs": 1}
    tables = {
        "plugin": {"sop-print": config | {"resolution": 25, "formats": ["png"]}},
        "archive": {"space": {"reserve": 0}},
    }
    plugins = [*PLUGINS, "sop-query-retrieve", "store-filesystem", "index-sqlite"]
    with node_thread(directory / "node", tables, plugins=plugins) as running:
        yield running


def test_a_printer_in_trouble_says_so_and_recovers(troubled):
    directory = troubled.data_directory.parent
    films = troubled.data_directory / "sop-print" / "films"
    (directory / "jam").touch()
    with Scu(troubled.port) as scu:
        (uid,) = scu.film(session="1.2.3")
        assert scu.set(SESSION, "1.2.3", NumberOfCopies="2", FilmSessionLabel="a; b") == 0
        assert scu.set(GRAY_BOX, uid, box()) == 0
        assert scu.print(FILM, "1.2.4") == 0
        assert scu.print(FILM, "1.2.4") == 0xC602
        assert scu.print(SESSION, "1.2.3") == 0xC601
        until(lambda: (PRINTER, 2) in scu.events)
        assert scu.get(PRINTER, PRINTER_UID) == 0
        assert (scu.last.PrinterStatus, scu.last.PrinterStatusInfo) == ("WARNING", "CHECK PRINTER")
        (directory / "jam").unlink()
        until(lambda: {(PRINTER, 1), (JOB, 3)} <= set(scu.events))
    arguments = (directory / "taken").read_text().split()
    assert arguments[:6] == ["-d", "films", "-n", "2", "-t", "a;"]
    assert len(list(films.glob("*/film-1.png"))) == 1
    assert not list((troubled.data_directory / "sop-print" / "jobs").iterdir())


def test_a_film_is_stored_as_secondary_capture(troubled, module_dcmtk):
    with Scu(troubled.port) as scu:
        (uid,) = scu.film()
        scu.set(GRAY_BOX, uid, box(pixels=np.full((40, 40), 99)))
        scu.set(SESSION, "1.2.3", FilmSessionLabel="stored")
        scu.print(FILM, "1.2.4")
        until(lambda: (JOB, 3) in scu.events)
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyDescription=stored")
    (study,) = module_dcmtk.find(
        troubled, *keys, "-k", "StudyInstanceUID", "-k", "ModalitiesInStudy"
    )
    assert study.ModalitiesInStudy == "HC"


def test_an_accepted_job_survives_kill(tmp_path):
    """A job that was acknowledged is printed by the node that comes after one that was killed."""
    films = tmp_path / "films"
    config = {"folder": str(films), "printer": "films", "lp": ["/bin/false"], "resolution": 25}
    with node_process(tmp_path, {"plugin": {"sop-print": config}}, plugins=PLUGINS) as node:
        with Scu(node.port) as scu:
            (uid,) = scu.film()
            scu.set(GRAY_BOX, uid, box())
            assert scu.print(FILM, "1.2.4") == 0
            until(lambda: (PRINTER, 2) in scu.events)
            connection = scu.association.dul.socket.socket
            node.kill()
            scu.association.abort()
            connection.close()  # pynetdicom leaves it open where its peer has died
        assert not list(films.glob("*/film-*"))
    sessions = tmp_path / "sop-print" / "sessions" / "0"
    assert len(list(sessions.iterdir())) == 1
    config["lp"] = ["/bin/true"]
    with node_process(tmp_path, {"plugin": {"sop-print": config}}, plugins=PLUGINS):
        until(lambda: list(films.glob("*/film-1.pdf")))
        assert not list(sessions.iterdir())


# pacs print


@pytest.fixture
def pacs_print(tmp_path):
    """Return a function that runs ``pacs print``; it returns the exit code and what was said."""
    config = write_config(tmp_path / "scu", {"plugin": {"sop-print": {}}})

    def run(*arguments):
        said = StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = main(["print", *map(str, arguments), "--config", str(config)])
        return code, said.getvalue()

    return run


def test_pacs_print_fills_films_of_a_node(node, folder, tmp_path, pacs_print):
    images = [write_image(tmp_path / f"{n}.dcm", np.full((64, 64), 800 * n)) for n in range(1, 4)]
    options = ("--format", "STANDARD\\1,2", "--size", "8INX10IN", "--annotation", "Line")
    more = ("--annotation-format", "LABEL", "--collate", "--border", "WHITE", "--color")
    with new_films(folder, 2) as printed:
        code, said = pacs_print(f"PACS@127.0.0.1:{node.port}", *images, *options, *more)
    assert (code, said) == (0, f"PACS@127.0.0.1:{node.port}: 3 images on 2 films\n")
    first, second = printed
    greys = [first[120, 200], first[360, 200], second[120, 200]]
    assert [[abs(int(v) - 800 * n * GREY) < 2 for v in c] for n, c in enumerate(greys, 1)] == [
        [True] * 3
    ] * 3
    assert second[5, 5].tolist() == [255, 255, 255]
    assert second[360, 200].tolist() == [0, 0, 0]
    event = exports(tmp_path)[0]
    assert (event["outcome"], event["action"], event["details"]["images"]) == ("success", "R", 3)
    assert len([each for each in event["objects"] if each["kind"] == "study"]) == 3
    assert {each["id"] for each in event["objects"] if each["kind"] == "patient"} == {"F1"}


@pytest.mark.parametrize(
    ("own", "proportion"),
    [
        ({}, 1 / 4),
        ({"PixelSpacing": [2, 1]}, 1 / 2),
        ({"ImagerPixelSpacing": [0.15, 0.45]}, 1 / 12),
        ({"PixelAspectRatio": [3, 1]}, 3 / 4),
        ({"PixelAspectRatio": [3, 1], "PixelSpacing": [1, 1]}, 1 / 4),
        ({"PixelSpacing": [0, 0]}, 1 / 4),
    ],
)
def test_pacs_print_says_how_high_pixels_are(node, folder, tmp_path, pacs_print, own, proportion):
    """PS3.3 C.7.6.3.1.7, C.13.5; PS3.4 Table H.4-10."""
    image = write_image(tmp_path / "i.dcm", np.full((32, 128), 4095), **own)
    with new_films(folder) as printed:
        code, said = pacs_print(f"PACS@127.0.0.1:{node.port}", image, "--size", "8INX10IN")
    assert code == 0, said
    rows, columns = np.nonzero(printed[0] > 200)
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(proportion, abs=0.01)


def exports(tmp_path):
    """Return what ``pacs print`` has recorded (PS3.15 A.5.3.5)."""
    lines = (tmp_path / "scu" / "audit" / "audit.jsonl").read_text().splitlines()
    return [each for each in map(json.loads, lines) if each.get("event") == "print.sent"]


def test_pacs_print_by_dcmprscp(module_dcmtk, free_port, tmp_path, pacs_print):
    """DCMTK's print SCP stores what it is sent: the same pixels, in the same places."""
    port = free_port()
    work = module_dcmtk.directory / "scp"
    for name in ("spool", "database", "lut", "log"):
        (work / name).mkdir(parents=True, exist_ok=True)
    config = work / "dcmpstat.cfg"
    text = DCMPSTAT.format(port=port, type="LOCALPRINTER").replace("127.0.0.1", "localhost")
    for name in ("spool", "database", "lut", "log"):
        text = text.replace(f"Directory = {name}", f"Directory = {work / name}")
    config.write_text(text)
    pixels = np.random.default_rng(3).integers(0, 4096, (50, 70))
    image = write_image(tmp_path / "i.dcm", pixels)
    server = module_dcmtk.start("dcmprscp", "-v", "--config", config, "--printer", "NODE")
    try:
        until(lambda: pacs_print_code(pacs_print, port, image) == 0)
        found = [dcmread(path) for path in (work / "database").glob("HG_*.dcm")]
    finally:
        server.kill()
        server.communicate()
    assert found
    assert np.abs(found[0].pixel_array.astype(int) - pixels * GREY).max() <= 1
    (stored,) = [dcmread(path) for path in (work / "database").glob("SP_*.dcm")][:1]
    assert stored.FilmBoxContentSequence[0].ImageDisplayFormat == "STANDARD\\1,1"


def pacs_print_code(pacs_print, port, image):
    code, said = pacs_print(f"PACS@127.0.0.1:{port}", image, "--size", "8INX10IN")
    print(said)
    return code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "CUSTOM\\1"), "0106H"),
        (("--format", "STANDARD\\9,9"), "0213H"),
        (("--window", "1"), "--window is CENTRE,WIDTH"),
        (("--annotation", "x"), "--annotation-format"),
    ],
)
def test_pacs_print_says_what_is_wrong(node, tmp_path, pacs_print, arguments, words):
    image = write_image(tmp_path / "i.dcm", ramp())
    code, said = pacs_print(f"PACS@127.0.0.1:{node.port}", image, *arguments)
    assert code != 0
    assert words in said


def test_pacs_print_with_a_file_that_is_no_image(node, tmp_path, pacs_print):
    (tmp_path / "x.dcm").write_bytes(b"nothing")
    code, said = pacs_print(f"PACS@127.0.0.1:{node.port}", tmp_path / "x.dcm")
    assert code != 0
    assert "x.dcm" in said
    (event,) = exports(tmp_path)
    assert (event["outcome"], event["details"]["images"]) == ("failure", 0)
    assert "x.dcm" in event["details"]["reason"]
