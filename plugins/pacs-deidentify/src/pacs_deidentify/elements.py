"""Elements of a dataset that is made: kept, cleaned, emptied or replaced (PS3.15 Table E.1-1a)."""

import re
import struct
from collections.abc import Collection
from enum import Enum, auto
from typing import Any, Final

from pydicom.dataelem import DataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs_deidentify.actions import Action, choose
from pacs_deidentify.ages import cap_age, cap_age_of_item
from pacs_deidentify.attributes import (
    MOST,
    TEXT_VRS,
    is_public_code,
    is_well_known,
    raw_vr,
    tag_text,
    values_of,
)
from pacs_deidentify.dummies import DUMMIES, EMPTY_DOCUMENTS
from pacs_deidentify.icc import clean_profile
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.report import Report
from pacs_deidentify.tables import load_profile
from pacs_deidentify.temporal import is_time, shift_date
from pacs_deidentify.text import TextCleaner

_PATIENT_NAME: Final = 0x0010_0010
_PATIENT_ID: Final = 0x0010_0020
_DOCUMENT: Final = 0x0042_0011
_MEASURED: Final = 0x0040_A300
_ICC_PROFILE: Final = 0x0028_2000
UNREADABLE: Final = (
    AttributeError, IndexError, KeyError, LookupError, NotImplementedError, OverflowError,
    struct.error, TypeError, ValueError,
)  # fmt: skip
"""What pydicom raises for values that are damaged."""


class Mode(Enum):
    """How text is treated that the table says nothing of."""

    SWEEP = auto()
    CLEAN = auto()
    """Within a sequence that is cleaned."""
    REPLACE = auto()
    """Within a sequence that is replaced by a dummy."""


