"""File Meta Information (PS3.10 §7.1)."""

from pathlib import Path

import pydicom
import pytest
from hypothesis import given, strategies as st
from pydicom.filereader import read_file_meta_info

from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    IMPLICIT_VR_LITTLE_ENDIAN,
    FileMeta,
    NeedMoreData,
    NotPart10,
    file_meta,
    guess_transfer_syntax,
    read_file_meta,
    scan_file,
)
from pacs_core.dataset.uid import is_valid_uid

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
CT = "1.2.840.10008.5.1.4.1.1.2"
META = file_meta(CT, "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN, "ARCHIVE", "SENDER", "RECEIVER")


def test_pydicom_reads_the_meta_and_finds_the_same_dataset(tmp_path):
    original = (FILES / "CT_small.dcm").read_bytes()
    dataset = original[read_file_meta(original).dataset_offset :]
    path = tmp_path / "ct.dcm"
    path.write_bytes(META + dataset)
    meta = read_file_meta_info(path)
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == "ARCHIVE"
    assert meta.SendingApplicationEntityTitle == "SENDER"
    assert meta.ReceivingApplicationEntityTitle == "RECEIVER"
    assert meta.FileMetaInformationGroupLength == len(META) - 144
    assert pydicom.dcmread(path) == pydicom.dcmread(FILES / "CT_small.dcm")
    assert path.read_bytes()[read_file_meta(META + dataset).dataset_offset :] == dataset


def test_what_is_written_is_read_again():
    assert read_file_meta(META + bytes(8)) == FileMeta(
        sop_class_uid=CT,
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        dataset_offset=len(META),
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        source_ae_title="ARCHIVE",
        sending_ae_title="SENDER",
        receiving_ae_title="RECEIVER",
    )


def test_the_preamble_is_zero_and_the_length_even():
    assert META[:132] == bytes(128) + b"DICM"
    assert len(META) % 2 == 0


def test_the_implementation_is_named_as_the_standard_allows():
    # PS3.5 §9 and B.2, PS3.7 D.3.3.2.3
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
    assert IMPLEMENTATION_CLASS_UID.startswith("2.25.")
    assert 1 <= len(IMPLEMENTATION_VERSION_NAME) <= 16


@pytest.mark.parametrize("bad", ["", "1.2.a", "1." * 40 + "1", "../etc"])
def test_an_invalid_uid_is_not_written(bad):
    with pytest.raises(ValueError, match="is not a UID"):
        file_meta(CT, bad, EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_short_prefix_says_how_much_is_needed():
    data, have = META + bytes(8), 0
    for _ in range(30):
        try:
            meta = read_file_meta(data[:have])
            break
        except NeedMoreData as short:
            assert have < short.needed <= len(data)  # noqa: PT017
            have = short.needed
    assert meta.dataset_offset == len(META)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (bytes(200), "DICM"),
        (META[:132] + b"\2\0\2\1OB\0\0\0\0\0\x10", "longer than 65536"),
    ],
)
def test_what_is_no_file_meta_is_refused(data, what):
    with pytest.raises(NotPart10, match=what):
        read_file_meta(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(data):
    for prefix in (data, META[:132] + data):
        try:
            assert read_file_meta(prefix).dataset_offset >= 132
        except NotPart10:
            assert not prefix.startswith(META[:200])


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("ExplVR_LitEndNoMeta.dcm", EXPLICIT_VR_LITTLE_ENDIAN),
        ("ExplVR_BigEndNoMeta.dcm", EXPLICIT_VR_BIG_ENDIAN),
    ],
)
def test_a_bare_dataset_is_recognised(name, uid):
    assert guess_transfer_syntax((FILES / name).read_bytes()[:16]) == uid
    assert scan_file(FILES / name, {0x0008_0018}).meta.transfer_syntax_uid == uid


def test_an_implicit_dataset_is_recognised():
    assert guess_transfer_syntax(b"\x08\0\x05\0\x0a\0\0\0") == IMPLICIT_VR_LITTLE_ENDIAN


def test_a_missing_transfer_syntax_is_guessed():
    path = FILES / "meta_missing_tsyntax.dcm"
    assert read_file_meta(path.read_bytes()).transfer_syntax_uid == ""
    assert scan_file(path, ()).meta.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize("data", [b"", b"\x08\0", b"{}}}}}}}", b"\0\0\0"])
def test_what_starts_like_no_dataset_is_refused(data):
    with pytest.raises(NotPart10):
        guess_transfer_syntax(data)


def test_a_file_cut_within_its_meta_is_refused(tmp_path):
    path = tmp_path / "cut.dcm"
    path.write_bytes(META[:200])
    with pytest.raises(NotPart10):
        scan_file(path, ())
