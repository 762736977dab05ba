"""A node that answers browsers, a browser that looks at it, and images that it can look at."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pacs_core.testing.peer_programs import do_without

CONTRIB = Path(__file__).parents[2] / "contrib"
CHROMIUM = "/usr/bin/chromium"
# WebGL without a graphics card; as root, Chromium's sandbox cannot be had.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE = 128


@frozen
class Site:
    """A node that serves HTTP, in a process of its own."""

    url: str
    port: int
    directory: Path

    def store(self, *datasets: Dataset) -> None:
        """Store datasets over DIMSE, as modalities do."""
        folder = self.directory / "outgoing"
        folder.mkdir(exist_ok=True)
        for dataset in datasets:
            path = folder / f"{dataset.SOPInstanceUID}.dcm"
            dataset.save_as(path, enforce_file_format=True)
        command = [
            sys.executable,
            "-m",
            "pacs_core.cli.main",
            "store",
            f"PACS@127.0.0.1:{self.port}",
        ]
        done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _install(distribution: str, entry_point: str, site: Path) -> None:
    """Let Python find a distribution of contrib, which is not installed here."""
    source = CONTRIB / distribution / "src"
    package = distribution.replace("-", "_")
    (site / package).symlink_to(source / package)
    metadata = site / f"{package}-0.1.0.dist-info"
    metadata.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 0.1.0", ""]
    (metadata / "METADATA").write_text("\n".join(lines))
    (metadata / "entry_points.txt").write_text(f"[pacs_core.plugins]\n{entry_point} = {package}\n")


@contextmanager
def _serve(directory: Path, web: str = "", **environment: str) -> Iterator[Site]:
    config = directory / "pacs.toml"
    data = directory / "data"
    config.write_text(
        f'[node]\nport = 0\ndata_directory = "{data}"\n[plugin.web]\nport = 0\n{web}\n'
    )
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", config],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
        )
        try:
            assert process.stdout is not None
            ready, web = process.stdout.readline(), process.stdout.readline()
            assert web.startswith("web: "), (directory / "log").read_text()
            port = int(ready.split()[1].rpartition(":")[2])
            yield Site(web.split()[1].rstrip("/"), port, directory)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """The example of a service that infers; what it needs is imported when it is asked."""
    sys.path.append(str(CONTRIB / "pacs-ai-example" / "src"))
    from pacs_ai_example.http_service import make_server

    with make_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/infer"
        server.shutdown()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, service: str) -> Iterator[Site]:
    """A node with DICOMweb, OHIF and a service that infers, for all tests of a worker process."""
    directory = tmp_path_factory.mktemp("site")
    packages = directory / "packages"
    packages.mkdir()
    if not (CONTRIB / "pacs-viewer-ohif" / "src" / "pacs_viewer_ohif" / "app").is_dir():
        do_without("OHIF is not there; run python contrib/pacs-viewer-ohif/build.py")
    _install("pacs-viewer-ohif", "viewer-ohif", packages)
    lesion = f'[plugin.ai.services.lesion]\nadapter = "rest-push"\nurl = "{service}"'
    with _serve(directory, lesion, PYTHONPATH=str(packages)) as serving:
        yield serving


@pytest.fixture(scope="session")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node as it is installed, for all tests of a worker process."""
    with _serve(tmp_path_factory.mktemp("plain")) as serving:
        yield serving


@pytest.fixture(scope="module")  # its event loop would be in the way of async tests
def browser() -> Iterator[object]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def proxied_site(tmp_path: Path) -> Iterator[Site]:
    """A node that is shown below a path."""
    with _serve(tmp_path, web='base_path = "/a/pacs"') as serving:
        yield serving


@contextmanager
def _open_page(browser, picture: Path) -> Iterator[tuple[object, list[str]]]:
    """Open a page, and gather what goes wrong in it; a picture of it is kept."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("console", lambda said: said.type == "error" and errors.append(said.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda got: got.status >= 400 and errors.append(f"{got.status} {got.url}"))
    yield page, errors
    page.screenshot(path=picture)
    context.close()


@pytest.fixture
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a picture of the page is kept: in ``$PACS_SCREENSHOTS``, if that is set."""
    folder = Path(os.environ.get("PACS_SCREENSHOTS", tmp_path))
    return folder / f"{request.node.name.replace('/', '-')}.png"


@pytest.fixture
def page(browser, picture: Path) -> Iterator[object]:
    """A page of its own; what goes wrong in it fails the test."""
    with _open_page(browser, picture) as (page, errors):
        yield page
    assert errors == []


@pytest.fixture
def forgiving_page(browser, picture: Path) -> Iterator[object]:
    """A page that asks for what the node refuses; scripts must not fail nevertheless."""
    with _open_page(browser, picture) as (page, errors):
        yield page
    refused = [each for each in errors if "404" in each or "406" in each]
    assert refused
    assert errors == refused


@pytest.fixture(scope="session")
def make_image() -> Callable[..., Dataset]:
    """Return a function that makes an image of one or more frames, all of one brightness ramp."""
    return _image


def _image(
    sop_class: str, modality: str, *, study: str, series: str, number: int = 1, **more: object
) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid(prefix="1.2.826.0.1.99.")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientName, dataset.PatientID = "Ramp^Rita", "R-1"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260102", "101112", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A-1", "Ray^X"
    dataset.StudyDescription, dataset.SeriesDescription = "Ramps", f"{modality} ramp"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, 1, number
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.FrameOfReferenceUID = "1.2.826.0.1.97.1"
    dataset.ImagePositionPatient = [0, 0, 2 * number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 2
    dataset.Rows = dataset.Columns = SIZE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 1024, 2048
    ramp = np.tile(np.linspace(0, 2047, SIZE).astype("<u2"), (SIZE, 1))
    dataset.add_new("PixelData", "OW", ramp.tobytes())
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset
