"""Values of HL7 as values of DICOM: what a modality gets must be what its VR allows (PS3.5 6.2).

What describes something for people is made to fit: control characters become spaces, a backslash,
which would separate values, a slash, and what is too long is cut. What identifies something is not:
cut, it would be another's. So a message that has it too long is refused, and says why.
"""

import re
from typing import Final

from pacs_core.dataset import tag_of, vr_of
from pacs_core.dimse import is_valid_uid
from pacs_hl7.messages import Fault, MessageError

_LONGEST: Final = {"AE": 16, "CS": 16, "LO": 64, "PN": 64, "SH": 16, "ST": 1024, "LT": 10240}
"""Characters; of PN each group."""
_FOR_PEOPLE: Final = re.compile(r"Description$|Comments$|^Reason")


def fit(keyword: str, text: str) -> str:
    """Return a value of an attribute.

    Raises
    ------
    MessageError
        It identifies something, and cannot be a value of that.
    """
    vr = vr_of(tag_of(keyword))
    is_for_people = vr == "PN" or _FOR_PEOPLE.search(keyword)
    longest = _LONGEST.get(vr, 1 << 20)
    if is_for_people:
        text = "".join(each if each.isprintable() else " " for each in text).replace("\\", "/")
        text = re.sub(" +", " ", text).strip()
        return "=".join(group[:longest].rstrip() for group in text.split("="))
    text = text.upper() if vr == "CS" else text
    if vr == "UI" and not is_valid_uid(text):
        raise MessageError(f"{keyword} is {text[:80]!r}, which is no UID", Fault.DATA_TYPE)
    if not text.isprintable() or "\\" in text:
        raise MessageError(
            f"{keyword} is {text[:80]!r}, which has control characters or a backslash",
            Fault.DATA_TYPE,
        )
    if len(text) > longest:
        raise MessageError(
            f"{keyword} is {text[:80]!r}, and may have {longest} characters: map another field to "
            "it ([plugin.hl7.mapping])",
            Fault.DATA_TYPE,
        )
    return text
