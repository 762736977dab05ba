"""A set of instances to evaluate de-identification with, its answer key, and how it is scored.

It follows the benchmark MIDI-B and its answer keys in kind: made-up identifiers of each category
of the HIPAA Safe Harbor rule are planted in standard, private and nested attributes, beside what
has to be retained; `evaluation_answers.tsv` says what has to become of each.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from attrs import field, frozen
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

ANSWERS: Final = Path(__file__).with_name("evaluation_answers.tsv")
PRIVATE: Final = re.compile(r"\((\w{4}),([^,]+),(\w\w)\)(\w\w)")
REPORT_ITEMS: Final = {"TextValue": "TEXT", "PersonName": "PNAME", "DateTime": "DATETIME",
                       "UID": "UIDREF"}  # fmt: skip
CLASSES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2", "US": "1.2.840.10008.5.1.4.1.1.3.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.33", "PDF": "1.2.840.10008.5.1.4.1.1.104.1",
}  # fmt: skip
PEOPLE: Final = (
    # family, given, nick, mother, charset
    ("Ruiz", "Marisol", "Lolita", "Aguirre", "ISO_IR 100"),
    ("Müller", "Jörg", "Jojo", "Großmann", "ISO_IR 100"),
    ("Ковалёва", "Дарья", "Дашута", "Шевченко", "ISO_IR 144"),
    ("王", "小东", "阿东", "欧阳娜", "ISO_IR 192"),
)


@frozen
class Answer:
    """A row of the answer key."""

    category: str
    modality: str
    attribute: str
    value: str
    action: str
    expected: str


@frozen
class Case:
    """An instance, and the values that were planted in it by their names."""

    modality: str
    values: dict[str, str]
    dataset: Dataset
    answers: list[Answer]


@frozen
class Score:
    """How many answers of each category were asked for, and which were wrong."""

    required: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)


def answers() -> list[Answer]:
    """Return the answer key."""
    lines = ANSWERS.read_text(encoding="utf-8").splitlines()[2:]
    return [Answer(*(line + "\t" * 5).split("\t")[:6]) for line in lines]


def values_of(person: int, study: int) -> dict[str, str]:
    """Return what identifies a person, and a study of hers."""
    family, given, nick, mother, _ = PEOPLE[person]
    day = date(2019 + person, 3 + study * 4, 17)
    born = date(1951 + person, 11, 23)
    mrn = f"MRN-{77120 + person}"
    return {
        "family": family, "FAMILY": family.upper(), "given": given, "nick": nick, "mother": mother,
        "doctor": "Okonkwo", "tech": "Lindqvist", "tech2": "Castellanos",
        "address": f"{12 + person} Elmbrook Terrace", "street": "Quarry Hill Road",
        "hospital": "Mercy Westside", "ward": "Ward 7B", "region": "Castlemoor",
        "study": f"{day:%Y%m%d}", "studyus": f"{day.month}/{day.day}/{day.year}",
        "studylong": f"{day:%d %B %Y}", "earlier": f"{day - timedelta(30):%Y%m%d}",
        "birth": f"{born:%Y%m%d}", "birthde": f"{born:%d.%m.%Y}",
        "phone": f"+1 555 010{person} 77", "phone2": f"(555) 019-88{person}0",
        "fax": f"555-017-66{person}1", "mail": f"p{person}@mail.example.org",
        "ssn": f"078-05-112{person}", "mrn": mrn, "mrnplain": mrn.replace("-", ""),
        "mrn2": f"Z{9081726 + person}", "plan": f"HPL-5561-{person}3", "account": f"AD99{person}12",
        "accession": f"ACC{90211 + person}{study}", "order": f"ORD{33010 + person}",
        "licence": "LIC-55012", "serial": "SN-4711-0815", "station": "CTSCANNER9",
        "url": f"https://portal.example.org/p/{person}", "ip": "192.168.100.20",
        "uid": f"1.2.826.88.{person + 1}.{study + 1}",
        "studyuid": f"1.2.826.88.{person + 1}.{study + 1}",
    }  # fmt: skip


def make_cases() -> Iterator[Case]:
    """Iterate over four persons with two studies of four instances each."""
    rows = answers()
    for person in range(len(PEOPLE)):
        for study in range(2):
            for number, modality in enumerate(CLASSES):
                values = values_of(person, study)
                own = {**values, "uid": f"{values['uid']}.{number}"}
                mine = [row for row in rows if row.modality in {"*", modality}]
                yield Case(modality, own, _make(modality, own, mine, person), mine)


def _make(modality: str, values: dict[str, str], rows: list[Answer], person: int) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CLASSES[modality]
    made.SpecificCharacterSet = PEOPLE[person][4]
    made.Modality = {"PDF": "DOC"}.get(modality, modality)
    for row in rows:
        text = row.value.format(**values)
        if row.value and row.action not in {"patid_consistent", "pixels_hidden"}:
            _plant(made, row.attribute, text)
    made.StudyInstanceUID = values["studyuid"]
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    if modality == "PDF":
        made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    if modality == "SR":
        made.ValueType = "CONTAINER"
    if modality in {"CT", "US"}:
        _draw(made, modality)
    return made


def _draw(made: Dataset, modality: str) -> None:
    made.PixelRepresentation, made.PhotometricInterpretation = 0, "MONOCHROME2"
    if modality == "CT":
        made.Rows, made.Columns, made.SamplesPerPixel = 32, 32, 1
        made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
        made.PixelData = bytes(number % 251 if number % 2 == 0 else 3 for number in range(2048))
        return
    made.Rows, made.Columns, made.SamplesPerPixel, made.NumberOfFrames = 32, 48, 3, 3
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PlanarConfiguration, made.PhotometricInterpretation = 7, 0, "RGB"
    made.BurnedInAnnotation, made.ImageType = "YES", ["ORIGINAL", "PRIMARY"]
    made.PixelData = bytes(1 + number % 250 for number in range(32 * 48 * 3 * 3))


def _plant(made: Dataset, attribute: str, text: str) -> None:
    first, _, rest = attribute.partition("/")
    if attribute == "preamble":
        made.preamble = text.encode("utf-8")[:128].ljust(128, b"\0")
    elif first == "file meta":
        setattr(made.file_meta, rest, text)
    elif first == "ContentSequence":
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", REPORT_ITEMS[rest]
        setattr(item, rest, text)
        made.ContentSequence = [*made.get("ContentSequence", ()), item]
    elif private := PRIVATE.match(first):
        group, creator, element, vr = private.groups()
        block = made.private_block(int(group, 16), creator, create=True)
        if int(element, 16) not in block:
            value = [Dataset()] if vr == "SQ" else text.encode() if vr == "UN" else text
            block.add_new(int(element, 16), vr, value)
        if rest:
            _plant(block[int(element, 16)].value[0], rest, text)
    elif rest:
        if first not in made:
            setattr(made, first, [Dataset()])
        _plant(made[first].value[0], rest, text)
    elif first == "OverlayData":
        made.add_new(0x60000010, "US", 8)
        made.add_new(0x60003000, "OW", b"picture!")
    elif first != "PixelData" or text == "picture":
        tag = tag_for_keyword(first)
        assert tag
        vr = dictionary_VR(tag).partition(" or ")[0]
        if vr == "LT" and tag in made:  # comments say several things
            text = f"{made[tag].value}; {text}"
        binary = vr in {"OB", "OW"}
        made[tag] = DataElement(tag, vr, text.encode().ljust(20) if binary else text.split("\\"))


class Scorer:
    """Holds what was made against the answer key.

    Parameters
    ----------
    cases : sequence of Case
    """

    def __init__(self) -> None:
        self.score = Score()
        self._uids: dict[str, str] = {}
        self._patients: dict[str, str] = {}
        self._days: dict[str, int] = {}

    def add(self, case: Case, path: Path) -> None:
        """Score a file that was made of a case."""
        made, content = dcmread(path), path.read_bytes()
        for row in case.answers:
            self.score.required[row.category] += 1
            if not self._is_right(row, case, made, content):
                name = f"{row.category}: {case.modality} {row.attribute} {row.action}"
                self.score.wrong.append(f"{name} {row.value.format(**case.values)}")

    def _is_right(self, row: Answer, case: Case, made: Dataset, content: bytes) -> bool:
        was = _find(case.dataset, row.attribute)
        now = _find(made, "OverlayData" if row.attribute == "OverlayData" else row.attribute)
        wanted = [text for text in row.expected.format(**case.values).split("|") if text]
        charset = {"ISO_IR 144": "iso8859-5", "ISO_IR 100": "latin-1"}
        encoding = charset.get(str(case.dataset.SpecificCharacterSet), "utf-8")
        match row.action:
            case "text_removed":
                haystack = content.decode(encoding, "replace").casefold()
                joined = "\\".join(now).casefold()
                return not any(
                    text.casefold() in joined or text.casefold() in haystack for text in wanted
                )
            case "text_retained":
                return all(any(text in value for value in now) for text in wanted)
            case "text_notnull":
                return any(now)
            case "tag_retained":
                return bool(now)
            case "tag_removed":
                return not now
            case "date_shifted":
                return len(was) == len(now) and all(
                    self._moves(case.values["mrn"], old, new)
                    for old, new in zip(was, now, strict=True)
                )
            case "uid_changed":
                return now != was and all(now)
            case "uid_consistent":
                return bool(now) and now != was and self._uids.setdefault(was[0], now[0]) == now[0]
            case "patid_consistent":
                self._patients.setdefault(was[0], now[0])
                return self._patients[was[0]] == now[0] and len(self._patients) == len(
                    set(self._patients.values())
                )
            case "pixels_hidden" | "pixels_retained":
                return _compare_pixels(row, case.dataset, made)
        raise ValueError(row.action)

    def _moves(self, patient: str, old: str, new: str) -> bool:
        before, after = (date.fromisoformat(text[:8]) for text in (old, new))
        days = (after - before).days
        return days != 0 and self._days.setdefault(patient, days) == days and old[8:] == new[8:]


def _compare_pixels(row: Answer, was: Dataset, made: Dataset) -> bool:
    x, y, width, height = map(int, row.expected.split(","))
    old, new = was.PixelData, made.PixelData
    pixel = was.SamplesPerPixel * was.BitsAllocated // 8
    line = was.Columns * pixel
    for frame in range(int(was.get("NumberOfFrames", 1))):
        for number in range(y, y + height):
            start = (frame * was.Rows + number) * line + x * pixel
            shown = new[start : start + width * pixel]
            wanted = old[start : start + width * pixel]
            if shown != (wanted if row.action == "pixels_retained" else bytes(len(wanted))):
                return False
    return True


def _find(dataset: Dataset, attribute: str) -> list[str]:
    """Return the values of an attribute, of all items of the sequences it is in."""
    first, _, rest = attribute.partition("/")
    if attribute == "preamble":
        return [(dataset.preamble or b"").decode("utf-8", "replace")]
    if first == "file meta":
        return [str(dataset.file_meta.get(rest, ""))]
    if first == "OverlayData":
        return ["there"] if 0x60003000 in dataset else []
    if private := PRIVATE.match(first):
        group, creator, element, _ = private.groups()
        try:
            tag = dataset.private_block(int(group, 16), creator).get_tag(int(element, 16))
        except KeyError:
            return []
    else:
        tag = Tag(tag_for_keyword(first) or 0)
    if tag not in dataset:
        return []
    value = dataset[tag].value
    if rest:
        return [text for item in value for text in _find(item, rest)]
    if value is None or value == "":
        return [""]
    if isinstance(value, bytes):
        return [value.decode("utf-8", "replace")]
    many = hasattr(value, "__iter__") and not isinstance(value, str)
    return (
        [str(each) for each in value] if many and not hasattr(value, "components") else [str(value)]
    )
