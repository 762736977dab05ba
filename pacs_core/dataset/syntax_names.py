"""Transfer syntaxes by the names that people give them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import Attribute

from pacs_core.dataset.transfer_syntax import ALL_TRANSFER_SYNTAXES

_ROOT = "1.2.840.10008.1.2"

SHORT_NAMES = {
    "Implicit VR Little Endian": _ROOT,
    "Explicit VR Little Endian": _ROOT + ".1",
    "Explicit VR Big Endian": _ROOT + ".2",
    "Deflated Explicit VR Little Endian": _ROOT + ".1.99",
    "Encapsulated Uncompressed": _ROOT + ".1.98",
    "RLE Lossless": _ROOT + ".5",
    "Deflated Image Frame": _ROOT + ".8.1",
    "JPEG Baseline": _ROOT + ".4.50",
    "JPEG Extended": _ROOT + ".4.51",
    "JPEG Lossless": _ROOT + ".4.70",
    "JPEG Lossless Process 14": _ROOT + ".4.57",
    "JPEG-LS Lossless": _ROOT + ".4.80",
    "JPEG-LS Near-Lossless": _ROOT + ".4.81",
    "JPEG 2000 Lossless": _ROOT + ".4.90",
    "JPEG 2000": _ROOT + ".4.91",
    "HTJ2K Lossless": _ROOT + ".4.201",
    "HTJ2K Lossless RPCL": _ROOT + ".4.202",
    "HTJ2K": _ROOT + ".4.203",
    "JPEG XL Lossless": _ROOT + ".4.110",
    "JPEG XL Recompression": _ROOT + ".4.111",
    "JPEG XL": _ROOT + ".4.112",
}
"""UIDs of the transfer syntaxes that have a short name, as messages list them."""

_FURTHER_NAMES = {
    "implicit": _ROOT,
    "explicit": _ROOT + ".1",
    "big endian": _ROOT + ".2",
    "deflated": _ROOT + ".1.99",
    "RLE": _ROOT + ".5",
    "JPEG Lossless SV1": _ROOT + ".4.70",
    "JPEG-LS": _ROOT + ".4.80",
    "JPEG-LS Lossy": _ROOT + ".4.81",
    "J2K Lossless": _ROOT + ".4.90",
    "J2K": _ROOT + ".4.91",
    "JPEG 2000 Lossy": _ROOT + ".4.91",
    "HTJ2K RPCL": _ROOT + ".4.202",
    "HTJ2K Lossy": _ROOT + ".4.203",
    "JPEG XL Lossy": _ROOT + ".4.112",
    "JXL Lossless": _ROOT + ".4.110",
    "JXL": _ROOT + ".4.112",
}


def _key(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


_BY_KEY = {
    _key(name): uid
    for name, uid in (
        *((syntax.name, syntax.uid) for syntax in ALL_TRANSFER_SYNTAXES),
        *_FURTHER_NAMES.items(),
        *SHORT_NAMES.items(),
    )
}
_UIDS = frozenset(_BY_KEY.values())
_SHORT_BY_UID = {uid: name for name, uid in SHORT_NAMES.items()}


def transfer_syntax_uid(name: str) -> str:
    """Return the UID of a transfer syntax by its UID, its name in PS3.6, or a common short name.

    Case, spaces and punctuation do not matter: ``jpeg2000 lossless`` is ``JPEG 2000 Lossless``.

    Raises
    ------
    ValueError
        It is none; the message lists the short names.
    """
    found = name if name in _UIDS else _BY_KEY.get(_key(name))
    if found is None:
        choices = ", ".join(SHORT_NAMES)
        raise ValueError(
            f"{name!r} is no transfer syntax: give the UID of one, its name in PS3.6, or {choices}"
        )
    return found


def transfer_syntax_uids(names: Iterable[str]) -> tuple[str, ...]:
    """Return the UIDs of transfer syntaxes, see :func:`transfer_syntax_uid`.

    Raises
    ------
    ValueError
        One of them is none.
    """
    return tuple(dict.fromkeys(transfer_syntax_uid(name) for name in names))


def are_transfer_syntaxes(
    _instance: object, _attribute: "Attribute[Any]", value: Sequence[str] | Mapping[str, object]
) -> None:
    """Check names of transfer syntaxes in a configuration: an attrs validator.

    Raises
    ------
    ValueError
        One is none; the message lists the short names.
    """
    transfer_syntax_uids(value)


def short_name_of(uid: str) -> str:
    """Return the short name of a transfer syntax; its long one, or its UID, if it has none."""
    return _SHORT_BY_UID.get(uid) or _LONG_BY_UID.get(uid, uid)


_LONG_BY_UID = {syntax.uid: syntax.name for syntax in ALL_TRANSFER_SYNTAXES}
