"""Digital Signature Profiles (PS3.15 Annex C), and purposes of signatures (PS3.16 CID 7007)."""

from enum import StrEnum
from typing import Final


class Profile(StrEnum):
    """A profile."""

    BASE = "base"
    """C.1: no attributes in particular; here all that can be signed."""
    CREATOR = "creator"
    """C.2: pixels and how they were made, by the equipment that made them."""
    AUTHORIZATION = "authorization"
    """C.3: what a technician or physician has looked at and approves of."""
    SR = "sr"
    """C.4: a structured report, or Key Object Selection."""
    SR_VERIFICATION = "sr-verification"
    """C.4: one whose Verification Flag is VERIFIED."""


_TITLES: Final = {
    Profile.BASE: "Base RSA Digital Signature Profile (PS3.15 C.1)",
    Profile.CREATOR: "Creator RSA Digital Signature Profile (PS3.15 C.2)",
    Profile.AUTHORIZATION: "Authorization RSA Digital Signature Profile (PS3.15 C.3)",
    Profile.SR: "Structured Report RSA Digital Signature Profile (PS3.15 C.4)",
    Profile.SR_VERIFICATION: "Structured Report RSA Digital Signature Profile (PS3.15 C.4)",
}

PURPOSES: Final = {
    Profile.CREATOR: 14,
    Profile.SR: 1,
    Profile.SR_VERIFICATION: 5,
}
"""Purpose of a signature by a profile, where nothing else is said (PS3.16 CID 7007)."""

PURPOSE_MEANINGS: Final = {
    1: "Author's Signature",
    2: "Coauthor's Signature",
    3: "Co-participant's Signature",
    4: "Transcriptionist/Recorder Signature",
    5: "Verification Signature",
    6: "Validation Signature",
    7: "Consent Signature",
    8: "Signature Witness Signature",
    9: "Event Witness Signature",
    10: "Identity Witness Signature",
    11: "Consent Witness Signature",
    12: "Interpreter Signature",
    13: "Review Signature",
    14: "Source Signature",
    15: "Addendum Signature",
    16: "Administrative Signature",
    17: "Timestamp Signature",
    18: "Modification Signature",
}
"""Code meanings of ASTM-sigpurpose (PS3.16 CID 7007, ASTM E1762)."""


def title_of(profile: Profile) -> str:
    """Return what PS3.15 calls a profile."""
    return _TITLES[profile]
