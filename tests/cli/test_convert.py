"""`pacs convert`, on the files that pydicom ships."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

from pacs_core.dataset import read_file_meta, transfer_syntax_uid

RLE, J2K, BASELINE, EXPLICIT, RECOMPRESSED = map(
    transfer_syntax_uid,
    ("RLE", "JPEG 2000 Lossless", "JPEG Baseline", "explicit", "JPEG XL Recompression"),
)


@pytest.fixture
def folder(samples: Path, tmp_path: Path) -> Path:
    """A folder with images in it and below it, and with what is none."""
    source = tmp_path / "in"
    (source / "below" / "far").mkdir(parents=True)
    shutil.copy(samples / "CT_small.dcm", source / "ct.dcm")
    shutil.copy(samples / "MR_small_RLE.dcm", source / "below" / "rle")
    shutil.copy(samples / "JPEG2000.dcm", source / "below" / "far" / "j2k.dcm")
    (source / "notes.txt").write_text("no DICOM")
    return source


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_mirrored(pacs, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = pacs("convert", folder, out, "--transfer-syntax", "JPEG 2000 Lossless")
    assert (result.code, result.out, result.err) == (0, "3 instances converted, 1 skipped\n", "")
    assert names(out) == ["below/far/j2k.dcm", "below/rle", "ct.dcm"]
    for name in names(out):
        before, after = pydicom.dcmread(folder / name), pydicom.dcmread(out / name)
        assert after.file_meta.TransferSyntaxUID == J2K
        assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID
        assert after.SOPInstanceUID == before.SOPInstanceUID
        assert (pixel_array(after) == pixel_array(before)).all()


def test_what_is_in_the_transfer_syntax_is_copied(pacs, folder: Path, tmp_path, dataset_of) -> None:
    source, target = folder / "below" / "rle", tmp_path / "copy"
    result = pacs("convert", source, target, "-t", RLE)
    assert (result.code, result.out) == (0, "0 instances converted, 1 copied\n")
    assert dataset_of(target) == dataset_of(source)


def test_a_file_goes_into_a_folder_that_exists(pacs, folder: Path, tmp_path: Path) -> None:
    assert pacs("convert", folder / "ct.dcm", tmp_path, "-t", "rle").code == 0
    assert read_file_meta((tmp_path / "ct.dcm").read_bytes()).transfer_syntax_uid == RLE


def test_the_file_meta_keeps_where_a_file_came_from(pacs, folder: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(folder / "ct.dcm")
    dataset.file_meta.SourceApplicationEntityTitle = "SCANNER"
    dataset.file_meta.SendingApplicationEntityTitle = "NO+TITLE"
    dataset.save_as(folder / "ct.dcm")
    content = (folder / "ct.dcm").read_bytes()
    (folder / "ct.dcm").write_bytes(content.replace(b"NO+TITLE", b"NO\\TITLE"))
    assert pacs("convert", folder / "ct.dcm", tmp_path / "out.dcm", "-t", "rle").code == 0
    meta = read_file_meta((tmp_path / "out.dcm").read_bytes())
    assert (meta.source_ae_title, meta.sending_ae_title) == ("SCANNER", "")
    assert meta.implementation_version_name.startswith("PACS_CORE")


def test_nothing_is_overwritten_unless_asked(pacs, folder: Path, tmp_path: Path) -> None:
    ct = folder / "ct.dcm"
    before = ct.read_bytes()
    for target in (ct, folder):
        result = pacs("convert", ct, target, "-t", "rle")
        assert (result.code, result.out) == (1, "0 instances converted, 1 failed\n")
        assert result.err == f"pacs: {ct}: {ct} exists; replace it with --overwrite\n"
        assert ct.read_bytes() == before
    assert pacs("convert", folder, folder, "-t", "rle", "--overwrite").code == 0
    found = [read_file_meta((folder / n).read_bytes()) for n in names(folder) if n != "notes.txt"]
    assert [meta.transfer_syntax_uid for meta in found] == [RLE] * 3


def test_broken_files_do_not_stop_the_others(pacs, folder: Path, tmp_path: Path, samples) -> None:
    ct = (folder / "ct.dcm").read_bytes()
    j2k = (samples / "JPEG2000.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(ct[:-1000])
    (folder / "torn.dcm").write_bytes(j2k[:-60])
    start = j2k.index(b"\xff\x4f\xff\x51")
    (folder / "spoilt.dcm").write_bytes(j2k[: start + 4] + bytes(40) + j2k[start + 44 :])
    (folder / "video.dcm").write_bytes(ct.replace(b"10008.1.2.1\0", b"10008.1.2.4\0"))
    out = tmp_path / "out"
    result = pacs("convert", folder, out, "-t", "jpeg-ls")
    assert (result.code, result.out) == (1, "3 instances converted, 4 failed, 1 skipped\n")
    assert names(out) == ["below/far/j2k.dcm", "below/rle", "ct.dcm"]
    lines = result.err.splitlines()
    failed = {"cut.dcm", "torn.dcm", "spoilt.dcm", "video.dcm"}
    assert {Path(line.split(": ")[1]).name for line in lines} == failed
    way = "cannot convert Explicit VR Little Endian to JPEG-LS Lossless: "
    assert any(f"{folder / 'cut.dcm'}: {way}" in line for line in lines)
    assert any("no installed codec decodes 1.2.840.10008.1.2.4" in line for line in lines)


def test_lossy_compression_has_to_be_asked_for(pacs, folder: Path, tmp_path: Path) -> None:
    for name, how in (("JPEG Extended", "cannot be lossless"), ("JPEG 2000", "may be lossy")):
        result = pacs("convert", folder, tmp_path / "out", "-t", name)
        assert result.code == 2
        assert result.err.startswith(f"pacs: {name} {how}: say that you want it with --quality")
    assert not (tmp_path / "out").exists()
    result = pacs("convert", folder, tmp_path / "out", "-t", "rle", "--quality", "80")
    assert (result.code, "RLE Lossless is lossless" in result.err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-t", "gif"],
        ["-t", "jpeg baseline", "--quality", "101"],
        ["-t", "jpeg baseline", "--ratio", "0.5"],
        [],
    ],
)
def test_wrong_command_lines(pacs, folder: Path, tmp_path: Path, arguments: list[str]) -> None:
    result = pacs("convert", folder, tmp_path / "out", *arguments)
    assert result.code == 2
    assert result.err.startswith("pacs: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [False, True])
def test_a_lossy_image_has_a_uid_of_its_own_unless_it_keeps_it(
    pacs, samples: Path, tmp_path: Path, keep: bool
) -> None:
    source = samples / "SC_rgb_rle.dcm"
    more = ["--keep-uid"] if keep else []
    for name in ("a.dcm", "b.dcm"):
        result = pacs("convert", source, tmp_path / name, "-t", BASELINE, "--quality", 90, *more)
        assert (result.code, result.err) == (0, "")
    before, after = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "a.dcm")
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID
    assert after.SOPInstanceUID == pydicom.dcmread(tmp_path / "b.dcm").SOPInstanceUID
    assert (after.SOPInstanceUID == before.SOPInstanceUID) is keep
    assert after.LossyImageCompression == "01"
    assert float(after.LossyImageCompressionRatio) > 1


def test_a_large_file_is_converted_frame_by_frame(pacs, samples: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(samples / "MR_small.dcm")
    dataset.NumberOfFrames = 1100
    dataset.PixelData = bytes(os.urandom(8192)) * 1100
    dataset.save_as(tmp_path / "large.dcm")
    result = pacs("convert", tmp_path / "large.dcm", tmp_path / "rle.dcm", "-t", "rle")
    assert (result.code, result.err) == (0, "")
    result = pacs("convert", tmp_path / "rle.dcm", tmp_path / "back.dcm", "-t", "explicit")
    assert (result.code, result.err) == (0, "")
    assert pydicom.dcmread(tmp_path / "back.dcm").PixelData == dataset.PixelData
    assert not list(tmp_path.glob(".*"))


def test_an_interrupted_conversion_leaves_nothing(spawn, samples: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(samples / "MR_small.dcm")
    dataset.NumberOfFrames = 6000
    dataset.PixelData = bytes(os.urandom(8192)) * 6000
    dataset.save_as(tmp_path / "large.dcm")
    source, target = str(tmp_path / "large.dcm"), str(tmp_path / "out.dcm")
    process = spawn("convert", source, target, "-t", "J2K Lossless")
    while process.poll() is None and not list(tmp_path.glob(".*.part")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["large.dcm"]


def test_an_output_that_cannot_be_written_is_named(pacs, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = pacs("convert", folder, tmp_path / "file" / "out", "-t", "rle")
    assert (result.code, result.out) == (1, "0 instances converted, 3 failed, 1 skipped\n")
    assert "Not a directory" in result.err
    result = pacs("convert", tmp_path / "nothing", tmp_path / "out", "-t", "rle")
    assert (result.code, result.out) == (1, "0 instances converted, 1 failed\n")


def test_the_configuration_limits_codecs(pacs, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text("[transcoding.limits]\nworkers = 1\ntimeout = 0.000001\n")
    result = pacs("convert", folder / "ct.dcm", tmp_path / "out.dcm", "-t", "rle")
    assert (result.code, "took more than 1e-06 s for a file" in result.err) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "pacs.toml"]


@pytest.mark.peer
@pytest.mark.parametrize(("syntax", "tool"), [("rle", "dcmdrle"), ("jpeg-ls", "dcmdjpls")])
def test_dcmtk_reads_what_comes_out(pacs, folder, tmp_path, syntax: str, tool: str) -> None:
    program = shutil.which(tool, path="/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip(f"{tool} is not installed")
    assert pacs("convert", folder / "ct.dcm", tmp_path / "c.dcm", "-t", syntax).code == 0
    subprocess.run([program, tmp_path / "c.dcm", tmp_path / "native.dcm"], check=True)
    decoded = pydicom.dcmread(tmp_path / "native.dcm")
    assert decoded.PixelData == pydicom.dcmread(folder / "ct.dcm").PixelData


def codestreams(path: Path) -> list[bytes]:
    dataset = pydicom.dcmread(path)
    count = int(dataset.get("NumberOfFrames", 1))
    return list(generate_frames(dataset.PixelData, number_of_frames=count))


@pytest.fixture
def jpeg(pacs, samples: Path, tmp_path: Path) -> Path:
    """A file of several frames in JPEG Baseline."""
    path = tmp_path / "jpeg.dcm"
    source = samples / "SC_rgb_rle_2frame.dcm"
    assert pacs("convert", source, path, "-t", BASELINE, "--quality", 80).code == 0
    return path


def test_a_jpeg_is_recompressed_and_comes_back(pacs, jpeg: Path, tmp_path: Path) -> None:
    small, back = tmp_path / "small.dcm", tmp_path / "back.dcm"
    for source, target, uid in ((jpeg, small, RECOMPRESSED), (small, back, BASELINE)):
        result = pacs("convert", source, target, "-t", uid)
        assert (result.code, result.out, result.err) == (0, "1 instance converted\n", "")
        assert pydicom.dcmread(target).file_meta.TransferSyntaxUID == uid
    assert codestreams(back) == codestreams(jpeg) != codestreams(small)
    before, between, after = map(pydicom.dcmread, (jpeg, small, back))
    for dataset in (before, between, after):
        del dataset.PixelData
    assert before == between == after
    assert before.LossyImageCompressionMethod == "ISO_10918_1"


def test_only_jpegs_are_recompressed_and_nothing_is_lost_unasked(
    pacs, samples: Path, jpeg: Path, tmp_path: Path
) -> None:
    out, ct = tmp_path / "out.dcm", samples / "CT_small.dcm"
    result = pacs("convert", ct, out, "-t", RECOMPRESSED, "--lossy")
    assert result.code == 1
    assert "JPEG XL Recompression can only be made from JPEG Baseline" in result.err
    result = pacs("convert", ct, out, "-t", BASELINE)
    assert (result.code, "JPEG Baseline cannot be lossless: say that" in result.err) == (1, True)
    assert not out.exists()


def test_a_jpeg_that_is_damaged_is_not_recompressed(pacs, jpeg: Path, tmp_path: Path) -> None:
    content = jpeg.read_bytes()
    at = content.index(b"\xff\xc0")
    jpeg.write_bytes(content[: at + 2] + b"\xff" * 8 + content[at + 10 :])
    result = pacs("convert", jpeg, tmp_path / "out.dcm", "-t", RECOMPRESSED)
    assert result.code == 1
    assert "cannot convert JPEG Baseline to JPEG XL Recompression: frame 1: " in result.err
    assert not (tmp_path / "out.dcm").exists()


@pytest.mark.peer
def test_dcmtk_reads_the_jpeg_that_came_back(pacs, jpeg: Path, tmp_path: Path) -> None:
    program = shutil.which("dcmdjpeg", path="/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("dcmdjpeg is not installed")
    small, back = tmp_path / "small.dcm", tmp_path / "back.dcm"
    assert pacs("convert", jpeg, small, "-t", RECOMPRESSED).code == 0
    assert pacs("convert", small, back, "-t", BASELINE).code == 0
    decoded = []
    for path in (jpeg, back):
        subprocess.run([program, path, tmp_path / "native.dcm"], check=True)
        decoded.append(pydicom.dcmread(tmp_path / "native.dcm").PixelData)
    assert decoded[0] == decoded[1]


WRONG = """
from pacs_codec_basic.run_length import RunLengthCodec
from pacs_core.contracts import CodecDescriptor
from pacs_core.plugins import hookimpl

