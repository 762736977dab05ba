"""De-identification of a dataset: a function without input or output (PS3.15 Annex E)."""

import re
import struct
from collections.abc import Sequence as Seq
from enum import Enum, auto
from typing import Any, Final

from pydicom.dataelem import DataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from pacs_deidentify.actions import Action, choose
from pacs_deidentify.ages import cap_age, cap_age_of_item, find_old_ages, is_birth_date
from pacs_deidentify.attributes import (
    MOST,
    TEXT_VRS,
    is_public_code,
    is_well_known,
    known_vr,
    raw_vr,
    tag_text,
    values_of,
)
from pacs_deidentify.blanking import Removable, blank_pixels
from pacs_deidentify.dummies import DUMMIES, EMPTY_DOCUMENTS, no_content
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.evidence import gather_evidence
from pacs_deidentify.forms import short_names
from pacs_deidentify.icc import clean_profile
from pacs_deidentify.identifiers import find_identifiers, patient_of, pick_originals
from pacs_deidentify.marking import mark, mark_derived
from pacs_deidentify.options import Option
from pacs_deidentify.plausible import is_plausible
from pacs_deidentify.private import PrivateAttributes
from pacs_deidentify.profile import Profile
from pacs_deidentify.regions import Region
from pacs_deidentify.report import Report
from pacs_deidentify.risks import check_pixels
from pacs_deidentify.tables import load_profile, row_of_vr
from pacs_deidentify.temporal import is_time, shift_date
from pacs_deidentify.text import TextCleaner

# Theory of operation
#
# A new dataset is built. Each element is looked up in Table E.1-1, which gives one action with the
# options of the profile and the Type of the attribute. What is not there stays, but for these:
#
# - An attribute that the dictionary does not know goes, as do private ones that are not known to be
#   safe. A sequence that is none in the file goes too: nothing can be told about its content.
# - Names and dates go, whatever they are of. UIDs are replaced, but for those of the standard, and
#   for those that name classes, schemes and syntaxes.
# - All text that stays is swept: what the dataset itself says elsewhere of the patient, and of
#   others, is taken out of it. So is what has the form of a mail address and the like.
#
# An element that stays keeps its bytes; only what is changed is encoded anew.

_PATIENT_NAME: Final = 0x0010_0010
_PATIENT_ID: Final = 0x0010_0020
_DOCUMENT: Final = 0x0042_0011
_CONTENT: Final = 0x0040_A730
_MEASURED: Final = 0x0040_A300
_FIRST_GROUP: Final = 0x0008
_ICC_PROFILE: Final = 0x0028_2000
_OVERLAYS: Final = 0x6000_0000
_AFTER_OVERLAYS: Final = 0x6100_0000
_BIT_POSITION: Final = 0x0102
_BINARY: Final = frozenset({"OB", "OW", "UN"})
_RETAINING: Final = frozenset({None, Action.KEEP, Action.CLEAN})
_UNREADABLE: Final = (
    AttributeError, IndexError, KeyError, LookupError, NotImplementedError, OverflowError,
    struct.error, TypeError, ValueError,
)  # fmt: skip
"""What pydicom raises for values that are damaged."""


class _Mode(Enum):
    """How text is treated that the table says nothing of."""

    SWEEP = auto()
    CLEAN = auto()
    """Within a sequence that is cleaned."""
    REPLACE = auto()
    """Within a sequence that is replaced by a dummy."""


def deidentify(
    dataset: Dataset,
    profile: Profile,
    text: Seq[Region] | None = None,
    face: Removable | None = None,
) -> tuple[Dataset, Report]:
    """Return a de-identified copy of a dataset, and what was done.

    Parameters
    ----------
    dataset : Dataset
        Without file meta information, which is made anew with a file. It may be without Pixel
        Data, too: the caller then blanks ``report.regions``.
    profile : Profile
    text : sequence of Region, optional
        Where text was found in its pixels, by who has looked.
    face : Removable, optional
        What of it is a face, by who has looked: it is replaced.

    Returns
    -------
    Dataset
        In the encoding of the given one.
    Report

    Raises
    ------
    DeidentificationError
        It is not safe to let it out: text is burnt in that is not to be cleaned or cannot be, or a
        face may be recognized.
    """
    return _Deidentification(dataset, profile, text, face).run()


