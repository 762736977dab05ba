"""What is encoded here means the same to independent implementations."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve, frozen
from pydicom import dcmread
from pydicom.pixels import get_decoder

from pacs_core.contracts import EncodeOptions
from pacs_core.testing.codec_contract import frame_format

ROOT = "1.2.840.10008.1.2.4."
SIZE = 45, 33
YBR = evolve(frame_format(*SIZE, colour=True), photometric_interpretation="YBR_FULL")
FORMATS = {
    "8": frame_format(*SIZE),
    "8s": frame_format(*SIZE, signed=True),
    "12": frame_format(*SIZE, bits=16, stored=12),
    "12s": frame_format(*SIZE, bits=16, stored=12, signed=True),
    "16": frame_format(*SIZE, bits=16),
    "16s": frame_format(*SIZE, bits=16, signed=True),
    "8of16": frame_format(*SIZE, bits=16, stored=8),
    "RGB": frame_format(*SIZE, colour=True),
    "RGB12": frame_format(*SIZE, bits=16, stored=12, colour=True),
    "YBR": YBR,
}
ALL = frozenset(FORMATS)
LOSSY_JPEG = frozenset({"8"})


PEER_PATH = "/usr/local/bin:/usr/bin:/opt/homebrew/bin"


def by_program(*command: str) -> Callable[[Path], object]:
    def decode(path: Path) -> object:
        out = path.with_name("decoded.dcm")
        environment = {**os.environ, "TCP_NODELAY": "1"}
        program = shutil.which(command[0], path=PEER_PATH)
        assert program is not None
        arguments = [program, *command[1:], str(path), str(out)]
        subprocess.run(arguments, check=True, capture_output=True, env=environment, timeout=30)
        dataset = dcmread(out)
        kind = f"<{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8}"
        count = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
        samples = np.frombuffer(dataset.PixelData, kind)[:count]
        if dataset.get("PlanarConfiguration"):
            return samples.reshape(3, dataset.Rows, dataset.Columns).transpose(1, 2, 0)
        return samples.reshape(dataset.Rows, dataset.Columns, -1)

    return decode


def by_pydicom(plugin: str) -> Callable[[Path], object]:
    def decode(path: Path) -> object:
        dataset = dcmread(path)
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
        if plugin not in decoder.available_plugins:
            pytest.skip(f"pydicom's plugin {plugin} is not installed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array, _ = decoder.as_array(dataset, raw=True, decoding_plugin=plugin)
        return array.reshape(dataset.Rows, dataset.Columns, -1)

    return decode


@frozen
class Peer:
    """An implementation, what it decodes, and how far its rounding may differ."""

    name: str
    decode: Callable[[Path], object]
    syntaxes: tuple[str, ...]
    formats: frozenset[str] = ALL
    tolerance: int = 0
    package: str = ""


JPEG, JPEG_LS, J2K, HT = ("57", "70"), ("80", "81"), ("90", "91"), ("201", "202")
DCMDJPEG = by_program("dcmdjpeg", "--conv-never")
GDCM = by_program("gdcmconv", "--raw")
PEERS = [
    # dcmdjpeg leaves the sign of samples of 12 bits to who reads the native pixels.
    Peer("DCMTK", DCMDJPEG, JPEG, ALL - {"12s"}, package="dcmtk"),
    Peer("DCMTK", DCMDJPEG, ("50", "51"), LOSSY_JPEG, package="dcmtk"),
    Peer("DCMTK", DCMDJPEG, ("51",), frozenset({"12"}), package="dcmtk"),
    Peer("DCMTK", by_program("dcmdjpls"), JPEG_LS, package="dcmtk"),
    Peer("GDCM", GDCM, (*JPEG, *JPEG_LS, *J2K), package="libgdcm-tools"),
    Peer("GDCM", GDCM, ("50", "51"), LOSSY_JPEG, package="libgdcm-tools"),
    Peer("pylibjpeg", by_pydicom("pylibjpeg"), JPEG, ALL - {"8of16"}),
    Peer("pylibjpeg", by_pydicom("pylibjpeg"), ("50", "51"), LOSSY_JPEG, tolerance=1),
    Peer("pylibjpeg", by_pydicom("pylibjpeg"), ("51",), frozenset({"12"}), tolerance=1),
    Peer("pylibjpeg", by_pydicom("pylibjpeg"), (*J2K, *HT)),
    Peer("pylibjpeg", by_pydicom("pylibjpeg"), ("203",)),
    Peer("pyjpegls", by_pydicom("pyjpegls"), JPEG_LS),
]
CASES = [
    pytest.param(
        peer,
        syntax,
        name,
        id=f"{peer.name}-{syntax}-{name}",
        marks=[pytest.mark.peer(peer.package)] if peer.package else [],
    )
    for peer in PEERS
    for syntax in peer.syntaxes
    for name in sorted(peer.formats)
]


@pytest.mark.parametrize(("peer", "syntax", "name"), CASES)
def test_a_peer_sees_the_same_frame(codec_of, array_of, smooth, write, peer, syntax, name) -> None:
    frame, codec = FORMATS[name], codec_of(syntax)
    encoded = codec.encode(smooth(frame).tobytes(), frame, EncodeOptions())
    ours = array_of(codec.decode(encoded.data, encoded.format)).reshape(*SIZE, -1)
    theirs = peer.decode(write(encoded, syntax))
    assert np.abs(ours.astype(int) - theirs).max() <= peer.tolerance


@pytest.mark.peer
def test_dcmtk_sees_the_same_colours_in_baseline_jpeg(codec_of, array_of, smooth, write) -> None:
    """Both convert to RGB what the dataset names YBR_FULL_422."""
    frame = FORMATS["RGB"]
    encoded = codec_of("50").encode(smooth(frame).tobytes(), frame, EncodeOptions())
    ours = array_of(codec_of("50").decode(encoded.data, encoded.format))
    theirs = by_program("dcmdjpeg")(write(encoded, "50"))
    assert np.array_equal(ours, theirs)


@pytest.mark.peer
def test_dcmtk_leaves_the_bits_above_bits_stored_to_its_reader(codec_of, smooth, write) -> None:
    """The lowest 12 bits, which are all that counts (PS3.5 §8.1.1), are those that were encoded."""
    frame = FORMATS["12s"]
    samples = smooth(frame)
    encoded = codec_of("70").encode(samples.tobytes(), frame, EncodeOptions())
    theirs = DCMDJPEG(write(encoded, "70"))
    assert np.array_equal(theirs[..., 0] & 0xFFF, samples & 0xFFF)
