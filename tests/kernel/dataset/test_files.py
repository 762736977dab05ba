"""Every file that pydicom ships: the scanner, the parser and the reader against `dcmread`."""

from pathlib import Path

import pydicom
import pytest

from pacs_core.dataset import (
    HeaderScanner,
    MalformedDataset,
    NotPart10,
    encode_attributes,
    encoding_of,
    file_meta,
    parse_attributes,
    scan_file,
    scan_stream,
)

pytestmark = pytest.mark.usefixtures("either_scan")

DATA = Path(pydicom.__file__).parent / "data"
TEXT_FILES = {".txt", ".dump", ".json", ".gz", ".icc"}
TRUNCATED = {"MR_truncated.dcm", "rtplan_truncated.dcm"}
# Their first element contradicts their transfer syntax or is damaged.
LYING = {"no_meta.dcm": NotPart10}
ALL = sorted(
    path
    for folder in ("test_files", "charset_files")
    for path in (DATA / folder).rglob("*")
    if path.is_file() and path.suffix not in TEXT_FILES and "README" not in path.name
)
GOOD = [path for path in ALL if path.name not in LYING]
# An item is longer than the sequence that holds it.
OVERRUNNING = "DICOMDIR-nooffset"
WHOLE = [path for path in GOOD if path.name not in TRUNCATED]
EVERYTHING_BELOW_PIXELS = 0x7FE0_0000


def comparable_tags(expected, explicit):
    return {
        tag for tag in expected if tag < EVERYTHING_BELOW_PIXELS and (explicit or not tag >> 16 & 1)
    }


@pytest.mark.parametrize(
    "path", [path for path in GOOD if path.name != OVERRUNNING], ids=lambda path: path.name
)
def test_scanned_values_are_those_that_pydicom_reads(path, reference, comparable):
    expected = reference(path)
    first = scan_file(path, ())
    tags = comparable_tags(expected, encoding_of(first.meta.transfer_syntax_uid).explicit)
    scanner = HeaderScanner(first.meta.transfer_syntax_uid, tags, 1 << 24, 1 << 24)
    scanner.feed(path.read_bytes()[first.meta.dataset_offset :])
    assert comparable(scanner.attributes) == comparable(
        {tag: values for tag, values in expected.items() if tag in scanner.attributes}
    )
    # The reference knows what some private attributes hold that were sent as UN.
    missing = {tag for tag in tags - set(scanner.attributes) if not tag >> 16 & 1}
    assert not missing or path.name == "rtplan_truncated.dcm"


@pytest.mark.parametrize(
    "path", [path for path in WHOLE if path.name != OVERRUNNING], ids=lambda path: path.name
)
def test_parsed_values_are_those_that_pydicom_reads_and_survive_encoding(
    path, reference, comparable
):
    expected = reference(path)
    meta = scan_file(path, ()).meta
    uid = meta.transfer_syntax_uid
    parsed = parse_attributes(path.read_bytes()[meta.dataset_offset :], uid, max_length=1 << 22)
    for tag in comparable_tags(expected, encoding_of(uid).explicit):
        if tag >> 16 & 1 and tag not in parsed:
            continue  # sent as UN
        assert comparable({tag: parsed[tag]}) == comparable({tag: expected[tag]})
    standard = {tag: values for tag, values in parsed.items() if not tag >> 16 & 1}
    again = parse_attributes(encode_attributes(standard, uid, ("ISO_IR 192",)), uid)
    assert set(again) == set(standard) | {0x0008_0005}


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_a_whole_file_ends_cleanly(path):
    meta = scan_file(path, ()).meta
    scanner = HeaderScanner(meta.transfer_syntax_uid, {0x0020_000D})
    scanner.feed(path.read_bytes()[meta.dataset_offset :])
    scanner.finish()
    assert scanner.dataset_ended_cleanly


@pytest.mark.parametrize("path", [p for p in ALL if p.name in TRUNCATED], ids=lambda p: p.name)
def test_a_truncated_file_is_noticed_at_its_end(path):
    meta = scan_file(path, ()).meta
    scanner = HeaderScanner(meta.transfer_syntax_uid, {0x0020_000D})
    scanner.feed(path.read_bytes()[meta.dataset_offset :])
    assert not scanner.dataset_ended_cleanly
    with pytest.raises(MalformedDataset, match="truncated"):
        scanner.finish()


@pytest.mark.parametrize("path", [p for p in ALL if p.name in LYING], ids=lambda p: p.name)
def test_a_file_that_contradicts_itself_is_refused(path):
    with pytest.raises(LYING[path.name]):
        scan_file(path, {0x0010_0010})


@pytest.mark.parametrize("name", ["README.txt", "rtplan.dump", "test1.json", "zipMR.gz"])
def test_what_is_no_dicom_is_refused(name):
    with pytest.raises(NotPart10):
        scan_file(DATA / "test_files" / name, {0x0010_0010})


def test_a_stream_gives_what_the_file_gives():
    path = DATA / "test_files" / "CT_small.dcm"
    wanted = {0x0010_0010, 0x0020_000D}
    from_file = scan_file(path, wanted)
    with path.open("rb") as file:
        from_stream = scan_stream(file, wanted)
    assert from_stream.attributes == from_file.attributes
    assert from_stream.meta == from_file.meta
    assert (from_file.size, from_stream.size) == (path.stat().st_size, None)


def test_an_item_longer_than_its_sequence_is_malformed():
    path = DATA / "test_files" / "dicomdirtests" / OVERRUNNING
    meta = scan_file(path, ()).meta
    with pytest.raises(MalformedDataset, match="an item claims 248 bytes"):
        parse_attributes(path.read_bytes()[meta.dataset_offset :], meta.transfer_syntax_uid)


def test_pixel_data_is_not_read(tmp_path):
    path = tmp_path / "large.dcm"
    name = b"\x10\0\x10\0PN\x08\0Doe^Jane"
    pixels = b"\xe0\x7f\x10\0OW\0\0" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)
    path.write_bytes(file_meta("1.2", "1.3", "1.2.840.10008.1.2.1") + name + pixels)
    with path.open("rb", buffering=0) as file:
        assert scan_stream(file, {0x0010_0010}).attributes == {0x0010_0010: ("Doe^Jane",)}
        assert file.tell() <= 16384
