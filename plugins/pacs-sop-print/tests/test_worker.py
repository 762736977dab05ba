"""The process that draws: kept from files, network and memory that it does not need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.films import Film, FilmImage, PrintedImage
from pacs_sop_print.worker import draw_request
from PIL import Image
from pydicom import dcmread

from pacs_core.api.sandbox import describe_protection

IMAGE = FilmImage(1, PrintedImage("a.raw", 4, 4, 1, 8))


def run_worker(
    folder: Path, film: Film, *formats: str, path: str = "", **config: int
) -> "subprocess.CompletedProcess[str]":
    (folder / "a.raw").write_bytes(bytes(range(0, 256, 16)))
    request = draw_request(film, folder, folder / "film", PrintConfig(**config))  # type: ignore[arg-type]
    attributes = {"SOPInstanceUID": "1.2.3"}
    return subprocess.run(
        [sys.executable, "-m", "pacs_sop_print.worker"],
        input=json.dumps(request | {"formats": formats, "attributes": attributes}),
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_film_is_drawn_into_files_that_were_open_before(tmp_path: Path) -> None:
    film = Film("STANDARD\\1,1", "8INX10IN", images=(IMAGE,), annotations=("Line",))
    ended = run_worker(tmp_path, film, "png", "pdf", "dcm", resolution=50)
    assert (ended.returncode, ended.stderr) == (0, "")
    picture = np.asarray(Image.open(tmp_path / "film.png"))
    assert picture.shape == (500, 400)
    assert dcmread(tmp_path / "film.dcm", force=True).PixelData == picture.tobytes()
    assert (tmp_path / "film.pdf").read_bytes().startswith(b"%PDF")


def test_a_film_that_takes_too_much_memory_fails(tmp_path: Path) -> None:
    film = Film("STANDARD\\1,1", "14INX17IN", is_color=True, images=(IMAGE,))
    ended = run_worker(tmp_path, film, "png", resolution=1200, memory=512 << 20)
    assert ended.returncode == 1
    assert "it takes more than the 512 MiB that `memory` allows" in ended.stderr


INTRUDER = '''
import socket
from pathlib import Path

class Canvas:
    """Notes what it may do in the file that it is to write."""

    def __init__(self, file, **_options):
        here = Path(__file__).parent
        attempts = {
            "read": lambda: (here / "secret").read_text(),
            "write": lambda: (here / "made").write_text("x"),
            "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
        }
        for name, attempt in attempts.items():
            try:
                attempt()
            except PermissionError:
                file.write(f"{name} denied ".encode())

    def __getattr__(self, _name):
        return lambda *_arguments: None
'''


@pytest.mark.skipif(
    not describe_protection().startswith("no files") or "no network" not in describe_protection(),
    reason="the system has no Landlock, or no seccomp",
)
def test_whoever_takes_over_who_draws_has_neither_files_nor_network(tmp_path: Path) -> None:
    """A library that is in the process writes what it was kept from into the film."""
    for package in ("reportlab", "reportlab/lib", "reportlab/pdfgen"):
        (tmp_path / "code" / package).mkdir(parents=True)
        (tmp_path / "code" / package / "__init__.py").touch()
    (tmp_path / "code/reportlab/lib/utils.py").write_text("ImageReader = print\n")
    canvas = tmp_path / "code/reportlab/pdfgen/canvas.py"
    canvas.write_text(INTRUDER.replace("Path(__file__).parent", f"Path({str(tmp_path)!r})"))
    (tmp_path / "secret").write_text("x")
    film = Film("STANDARD\\1,1", "8INX10IN", images=(IMAGE,))
    ended = run_worker(tmp_path, film, "pdf", path=str(tmp_path / "code"), resolution=25)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "film.pdf").read_text().split() == [
        "read", "denied", "write", "denied", "connect", "denied",
    ]  # fmt: skip
    assert not (tmp_path / "made").exists()
