"""De-identified datasets with what a vault knows put back."""

from collections.abc import Mapping

from pydicom.dataset import Dataset

from pacs_deidentify.attributes import raw_vr, values_of
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.identifiers import RESTORED
from pacs_deidentify.vault import Identifiers


def reidentify(dataset: Dataset, identifiers: Identifiers) -> Dataset:
    """Put back who a dataset is of, and its UIDs, in sequences as well.

    Parameters
    ----------
    dataset : Dataset
        It is changed.
    identifiers : Identifiers

    Raises
    ------
    DeidentificationError
        It is not known whose it is.
    """
    study, instance = (
        str(dataset.get(keyword, "") or "") for keyword in ("StudyInstanceUID", "SOPInstanceUID")
    )
    attributes = identifiers.find(study, instance)
    if attributes is None:
        raise DeidentificationError("the vault does not say whose it is")
    for keyword in RESTORED:
        if keyword in attributes:
            setattr(dataset, keyword, attributes[keyword])
        elif keyword in dataset:
            delattr(dataset, keyword)
    _restore_uids(dataset, identifiers.uids)
    # What else was removed stays so, and the method of that is still told (PS3.3 C.7.1.1).
    dataset.PatientIdentityRemoved = "NO"
    return dataset


def _restore_uids(dataset: Dataset, uids: Mapping[str, str]) -> None:
    for tag in list(dataset.keys()):
        vr = raw_vr(dataset, tag)
        if vr == "UI" or (vr in {None, "UN"} and dataset[tag].VR == "UI"):
            texts = values_of(dataset[tag].value)
            if any(text in uids for text in texts):
                dataset[tag].value = [uids.get(text, text) for text in texts]
        elif dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                _restore_uids(item, uids)