class Wrong(RunLengthCodec):
    def encode(self, data, frame, options):
        changed = data[:-2] + bytes([data[-2] ^ 1, data[-1]]) if any(data) else data
        return super().encode(changed, frame, options)

@hookimpl
def pacs_codecs():
    rle = frozenset({"1.2.840.10008.1.2.5"})
    return [CodecDescriptor("wrong", frozenset(), rle, Wrong, preference=100)]
"""


@pytest.fixture
def wrong_codec(plugin, monkeypatch) -> None:
    """RLE is encoded by a codec that changes a sample of some images."""
    monkeypatch.syspath_prepend(plugin("wrong", WRONG))


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_conversion_that_is_not_lossless_fails(
    pacs, folder: Path, tmp_path: Path, wrong_codec, monkeypatch, size: str
) -> None:
    """Before anything is written or replaced; the exit code says what happened."""
    if size == "large":
        monkeypatch.setattr("pacs_core.transcoding.files.MAX_FILE", 0)
    shutil.rmtree(folder / "below")
    other = pydicom.dcmread(folder / "ct.dcm")
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(folder / "black.dcm")
    before = (folder / "ct.dcm").read_bytes()
    result = pacs("convert", folder, folder, "-t", "rle", "--overwrite")
    assert (result.code, result.out) == (5, "1 instance converted, 1 failed, 1 skipped\n")
    found = "frame 1: it is not lossless: decoded again by basic-rle, 1 of 16384 samples differ"
    way = "cannot convert Explicit VR Little Endian to RLE Lossless"
    assert result.err == f"pacs: {folder / 'ct.dcm'}: {way}: {found}\n"
    assert (folder / "ct.dcm").read_bytes() == before
    assert names(folder) == ["black.dcm", "ct.dcm", "notes.txt"]
    unverified = pacs(
        "convert", folder / "ct.dcm", tmp_path / "out.dcm", "-t", "rle", "--no-verify"
    )
    assert (unverified.code, unverified.out) == (0, "1 instance converted\n")


def test_a_worse_failure_decides_the_exit_code(pacs, folder: Path, tmp_path, wrong_codec) -> None:
    (folder / "cut.dcm").write_bytes((folder / "ct.dcm").read_bytes()[:-1000])
    (folder / "zut.dcm").write_bytes((folder / "ct.dcm").read_bytes()[:-1000])
    assert pacs("convert", folder, tmp_path / "out", "-t", "rle").code == 5


@pytest.mark.parametrize(
    "target", ["deflated", "JPEG XL Lossless", "HTJ2K Lossless", "JPEG Lossless SV1", "RLE"]
)
def test_what_is_verified_is_converted(pacs, samples: Path, tmp_path: Path, target: str) -> None:
    """The same as without, with each of the decoders that there are."""
    for number, verify in enumerate(("--verify", "--no-verify")):
        out = tmp_path / f"{number}.dcm"
        result = pacs("convert", samples / "examples_ybr_color.dcm", out, "-t", target, verify)
        assert (result.code, result.err) == (0, "")
    assert (tmp_path / "0.dcm").read_bytes() == (tmp_path / "1.dcm").read_bytes()