class ElementMaker:
    """Makes elements of a dataset, and notes down what was done.

    Parameters
    ----------
    profile : Profile
    report : Report
        Gets the changes and warnings.
    patient : str
        Who the dataset is of, see :func:`patient_of`.
    known : collection of str
        What is known to identify somebody, and is taken out of text.
    names : collection of str
        Names of two letters, as they are written in text.

    Attributes
    ----------
    cleaner : TextCleaner
    """

    def __init__(
        self, profile: Profile, report: Report, patient: str, known: Collection[str],
        names: Collection[str],
    ) -> None:  # fmt: skip
        self._profile, self._report, self._patient = profile, report, patient
        self._table = load_profile()
        self._retains_uids = Option.RETAIN_UIDS in profile.options
        self._shift = profile.pseudonyms.shift(patient, profile.max_shift)
        short = re.compile(rf"(?<![^\W\d_])(?:{'|'.join(sorted(names))})(?![^\W\d_])")
        patterns = (*profile.patterns, short) if names else profile.patterns
        self.cleaner = TextCleaner(known, self.uid, patterns, profile.oldest_age)

    def retain(
        self, source: Dataset, tag: BaseTag, where: str, vr: str, mode: Mode | None, made: Dataset
    ) -> None:
        """Keep an element; text that nobody decided to keep is swept, cleaned or replaced."""
        read = raw_vr(source, tag)
        if tag == _ICC_PROFILE and isinstance(source[tag].value, bytes):
            made[tag] = DataElement(tag, vr, clean_profile(source[tag].value))
            return
        if vr == "AS" and self._profile.oldest_age:
            self._cap_age(source, tag, where, made)
            return
        if mode is None or not {vr, read} & TEXT_VRS:
            made[tag] = source.get_item(tag)
            return
        if mode is Mode.REPLACE:
            self.replace(source, tag, where, vr, Action.DUMMY, made)
            return
        # A code of a public scheme is the number of a concept, and of nobody.
        cleans = mode is Mode.CLEAN and not is_public_code(source, tag)
        clean = self.cleaner.clean if cleans else self.cleaner.sweep
        self._map(source, tag, where, vr, clean, made)

    def _cap_age(self, source: Dataset, tag: BaseTag, where: str, made: Dataset) -> None:
        """Keep an age, unless it is above the limit, or none at all."""
        texts = values_of(source[tag].value)
        capped = [cap_age(text, self._profile.oldest_age) for text in texts]
        if capped == texts:
            made[tag] = source.get_item(tag)
        elif None in capped:
            self._report.changes.append((where, Action.REMOVE))
            self._report.warnings.append(f"{where} is no age; it is removed")
        else:
            made[tag] = DataElement(tag, "AS", capped)
            self._report.changes.append((where, Action.CLEAN))

    def cap_age_of_item(self, made: Dataset, path: str) -> None:
        """Change an item that was made, if it is a content item with an age above the limit."""
        oldest = self._profile.oldest_age
        try:
            if oldest and cap_age_of_item(made, oldest):
                self._report.changes.append((f"{path}{tag_text(_MEASURED)}", Action.CLEAN))
        except UNREADABLE:
            for keyword in ("MeasuredValueSequence", "NumericValue"):
                if keyword in made:
                    del made[keyword]
            self._report.changes.append((f"{path}{tag_text(_MEASURED)}", Action.REMOVE))

    def clean(
        self, source: Dataset, tag: BaseTag, parent: int, where: str, vr: str, made: Dataset
    ) -> None:
        """Keep of an element what identifies nobody: a date moved, text cleaned."""
        if vr == "TM":  # dates move by whole days
            if all(map(is_time, values_of(source[tag].value))):
                made[tag] = source.get_item(tag)
            else:
                self._by_type(source, tag, parent, where, vr, made)
        elif vr in {"DA", "DT"}:
            moved = [shift_date(text, self._shift) for text in values_of(source[tag].value)]
            if None not in moved:
                made[tag] = DataElement(tag, vr, moved or None)
                self._report.changes.append((where, Action.CLEAN))
                return
            self._by_type(source, tag, parent, where, vr, made)
        elif vr == "PN" or vr not in TEXT_VRS or tag == 0x0008_0201:
            # Timezone Offset From UTC tells a place; names have no part that is not one.
            self._by_type(source, tag, parent, where, vr, made)
        else:
            self._map(source, tag, where, vr, self.cleaner.clean, made)

    def _by_type(
        self, source: Dataset, tag: BaseTag, parent: int, where: str, vr: str, made: Dataset
    ) -> None:
        row = self._table.find(tag)
        action = choose(row.basic if row else "X", tag, parent, self._report.sop_class_uid)
        if action is Action.REMOVE:
            self._report.changes.append((where, action))
        else:
            self.replace(source, tag, where, vr, action, made)

    def _map(
        self, source: Dataset, tag: BaseTag, where: str, vr: str, clean: Any, made: Dataset
    ) -> None:
        element = source[tag]
        texts = values_of(element.value)
        cleaned = [clean(text) for text in texts]
        if cleaned == texts:
            made[tag] = source.get_item(tag)
            return
        self._report.changes.append((where, Action.CLEAN))
        written = str(element.VR)
        if written == "UR":
            cleaned = [DUMMIES["UR"]]
        made[tag] = DataElement(tag, written, [text[: MOST.get(written)] for text in cleaned])

    def replace(
        self, source: Dataset, tag: BaseTag, where: str, vr: str, action: Action, made: Dataset
    ) -> None:
        """Put in an empty value, a dummy, or another UID."""
        texts = [text.strip(" \0") for text in values_of(source[tag].value)]
        pseudonyms = self._profile.pseudonyms
        value: Any
        if vr == "UI" and action is not Action.EMPTY:
            value = [self.uid(text) if text else "" for text in texts]
            if value == texts:
                made[tag] = source.get_item(tag)
                return
        elif tag == _PATIENT_ID and texts:
            value = pseudonyms.identifier("patient", texts[0])
        elif tag == _PATIENT_NAME and texts:
            value = pseudonyms.identifier("patient", self._patient)
        elif action is Action.EMPTY or vr not in DUMMIES:
            value = empty_value_for_VR(vr)
        elif tag == _DOCUMENT:
            value = EMPTY_DOCUMENTS.get(
                str(source.get("MIMETypeOfEncapsulatedDocument", "")), b"\0\0"
            )
            made.EncapsulatedDocumentLength = len(value)
        else:
            value = DUMMIES[vr]
        self._report.changes.append((where, action))
        made[tag] = DataElement(tag, vr, value)

    def uid(self, uid: str) -> str:
        """Return what replaces a UID."""
        if self._retains_uids or is_well_known(uid):
            return uid
        replaced = self._profile.pseudonyms.uid(uid)
        self._report.uids[replaced] = uid
        return replaced
