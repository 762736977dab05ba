"""Every character set, from pydicom's files by way of the archive to findscu and pydicom.

Names are encoded by pydicom, sent by DCMTK's storescu, queried in each set, and what findscu
receives is read by pydicom, and by DCMTK, which converts it to UTF-8.
"""

import re
from contextlib import ExitStack

import pytest
from pydicom import dcmread
from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import PersonName

from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.peer

IDEOGRAPHIC = "Yamada^Tarou=山田^太郎=やまだ^たろう"
NAMES = {
    ("ISO_IR 13",): "ﾔﾏﾀﾞ^ﾀﾛｳ",
    ("ISO_IR 100",): "Buc^Jérôme",
    ("ISO_IR 101",): "Łódź^Ž",
    ("ISO_IR 109",): "Ħal^Ħ",
    ("ISO_IR 110",): "Šķē^Ģ",
    ("ISO_IR 126",): "Διονυσιος^Α",
    ("ISO_IR 127",): "قباني^لنزار",
    ("ISO_IR 138",): "שרון^דבורה",
    ("ISO_IR 144",): "Люксембург^Я",
    ("ISO_IR 148",): "Çavuşoğlu^İ",
    ("ISO_IR 166",): "นามสกุล^ชื่อ",
    ("ISO_IR 192",): "Łódź^É=山田^太郎=やまだ^たろう",
    ("GB18030",): "Wang^XiaoDong=王^小东=",
    ("GBK",): "Zhang^Yu=张^誠裕=",
    ("", "ISO 2022 IR 13"): "Yamada^Tarou==ﾔﾏﾀﾞ^ﾀﾛｳ",
    ("", "ISO 2022 IR 87"): IDEOGRAPHIC,
    ("ISO 2022 IR 6", "ISO 2022 IR 87"): IDEOGRAPHIC,
    ("ISO 2022 IR 13", "ISO 2022 IR 87"): "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ("", "ISO 2022 IR 87", "ISO 2022 IR 159"): "A^B=丂山^太郎=やまだ^たろう",
    ("", "ISO 2022 IR 149"): "Hong^Gildong=洪^吉洞=홍^길동",
    ("", "ISO 2022 IR 58"): "Zhang^XiaoDong=张^小东=",
    ("ISO 2022 IR 100", "ISO 2022 IR 144"): "Müller^Анна",
    ("ISO 2022 IR 100", "ISO 2022 IR 126", "ISO 2022 IR 87"): "Müller^Άννα=山田^太郎=",
    ("", "ISO 2022 IR 101", "ISO 2022 IR 138", "ISO 2022 IR 127"): "Łódź^שרון=قباني^A=",
    ("", "ISO 2022 IR 109", "ISO 2022 IR 110", "ISO 2022 IR 148"): "Ħal^Šķē=İğ^A=",
    ("ISO 2022 IR 100", "ISO 2022 IR 166"): "É^นาม",
}
SETS = list(NAMES)
GB_2312 = ("", "ISO 2022 IR 58")  # pydicom does not know its escape sequence (PS3.5 K.2)
JIS = {"ISO 2022 IR 87", "ISO 2022 IR 159"}  # DCMTK cannot convert these with glibc's iconv
# Comments are long text: delimiters within it are control characters (PS3.5 6.1.2.5.3).
COMMENTS = {
    sets: f"{name.split('=')[0]}\r\n\t{name.split('=')[-1]}" for sets, name in NAMES.items()
}


def uid_of(sets):
    return f"1.2.826.0.1.8.{SETS.index(sets) + 1}"


def raw(sets, text, vr="PN"):
    """Return text as pydicom encodes it."""
    encodings = convert_encodings(list(sets))
    if vr == "PN":
        return bytes(PersonName(text, encodings).encode(encodings))
    pieces = re.split(r"([\r\n\t^])", text)
    return b"".join(p.encode() if p.isascii() else encode_string(p, encodings) for p in pieces)


def dataset(sets, **values):
    found = Dataset()
    found.SpecificCharacterSet = list(sets) if len(sets) > 1 else sets[0]
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def write(path, found):
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = CTImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = found.get("SOPInstanceUID", generate_uid())
    found.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def archive(module_dcmtk, tmp_path_factory):
    directory = tmp_path_factory.mktemp("sets")
    files = directory / "files"
    files.mkdir()
    for number, (sets, name) in enumerate(NAMES.items(), 1):
        uid = uid_of(sets)
        study = dataset(
            sets,
            SOPClassUID=CTImageStorage,
            SOPInstanceUID=f"{uid}.1.1",
            StudyInstanceUID=uid,
            SeriesInstanceUID=f"{uid}.1",
            PatientID=f"P{number}",
            PatientName=name,
            Modality="CT",
        )
        study.add_new("PatientComments", "LT", raw(sets, COMMENTS[sets], "LT"))
        write(files / f"{number}.dcm", study)
    with ExitStack() as stack:
        node = stack.enter_context(node_thread(directory / "data"))
        module_dcmtk.run("storescu", "+sd", "127.0.0.1", node.port, files)
        yield node


