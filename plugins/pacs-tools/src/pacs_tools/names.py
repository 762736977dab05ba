"""Names of SOP classes and of private attributes, from pydicom's tables."""

from typing import Any

from pacs_core.dataset import keyword_of, pydicom_table


def list_sop_classes(*, retired: bool = False) -> dict[str, str]:
    """Return keywords by UID of all SOP classes.

    Parameters
    ----------
    retired : bool
        Those that the standard has retired, too.
    """
    return {
        uid: str(keyword)
        for uid, (_, kind, _, is_retired, keyword) in pydicom_table(
            "_uid_dict", "UID_dictionary"
        ).items()
        if kind == "SOP Class" and (retired or not is_retired)
    }


def private_name(creator: str, tag: int) -> str:
    """Return the creator of a private element and what he calls it, or what is known of that."""
    entry = _private_entry(creator, tag)
    return f"[{creator}] {entry[2]}" if entry else f"[{creator}]"


def element_name(creator: str, tag: int) -> str:
    """Return what an element is called, which may have a private creator; empty if nobody knows."""
    if creator:
        return private_name(creator, tag)
    if tag & 0x1_0000 and 0x10 <= tag & 0xFFFF <= 0xFF:
        return "PrivateCreator"
    return known_keyword(tag)


def known_keyword(tag: int) -> str:
    """Return the keyword of an attribute (PS3.6); empty if it has none."""
    keyword = keyword_of(tag)
    return "" if keyword == f"{tag:08X}" else keyword


def private_vr(creator: str, tag: int) -> str:
    """Return the VR of an element of a private creator; empty if it is not known."""
    entry = _private_entry(creator, tag)
    return str(entry[0]) if entry else ""


def known_vr(vr: str, creator: str, tag: int, value: object) -> str:
    """Return the VR of an element, where a dataset says none that of its private creator's."""
    if vr != "UN" or not creator or not isinstance(value, bytes):
        return vr
    known = private_vr(creator, tag)
    return known if len(known) == 2 and known != "SQ" else vr  # not "US or SS"


def _private_entry(creator: str, tag: int) -> Any:
    known = pydicom_table("_private_dict", "private_dictionaries").get(creator, {})
    group, element = f"{tag >> 16:04X}", f"{tag & 0xFF:02X}"
    return known.get(f"{group}xx{element}") or known.get(f"{group[:2]}xxxx{element}")
