"""Attributes that say that and how an instance was de-identified (PS3.15 E.1.1, steps 9 to 11)."""

from typing import Final

from pydicom.dataset import Dataset

from pacs_deidentify.attributes import values_of
from pacs_deidentify.options import BASIC_PROFILE, METHOD_CODES, MethodCode, Option
from pacs_deidentify.profile import Profile

_TEMPORAL: Final = {
    Option.RETAIN_FULL_DATES: "UNMODIFIED",
    Option.RETAIN_MODIFIED_DATES: "MODIFIED",
}

_CHANGES: Final = ("REMOVED", "MODIFIED", "UNMODIFIED")
"""What was done to dates (PS3.3 C.12.1), that which changes most first."""

_SCHEME: Final = "DCM"
_BLANKED: Final = MethodCode("113047", "Pixel by pixel mask")
"""Of CID 7203, Image Derivation."""


def mark(dataset: Dataset, profile: Profile, edition: str) -> None:
    """Write them into a dataset, after what it says of earlier steps (PS3.3 C.7.1.1).

    Parameters
    ----------
    dataset : Dataset
    profile : Profile
    edition : str
        Of the standard.
    """
    codes = [BASIC_PROFILE, *(METHOD_CODES[each] for each in Option if each in profile.options)]
    dataset.PatientIdentityRemoved = "YES"
    methods = [
        *values_of(dataset.get("DeidentificationMethod")),
        f"PS3.15 {edition} Annex E, {profile.name}"[:64],
        *(code.meaning[:64] for code in codes),
    ]
    dataset.DeidentificationMethod = list(dict.fromkeys(methods))
    earlier = dataset.get("DeidentificationMethodCodeSequence", None) or ()
    known = {
        str(item.get("CodeValue", ""))
        for item in earlier
        if item.get("CodingSchemeDesignator", "") == _SCHEME
    }
    dataset.DeidentificationMethodCodeSequence = [
        *earlier,
        *(_item(code) for code in codes if code.value not in known),
    ]
    temporal = (_TEMPORAL[option] for option in profile.options if option in _TEMPORAL)
    # Dates that were moved or removed before are not what they were.
    before = str(dataset.get("LongitudinalTemporalInformationModified", ""))
    said = {next(temporal, "REMOVED"), before}
    dataset.LongitudinalTemporalInformationModified = next(
        each for each in _CHANGES if each in said
    )


def mark_derived(dataset: Dataset, *, texts: bool, face: bool) -> None:
    """Write into a dataset that pixels of its image were replaced (PS3.3 C.7.6.1.1.2 and .3).

    Parameters
    ----------
    dataset : Dataset
    texts, face : bool
        Whether regions that may have text, and a face, were.
    """
    dataset.ImageType = ["DERIVED", *list(dataset.get("ImageType", None) or ("", "PRIMARY"))[1:]]
    done = ["Regions that may have burnt-in text are blanked"] if texts else []
    done += ["The face is removed"] if face else []
    dataset.DerivationDescription = "; ".join(done)
    codes = [each for each in dataset.get("DerivationCodeSequence", ()) if "CodeValue" in each]
    if _BLANKED.value not in [each.CodeValue for each in codes]:
        dataset.DerivationCodeSequence = [*codes, _item(_BLANKED)]


def _item(code: MethodCode) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, _SCHEME
    item.CodeMeaning = code.meaning
    return item
