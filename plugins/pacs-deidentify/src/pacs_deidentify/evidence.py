"""Values of an input by which a person can be found, gathered without the table of actions."""

import re
from collections.abc import Collection, Iterator
from typing import Final

from attrs import Factory, define
from pydicom.datadict import dictionary_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs_deidentify.ages import (
    DEFAULT_OLDEST,
    age_forms,
    birth_year,
    find_old_ages,
    is_birth_item,
)
from pacs_deidentify.attributes import (
    TEXT_VRS,
    is_of_instance,
    is_well_known,
    known_vr,
    raw_vr,
    tag_text,
    values_of,
)
from pacs_deidentify.dummies import DATE, TEXT
from pacs_deidentify.forms import date_forms, identifier_forms, name_forms
from pacs_deidentify.options import Option
from pacs_deidentify.tables import load_identifying

# Theory of operation
#
# What proves must not know what was cleaned, and why. So nothing here comes from Table E.1-1: a
# value counts by its VR (names, UIDs, dates, AE titles, in private attributes as well), by the
# module of PS3.3 that its attribute is of (`data/identifying.tsv`), by the sequence whose code it
# is, or by its form (mail addresses, telephone numbers). What an option retains is told by groups,
# from the prose of PS3.15 E.3. A value that is also one of a group that is retained does not count.

RETAINED_GROUPS: Final = {
    Option.RETAIN_UIDS: frozenset({"uid", "device uid"}),
    Option.RETAIN_FULL_DATES: frozenset({"date", "device date"}),
    Option.RETAIN_DEVICE_IDENTITY: frozenset({"device", "device uid", "device date"}),
    Option.RETAIN_INSTITUTION_IDENTITY: frozenset({"institution"}),
}
"""What options let stay (PS3.15 E.3.6, E.3.8, E.3.9, E.3.11)."""

_BY_VR: Final = {"PN": "person", "UI": "uid", "DA": "date", "DT": "date", "AE": "device"}
_BIRTH: Final = frozenset({"PatientBirthDate", "PatientDeathDate"})
_DEVICE_UIDS: Final = frozenset({"DeviceUID"})
_DEVICE_DATES: Final = frozenset({
    "BeamHoldTransitionDateTime", "CalibrationDate", "CalibrationDateTime", "DateOfLastCalibration",
    "DateOfLastDetectorCalibration", "DateTimeOfLastCalibration",
})  # fmt: skip
_CODES: Final = frozenset({"CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning"})
_CODES_OF: Final = {
    "PersonIdentificationCodeSequence": "person",
    "InstitutionCodeSequence": "institution",
    "ScheduledStationNameCodeSequence": "device",
    "PerformedStationNameCodeSequence": "device",
}
_PATIENT_AGE: Final = 0x0010_1010
_FORMS: Final = {"person": name_forms, "age": age_forms}
_UIDS: Final = frozenset({"uid", "device uid"})
_DATES: Final = frozenset({"date", "device date", "birth"})
_KINDS_OF_DEVICES: Final = ("Modality", "Manufacturer", "ManufacturerModelName")
_CONTACTS: Final = (
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
    re.compile(r"\+\d[\d /()-]{6,}\d"),
)
_DUMMIES: Final = frozenset({TEXT, DATE, DATE + "000000"})
_UNREADABLE: Final = (LookupError, NotImplementedError, OverflowError, TypeError, ValueError)


@define
class Evidence:
    """What must not be seen any more.

    Attributes
    ----------
    groups : dict of str to set of str
        Values as they are, by what they tell of: ``patient``, ``person``, ``uid`` and so on.
    places : dict of str to tuple of str
        Values by the paths of the attributes that have them, which must not be the same again.
    """

    groups: dict[str, set[str]] = Factory(dict)
    places: dict[str, tuple[str, ...]] = Factory(dict)

    def count(self) -> dict[str, int]:
        """Return how many values of each group there are."""
        return {group: len(values) for group, values in sorted(self.groups.items())}

    def texts(self) -> frozenset[str]:
        """Return all forms of all values but UIDs and dates."""
        found: set[str] = set()
        for group, values in self.groups.items():
            for value in values if group not in _UIDS | _DATES else ():
                found |= _FORMS.get(group, identifier_forms)(value)
        return frozenset(found - _DUMMIES)

    def dates(self) -> frozenset[str]:
        """Return all forms of all dates."""
        values = set[str]().union(*(self.groups.get(group, ()) for group in _DATES))
        return frozenset(form for value in values for form in date_forms(value))

    def uids(self) -> frozenset[str]:
        """Return all UIDs."""
        return frozenset[str]().union(*(self.groups.get(group, ()) for group in _UIDS))


