"""The attributes that a MAC has to be of, by profile (PS3.15 Annex C)."""

import pkgutil
from functools import cache
from typing import Final

from pacs_core.dataset import ElementSet, tag_of
from pacs_signatures.byte_stream import is_signable
from pacs_signatures.profile import Profile

_UIDS: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_CREATED: Final = ("InstanceCreationDate", "InstanceCreationTime")
_RAW_DATA: Final = "1.2.840.10008.5.1.4.1.1.66"
_OF_EQUIPMENT: Final = "general-equipment"
_BEYOND: Final = frozenset({"general-acquisition", "xa-xrf-acquisition"})
"""Were part of modules that PS3.15 names until 2020: signed, but not asked for."""

_REPORT: Final = (
    "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID",
    "CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence",
    "PredecessorDocumentsSequence", "ObservationDateTime",
)  # fmt: skip
_VERIFIED: Final = (
    "SOPInstanceUID", "VerificationFlag", "VerifyingObserverSequence", "VerificationDateTime",
)  # fmt: skip


def tags_to_sign(profile: Profile, elements: ElementSet) -> frozenset[int]:
    """Return what of a dataset a signature by a profile has in its MAC."""
    signable = frozenset(element.tag for element in elements if is_signable(element))
    if profile is Profile.BASE:
        return signable
    wanted = _wanted(profile, elements)
    if profile in {Profile.CREATOR, Profile.AUTHORIZATION}:
        wanted = wanted.union(*(_modules()[name] for name in _BEYOND))
    return signable & wanted


def missing_tags(profile: Profile, elements: ElementSet, signed: frozenset[int]) -> frozenset[int]:
    """Return what of a dataset a profile wants in the MAC of a signature that does not have it."""
    if profile is Profile.BASE:
        return frozenset()
    signable = frozenset(element.tag for element in elements if is_signable(element))
    return (signable & _wanted(profile, elements)) - signed


def _wanted(profile: Profile, elements: ElementSet) -> frozenset[int]:
    modules = _modules()
    if profile in {Profile.SR, Profile.SR_VERIFICATION}:
        report = modules[_OF_EQUIPMENT] | modules["sr-document-content"] | _tags(_REPORT)
        return report | _tags(_VERIFIED) if profile is Profile.SR_VERIFICATION else report
    left_out = set(_BEYOND)
    wanted = _tags(_UIDS)
    if profile is Profile.CREATOR:
        wanted |= _tags(_CREATED)
    else:
        left_out.add(_OF_EQUIPMENT)
    wanted = wanted.union(*(tags for name, tags in modules.items() if name not in left_out))
    # Overlay Plane and Curve Modules repeat in even groups (PS3.5 §7.6); raw data are private.
    is_raw = elements.texts(tag_of("SOPClassUID")) == (_RAW_DATA,)
    return wanted | {
        tag
        for tag in elements.elements
        if (tag >> 24 in {0x50, 0x60} and not tag >> 16 & 1) or (is_raw and tag >> 16 & 1)
    }


def _tags(keywords: tuple[str, ...]) -> frozenset[int]:
    return frozenset(map(tag_of, keywords))


@cache
def _modules() -> dict[str, frozenset[int]]:
    """Return the attributes of modules, by their names."""
    # importlib.resources brings what makes temporary files.
    table = pkgutil.get_data("pacs_signatures", "modules.tsv") or b""
    rows = table.decode("ascii").splitlines()
    lines = (line.split("\t") for line in rows if not line.startswith("#"))
    return {name: _tags(tuple(keywords.split())) for name, keywords in lines}