@pytest.fixture
def find(dcmtk, archive, tmp_path):
    """Return a function that queries by a file of pydicom's, and returns what came back."""

    def find(found):
        received, query = tmp_path / "received", tmp_path / "query.dcm"
        received.mkdir()
        write(query, found)
        address = ("-aec", "PACS", "127.0.0.1", archive.port)
        dcmtk.run("findscu", "-P", "-X", "-od", received, *address, query)
        paths = sorted(received.iterdir())
        return [dcmread(path, force=True) for path in paths], paths

    return find


@pytest.mark.parametrize("sets", SETS, ids="+".join)
def test_a_name_is_found_in_its_own_set_and_comes_back_in_it(find, dcmtk, sets):
    patient = f"P{SETS.index(sets) + 1}"
    query = dataset(sets, QueryRetrieveLevel="PATIENT", PatientID=patient, PatientComments="")
    query.PatientName = NAMES[sets]
    (match,), (path,) = find(query)
    label = match.SpecificCharacterSet
    assert tuple([label] if isinstance(label, str) else label) == sets
    readings = [match] if sets != GB_2312 else []
    if not JIS & set(sets):
        as_utf_8 = path.parent / "utf_8.dcm"
        dcmtk.run("dcmconv", "+U8", path, as_utf_8)
        readings.append(dcmread(as_utf_8, force=True))
    assert readings
    for reading in readings:
        reading.decode()
        assert str(reading.PatientName).rstrip("=") == NAMES[sets].rstrip("=")
        assert reading.PatientComments.split() == COMMENTS[sets].split()


@pytest.mark.parametrize("sets", SETS, ids="+".join)
def test_a_set_that_expresses_all_is_used_and_no_other(find, sets):
    """All 26 names at once: each comes back whole, whatever was asked for."""
    query = dataset(sets, QueryRetrieveLevel="PATIENT", PatientID="", PatientName="")
    matches, _ = find(query)
    assert len(matches) == len(SETS)
    for match in matches:
        label = match.SpecificCharacterSet
        used = tuple([label] if isinstance(label, str) else label)
        assert used in {sets, ("ISO_IR 192",)}
        if used != GB_2312:
            match.decode()
            own = SETS[int(match.PatientID[1:]) - 1]
            assert str(match.PatientName).rstrip("=") == NAMES[own].rstrip("=")


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize("term", [None, "ISO_IR 6", "ISO_IR 999", "LATIN1", "ISO 2022 IR 6"])
def test_sets_that_express_nothing_are_answered_in_utf_8(find, term):
    query = dataset((term or "",), QueryRetrieveLevel="PATIENT", PatientID="P2", PatientName="")
    if term is None:
        del query.SpecificCharacterSet
    (match,), _ = find(query)
    assert match.SpecificCharacterSet == "ISO_IR 192"
    match.decode()
    assert str(match.PatientName) == "Buc^Jérôme"


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize("term", [None, "ISO_IR 6", "ISO_IR 999", "LATIN1"])
@pytest.mark.parametrize("encoding", ["latin_1", "utf_8"])
def test_keys_in_no_set_that_exists_are_understood(find, term, encoding):
    query = dataset((term or "",), QueryRetrieveLevel="PATIENT", PatientID="")
    query.add_new("PatientName", "PN", "BUC^JÉR*".encode(encoding))
    if term is None:
        del query.SpecificCharacterSet
    (match,), _ = find(query)
    assert match.PatientID == "P2"
    assert match.SpecificCharacterSet == "ISO_IR 192"


def test_shift_jis_never_goes_out_as_iso_ir_13(find):
    """A kanji may hold a backslash's byte: one name would become three values."""
    query = dataset(("ISO_IR 13",), QueryRetrieveLevel="PATIENT", PatientID="P16", PatientName="")
    (match,), _ = find(query)
    assert match.SpecificCharacterSet == "ISO_IR 192"
    match.decode()
    assert str(match.PatientName) == IDEOGRAPHIC