def gather_evidence(
    dataset: Dataset, options: Collection[Option], oldest_age: int = DEFAULT_OLDEST
) -> Evidence:
    """Return what a person could be found by in a dataset.

    Parameters
    ----------
    dataset : Dataset
        Of the input.
    options : collection of Option
        What they retain does not count.
    oldest_age : int
        Years above which an age counts; 0 if none does.
    """
    retained = frozenset[str]().union(*(RETAINED_GROUPS.get(each, ()) for each in options))
    if Option.RETAIN_MODIFIED_DATES in options:
        retained -= {"device date"}
    found, kept = Evidence(), set[str]()
    for group, where, texts in _walk(dataset, "", ""):
        if group in retained:
            kept.update(texts)
            continue
        found.groups.setdefault(group, set()).update(texts)
        if where:
            found.places[where] = texts
    for keyword in _KINDS_OF_DEVICES:
        kinds = values_of(dataset.get(keyword))
        found.groups.get("device", set()).difference_update(kinds)
    _add_ages(found, dataset, oldest_age)
    for values in found.groups.values():
        values -= kept | _DUMMIES
    found.places = {
        where: texts for where, texts in found.places.items() if not set(texts) <= kept | _DUMMIES
    }
    return found


def _add_ages(found: Evidence, dataset: Dataset, oldest: int) -> None:
    ages = set(find_old_ages(dataset, oldest))
    if ages and (year := birth_year(dataset)):
        found.groups["year of birth"] = {year}
    # The first age above the limit is the one by which all are told.
    if ages := {age for age in ages if int(age[:-1]) > oldest + 1}:
        found.groups["age"] = ages
        found.places[tag_text(_PATIENT_AGE)] = (str(dataset.get("PatientAge", "")),)


def _walk(dataset: Dataset, path: str, sequence: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Iterate over groups, paths and values; a path is empty where the attribute may stay."""
    for tag in dataset.keys():  # noqa: SIM118 iteration would convert each element
        where = f"{path}{tag_text(tag)}"
        try:
            vr = _vr(dataset, tag)
            if vr == "SQ":
                keyword = "" if tag.is_private else dictionary_keyword(tag)
                for number, item in enumerate(dataset[tag].value):
                    yield from _walk(item, f"{where}[{number}].", keyword)
                continue
            if vr not in TEXT_VRS and vr not in _BY_VR:
                continue
            texts = tuple(text.strip(" \0") for text in values_of(dataset[tag].value))
        except _UNREADABLE:
            continue
        texts = tuple(text for text in texts if text)
        group = "birth" if is_birth_item(tag, dataset) else _group(tag, vr, sequence)
        if group in _UIDS:
            texts = tuple(text for text in texts if not is_well_known(text))
        if group and texts:
            yield group, where, texts
        if vr in TEXT_VRS:
            contacts = tuple(
                match[0] for text in texts for each in _CONTACTS for match in each.finditer(text)
            )
            if contacts:
                yield "contact", "", contacts


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    read = raw_vr(dataset, tag)
    vr = None if tag.is_private else known_vr(tag, read)
    if vr == "SQ" or read in {None, "UN", "SQ"}:
        # pydicom knows private attributes, and sequences that are encoded as UN.
        element = dataset.get_item(tag)
        unread = isinstance(element, RawDataElement) and element.value is None
        return "UN" if unread else str(dataset[tag].VR)
    return vr or str(read)


def _group(tag: BaseTag, vr: str, sequence: str) -> str:
    """Return of what a value tells; empty if of nobody."""
    keyword = "" if tag.is_private else _keyword(tag)
    if keyword in _CODES:
        return _CODES_OF.get(sequence, "")
    if keyword in _BIRTH:
        return "birth"
    if keyword in _DEVICE_UIDS:
        return "device uid"
    if keyword in _DEVICE_DATES:
        return "device date"
    if vr == "UI" and keyword and not is_of_instance(tag):
        return ""
    return _BY_VR.get(vr) or load_identifying().get(keyword, "")


def _keyword(tag: BaseTag) -> str:
    try:
        return dictionary_keyword(tag)
    except KeyError:
        return ""
