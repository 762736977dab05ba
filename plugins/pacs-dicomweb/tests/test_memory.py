"""Memory of the node, whatever is stored and retrieved at once."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, element_header, file_meta
from pacs_core.testing.datasets import SampleStudy

pytestmark = pytest.mark.true_start

PLUGINS = ("web", "dicomweb", "store-filesystem", "index-sqlite", "codec-basic")
SIZE = 192 << 20
MARGIN = 64 << 20
SIDE = 2048


def peak(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def large_file():
    """Iterate over a part with an image of many frames, which nobody has as a whole."""
    made = SampleStudy().make("CT", Rows="512", Columns="512", NumberOfFrames=str(SIZE >> 19))
    dataset = made.encode()
    pixels = element_header(0x7FE00010, "OW", 0, EXPLICIT_VR_LITTLE_ENDIAN)[:8]
    head = dataset[: dataset.index(pixels[:6])]
    meta = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    yield b"--b\r\nContent-Type: application/dicom\r\n\r\n" + meta + head
    yield element_header(0x7FE00010, "OW", SIZE, EXPLICIT_VR_LITTLE_ENDIAN)
    piece = bytes(1 << 20)
    for _ in range(SIZE >> 20):
        yield piece
    yield b"\r\n--b--"


def test_a_large_instance_is_never_in_memory(pacs_process):
    node = pacs_process(plugins=PLUGINS)
    line = node.process.stdout.readline()
    url = line.removeprefix("web: ").strip()
    with httpx.Client(base_url=f"{url}dicom-web", timeout=60, trust_env=False) as client:
        client.get("/studies").raise_for_status()
        before = peak(node.process.pid)
        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        response = client.post("/studies", content=large_file(), headers=headers)
        assert response.status_code == 200, response.text
        [found] = response.json()["00081199"]["Value"]
        location, received = found["00081190"]["Value"][0], 0
        for suffix in ("", "/bulkdata/7FE00010"):
            with client.stream("GET", location + suffix) as answer:
                received += sum(len(chunk) for chunk in answer.iter_raw())
        assert received > 2 * SIZE
        assert peak(node.process.pid) - before < MARGIN


def test_many_large_pictures_at_once_are_made_one_after_the_other(pacs_process):
    """Frames are in memory while they are rendered: what bounds one does not bound them all."""
    side, at_once = 2048, 24
    made = SampleStudy().make("CT", Rows=str(side), Columns=str(side), PixelData=bytes(2 * side**2))
    meta = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    node = pacs_process(
        {"plugin": {"web": {"port": 0}, "dicomweb": {"max_pixels": side**2}}},
        plugins=(*PLUGINS, "image-export"),
    )
    url = node.process.stdout.readline().removeprefix("web: ").strip()
    with httpx.Client(base_url=f"{url}dicom-web", timeout=120, trust_env=False) as client:
        headers = {"Content-Type": "application/dicom"}
        response = client.post("/studies", content=meta + made.encode(), headers=headers)
        [found] = response.json()["00081199"]["Value"]
        rendered = found["00081190"]["Value"][0] + "/rendered"

        def ask(width):
            return client.get(rendered, params={"viewport": f"{width},10"}).status_code

        assert ask(1) == 200
        before = peak(node.process.pid)
        with ThreadPoolExecutor(at_once) as pool:
            assert set(pool.map(ask, range(10, 10 + at_once))) == {200}
        assert peak(node.process.pid) - before < MARGIN


@contextmanager
def large_frames(pacs_process, **config):
    """A node with room for one large frame, a client, and where a large and a small image are."""
    large = SampleStudy().make(
        "CT", Rows=str(SIDE), Columns=str(SIDE), NumberOfFrames="2", PixelData=bytes(4 * SIDE**2)
    )
    tables = {"plugin": {"web": {"port": 0}, "dicomweb": {"max_pixels": SIDE**2, **config}}}
    node = pacs_process(tables, plugins=PLUGINS)
    url = node.process.stdout.readline().removeprefix("web: ").strip()
    with httpx.Client(base_url=f"{url}dicom-web", timeout=120, trust_env=False) as client:
        headers = {"Content-Type": "application/dicom"}
        where = []
        for made in (large, SampleStudy().make("CT")):
            meta = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
            response = client.post("/studies", content=meta + made.encode(), headers=headers)
            [found] = response.json()["00081199"]["Value"]
            where.append(found["00081190"]["Value"][0] + "/frames/")
        yield node, client, *where


@pytest.mark.parametrize("numbers", ["1", "1,2"])
def test_many_large_frames_at_once_wait_for_each_other(pacs_process, numbers):
    """Each is in memory as a whole until it is taken."""
    at_once = 24
    with large_frames(pacs_process) as (node, client, large, _):

        def ask(_):
            return len(client.get(large + numbers).content)

        alone = ask(0)
        assert alone > 2 * SIDE**2
        before = peak(node.process.pid)
        with ThreadPoolExecutor(at_once) as pool:
            assert set(pool.map(ask, range(at_once))) == {alone}
        assert peak(node.process.pid) - before < MARGIN


def test_who_takes_nothing_keeps_others_from_large_frames_only(pacs_process):
    with large_frames(pacs_process, render_timeout=0.5) as (_, client, large, small):
        with client.stream("GET", f"{large}1,2"):
            busy = client.get(f"{large}1")
            assert (busy.status_code, busy.headers["Retry-After"]) == (503, "5")
            assert client.get(f"{small}1").status_code == 200
        deadline = monotonic() + 60
        while client.get(f"{large}1").status_code != 200:
            assert monotonic() < deadline, "the room was not given back"


def test_all_threads_take_memory_from_one_place(pacs_process):
    """glibc begins each further arena at a multiple of 64 MiB, and keeps what is freed in it."""
    made = SampleStudy().make("CT", Rows="512", Columns="512", PixelData=bytes(2 * 512**2))
    meta = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    node = pacs_process(plugins=PLUGINS)
    url = node.process.stdout.readline().removeprefix("web: ").strip()
    with httpx.Client(base_url=f"{url}dicom-web", timeout=60, trust_env=False) as client:
        headers = {"Content-Type": "application/dicom"}
        content = meta + made.encode()
        assert client.post("/studies", content=content, headers=headers).status_code == 200
        with ThreadPoolExecutor(8) as pool:
            assert {each.status_code for each in pool.map(client.get, ["/studies"] * 50)} == {200}
        lines = Path(f"/proc/{node.process.pid}/maps").read_text().splitlines()
    private = [line.split() for line in lines if line.split()[1] == "rw-p"]
    starts = [int(fields[0].partition("-")[0], 16) for fields in private if len(fields) == 5]
    assert starts
    assert not [hex(start) for start in starts if start % (64 << 20) == 0]
