"""Attributes that say that and how an instance was de-identified (PS3.15 E.1.1, steps 9 to 11)."""

from typing import Final

from pydicom.dataset import Dataset

from pacs_deidentify.options import BASIC_PROFILE, METHOD_CODES, MethodCode, Option
from pacs_deidentify.profile import Profile

_TEMPORAL: Final = {
    Option.RETAIN_FULL_DATES: "UNMODIFIED",
    Option.RETAIN_MODIFIED_DATES: "MODIFIED",
}


def mark(dataset: Dataset, profile: Profile, edition: str) -> None:
    """Write them into a dataset.

    Parameters
    ----------
    dataset : Dataset
    profile : Profile
    edition : str
        Of the standard.
    """
    codes = [BASIC_PROFILE, *(METHOD_CODES[each] for each in Option if each in profile.options)]
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [
        f"PS3.15 {edition} Annex E, {profile.name}"[:64],
        *(code.meaning[:64] for code in codes),
    ]
    dataset.DeidentificationMethodCodeSequence = [_item(code) for code in codes]
    temporal = (_TEMPORAL[option] for option in profile.options if option in _TEMPORAL)
    dataset.LongitudinalTemporalInformationModified = next(temporal, "REMOVED")


def _item(code: MethodCode) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, "DCM"
    item.CodeMeaning = code.meaning
    return item
