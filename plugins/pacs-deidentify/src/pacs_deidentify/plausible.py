"""Values that cannot be what their attribute says: damage that has swallowed what follows them."""

import re
from typing import Final

from pydicom.datadict import dictionary_VM
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import VR

from pacs_deidentify.attributes import values_of
from pacs_deidentify.text import LONG, TextCleaner

# Theory of operation
#
# An element with a wrong length may hold whole elements that follow it, names and all, which then
# nobody finds by their tags. Text, codes and numbers have no zero bytes or control characters, as
# the header of each element has; numbers have no more values than the dictionary allows. What is
# binary by nature cannot be judged so, and is searched for what is known to be identifying.

_DELIMITER: Final = "\\"
_CODES: Final = frozenset({"AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
_VRS: Final = frozenset(VR)
_TEXTS: Final = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBERS: Final = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_PIXELS: Final = frozenset({0x7FE0_0008, 0x7FE0_0009, 0x7FE0_0010})
_NOT_CODE: Final = re.compile(rb"[^ -~]")
_NOT_TEXT: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def is_plausible(dataset: Dataset, tag: BaseTag, vr: str, cleaner: TextCleaner | None) -> bool:
    """Whether an element may be what its attribute says.

    Parameters
    ----------
    dataset : Dataset
    tag : BaseTag
        Of an element that is no sequence.
    vr : str
        Of the attribute.
    cleaner : TextCleaner or None
        Knows what is identifying; None if that is taken out later, or kept.
    """
    raw = dataset.get_item(tag)
    if not raw.value:
        return True
    if raw.VR is not None and raw.VR not in _VRS:
        return False
    read = str(raw.VR or vr)
    # Private elements are converted as they are read.
    text = raw.value if isinstance(raw.value, bytes) else _DELIMITER.join(values_of(raw.value))
    value = (text if isinstance(text, bytes) else text.encode()).rstrip(b"\0 ")
    if read in _TEXTS:
        return not _NOT_TEXT.search(value)
    # What is unknown may be a sequence that nobody has looked into.
    if cleaner and tag not in _PIXELS and cleaner.holds(value, 1 if read == "UN" else LONG):
        return False
    if cleaner and read == "CS" and cleaner.names(value):
        return False
    if read in _CODES:
        return not _NOT_CODE.search(value)
    return read not in _NUMBERS or _has_room(tag, dataset[tag].VM)


def _has_room(tag: BaseTag, count: int) -> bool:
    if tag.is_private:
        return True
    most = dictionary_VM(tag).rpartition("-")[2]
    return not most.isdigit() or count <= int(most)
