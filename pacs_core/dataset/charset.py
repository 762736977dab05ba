"""Specific Character Set (0008,0005): bytes to text and back (PS3.3 C.12.1.1.2, PS3.5 §6.1).

Nothing here raises on what came from outside: bytes that mean nothing become U+FFFD. High bytes
in a dataset that names no character set, to which the standard gives no meaning, are read as
Latin-1, as other archives do.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from pacs_core.dataset.iso2022 import CODE_EXTENSIONS, ESCAPE, Iso2022
from pacs_core.dataset.model import SPECIFIC_CHARACTER_SET, Attributes

CHARACTER_SET_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
UTF_8 = "ISO_IR 192"

_SINGLE_BYTE = {
    "": "latin_1",
    "ISOIR6": "latin_1",
    "ISOIR13": "shift_jis",
    "ISOIR100": "latin_1",
    "ISOIR101": "iso8859_2",
    "ISOIR109": "iso8859_3",
    "ISOIR110": "iso8859_4",
    "ISOIR126": "iso8859_7",
    "ISOIR127": "iso8859_6",
    "ISOIR138": "iso8859_8",
    "ISOIR144": "iso8859_5",
    "ISOIR148": "iso8859_9",
    "ISOIR166": "tis_620",
    "ISOIR203": "iso8859_15",
}
_STAND_ALONE = {"ISOIR192": "utf_8", "UTF8": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
SPECIFIC_CHARACTER_SETS = (
    *(f"ISO_IR {key.removeprefix('ISOIR')}" for key in _SINGLE_BYTE if key not in ("", "ISOIR6")),
    *(f"ISO 2022 IR {number}" for number in CODE_EXTENSIONS),
    "ISO_IR 192",
    "GB18030",
    "GBK",
)
"""Defined terms of Specific Character Set that are read and written (PS3.3 C.12.1.1.2)."""

_NO_PUNCTUATION = re.compile("[^A-Z0-9]")


@lru_cache(maxsize=64)
def _repertoire(character_sets: tuple[str, ...]) -> "str | Iso2022":
    """Return the codec's name, or the code extensions when several sets or ISO 2022 are named."""
    terms = tuple(_NO_PUNCTUATION.sub("", term.upper()) for term in character_sets) or ("",)
    if stand_alone := _STAND_ALONE.get(terms[0]):
        return stand_alone
    if len(terms) == 1 and not terms[0].startswith("ISO2022"):
        return _SINGLE_BYTE.get(terms[0], "latin_1")
    return Iso2022(tuple(term.replace("ISO2022IR", "").replace("ISOIR", "") for term in terms))


def decode_text(raw: bytes | memoryview, vr: str, character_sets: tuple[str, ...]) -> str:
    """Decode the whole value of a textual element; backslashes and padding stay.

    Parameters
    ----------
    raw : bytes or memoryview
        The value as transmitted.
    vr : str
        Its value representation. Only LO, LT, PN, SH, ST, UC and UT heed the character set.
    character_sets : tuple of str
        The values of Specific Character Set; empty for the default repertoire.
    """
    try:
        text = str(raw, "ascii")
    except UnicodeDecodeError:
        if vr not in CHARACTER_SET_VRS:
            return str(raw, "ascii", "replace")
    else:
        if ESCAPE not in text or vr not in CHARACTER_SET_VRS:
            return text
    return _decode(bytes(raw), vr, character_sets)


def _decode(raw: bytes, vr: str, character_sets: tuple[str, ...]) -> str:
    repertoire = _repertoire(character_sets)
    if isinstance(repertoire, Iso2022):
        return repertoire.decode(raw, vr)
    return raw.decode(repertoire, "replace")


def encode_text(text: str, vr: str, character_sets: tuple[str, ...]) -> bytes:
    """Encode a whole textual value, unpadded; what the sets cannot express becomes "?".

    Parameters
    ----------
    text : str
        The value; several values joined by backslashes.
    vr : str
        Its value representation.
    character_sets : tuple of str
        The values of Specific Character Set; empty for the default repertoire.
    """
    if text.isascii():
        return text.encode("ascii")
    return _encode(text, vr, character_sets, "replace")


def _encode(text: str, vr: str, character_sets: tuple[str, ...], errors: str) -> bytes:
    if vr not in CHARACTER_SET_VRS or not any(character_sets):
        return text.encode("ascii", errors)
    repertoire = _repertoire(character_sets)
    if isinstance(repertoire, Iso2022):
        return repertoire.encode(text, vr, errors)
    return text.encode(repertoire, errors)


def best_character_set(attributes: Attributes, requested: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Choose the Specific Character Set in which to send attributes.

    Parameters
    ----------
    attributes : Attributes
        What is to be sent.
    requested : tuple of str
        The set that the peer used or asked for.

    Returns
    -------
    tuple of str
        None for text in the default repertoire; the requested set where it can express
        everything; else ``ISO_IR 192``.
    """
    texts = [text for text in _all_texts(attributes) if not text.isascii()]
    if not texts:
        return ()
    return requested if all(_expresses(requested, text) for text in texts) else (UTF_8,)


def _expresses(character_sets: tuple[str, ...], text: str) -> bool:
    try:
        _encode(text, "PN", character_sets, "strict")
    except UnicodeEncodeError:
        return False
    return True


def _all_texts(attributes: Attributes) -> Iterator[str]:
    pending = [attributes]
    while pending:
        for tag, values in pending.pop().items():
            for value in values if tag != SPECIFIC_CHARACTER_SET else ():
                if isinstance(value, str):
                    yield value
                else:
                    pending.append(value)
