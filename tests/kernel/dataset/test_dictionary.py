"""Names of attributes and transfer syntaxes (PS3.6)."""

import subprocess
import sys

import pydicom.uid
import pytest
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

from pacs_core.dataset import (
    ALL_TRANSFER_SYNTAXES,
    Encoding,
    UnknownAttribute,
    encoding_of,
    items,
    keyword_of,
    name_of,
    tag_of,
    texts,
    vm_of,
    vr_of,
)


@pytest.mark.parametrize(
    "text", ["PatientName", "00100010", "0010,0010", "(0010,0010)", "(0010, 0010)"]
)
def test_a_tag_can_be_written_in_several_ways(text):
    assert tag_of(text) == 0x0010_0010


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownAttribute, match="did you mean PatientName"):
        tag_of("PatientNmae")
    with pytest.raises(UnknownAttribute, match="eight hex digits"):
        tag_of("§§§")


@pytest.mark.parametrize(
    ("tag", "keyword", "vr", "vm"),
    [
        (0x0010_0010, "PatientName", "PN", "1"),
        (0x0028_0106, "SmallestImagePixelValue", "US", "1"),
        (0x7FE0_0010, "PixelData", "OB", "1"),
        (0x0008_0061, "ModalitiesInStudy", "CS", "1-n"),
        (0x6002_0010, "OverlayRows", "US", "1"),
        (0x0010_0000, "00100000", "UL", "1"),
        (0x0009_0010, "00090010", "LO", "1"),
        (0x0009_1001, "00091001", "UN", "1-n"),
        (0x0010_FFFF, "0010FFFF", "UN", "1-n"),
        (0xFFFE_E000, "Item", "UN", "1"),
    ],
)
def test_what_the_dictionary_says(tag, keyword, vr, vm):
    assert (keyword_of(tag), vr_of(tag), vm_of(tag)) == (keyword, vr, vm)


def test_the_registry_is_pydicoms():
    for tag, (vr, vm, _name, _retired, keyword) in DicomDictionary.items():
        assert vr_of(tag) == ("UN" if vr == "NONE" else vr[:2])
        assert vm_of(tag) == vm
        assert keyword_of(tag) == keyword or not keyword
        assert tag_of(keyword or f"{tag:08X}") == tag


@pytest.mark.parametrize("digit", ["2", "A"])
def test_repeating_groups_are_pydicoms(digit):
    for masked, (vr, vm, _name, _retired, keyword) in RepeatersDictionary.items():
        tag = int(masked.replace("x", digit), 16)
        if tag not in DicomDictionary:
            assert (vr_of(tag), vm_of(tag), keyword_of(tag)) == (vr[:2], vm, keyword)


def test_the_four_native_encodings_and_all_others():
    # PS3.5 Annex A
    assert encoding_of("1.2.840.10008.1.2") == Encoding(False, True, False, False)
    assert encoding_of("1.2.840.10008.1.2.1") == Encoding(True, True, False, False)
    assert encoding_of("1.2.840.10008.1.2.2") == Encoding(True, False, False, False)
    assert encoding_of("1.2.840.10008.1.2.1.99") == Encoding(True, True, True, False)
    for syntax in ALL_TRANSFER_SYNTAXES:
        assert syntax.encoding == encoding_of(syntax.uid)
    assert encoding_of("1.3.6.1.4.1.99999.1") == Encoding(True, True, False, True)


def test_the_transfer_syntaxes_are_those_of_the_reference_and_more():
    known = {syntax.uid for syntax in ALL_TRANSFER_SYNTAXES}
    assert len(known) == len(ALL_TRANSFER_SYNTAXES)
    current = {str(uid) for uid in pydicom.uid.AllTransferSyntaxes if not uid.is_retired}
    smpte = {uid for uid in current if uid.startswith("1.2.840.10008.1.2.7.")}
    assert current - known - smpte == set()
    assert {f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112, 201, 202, 203)} <= known


def test_names_of_transfer_syntaxes_agree_with_the_reference():
    for syntax in ALL_TRANSFER_SYNTAXES:
        reference = pydicom.uid.UID(syntax.uid).name
        if reference != syntax.uid:
            assert reference.split(":")[0].split(" (")[0] in syntax.name
    assert name_of("1.2.3") == "1.2.3"


def test_texts_and_items_tell_values_apart():
    attributes = {0x0010_0010: ("Doe",), 0x0008_1110: ({0x0008_1155: ("1.2",)},)}
    assert texts(attributes, 0x0010_0010) == ("Doe",)
    assert texts(attributes, 0x0008_1110) == texts(attributes, 0x0020_000D) == ()
    assert items(attributes, 0x0008_1110) == ({0x0008_1155: ("1.2",)},)
    assert items(attributes, 0x0010_0010) == ()


def test_importing_the_floor_imports_no_pydicom():
    program = "import sys, pacs_core.dataset; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
