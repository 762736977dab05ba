"""Regions of compressed images are blanked, and nothing else of them changes (PS3.15 E.3.1)."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import anyio
import numpy as np
import pytest
from pacs_deidentify import ocr
from pacs_deidentify.blanking import blank_pixels
from pacs_deidentify.config import DeidentifyConfig, DeviceConfig, ProfileConfig
from pacs_deidentify.regions import Region
from pacs_deidentify.service import ProcessDeidentifier
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs_core.api.commands import assemble, load_config, main, open_transcoder
from pacs_core.contracts import DeidentificationRefusedError, PluginInfo

from .samples import make_instance
from .test_files import run, save

__all__ = ["run"]

RLE, JPEG, JPEG_LOSSLESS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, J2K_LOSSLESS, J2K = (f"1.2.840.10008.1.2.4.{number}" for number in (80, 90, 91))
EXPLICIT = "1.2.840.10008.1.2.1"
SIZE = 64
BLANKED = np.zeros((SIZE, SIZE), bool)
BLANKED[4:14, 8:40] = True
CONFIG = """
[plugin.deidentify]
profile = "clean"
[plugin.deidentify.profiles.clean]
options = ["clean-pixel-data"]
{}
[[plugin.deidentify.devices]]
manufacturer = "ACME"
regions = [[8, 4, 32, 10]]
"""


def make_image(kind: str, frames: int = 1) -> Dataset:
    """Return an image with native pixels of a kind: smooth, with some noise."""
    samples = 3 if kind in {"RGB", "YBR_FULL"} else 1
    y, x, s, f = np.meshgrid(
        *(np.arange(n) for n in (SIZE, SIZE, samples, frames)), indexing="ij"
    )  # fmt: skip
    noise = np.random.default_rng(5).integers(0, 4, y.shape)
    values = np.moveaxis(y * 2 + x + s * 20 + f * 7 + noise + 20, 3, 0)
    made = make_instance(
        Rows=SIZE, Columns=SIZE, SamplesPerPixel=samples, NumberOfFrames=frames,
        PhotometricInterpretation=kind, BurnedInAnnotation="YES", ImageType=["ORIGINAL", "PRIMARY"],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
    )  # fmt: skip
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    if kind == "MONOCHROME1":
        made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
        made.PixelData = (values * 9).astype("<u2").tobytes()
    else:
        made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
        made.PixelData = values.astype(np.uint8).tobytes()
        made["PixelData"].VR = "OB"
    if samples == 3:
        made.PlanarConfiguration = 0
    if kind == "PALETTE COLOR":
        for colour in ("Red", "Green", "Blue"):
            setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
            # The darkest entry is the last, so that black is not 0.
            setattr(made, f"{colour}PaletteColorLookupTableData", bytes(range(255, -1, -1)))
    return made


def native(path: Path, tmp_path: Path) -> np.ndarray:
    """Return the samples of a file, by frame; `pacs convert` decodes what pydicom does not."""
    made = dcmread(path)
    if made.file_meta.TransferSyntaxUID in {JPEG, JPEG_LOSSLESS}:
        target = tmp_path / "native.dcm"
        assert main(["convert", str(path), str(target), "-t", "explicit", "--overwrite"]) == 0
        made = dcmread(target)
    elif made.file_meta.TransferSyntaxUID != EXPLICIT:
        made.decompress(as_rgb=False)
    kind = np.dtype(np.uint8 if made.BitsAllocated == 8 else "<u2")
    shape = (int(made.get("NumberOfFrames", 1)), SIZE, SIZE, made.SamplesPerPixel)
    return np.frombuffer(made.PixelData[: int(np.prod(shape)) * kind.itemsize], kind).reshape(shape)


@pytest.mark.parametrize(
    ("kind", "syntax", "target", "fill"),
    [
        ("MONOCHROME1", RLE, RLE, [4095]),
        ("MONOCHROME1", JPEG_LOSSLESS, JPEG_LOSSLESS, [4095]),
        ("MONOCHROME2", JPEG_LS, JPEG_LS, [0]),
        ("PALETTE COLOR", RLE, RLE, [255]),
        ("RGB", J2K_LOSSLESS, J2K_LOSSLESS, [0, 0, 0]),
        ("YBR_FULL", RLE, RLE, [0, 128, 128]),
        ("RGB", JPEG, EXPLICIT, [0, 0, 0]),
        ("MONOCHROME2", J2K, EXPLICIT, [0]),
    ],
)
def test_regions_of_compressed_images(
    run: Callable, tmp_path: Path, kind: str, syntax: str, target: str, fill: list[int]
) -> None:
    plain = save(tmp_path / "plain.dcm", make_image(kind, frames=3))
    source = tmp_path / "in" / "a.dcm"
    source.parent.mkdir()
    lossy = ["--lossy"] if syntax in {JPEG, J2K} else []
    assert main(["convert", str(plain), str(source), "-t", syntax, *lossy]) == 0
    (tmp_path / "pacs.toml").write_text(CONFIG.format(""))
    result = run("in", "out", "--config", "pacs.toml", "--report", "r", "--json")
    assert (result.code, result.err) == (0, "")
    made = tmp_path / "out" / json.loads(result.out)["target"]
    dataset = dcmread(made)
    assert dataset.file_meta.TransferSyntaxUID == target
    assert (dataset.BurnedInAnnotation, dataset.ImageType[0]) == ("NO", "DERIVED")
    assert [item.CodeValue for item in dataset.DerivationCodeSequence][-1] == "113047"
    assert dataset.get("LossyImageCompression", "00") == ("01" if lossy else "00")
    was, now = native(source, tmp_path), native(made, tmp_path)
    assert (now[:, BLANKED] == fill).all()
    assert (now[:, ~BLANKED] == was[:, ~BLANKED]).all()


def test_another_transfer_syntax_is_configured(run: Callable, tmp_path: Path) -> None:
    plain = save(tmp_path / "plain.dcm", make_image("RGB"))
    arguments = ["convert", str(plain), str(tmp_path / "in.dcm"), "-t", JPEG, "--lossy"]
    assert main(arguments) == 0
    (tmp_path / "pacs.toml").write_text(CONFIG.format('blanked_syntax = "JPEG-LS Lossless"'))
    result = run("in.dcm", "out", "--config", "pacs.toml", "--json")
    made = dcmread(tmp_path / "out" / json.loads(result.out)["target"])
    assert made.file_meta.TransferSyntaxUID == JPEG_LS
    (tmp_path / "pacs.toml").write_text(CONFIG.format('blanked_syntax = "JPEG Baseline"'))
    result = run("in.dcm", "out", "--config", "pacs.toml")
    assert result.code == 2
    assert "is not lossless" in result.err


def test_what_does_not_decode_or_is_a_video_is_refused(run: Callable, tmp_path: Path) -> None:
    source = save(tmp_path / "a.dcm", make_image("RGB"), JPEG)
    (tmp_path / "pacs.toml").write_text(CONFIG.format(""))
    result = run(source, "out", "--config", "pacs.toml")
    assert (result.code, "cannot be converted" in result.err) == (1, True)
    video = dcmread(source)
    video.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    video.save_as(source)
    result = run(source, "out", "--config", "pacs.toml")
    assert (result.code, "it is a video" in result.err) == (1, True)
    assert list((tmp_path / "out").iterdir()) == []


def test_ocr_reads_compressed_images(run: Callable, tmp_path: Path, monkeypatch) -> None:
    """An image in which it finds nothing stays as it was compressed, byte for byte."""
    monkeypatch.setattr("pacs_deidentify.command._can_read_pixels", lambda: True)
    plain = save(tmp_path / "plain.dcm", make_image("RGB"))
    source = tmp_path / "in.dcm"
    assert main(["convert", str(plain), str(source), "-t", JPEG, "--lossy"]) == 0
    monkeypatch.setattr(ocr, "_recognize", lambda picture: [])
    arguments = ("in.dcm", "out", "--option", "clean-pixel-data", "--ocr", "--json")
    made = dcmread(tmp_path / "out" / json.loads(run(*arguments).out)["target"])
    assert made.file_meta.TransferSyntaxUID == JPEG
    assert made.PixelData == dcmread(source).PixelData
    monkeypatch.setattr(ocr, "_recognize", lambda picture: [Region(8, 4, 32, 10)])
    made = dcmread(tmp_path / "out" / json.loads(run(*arguments, "--overwrite").out)["target"])
    assert made.file_meta.TransferSyntaxUID == EXPLICIT
    assert (made.pixel_array[BLANKED] == 0).all()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_node_blanks_them_too(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = save(tmp_path / "plain.dcm", make_image("RGB", frames=2))
    source = tmp_path / "in.dcm"
    arguments = ["convert", str(plain), str(source), "-t", "rle"]
    assert await anyio.to_thread.run_sync(main, arguments) == 0
    config = DeidentifyConfig(
        profiles={"clean": ProfileConfig(("clean-pixel-data",), prove=True)},
        devices=(DeviceConfig(manufacturer="ACME", regions=((8, 4, 32, 10),)),),
    )

    async def content():
        yield source.read_bytes()

    async with open_transcoder(assemble(load_config(None))) as transcoder:
        info = PluginInfo("deidentify", tmp_path / "plugin")
        service = ProcessDeidentifier(info, config, 1, transcoder=transcoder)
        await service.start()
        try:
            async with service.deidentify(content(), "clean") as made:
                data = b"".join([piece async for piece in made.read(0)])
                assert made.size == len(data)
                assert made.transfer_syntax_uid == RLE
        finally:
            await service.stop()
    dataset = dcmread(BytesIO(data))
    assert dataset.SOPInstanceUID == made.sop_instance_uid
    (tmp_path / "made.dcm").write_bytes(data)
    was, now = dcmread(source).pixel_array, dataset.pixel_array
    assert (now[:, BLANKED] == 0).all()
    assert (now[:, ~BLANKED] == was[:, ~BLANKED]).all()
    service = ProcessDeidentifier(info, config, 1)
    await service.start()
    try:
        with pytest.raises(DeidentificationRefusedError, match="cannot be converted"):
            async with service.deidentify(content(), "clean"):
                pass
    finally:
        await service.stop()


def test_chroma_that_two_pixels_share() -> None:
    """Native YBR_FULL_422: Y, Y, CB, CR (PS3.3 C.7.6.3.1.2); pairs are blanked as a whole."""
    dataset = make_instance(
        Rows=2, Columns=8, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422",
        BitsAllocated=8, BitsStored=8, HighBit=7, PlanarConfiguration=0,
    )  # fmt: skip
    dataset.PixelData = bytes([9] * 32)
    blank_pixels(dataset, [Region(3, 1, 2, 1)])
    black = bytes([0, 0, 128, 128])
    assert dataset.PixelData == bytes([9] * 20) + black * 2 + bytes([9] * 4)
