"""Descriptions in ICC profiles, overwritten: they may name persons and places (ICC.1:2022)."""

from typing import Final

_HEADER: Final = 128
_ENTRY: Final = 12
_MOST_TAGS: Final = 200
_TYPE: Final = 8
"""Bytes of the type signature of a tag, and what is reserved after it (ICC.1:2022 10.1)."""

_DESCRIPTIONS: Final = frozenset({
    b"calt", b"cprt", b"desc", b"dmdd", b"dmnd", b"dscm", b"meta", b"mmod", b"ncl2", b"psid",
    b"pseq", b"scrd", b"targ", b"vcgt", b"view", b"vued",
})  # fmt: skip
"""Tags that no transformation of colours depends on."""


def clean_profile(profile: bytes) -> bytes:
    """Return a profile of the same length, whose descriptions are zeros.

    When it was made, and by which program, goes from its header as well. What does not look like a
    profile is all zeros.
    """
    if len(profile) < _HEADER + 4 or profile[36:40] != b"acsp":
        return bytes(len(profile))
    made = bytearray(profile)
    made[24:36] = bytes(12)  # date and time
    made[80:100] = bytes(20)  # creator, and the digest of all
    count = min(int.from_bytes(profile[_HEADER : _HEADER + 4], "big"), _MOST_TAGS)
    used = [(0, _HEADER + 4 + count * _ENTRY)]
    for number in range(count):
        start = _HEADER + 4 + number * _ENTRY
        signature, offset, size = (profile[start + at : start + at + 4] for at in (0, 4, 8))
        first = int.from_bytes(offset, "big")
        last = min(first + int.from_bytes(size, "big"), len(made))
        if first < used[0][1]:
            continue
        if signature in _DESCRIPTIONS:
            made[first + _TYPE : last] = bytes(max(last - first - _TYPE, 0))
        used.append((first, last))
    end = max(last for _, last in used)
    made[end:] = bytes(len(made) - end)
    return bytes(made)
