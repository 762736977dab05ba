"""De-identification of a dataset: a function without input or output (PS3.15 Annex E)."""

from collections.abc import Sequence as Seq
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from pacs_deidentify.actions import Action, choose
from pacs_deidentify.ages import find_old_ages, is_birth_date
from pacs_deidentify.attributes import known_vr, raw_vr, tag_text
from pacs_deidentify.blanking import Removable, blank_pixels
from pacs_deidentify.dummies import no_content
from pacs_deidentify.elements import UNREADABLE, ElementMaker, Mode
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.evidence import gather_evidence
from pacs_deidentify.forms import short_names
from pacs_deidentify.identifiers import find_identifiers, patient_of, pick_originals
from pacs_deidentify.marking import mark, mark_derived
from pacs_deidentify.options import Option
from pacs_deidentify.plausible import is_plausible
from pacs_deidentify.private import PrivateAttributes
from pacs_deidentify.profile import Profile
from pacs_deidentify.regions import Region
from pacs_deidentify.report import Report
from pacs_deidentify.risks import check_pixels, check_sound
from pacs_deidentify.tables import load_profile, row_of_vr

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

_CONTENT: Final = 0x0040_A730
_FIRST_GROUP: Final = 0x0008
_OVERLAYS: Final = 0x6000_0000
_AFTER_OVERLAYS: Final = 0x6100_0000
_BIT_POSITION: Final = 0x0102
_BINARY: Final = frozenset({"OB", "OW", "UN"})
_RETAINING: Final = frozenset({None, Action.KEEP, Action.CLEAN})


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
        try:
            evidence = gather_evidence(dataset, profile.options, profile.oldest_age)
            self._is_old = any(find_old_ages(dataset, profile.oldest_age))
            identifiers = find_identifiers(dataset, profile.options)
            patient = patient_of(dataset)
            self._report.attributes = pick_originals(dataset)
        except UNREADABLE as error:
            raise DeidentificationError(f"it cannot be read: {type(error).__name__}") from error
        self._report.evidence = evidence
        known = identifiers | evidence.texts() | evidence.dates()
        names = {short for name in evidence.groups.get("person", ()) for short in short_names(name)}
        self._elements = ElementMaker(profile, self._report, patient, known, names)
        self._private = PrivateAttributes(profile)

    def run(self) -> tuple[Dataset, Report]:
        self._check_risks()
        made = self._walk(self._dataset, 0, "", Mode.SWEEP)
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

    def _check_risks(self) -> None:
        dataset = self._dataset
        self._report.clears_unused = any(
            tag.element == _BIT_POSITION
            and dataset[tag].value
            and (tag.group, 0x3000) not in dataset
            and not self._keeps_overlay(dataset, tag)
            for tag in dataset.keys()  # noqa: SIM118 iteration would convert each element
            if _OVERLAYS <= tag < _AFTER_OVERLAYS
        )
        check_sound(dataset, self._profile)
        check_pixels(dataset, self._profile, self._report, self._text)

    def _walk(self, source: Dataset, parent: int, path: str, mode: Mode) -> Dataset:
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
            except UNREADABLE:
                self._report.changes.append((where, Action.REMOVE))
                self._report.warnings.append(f"{where} cannot be read; it is removed")
        self._private.drop_creators(made)
        self._elements.cap_age_of_item(made, path)
        return made

    def _convert(
        self, source: Dataset, tag: BaseTag, parent: int, where: str, mode: Mode, made: Dataset
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
        cleaner = self._elements.cleaner if action is None or vr in _BINARY else None
        if action in _RETAINING and not is_plausible(source, tag, vr, cleaner):
            self._report.changes.append((where, Action.REMOVE))
            self._report.warnings.append(f"{where} is not what it says; it is removed")
            return
        if action is Action.CLEAN:
            self._elements.clean(source, tag, parent, where, vr, made)
            return
        if action is None or action is Action.KEEP:
            self._elements.retain(source, tag, where, vr, mode if action is None else None, made)
            return
        self._elements.replace(source, tag, where, vr, action, made)

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
        self, source: Dataset, tag: BaseTag, where: str, mode: Mode, action: Action | None,
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
            mode = Mode.CLEAN if action is Action.CLEAN else Mode.REPLACE
        if action is Action.DUMMY and tag == _CONTENT:
            made[tag] = DataElement(tag, "SQ", Sequence([no_content()]))
            return
        items = [
            self._walk(item, tag, f"{where}[{number}].", mode)
            for number, item in enumerate(element.value)
        ]
        made[tag] = DataElement(tag, "SQ", Sequence(items))
