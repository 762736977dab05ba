"""SR documents: what is said of the document as a whole, and its content (PS3.3 C.17.2, C.17.3)."""

import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

from attrs import define, field

from pacs_core.dataset import ElementSet, tag_of
from pacs_core.sr.content import ContentItem, Reference, code_of, items_of, text_of
from pacs_core.sr.values import (
    references_of,
    show_date,
    show_moment,
    show_name,
    show_time,
    value_of,
)

_ROOT: Final = "1.2.840.10008.5.1.4.1.1.88."
_TARGET: Final = tag_of("ReferencedContentItemIdentifier")
_STATES: Final = ("complete", "partial", "preliminary", "final", "verified", "unverified")


def is_sr_class(sop_class_uid: str) -> bool:
    """Tell whether a SOP class is one of SR documents, Key Object Selection among them."""
    return sop_class_uid.startswith(_ROOT)


@define(slots=False)
class SRDocument:
    """An SR document.

    Attributes
    ----------
    root : ContentItem
    states : tuple of str
        Such as ``complete`` and ``unverified``, as far as it says (PS3.3 C.17.2).
    facts : tuple of (str, str)
        What else is known of the document as a whole: a name in English, and a value.
    is_whole : bool
        Whether all of its content is there; else it was too much.
    """

    root: ContentItem
    states: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    is_whole: bool = True
    fallback: str = field(default="", repr=False)

    @property
    def title(self) -> str:
        """Its title; that of its series if it has none."""
        return str(self.root.name) or self.fallback

    @cached_property
    def targets(self) -> Mapping[str, ContentItem]:
        """Items to which others refer, by their numbers."""
        wanted = {item.target for item in self.root.walk() if item.target}
        if not wanted:
            return {}
        return {item.number: item for item in self.root.walk() if item.number in wanted}


def read_document(elements: ElementSet, most: int = sys.maxsize) -> SRDocument | None:
    """Return the SR document that a dataset is; None if it is none.

    Parameters
    ----------
    elements : ElementSet
    most : int
        Content items that are read.
    """
    is_report = is_sr_class(text_of(elements, "SOPClassUID"))
    if not is_report and text_of(elements, "ValueType") != "CONTAINER":
        return None
    reader = _ContentReader(most)
    root = reader.read(elements, "1")
    flags = ("CompletionFlag", "PreliminaryFlag", "VerificationFlag")
    said = (text_of(elements, each).strip().lower() for each in flags)
    states = tuple(each for each in said if each in _STATES)
    series = text_of(elements, "SeriesDescription")
    return SRDocument(root, states, tuple(_facts(elements)), not reader.is_cut, series)


class _ContentReader:
    """Reads content items, up to a number; how deep they are is limited where bytes are read."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.is_cut = False

    def read(self, elements: ElementSet, number: str) -> ContentItem:
        kind = text_of(elements, "ValueType")
        value, target = value_of(elements, kind), ""
        references: tuple[Reference, ...] = ()
        if not kind and (place := elements.texts(_TARGET)):
            target = ".".join(place)
            value = f"see {target}"
        elif kind != "CONTAINER":
            references = tuple(references_of(elements))
        measured = items_of(elements, "MeasuredValueSequence")[:1]
        return ContentItem(
            number,
            text_of(elements, "RelationshipType"),
            kind,
            code_of(elements, "ConceptNameCodeSequence"),
            value,
            code_of(measured[0], "MeasurementUnitsCodeSequence")
            if measured
            else code_of(elements, "ConceptCodeSequence"),
            code_of(elements, "NumericValueQualifierCodeSequence"),
            references,
            target,
            elements,
            tuple(self._below(elements, number)),
        )

    def _below(self, elements: ElementSet, number: str) -> Iterator[ContentItem]:
        for count, item in enumerate(items_of(elements, "ContentSequence"), 1):
            if not self._left:
                self.is_cut = True
                return
            self._left -= 1
            yield self.read(item, f"{number}.{count}")


def _facts(elements: ElementSet) -> Iterator[tuple[str, str]]:
    def said(*keywords: str) -> str:
        return ", ".join(filter(None, (text_of(elements, each) for each in keywords)))

    birth_date = show_date(text_of(elements, "PatientBirthDate"))
    moment = (
        show_date(text_of(elements, "ContentDate")),
        show_time(text_of(elements, "ContentTime")),
    )
    study = (show_date(text_of(elements, "StudyDate")), said("StudyDescription"))
    facts = (
        ("Patient", show_name(said("PatientName"))),
        ("Patient ID", said("PatientID")),
        ("Birth date", birth_date),
        ("Sex", said("PatientSex")),
        ("Study", " ".join(filter(None, study))),
        ("Accession number", said("AccessionNumber")),
        ("Date", " ".join(filter(None, moment))),
        *(("Verified by", who) for who in _verifiers(elements)),
        ("Institution", said("InstitutionName")),
        ("Manufacturer", said("Manufacturer", "ManufacturerModelName")),
    )
    return (fact for fact in facts if fact[1])


def _verifiers(elements: ElementSet) -> Iterator[str]:
    for observer in items_of(elements, "VerifyingObserverSequence"):
        parts = (
            show_name(text_of(observer, "VerifyingObserverName")),
            text_of(observer, "VerifyingOrganization"),
            show_moment(text_of(observer, "VerificationDateTime")),
        )
        yield ", ".join(filter(None, parts))
