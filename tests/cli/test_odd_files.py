"""Files that are not quite DICOM files: what `store`, `import`, `convert` and `explain` read."""

from pathlib import Path

import pydicom
import pytest

from pacs_core.dataset import read_file_meta, transfer_syntax_uid

IMPLICIT, RLE = map(transfer_syntax_uid, ("implicit", "RLE"))
PREAMBLE = 132


def implicit_meta(content: bytes) -> bytes:
    """Write the file meta information without VRs, as some do."""
    offset = read_file_meta(content).dataset_offset
    uid = content[offset:]
    syntax = b"1.2.840.10008.1.2.1\0"
    sop_class = b"1.2.840.10008.5.1.4.1.1.2\0"
    group = b"\2\0\2\0" + len(sop_class).to_bytes(4, "little") + sop_class
    return group + b"\2\0\x10\0" + len(syntax).to_bytes(4, "little") + syntax + uid


def bare(content: bytes) -> bytes:
    return content[read_file_meta(content).dataset_offset :]


def said_to_be_implicit(content: bytes) -> bytes:
    explicit = b"\2\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    assert explicit in content
    return content.replace(explicit, b"\2\0\x10\0UI\x12\x001.2.840.10008.1.2\0")


FILES = {
    "no preamble": lambda content: content[PREAMBLE:],
    "only DICM": lambda content: content[128:],
    "meta without VRs": implicit_meta,
    "no meta": bare,
    "no meta, trailing zeros": lambda content: bare(content) + bytes(64),
    "meta in the dataset": None,
    "said to be implicit": said_to_be_implicit,
}


@pytest.fixture(params=FILES)
def odd(request, samples: Path, tmp_path: Path) -> Path:
    content = (samples / "CT_small.dcm").read_bytes()
    if request.param == "meta in the dataset":
        meta = read_file_meta(content)
        dataset = content[meta.dataset_offset :]
        group = content[PREAMBLE + 12 : meta.dataset_offset]
        content = content[: meta.dataset_offset] + group + dataset
    else:
        content = FILES[request.param](content)
    path = tmp_path / "odd"
    path.write_bytes(content)
    return path


@pytest.fixture
def uid(samples: Path) -> str:
    return str(pydicom.dcmread(samples / "CT_small.dcm").SOPInstanceUID)


def test_it_is_stored_and_comes_back(pacs, node, odd: Path, uid: str, samples: Path) -> None:
    result = pacs("store", node.peer, odd)
    assert (result.code, result.err) == (0, "")
    study = pydicom.dcmread(samples / "CT_small.dcm").StudyInstanceUID
    result = pacs("get", node.peer, "-k", f"StudyInstanceUID={study}", "-o", odd.parent / "got")
    assert result.code == 0
    (received,) = [path for path in (odd.parent / "got").rglob("*") if path.is_file()]
    assert pydicom.dcmread(received).SOPInstanceUID == uid


def test_it_is_imported(pacs, odd: Path, tmp_path: Path) -> None:
    result = pacs("import", "--data", tmp_path / "data", odd)
    assert (result.code, result.out) == (0, "1 instance stored\n")
    (stored,) = (tmp_path / "data").rglob("*.dcm")
    assert odd.read_bytes().endswith(stored.read_bytes()[-20_000:])


@pytest.mark.parametrize("target", [IMPLICIT, RLE])
def test_it_is_converted(pacs, odd: Path, tmp_path: Path, uid: str, samples, target) -> None:
    result = pacs("convert", odd, tmp_path / "out.dcm", "-t", target)
    assert (result.code, result.err) == (0, "")
    converted, original = (
        pydicom.dcmread(p) for p in (tmp_path / "out.dcm", samples / "CT_small.dcm")
    )
    assert converted.file_meta.TransferSyntaxUID == target
    assert converted.SOPInstanceUID == uid
    assert (converted.pixel_array == original.pixel_array).all()


def test_it_is_explained(pacs, odd: Path) -> None:
    result = pacs("explain", "ANY@127.0.0.1:104", odd)
    assert (result.code, result.err) == (0, "")
    assert "Explicit VR Little Endian" in result.out


def test_it_is_found_in_a_folder(pacs, odd: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "odd").write_bytes(odd.read_bytes())
    (folder / "notes.txt").write_text("no DICOM")
    result = pacs("import", "--data", tmp_path / "data", folder)
    assert result.code == 0
    assert result.out.startswith("1 instance stored")
