"""Values of a dataset that identify somebody, to be found again wherever they are."""

from collections.abc import Collection, Iterator
from typing import Final

from pydicom.dataset import Dataset

from pacs_deidentify.attributes import is_well_known, known_vr, raw_vr, values_of
from pacs_deidentify.forms import date_forms, identifier_forms, is_telling, name_forms
from pacs_deidentify.options import Option
from pacs_deidentify.tables import TableRow, load_profile

_VRS: Final = frozenset({"AE", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"})
_FORMS: Final = {"PN": name_forms, "DA": date_forms, "DT": date_forms}

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
        if vr == "UI":
            found |= set() if is_well_known(text) else {text}
        else:
            found |= _FORMS.get(vr, identifier_forms)(text)
    return frozenset(filter(is_telling, found))


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
    # What is cleaned stays but for what others tell; dates that are moved must not be seen.
    return not (options & row.options.keys()) - {Option.RETAIN_MODIFIED_DATES}
