"""`pacs explain`."""

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

PEERS = """
[peers.plain]
ae_title = "PLAIN"
host = "127.0.0.1"
port = 104
accepted = ["Implicit VR Little Endian"]

[peers.lossy]
ae_title = "LOSSY"
host = "127.0.0.1"
port = 104
preferred = ["JPEG Baseline"]
lossy = true
quality = 80
new_uid = true
"""


@pytest.fixture
def peers(tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text(PEERS)


def test_by_the_configuration(pacs, samples: Path, tmp_path: Path, peers) -> None:
    ct = samples / "CT_small.dcm"
    result = pacs("explain", "plain", ct)
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"{ct}: transcode\n"
        "  stored in Explicit VR Little Endian; the peer would be offered Implicit VR Little "
        "Endian\n"
        "  goes out in Implicit VR Little Endian\n"
        "  because the peer does not accept Explicit VR Little Endian, but Implicit VR Little "
        "Endian\n"
    )
    result = pacs("explain", "plain", samples / "JPEG2000.dcm")
    assert "goes out in Implicit VR Little Endian, decoded by basic-jpeg-2000\n" in result.out
    result = pacs("explain", "ANY@127.0.0.1:104", ct)
    assert result.out.startswith(f"{ct}: pass-through\n")


def test_what_would_be_lost_is_said(pacs, samples: Path, peers) -> None:
    result = pacs("explain", "lossy", samples / "SC_rgb_rle.dcm")
    assert (
        "  goes out in JPEG Baseline, decoded by basic-rle, encoded by imagecodecs-jpeg-baseline, "
        "quality 80, with a SOP Instance UID of its own\n"
    ) in result.out


def test_an_image_that_does_not_fit_is_said(pacs, samples: Path, peers) -> None:
    ct, report = samples / "CT_small.dcm", Path(get_testdata_file("reportsi.dcm"))
    result = pacs("explain", "lossy", ct, report)
    assert (result.code, result.err) == (0, "")
    assert f"{ct}: pass-through\n" in result.out
    assert (
        "  because JPEG Baseline holds 8 bits, not 16; the peer accepts it as it is stored\n"
    ) in result.out
    assert f"{report}: pass-through\n" in result.out
    assert "  because it has no pixels to compress; the peer accepts it as it" in result.out


def test_what_is_recompressed_is_said(pacs, samples: Path, tmp_path: Path) -> None:
    source, small = samples / "SC_rgb_jpeg_lossy_gdcm.dcm", tmp_path / "small.dcm"
    assert pacs("convert", source, small, "-t", "JPEG XL Recompression").code == 0
    (tmp_path / "pacs.toml").write_text(
        PEERS.replace('["Implicit VR Little Endian"]', '["JPEG Baseline"]')
    )
    result = pacs("explain", "plain", small)
    assert (result.code, result.err) == (0, "")
    assert (
        "  goes out in JPEG Baseline, recompressed by imagecodecs-jpegxl-jpeg\n"
        "  because the peer does not accept JPEG XL Recompression, but JPEG Baseline; it is "
        "recompressed, without loss\n"
    ) in result.out


def test_what_is_refused_fails_the_command(pacs, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text(
        PEERS + '[plugins]\ndisabled = ["codec-basic", "codec-imagecodecs"]\n'
    )
    folder, good = tmp_path / "in", samples / "CT_small.dcm"
    folder.mkdir()
    for name in ("CT_small.dcm", "JPEG2000.dcm"):
        (folder / name).write_bytes((samples / name).read_bytes())
    (folder / "notes.txt").write_text("nothing")
    result = pacs("explain", "plain", folder, good, tmp_path / "none.dcm")
    assert result.code == 1
    assert f"{folder / 'JPEG2000.dcm'}: refuse\n" in result.out
    assert "no installed codec decodes JPEG 2000 (install pacs-codec-basic or" in result.out
    assert f"{good}: transcode\n" in result.out
    assert result.err == f"pacs: {tmp_path / 'none.dcm'}: No such file or directory\n"


def test_the_peer_can_be_asked(pacs, node, samples: Path, tmp_path: Path) -> None:
    ct = samples / "CT_small.dcm"
    result = pacs("explain", node.peer, ct, "--ask")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"{ct}: pass-through\n"
        "  stored in Explicit VR Little Endian; the peer accepts Explicit VR Little Endian, "
        "Implicit VR Little Endian\n"
        "  because the peer accepts it as it is stored\n"
    )


def test_a_peer_that_does_not_take_the_sop_class(pacs, node, samples, tmp_path: Path) -> None:
    ct, other = b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.826.0.1.3680043.2.1.9\0"
    odd = tmp_path / "odd.dcm"
    odd.write_bytes((samples / "CT_small.dcm").read_bytes().replace(ct, other))
    result = pacs("explain", node.peer, odd, "--ask")
    assert result.code == 1
    assert "the peer accepts nothing for its SOP class" in result.out
    assert "because the peer accepts no transfer syntax for its SOP class" in result.out


def test_a_peer_that_is_not_there(pacs, samples: Path) -> None:
    result = pacs("explain", "GONE@127.0.0.1:1", samples / "CT_small.dcm", "--ask")
    assert (result.code, result.out) == (1, "")
    assert "127.0.0.1:1" in result.err
    assert pacs("explain", "GONE@127.0.0.1:1").code == 2
