"""Frames of whatever is stored, as a service gets them that decodes no DICOM: rest-push to HTTP."""

import io
import json
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest
from attrs import define
from pacs_ai_example.results import write
from pydicom import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    ParametricMapStorage,
    RLELossless,
    SegmentationStorage,
    UltrasoundImageStorage,
)

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN

COLOURS = np.dstack([np.full((32, 32), value, np.uint8) for value in (200, 40, 90)])
GREY = np.arange(32 * 32, dtype="<u2").reshape(32, 32)


@define
class Place:
    site: Any
    tools: Any
    url: str
    bodies: list[tuple[str, bytes]]

    def push(self, *images: Dataset) -> tuple[list[Any], list[tuple[str, bytes]]]:
        """Store images, and return what the service is told: metadata, and frames by place."""
        for image in images:
            answer = httpx.post(
                f"{self.url}/studies",
                content=write(image),
                headers={"Content-Type": "application/dicom"},
                timeout=60,
                trust_env=False,
            )
            assert answer.status_code == 200, answer.text
        request = self.site.finish(self.site.ask("frames", str(images[0].StudyInstanceUID)).number)
        assert request.state == "answered", request.reason
        kind, body = self.bodies[-1]
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        first, *parts = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
        content = {
            str(p["Content-Location"]).partition("/instances/")[2]: p.get_payload(decode=True)
            for p in parts
        }
        return json.loads(bytes(first.get_payload(decode=True))), list(content.items())


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    bodies: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            bodies.append((self.headers["Content-Type"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    web = tools.find_free_port()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        service = {"adapter": "rest-push", "send": "frames", "url": url, "attempts": 1}
        with tools.open_site(
            tmp_path_factory.mktemp("site"),
            {"frames": service},
            plugins=("codec-imagecodecs",),
            plugin={"web": {"port": web}},
        ) as site:
            yield Place(site, tools, f"http://127.0.0.1:{web}/dicom-web", bodies)
        server.shutdown()


def make(tools: Any, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN, **values: Any) -> Dataset:
    (image,) = tools.make_series(1)
    made: Dataset = image
    for keyword, value in values.items():
        if value is None:
            del made[keyword]
        else:
            setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def compress(made: Dataset, *frames: bytes) -> Dataset:
    made.PixelData = encapsulate(list(frames))
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made


GREYS = {
    JPEG2000Lossless: lambda image: imagecodecs.jpeg2k_encode(image, codecformat="j2k"),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    RLELossless: None,
}


@pytest.mark.parametrize("syntax", list(GREYS))
def test_compressed_frames_are_decoded(place: Place, tools: Any, syntax: str) -> None:
    frames = [GREY, GREY[::-1].copy()]
    own = {"NumberOfFrames": 2, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0}
    encode = GREYS[syntax]
    if encode is None:
        pixels = b"".join(each.tobytes() for each in frames)
        made = make(tools, PixelData=pixels, **own)
        made.compress(RLELossless, generate_instance_uid=False)
    else:
        made = compress(make(tools, syntax, **own), *map(encode, frames))
    _, got = place.push(made)
    uid = made.SOPInstanceUID
    assert got == [(f"{uid}/frames/{n}", f.tobytes()) for n, f in enumerate(frames, 1)]


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, ""])
def test_metadata_of_colours_are_those_of_their_frames(
    place: Place, tools: Any, syntax: str
) -> None:
    """PS3.3 C.7.6.3.1.2: a decoder has made RGB of YBR, and pixels come one after the other."""
    own = {
        "SOPClassUID": UltrasoundImageStorage,
        "Modality": "US",
        "SamplesPerPixel": 3,
        "PlanarConfiguration": 0,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PhotometricInterpretation": {
            JPEGBaseline8Bit: "YBR_FULL_422", JPEG2000Lossless: "YBR_RCT", "": "RGB",
        }[syntax],
    }  # fmt: skip
    made = make(tools, syntax or EXPLICIT_VR_LITTLE_ENDIAN, **own)
    if syntax == JPEGBaseline8Bit:
        buffer = io.BytesIO()
        from PIL import Image

        Image.fromarray(COLOURS).save(buffer, "JPEG", quality=95, subsampling=1)
        compress(made, buffer.getvalue())
    elif syntax:
        compress(made, imagecodecs.jpeg2k_encode(COLOURS, codecformat="j2k", mct=True))
    else:  # by plane
        made.PlanarConfiguration = 1
        made.PixelData = COLOURS.transpose(2, 0, 1).tobytes()
        made["PixelData"].VR = "OW"
    (metadata,), ((_, frame),) = place.push(made)
    assert metadata["00280004"]["Value"] == ["RGB"]
    by_plane = metadata["00280006"]["Value"] == [1]
    pixels = np.frombuffer(frame, np.uint8)
    pixels = pixels.reshape(3, 32, 32).transpose(1, 2, 0) if by_plane else pixels.reshape(32, 32, 3)
    assert np.abs(pixels.astype(int) - COLOURS).max() <= (4 if syntax == JPEGBaseline8Bit else 0)


@pytest.mark.parametrize(("keyword", "kind"), [("FloatPixelData", "<f4"),
                                               ("DoubleFloatPixelData", "<f8")])  # fmt: skip
def test_floats_come_frame_by_frame(place: Place, tools: Any, keyword: str, kind: str) -> None:
    """PS3.3 C.7.6.24, C.7.6.25: a parametric map has no Bits Stored, and no Pixel Data."""
    values = np.linspace(-1, 1, 2 * 32 * 32).astype(kind).reshape(2, 32, 32)
    made = make(
        tools, SOPClassUID=ParametricMapStorage, Modality="OT", NumberOfFrames=2,
        BitsAllocated=8 * values.itemsize, BitsStored=None, HighBit=None,
        PixelRepresentation=None, PixelData=None, **{keyword: values.tobytes()},
    )  # fmt: skip
    _, got = place.push(made)
    uid = made.SOPInstanceUID
    assert got == [(f"{uid}/frames/{n}", f.tobytes()) for n, f in enumerate(values, 1)]


def test_frames_of_single_bits_begin_with_a_byte(place: Place, tools: Any) -> None:
    """PS3.5 8.1.1: those of a binary segmentation lie bit to bit; what is sent does not."""
    rng = np.random.default_rng(17)
    bits = rng.integers(0, 2, (3, 5 * 7), dtype=np.uint8)
    made = make(
        tools, SOPClassUID=SegmentationStorage, Modality="SEG", NumberOfFrames=3, Rows=5,
        Columns=7, BitsAllocated=1, BitsStored=1, HighBit=0, PixelRepresentation=0,
        PixelData=np.packbits(bits.reshape(-1), bitorder="little").tobytes(),
    )  # fmt: skip
    made["PixelData"].VR = "OB"
    _, got = place.push(made)
    frames = [np.packbits(each, bitorder="little").tobytes() for each in bits]
    assert [content for _, content in got] == frames


def test_a_frame_that_does_not_decode_fails_the_request(place: Place, tools: Any) -> None:
    made = compress(make(tools, JPEG2000Lossless), b"\xff\x4f\xff\x51" + bytes(40))
    with pytest.raises(AssertionError, match="failed"):
        place.push(made)
