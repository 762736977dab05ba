"""Values of a dataset that identify somebody, to be found again wherever they are."""

import re
from collections.abc import Collection, Iterator
from typing import Final

from pydicom.dataset import Dataset

from pacs_deidentify.attributes import is_well_known, known_vr, raw_vr, values_of
from pacs_deidentify.options import Option
from pacs_deidentify.tables import TableRow, load_profile

_VRS: Final = frozenset({"AE", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"})
_SEPARATORS: Final = re.compile(r"[\^=,\s]+")
_NUMBERS: Final = "0123456789 ,#"
_DATE: Final = re.compile(r"(\d{4})[./-]?(\d\d)[./-]?(\d\d)")
_DATE_FORMS: Final = (
    "{0}{1}{2}", "{0}-{1}-{2}", "{0}/{1}/{2}", "{0}.{1}.{2}", "{2}.{1}.{0}", "{1}/{2}/{0}",
    "{2}/{1}/{0}", "{2}-{1}-{0}", "{1}-{2}-{0}",
)  # fmt: skip

RESTORED: Final = (
    "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "IssuerOfPatientID",
    "PatientBirthDate", "PatientSex", "StudyID",
)  # fmt: skip
"""Attributes whose values the vault keeps, beside UIDs (PS3.3 C.7.1.1, C.7.2.1)."""


def find_identifiers(dataset: Dataset, options: Collection[Option]) -> frozenset[str]:
    """Return what must not be seen any more of the values that a dataset's attributes have.

    Descriptions are left out: words of theirs are those of others. Names are returned whole, and
    in their parts; dates in the forms in which people write them.

    Parameters
    ----------
    dataset : Dataset
    options : collection of Option
        What they retain does not count.
    """
    found: set[str] = set()
    for vr, text in _values(dataset, frozenset(options)):
        if vr == "PN":
            parts = [part for part in _SEPARATORS.split(text) if part]
            found.update([" ".join(parts), " ".join(reversed(parts)), *parts])
        elif vr in {"DA", "DT"}:
            if match := _DATE.match(text):
                found.update(form.format(*match.groups()) for form in _DATE_FORMS)
        elif vr != "UI" or not is_well_known(text):
            found.add(text)
            # An address is recognized without the number of the house, too.
            if " " in (words := text.strip(_NUMBERS)):
                found.add(words)
    return frozenset(text for text in found if _is_telling(text))


def patient_of(dataset: Dataset) -> str:
    """Return who a dataset is of: by ID, else by name and birth date, else by study."""
    for keywords in (("PatientID",), ("PatientName", "PatientBirthDate"), ("StudyInstanceUID",)):
        values = [str(dataset.get(keyword, "") or "").strip(" \0") for keyword in keywords]
        if values[0]:
            return "\\".join(values)
    return ""


def pick_originals(dataset: Dataset) -> dict[str, str]:
    """Return what a dataset has of the attributes that are kept."""
    return {
        keyword: "\\".join(values_of(dataset[keyword].value))
        for keyword in RESTORED
        if keyword in dataset
    }


def _values(dataset: Dataset, options: frozenset[Option]) -> Iterator[tuple[str, str]]:
    for tag in dataset.keys():  # noqa: SIM118 iteration would convert each element
        if tag.is_private:
            continue
        vr = known_vr(tag, raw_vr(dataset, tag))
        if vr == "SQ" and dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                yield from _values(item, options)
        elif vr in _VRS and _is_identifying(load_profile().find(tag), options):
            for text in values_of(dataset[tag].value):
                yield vr, text.strip(" \0")


def _is_identifying(row: TableRow | None, options: frozenset[Option]) -> bool:
    if row is None or Option.CLEAN_DESCRIPTORS in row.options:
        return False
    return all(row.options[option] != "K" for option in options & row.options.keys())


def _is_telling(text: str) -> bool:
    """Whether text is long enough to be looked for."""
    if text.isascii():
        return len(text) >= (4 if text.isdigit() else 3)
    return len(text) >= 2
