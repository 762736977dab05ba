"""`pacs codecs`."""

import json
from pathlib import Path

from pacs_core.contracts import FrameFormat
from pacs_core.dataset import transfer_syntax_uid
from pacs_core.imaging import misfit

RLE, J2K, HTJ2K, JPEG, BASELINE = map(
    transfer_syntax_uid,
    ("RLE", "JPEG 2000 Lossless", "HTJ2K Lossless", "JPEG Lossless", "JPEG Baseline"),
)


def listed(pacs) -> dict[str, dict]:
    result = pacs("codecs", "--json")
    assert (result.code, result.err) == (0, "")
    return {entry["transfer_syntax"]: entry for entry in json.loads(result.out)}


def used(entry: dict, role: str) -> list[str]:
    return [codec["codec"] for codec in entry["codecs"] if codec[role]]


def test_one_codec_decodes_and_one_encodes(pacs) -> None:
    entries = listed(pacs)
    for uid in (RLE, J2K, HTJ2K, JPEG):
        assert len(used(entries[uid], "decoder")) == len(used(entries[uid], "encoder")) == 1
        assert entries[uid]["install"] == []
    (rle,) = [codec for codec in entries[RLE]["codecs"] if codec["codec"] == "basic-rle"]
    assert rle["library"] == "pylibjpeg-rle"
    assert rle["licence"] == "MIT"
    assert rle["bits"] == [1, 16]
    assert not any("1.2.840.10008.1.2.4.10" + last in entries for last in "0123456")


def test_no_codec_promises_bits_that_its_transfer_syntax_has_not(pacs) -> None:
    """What `pacs codecs` says is what `pacs convert` does (PS3.5 §8.2)."""
    for uid, entry in listed(pacs).items():
        for codec in entry["codecs"]:
            for stored in codec["bits"] if codec["encodes"] else ():
                forms = [
                    FrameFormat(8, 8, samples, allocated, stored, False, name)
                    for allocated in (1, 8, 16, 32)
                    for samples, name in ((1, "MONOCHROME2"), (3, "RGB"))
                    if allocated >= stored
                ]
                assert not all(misfit(form, uid) for form in forms), (codec, uid, stored)


def test_what_is_recompressed_is_listed(pacs) -> None:
    entries = listed(pacs)
    recompressed = transfer_syntax_uid("JPEG XL Recompression")
    (codec,) = entries[recompressed]["codecs"]
    assert (codec["codec"], codec["decoder"]) == ("imagecodecs-jpegxl-jpeg", True)
    assert (codec["encodes"], codec["recompresses"]) == (False, [BASELINE])
    assert entries[recompressed]["install"] == []
    made = {each["codec"]: each["recompresses"] for each in entries[BASELINE]["codecs"]}
    assert made["imagecodecs-jpegxl-jpeg"] == [recompressed]
    assert made["imagecodecs-jpeg-baseline"] == []
    lines = pacs("codecs").out.splitlines()
    row = next(line for line in lines if line.startswith("JPEG XL Recompression "))
    assert " yes " in row
    assert " from JPEG Baseline " in row


def test_the_faster_codec_is_used_unless_the_configuration_chooses(pacs, tmp_path: Path) -> None:
    entries = listed(pacs)
    assert used(entries[RLE], "encoder") == ["imagecodecs-rle"]
    assert used(entries[J2K], "encoder") == ["basic-jpeg-2000-lossless"]
    (tmp_path / "pacs.toml").write_text('[plugins]\norder = ["codec-basic", "codec-imagecodecs"]\n')
    assert used(listed(pacs)[RLE], "encoder") == ["basic-rle"]
    (tmp_path / "pacs.toml").write_text(
        '[plugins]\norder = ["codec-imagecodecs"]\n[transcoding.codecs]\nRLE = "basic-rle"\n'
    )
    entries = listed(pacs)
    assert used(entries[RLE], "encoder") == ["basic-rle"]
    assert used(entries[J2K], "encoder") == ["imagecodecs-jpeg2000-lossless"]


def test_what_is_missing_is_named_with_the_remedy(pacs, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text('[plugins]\ndisabled = ["codec-imagecodecs"]\n')
    entries = listed(pacs)
    assert entries[HTJ2K]["install"] == ["pacs-codec-imagecodecs"]
    assert entries[J2K]["install"] == []
    table = pacs("codecs").out
    assert "HTJ2K Lossless: pip install pacs-codec-imagecodecs\n" in table
    row = next(line for line in table.splitlines() if line.startswith("JPEG XL Lossless "))
    assert row.split() == ["JPEG", "XL", "Lossless", "none", "no", "no"]


def test_the_table(pacs) -> None:
    lines = pacs("codecs").out.splitlines()
    assert lines[0].split() == (
        ["TRANSFER", "SYNTAX", "CODEC", "DECODE", "ENCODE", "BITS", "LIBRARY", "VERSION", "LICENCE"]
    )
    row = next(line for line in lines if " basic-rle " in line)
    assert row.split()[:7] == [
        "RLE",
        "Lossless",
        "basic-rle",
        "yes",
        "spare",
        "1-16",
        "pylibjpeg-rle",
    ]
