"""Rewriting of a dataset: what is not changed keeps its bytes, in every transfer syntax."""

import zlib
from functools import cache
from io import BytesIO

import pytest
from hypothesis import given, strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from pacs_core.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DatasetEditor,
    MalformedDataset,
    Modification,
    Span,
    UnencodableValue,
    change_attributes,
    check_changes,
    element_header,
    encode_attributes,
    parse_attributes,
    plan_edit,
)
from pacs_core.dataset.character_set_extension import extend_character_sets

RLE = "1.2.840.10008.1.2.5"
SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    RLE,
)
UNDEFLATED = tuple(syntax for syntax in SYNTAXES if syntax != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
CHARACTER_SET, DESCRIPTION, NAME, PATIENT_ID, COMMENTS = (
    0x0008_0005,
    0x0008_1030,
    0x0010_0010,
    0x0010_0020,
    0x0010_4000,
)
REFERENCES, HISTORY, PIXELS, TRAILER = 0x0008_1140, 0x0400_0561, 0x7FE0_0010, 0xFFFC_FFFC
MODIFICATION = Modification(1_700_000_000.0, "ARCHIVE", "CT1", "CORRECT")


@cache
def _element(tag: int, syntax: str, character_set: str) -> bytes:
    """Encode one element with pydicom, as the dataset to be edited has it."""
    dataset = Dataset()
    if tag in (REFERENCES, 0x0040_0275, HISTORY):
        item = Dataset()
        item.PatientName = "In^Item"
        item.is_undefined_length_sequence_item = True
        inner = Dataset()
        inner.CodeValue = "X"
        item.add_new(0x0008_1199, "SQ", [inner])
        dataset.add_new(tag, "SQ", [item, Dataset()])
        dataset[tag].is_undefined_length = tag != REFERENCES
    elif tag == PIXELS:
        dataset.add_new(
            tag, "OW", encapsulate([b"\1\2", b"\3\4"]) if syntax == RLE else b"\1\2" * 9
        )
        dataset[tag].is_undefined_length = syntax == RLE
    elif tag >> 16 & 1:
        dataset.add_new(tag, *(("LO", "OURS") if tag & 0xFFFF == 0x10 else ("UN", b"\1\2\3\4")))
    elif tag & 0xFFFF == 0:
        return element_header(tag, "UL", 4, syntax) + b"\1\0\0\1"
    else:
        vr, value = TEXTS[tag]
        dataset.add_new(tag, vr, character_set if tag == CHARACTER_SET else value)
    file = DicomBytesIO()
    file.is_implicit_VR = syntax == IMPLICIT_VR_LITTLE_ENDIAN
    file.is_little_endian = syntax != EXPLICIT_VR_BIG_ENDIAN
    write_dataset(file, dataset)
    return file.getvalue()


TEXTS = {
    CHARACTER_SET: ("CS", ""),
    0x0008_0020: ("DA", "20260101"),
    DESCRIPTION: ("LO", "Knee"),
    NAME: ("PN", "Doe^Jane"),
    PATIENT_ID: ("LO", "A1 "),
    COMMENTS: ("LT", "long " * 30),
    0x0020_0013: ("IS", "7"),
    0x0028_0010: ("US", 512),
    TRAILER: ("OB", b"\0\0\0\0"),
}
GROUP_LENGTHS = (0x0008_0000, 0x0010_0000, 0x0400_0000)
ALL = (*TEXTS, *GROUP_LENGTHS, REFERENCES, 0x0040_0275, HISTORY, PIXELS, 0x0011_0010, 0x0011_1001)
VALUES = {
    DESCRIPTION: ("Hip",),
    NAME: ("Roe^John",),
    PATIENT_ID: ("B22",),
    0x0008_0020: (),
    0x0008_0090: ("Ref^Dr",),
    REFERENCES: ({0x0008_1155: ("1.2.3",)},),
    0x0020_0013: ("8",),
    0x3006_0002: ("Label",),
    0xFFFA_FFFA: (),
}
changes_ = st.dictionaries(st.sampled_from(list(VALUES)), st.booleans()).map(
    lambda kept: {tag: VALUES[tag] if keep else None for tag, keep in kept.items()}
)
present_ = st.sets(st.sampled_from(ALL))
sizes_ = st.lists(st.integers(1, 40), max_size=30)


def _edit(syntax, dataset, changes, modification=None, sizes=()):
    editor = DatasetEditor(syntax, changes, modification)
    out, offset = [], 0
    for size in sizes:
        out += map(bytes, editor.feed(dataset[offset : offset + size]))
        offset += size
    out += editor.feed(memoryview(dataset)[offset:])
    return b"".join(out + editor.finish())


def _deflate(data):
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    return packed + b"\0" * (len(packed) & 1)


def _read(syntax, dataset) -> Dataset:
    """Let pydicom read a dataset."""
    implicit, little = syntax == IMPLICIT_VR_LITTLE_ENDIAN, syntax != EXPLICIT_VR_BIG_ENDIAN

    read = read_dataset(BytesIO(dataset), implicit, little)
    read.decode()
    return read


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(present=present_, changes=changes_, sizes=sizes_)
def test_what_is_not_changed_keeps_its_bytes(syntax, present, changes, sizes):
    had = {tag: _element(tag, syntax, "ISO_IR 100") for tag in sorted(present)}
    groups = {tag >> 16 for tag in changes}
    expected = {
        tag: raw
        for tag, raw in had.items()
        if tag not in changes and not (tag & 0xFFFF == 0 and tag >> 16 in groups)
    }
    encode = EXPLICIT_VR_LITTLE_ENDIAN if syntax in (RLE, SYNTAXES[3]) else syntax
    for tag, values in changes.items():
        if values is not None:
            expected[tag] = encode_attributes({tag: values}, encode)
    dataset, new = b"".join(had.values()), b"".join(expected[tag] for tag in sorted(expected))
    if syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        edited = _edit(syntax, _deflate(dataset), changes, sizes=sizes)
        assert len(edited) % 2 == 0
        assert zlib.decompressobj(-15).decompress(edited) == new
    else:
        assert _edit(syntax, dataset, changes, sizes=sizes) == new


@pytest.mark.parametrize("syntax", UNDEFLATED)
@given(present=present_, changes=changes_, sizes=sizes_, text=st.sampled_from(["", "Ünal^Åsa"]))
def test_pydicom_reads_what_was_changed_and_what_was_there_before(
    syntax, present, changes, sizes, text
):
    if text:
        changes = {**changes, 0x0010_1005: (text,)}
    dataset = b"".join(_element(tag, syntax, "ISO_IR 100") for tag in sorted(present))
    edited = _edit(syntax, dataset, changes, MODIFICATION, sizes)
    before, after = _read(syntax, dataset), _read(syntax, edited)
    for tag, values in changes.items():
        if values is None:
            assert tag not in after
        elif tag == REFERENCES:
            assert after[tag].value[0].ReferencedSOPInstanceUID == "1.2.3"
        else:
            assert str(after[tag].value or "") == "".join(values)
    kept = [tag for tag in before.keys() - {CHARACTER_SET, HISTORY} if tag not in changes]
    for tag in kept:
        if tag.element:
            assert after[tag] == before[tag]
    if not changes:
        assert edited == dataset
        return
    items = after[HISTORY].value
    assert len(items) == 1 + (2 if HISTORY in present else 0)
    item = items[-1]
    assert item.ModifyingSystem == "ARCHIVE"
    assert item.SourceOfPreviousValues == "CT1"
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert item.AttributeModificationDateTime == "20231114221320.000000+0000"
    previous = item.ModifiedAttributesSequence[0]
    assert len(item.ModifiedAttributesSequence) == 1
    for tag in changes:
        if tag < HISTORY and tag in before:
            assert previous[tag].value == before[tag].value
        elif tag < HISTORY and changes[tag] is not None:
            assert previous[tag].is_empty


@pytest.mark.parametrize("syntax", UNDEFLATED)
@given(present=present_, changes=changes_, step=st.integers(1, 300))
def test_a_plan_has_the_bytes_that_the_editor_writes(syntax, present, changes, step):
    dataset = b"".join(_element(tag, syntax, "") for tag in sorted(present))
    asking = plan_edit(syntax, len(dataset), changes, MODIFICATION, step=step)
    try:
        offset, length = next(asking)
        while True:
            offset, length = asking.send(dataset[offset : offset + length])
    except StopIteration as stop:
        pieces = stop.value
    joined = [dataset[p.start : p.end] if isinstance(p, Span) else p for p in pieces]
    assert b"".join(joined) == _edit(syntax, dataset, changes, MODIFICATION)


def test_a_plan_does_not_read_what_is_behind_all_changes():
    dataset = _element(PATIENT_ID, RLE, "") + _element(0x0028_0010, RLE, "")
    asking = plan_edit(RLE, 1 << 40, {PATIENT_ID: ("B",)}, step=len(dataset))
    assert next(asking) == (0, len(dataset))
    with pytest.raises(StopIteration) as stop:
        asking.send(dataset)
    assert stop.value.value[-1] == Span(len(dataset), 1 << 40)


def test_elements_out_of_order_are_changed_once():
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    parts = [_element(tag, syntax, "") for tag in (NAME, 0x0008_0020, PATIENT_ID, PIXELS)]
    edited = _edit(syntax, b"".join([*parts[:3], parts[2], parts[3]]), {PATIENT_ID: ("B",)})
    assert edited.count(b"B ") == 1
    assert b"A1 " not in edited
    assert edited.endswith(parts[3])


@pytest.mark.parametrize(
    ("declared", "name", "expected"),
    [
        ((), "Doe^Jane", ()),
        ((), "Müller^Jörg", ("ISO_IR 192",)),
        (("ISO_IR 6",), "Müller^Jörg", ("ISO_IR 192",)),
        (("ISO_IR 192",), "山田^太郎", ("ISO_IR 192",)),
        (("ISO_IR 100",), "Müller^Jörg", ("ISO_IR 100",)),
        (("ISO_IR 100",), "山田^太郎", ("ISO 2022 IR 100", "ISO 2022 IR 87")),
        (("ISO_IR 100",), "Ελένη", ("ISO 2022 IR 100", "ISO 2022 IR 126")),
        (("", "ISO 2022 IR 87"), "홍^길동", ("", "ISO 2022 IR 87", "ISO 2022 IR 149")),
        (("GBK",), "Müller^Jörg", ("GB18030",)),
    ],
)
def test_new_text_is_written_in_sets_in_which_old_text_keeps_its_meaning(declared, name, expected):
    assert extend_character_sets(declared, [("PN", name)]) == expected
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    old = "Grüße" if declared == ("ISO_IR 100",) else "plain"
    dataset = encode_attributes({DESCRIPTION: (old,), NAME: ("X",)}, syntax, declared)
    edited = _edit(syntax, dataset, {NAME: (name,)}, sizes=[3] * 20)
    found = parse_attributes(edited, syntax)
    assert found[NAME] == (name,)
    assert found[DESCRIPTION] == (old,)
    read = _read(syntax, edited)
    assert str(read.PatientName).rstrip("=") == name
    assert read.StudyDescription == old


@pytest.mark.parametrize("tag", [CHARACTER_SET, PIXELS, 0x0010_0000, 0x0002_0010, 0, -1])
def test_what_cannot_be_changed_is_refused(tag):
    with pytest.raises(UnencodableValue, match="cannot be changed"):
        check_changes({tag: None})


def test_the_history_can_be_removed_but_not_be_set_nor_removed_and_added_to():
    """A de-identification takes away what it says; PS3.15 Table E.1-1 has X for it."""
    with pytest.raises(UnencodableValue, match="cannot be changed"):
        check_changes({HISTORY: ()})
    with pytest.raises(UnencodableValue, match="added to"):
        DatasetEditor(EXPLICIT_VR_LITTLE_ENDIAN, {HISTORY: None}, Modification(0.0, "PACS"))
    first = DatasetEditor(
        EXPLICIT_VR_LITTLE_ENDIAN, {0x0010_0020: ("B",)}, Modification(0.0, "PACS")
    )
    old = bytes.fromhex("10002000 4c4f0200 4120")
    with_history = b"".join([*first.feed(old), *first.finish()])
    second = DatasetEditor(EXPLICIT_VR_LITTLE_ENDIAN, {HISTORY: None})
    assert b"PACS" in with_history
    without = b"".join([*second.feed(with_history), *second.finish()])
    assert without == bytes.fromhex("10002000 4c4f0200 4220")


@pytest.mark.parametrize(
    "changes", [{0x0020_0013: ({},)}, {0x0028_0010: ("x",)}, {REFERENCES: ("a",)}]
)
def test_a_value_that_cannot_be_written_is_refused(changes):
    with pytest.raises(UnencodableValue):
        DatasetEditor(EXPLICIT_VR_LITTLE_ENDIAN, changes)


@pytest.mark.parametrize("syntax", UNDEFLATED)
def test_a_truncated_dataset_is_malformed(syntax):
    with pytest.raises(MalformedDataset):
        _edit(syntax, _element(REFERENCES, syntax, "")[:-1], {PATIENT_ID: ("B",)})
    with pytest.raises(MalformedDataset):
        _edit(SYNTAXES[3], b"\x01\x02", {PATIENT_ID: ("B",)})


def test_a_value_too_long_to_be_held_is_replaced_all_the_same():
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    dataset = encode_attributes({0x0040_A160: ("x" * (3 << 20),), PATIENT_ID: ("A",)}, syntax)
    edited = _edit(syntax, dataset, {0x0040_A160: ("short",)}, MODIFICATION, [1 << 16] * 99)
    found = parse_attributes(edited, syntax)
    assert found[0x0040_A160] == ("short",)
    assert len(edited) < 1000


def test_attributes_are_changed_as_datasets_are():
    changes = {PATIENT_ID: ("B",), NAME: None}
    assert change_attributes({NAME: ("X",), DESCRIPTION: ("K",)}, changes) == {
        DESCRIPTION: ("K",),
        PATIENT_ID: ("B",),
    }


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("is_undefined_length", [True, False])
@pytest.mark.parametrize("modification", [MODIFICATION, None])
def test_other_patient_ids_are_added_to_those_that_are_there(
    syntax, is_undefined_length, modification
):
    """PS3.3 Table C.7-1: a patient who gets another identifier has not lost the ones before."""
    other_ids = 0x0010_1002

    def item(name):
        return {PATIENT_ID: (name,)}

    present = Dataset()
    present.PatientID = "1"
    first = Dataset()
    first.PatientID = "A"
    present.OtherPatientIDsSequence = [first]
    present["OtherPatientIDsSequence"].is_undefined_length = is_undefined_length
    present.StudyID = "7"
    stream = DicomBytesIO()
    is_implicit = syntax == IMPLICIT_VR_LITTLE_ENDIAN
    stream.is_implicit_VR = is_implicit
    stream.is_little_endian = syntax != EXPLICIT_VR_BIG_ENDIAN
    write_dataset(stream, present)
    raw = stream.getvalue()
    if syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        deflater = zlib.compressobj(wbits=-15)
        raw = deflater.compress(raw) + deflater.flush()

    def edit(changes, data=raw):
        extended = frozenset({other_ids})
        editor = DatasetEditor(syntax, changes, modification, extended)
        pieces = [piece for byte in data for piece in editor.feed(bytes((byte,)))]
        out = b"".join(bytes(piece) for piece in (*pieces, *editor.finish()))
        return parse_attributes(out, syntax)

    added = {other_ids: (item("B"), item("C"))}
    assert edit(added)[other_ids] == (item("A"), item("B"), item("C"))
    assert edit(added)[0x0020_0010] == ("7",)
    assert not edit({other_ids: ()})[other_ids]
    assert other_ids not in edit({other_ids: None})
    without = encode_attributes({PATIENT_ID: ("1",)}, syntax, ())
    if syntax in UNDEFLATED:
        assert edit(added, without)[other_ids] == (item("B"), item("C"))
    attributes = {other_ids: (item("A"), item("B"))}
    changed = change_attributes(attributes, added, frozenset({other_ids}))
    assert changed[other_ids] == (item("A"), item("B"), item("C"))
