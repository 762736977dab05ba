"""Names and representations of attributes: the registry of PS3.6.

The table lies beside this file rather than in pydicom, whose import takes longer than starting a
whole node. It is read at first use; a server calls `load_dictionary` before it accepts
associations.
"""

import pkgutil
import re
from functools import cache, lru_cache

from pacs_core.dataset.errors import UnknownAttribute

# Theory of operation
#
# The registry of PS3.6 has repeating groups: an x in a tag, as in 60xx,3000, stands for any digit.
# Tags that are not there as they are get their x masked out and are looked up again, in the order
# of the masks, so that a tag of its own counts more than one with an x.
#
# What a private tag means only its creator knows, but two things hold for all of them: the elements
# 0010 to 00FF of an odd group name creators (PS3.5 §7.8.1), and the rest have VR UN.
#
# Look-ups come by the million, and for few tags: results are remembered, in tables of a size that
# tags made up by a peer cannot fill the memory with.

_HEX_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?\s?([0-9A-Fa-f]{4})\)?")
_Entry = tuple[str, str, str]

# Where the x may be: in the group of curves and overlays, or in the element.
_REPEATING_MASKS = (0xFF00FFFF, 0xFFFFFF0F, 0xFFFFFF00, 0xFFFF000F, 0xFFFF0000)

_UNKNOWN = ("UN", "1-n", "")
_PRIVATE_CREATOR = ("LO", "1", "")
_GROUP_LENGTH = ("UL", "1", "")


@cache
def _registry() -> tuple[dict[str, _Entry], dict[int, _Entry], dict[str, str]]:
    """Return entries by tag, those of repeating groups by tag without its x, tags by keyword."""
    # importlib.resources, which brings tempfile and shutil, takes as long to import as this.
    table = pkgutil.get_data(__package__, "dictionary.tsv") or b""
    # All lines at once, and no number made of a tag: every command for a file waits for it.
    fields = table.decode("ascii").strip("\n").replace("\n", "\t").split("\t")
    tags, vrs, vms, keywords = (fields[column::4] for column in range(4))
    entries = dict(zip(tags, zip(vrs, vms, keywords, strict=True), strict=True))
    by_keyword = dict(zip(keywords, tags, strict=True))
    by_keyword.pop("", None)
    repeating: dict[int, _Entry] = {}
    for tag in [tag for tag in tags if "x" in tag]:
        repeating[int(tag.replace("x", "0"), 16)] = entry = entries.pop(tag)
        by_keyword.pop(entry[2], None)
    return entries, repeating, by_keyword


def load_dictionary() -> None:
    """Load the tables now rather than at the first attribute."""
    _registry()


@lru_cache(maxsize=8192)
def _entry(tag: int) -> _Entry:
    """Return value representations, multiplicity and keyword."""
    group, element = tag >> 16, tag & 0xFFFF
    if group & 1:
        return _PRIVATE_CREATOR if 0x10 <= element <= 0xFF else _UNKNOWN
    # Group lengths are retired, and in every group (PS3.5 §7.2).
    if element == 0 and group > 2:
        return _GROUP_LENGTH
    return _standard_entry(tag)


def _standard_entry(tag: int) -> _Entry:
    entries, repeating, _ = _registry()
    entry = entries.get(f"{tag:08X}")
    if entry is None:
        found = (repeating.get(tag & mask) for mask in _REPEATING_MASKS)
        entry = next(filter(None, found), _UNKNOWN)
    vr, vm, keyword = entry
    return (vr if vr != "NONE" else "UN"), vm, keyword


def tag_of(keyword_or_hex: str) -> int:
    """Return the tag that a keyword or hexadecimal text names.

    Parameters
    ----------
    keyword_or_hex : str
        "PatientName", "00100010", "0010,0010" or "(0010,0010)".

    Raises
    ------
    UnknownAttribute
        If it is neither; the message suggests the keyword that comes nearest.
    """
    tag = _registry()[2].get(keyword_or_hex)
    if tag is not None:
        return int(tag, 16)
    if match := _HEX_TAG.fullmatch(keyword_or_hex):
        return int(match[1] + match[2], 16)
    raise UnknownAttribute(_unknown(keyword_or_hex))


def _unknown(text: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text[:64], _registry()[2], n=1)
    hint = f"did you mean {near[0]}?" if near else "use a PS3.6 keyword or eight hex digits"
    return f"no attribute is called {text[:64]!r}: {hint}"


def keyword_of(tag: int) -> str:
    """Return the keyword (PS3.6 §6), or eight hexadecimal digits where there is none."""
    return _entry(tag)[2] or f"{tag:08X}"


def vr_of(tag: int) -> str:
    """Return the value representation; the first if several are allowed, "UN" if unknown."""
    return _entry(tag)[0][:2]


@lru_cache(maxsize=8192)
def vrs_of(tag: int) -> tuple[str, ...]:
    """Return all value representations that PS3.6 allows; ("UN",) if unknown."""
    return tuple(_entry(tag)[0].split(" or "))


@cache
def sequence_tags() -> frozenset[int]:
    """Return the tags of all attributes whose value representation is SQ."""
    entries, repeating, _ = _registry()
    tags = {int(tag, 16) for tag, (vr, _, _) in entries.items() if vr == "SQ"}
    for tag, (vr, _, _) in repeating.items():
        if vr == "SQ":
            # All of them at once: who scans asks whether a tag is in the set, and masks nothing.
            tags.update(tag + (group << 16) for group in range(0, 0x100, 2))
    return frozenset(tags)


def may_be_signed(tag: int) -> bool:
    """Tell whether the value representation is US or SS, depending on Pixel Representation."""
    return _entry(tag)[0].startswith("US or SS")


def vm_of(tag: int) -> str:
    """Return the value multiplicity as PS3.6 writes it ("1", "1-n", "2-2n")."""
    return _entry(tag)[1]