class _Deidentification:
    def __init__(
        self, dataset: Dataset, profile: Profile, text: Seq[Region] | None, face: Removable | None
    ) -> None:
        self._dataset = dataset
        self._text = text
        self._profile = profile
        self._table = load_profile()
        self._sop_class = str(dataset.get("SOPClassUID", ""))
        self._report = Report(self._sop_class, face=face)
        self._retains_uids = Option.RETAIN_UIDS in profile.options
        try:
            evidence = gather_evidence(dataset, profile.options, profile.oldest_age)
            self._is_old = any(find_old_ages(dataset, profile.oldest_age))
            identifiers = find_identifiers(dataset, profile.options)
            self._patient = patient_of(dataset)
            self._report.attributes = pick_originals(dataset)
        except _UNREADABLE as error:
            raise DeidentificationError(f"it cannot be read: {type(error).__name__}") from error
        self._report.evidence = evidence
        known = identifiers | evidence.texts() | evidence.dates()
        names = {short for name in evidence.groups.get("person", ()) for short in short_names(name)}
        short = re.compile(rf"(?<![^\W\d_])(?:{'|'.join(sorted(names))})(?![^\W\d_])")
        patterns = (*profile.patterns, short) if names else profile.patterns
        self._cleaner = TextCleaner(known, self._uid, patterns, profile.oldest_age)
        self._shift = profile.pseudonyms.shift(self._patient, profile.max_shift)
        self._private = PrivateAttributes(profile)

    def run(self) -> tuple[Dataset, Report]:
        self._check_pixels()
        made = self._walk(self._dataset, 0, "", _Mode.SWEEP)
        mark(made, self._profile, self._table.edition)
        if Option.CLEAN_VISUAL_FEATURES in self._profile.options and "Rows" in made:
            made.RecognizableVisualFeatures = "NO"
        if self._report.regions is not None:
            made.BurnedInAnnotation = "NO"
        elif made.get("BurnedInAnnotation", "") == "YES":
            # It is removed from attributes, but YES is about pixels, too (PS3.3 C.7.1.1).
            made.PatientIdentityRemoved = "NO"
        regions, face = self._report.regions or (), self._report.face
        if regions or face:
            mark_derived(made, texts=bool(regions), face=face is not None)
        if "PixelData" in made and self._report.changes_pixels:
            clears = self._report.clears_unused
            blank_pixels(made, regions, clears_unused=clears, face=face)
        self._report.sop_instance_uid = str(made.get("SOPInstanceUID", ""))
        return made, self._report

    def _check_pixels(self) -> None:
        dataset = self._dataset
        self._report.clears_unused = any(
            tag.element == _BIT_POSITION
            and dataset[tag].value
            and (tag.group, 0x3000) not in dataset
            and not self._keeps_overlay(dataset, tag)
            for tag in dataset.keys()  # noqa: SIM118 iteration would convert each element
            if _OVERLAYS <= tag < _AFTER_OVERLAYS
        )
        check_pixels(dataset, self._profile, self._report, self._text)

    def _walk(self, source: Dataset, parent: int, path: str, mode: _Mode) -> Dataset:
        made = Dataset()
        # The encoding in which unchanged elements are copied, and others are written.
        is_implicit, is_little = source.original_encoding
        made.set_original_encoding(is_implicit, is_little, source.original_character_set)
        for tag in sorted(source.keys()):
            if tag.element == 0:  # group lengths (PS3.5 §7.2) would be wrong
                continue
            where = f"{path}{tag_text(tag)}"
            try:
                self._convert(source, tag, parent, where, mode, made)
            except DeidentificationError:
                raise
            except _UNREADABLE:
                self._report.changes.append((where, Action.REMOVE))
                self._report.warnings.append(f"{where} cannot be read; it is removed")
        self._private.drop_creators(made)
        self._cap_age_of_item(made, path)
        return made

    def _convert(
        self, source: Dataset, tag: BaseTag, parent: int, where: str, mode: _Mode, made: Dataset
    ) -> None:
        """Put into the dataset that is made what becomes of an element."""
        if tag.is_private:
            if not self._private.keeps(source, tag):
                self._report.changes.append((where, Action.REMOVE))
                return
            element = source[tag]
            vr, action = str(element.VR), Action.REPLACE_UID if element.VR == "UI" else None
        else:
            known = known_vr(tag, raw_vr(source, tag))
            vr = known or "UN"
            action = self._action(source, tag, parent, known)
        if action is Action.REMOVE:
            self._report.changes.append((where, action))
            return
        if vr == "SQ":
            self._sequence(source, tag, where, mode, action, made)
            return
        # What is kept or cleaned may have what others have, too, unless it is binary.
        cleaner = self._cleaner if action is None or vr in _BINARY else None
        if action in _RETAINING and not is_plausible(source, tag, vr, cleaner):
            self._report.changes.append((where, Action.REMOVE))
            self._report.warnings.append(f"{where} is not what it says; it is removed")
            return
        if action is Action.CLEAN:
            self._clean(source, tag, parent, where, vr, made)
            return
        if action is None or action is Action.KEEP:
            self._retain(source, tag, where, vr, mode if action is None else None, made)
            return
        self._replace(source, tag, where, vr, action, made)

    def _action(self, source: Dataset, tag: BaseTag, parent: int, vr: str | None) -> Action | None:
        """Return what is done to a standard attribute; None if it is not in the table."""
        # Attributes of commands, File Meta Information and directories are of no dataset.
        if tag in self._profile.remove or vr is None or tag.group < _FIRST_GROUP:
            return Action.REMOVE
        is_birth = is_birth_date(tag, source)
        if tag in self._profile.keep and not (is_birth and self._is_old):
            return Action.KEEP
        options = self._profile.options
        if _OVERLAYS <= tag < _AFTER_OVERLAYS:
            return None if self._keeps_overlay(source, tag) else Action.REMOVE
        row = self._table.find(tag) or row_of_vr(tag, vr)
        if row is None:
            return None
        # A birth date in a content item is one, whatever is done with other dates.
        options = options & row.options.keys() if not is_birth else frozenset()
        chosen = {option: row.options[option] for option in options}
        moves = Option.RETAIN_MODIFIED_DATES in chosen and vr in {"DA", "DT"}
        # A date that a device keeps would tell by how much the others have moved.
        if "K" in chosen.values() and not moves:
            return Action.KEEP
        if "C" in chosen.values() and vr not in _BINARY:
            return Action.CLEAN
        return choose(row.basic, tag, parent, self._sop_class)

    def _keeps_overlay(self, source: Dataset, tag: BaseTag) -> bool:
        # Pictures of text cannot be read here, so that only regions of interest are kept.
        kind = source.get((tag.group, 0x0040))
        is_region = kind is not None and kind.value == "R"
        return is_region and Option.CLEAN_GRAPHICS in self._profile.options

    def _sequence(
        self, source: Dataset, tag: BaseTag, where: str, mode: _Mode, action: Action | None,
        made: Dataset,
    ) -> None:  # fmt: skip
        element = source[tag]
        if element.VR != "SQ" or action is Action.EMPTY:
            changed = Action.EMPTY if element.VR == "SQ" else Action.REMOVE
            self._report.changes.append((where, changed))
            if changed is Action.EMPTY:
                made[tag] = DataElement(tag, "SQ", Sequence())
            return
        if action in {Action.CLEAN, Action.DUMMY}:
            self._report.changes.append((where, action))
            mode = _Mode.CLEAN if action is Action.CLEAN else _Mode.REPLACE
        if action is Action.DUMMY and tag == _CONTENT:
            made[tag] = DataElement(tag, "SQ", Sequence([no_content()]))
            return
        items = [
            self._walk(item, tag, f"{where}[{number}].", mode)
            for number, item in enumerate(element.value)
        ]
        made[tag] = DataElement(tag, "SQ", Sequence(items))

    def _retain(
        self, source: Dataset, tag: BaseTag, where: str, vr: str, mode: _Mode | None, made: Dataset
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
        if mode is _Mode.REPLACE:
            self._replace(source, tag, where, vr, Action.DUMMY, made)
            return
        # A code of a public scheme is the number of a concept, and of nobody.
        cleans = mode is _Mode.CLEAN and not is_public_code(source, tag)
        clean = self._cleaner.clean if cleans else self._cleaner.sweep
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

    def _cap_age_of_item(self, made: Dataset, path: str) -> None:
        oldest = self._profile.oldest_age
        try:
            if oldest and cap_age_of_item(made, oldest):
                self._report.changes.append((f"{path}{tag_text(_MEASURED)}", Action.CLEAN))
        except _UNREADABLE:
            for keyword in ("MeasuredValueSequence", "NumericValue"):
                if keyword in made:
                    del made[keyword]
            self._report.changes.append((f"{path}{tag_text(_MEASURED)}", Action.REMOVE))

    def _clean(
        self, source: Dataset, tag: BaseTag, parent: int, where: str, vr: str, made: Dataset
    ) -> None:
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
            self._map(source, tag, where, vr, self._cleaner.clean, made)

    def _by_type(
        self, source: Dataset, tag: BaseTag, parent: int, where: str, vr: str, made: Dataset
    ) -> None:
        row = self._table.find(tag)
        action = choose(row.basic if row else "X", tag, parent, self._sop_class)
        if action is Action.REMOVE:
            self._report.changes.append((where, action))
        else:
            self._replace(source, tag, where, vr, action, made)

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

    def _replace(
        self, source: Dataset, tag: BaseTag, where: str, vr: str, action: Action, made: Dataset
    ) -> None:
        """Put in an empty value, a dummy, or another UID."""
        texts = [text.strip(" \0") for text in values_of(source[tag].value)]
        pseudonyms = self._profile.pseudonyms
        value: Any
        if vr == "UI" and action is not Action.EMPTY:
            value = [self._uid(text) if text else "" for text in texts]
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

    def _uid(self, uid: str) -> str:
        if self._retains_uids or is_well_known(uid):
            return uid
        replaced = self._profile.pseudonyms.uid(uid)
        self._report.uids[replaced] = uid
        return replaced
