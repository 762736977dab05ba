"""Specific Character Set (0008,0005): bytes to text and back (PS3.3 C.12.1.1.2, PS3.5 §6.1).

Reading is lenient, and never raises on what came from outside. Datasets that name no set, or one
that does not exist, have high bytes all the same, and some are in another set than they name. What
the named sets do not explain is read as UTF-8 if it is valid UTF-8, else in a default set if one is
configured, else as Latin-1 where no set is named; bytes that mean nothing become U+FFFD.

Writing is strict: `best_character_set` chooses sets that express every value exactly, so that what
is read back is what was written, and says them in the standard's terms.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from pacs_core.dataset.dictionary import vr_of
from pacs_core.dataset.iso2022 import CODE_EXTENSIONS, ESCAPE, MULTI_BYTE, Iso2022
from pacs_core.dataset.model import SPECIFIC_CHARACTER_SET, Attributes

# Theory of operation
#
# Reading asks several repertoires in turn, and takes the first that gives every byte a meaning:
#
#   1. what Specific Character Set names (escape sequences too, even if none is named)
#   2. UTF-8, which text in another encoding hardly ever happens to be
#   3. the set that is configured for the sender
#
# If none does, the best that is known is used all the same, with U+FFFD where it fails: a query
# must find such a patient, and a dataset must not be refused for its name.
#
# The configured default travels with the sets of a dataset, behind a mark that no character set can
# be (`with_default`), so that everything which decodes needs one argument only.
#
# Writing goes the other way. What the peer asked for is used if each value, written and read again,
# is what it was; else UTF-8, which expresses all. "Read again" is meant: some codecs of Python
# write bytes that mean something else in DICOM's sets.

CHARACTER_SET_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
UTF_8 = "ISO_IR 192"

_SINGLE_BYTE = {
    "13": "shift_jis",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "166": "tis_620",
    "203": "iso8859_15",
}
_STAND_ALONE = {
    "192": ("ISO_IR 192", "utf_8"),
    "UTF8": ("ISO_IR 192", "utf_8"),
    "GB18030": ("GB18030", "gb18030"),
    "GBK": ("GBK", "gbk"),
}
_DEFAULT_REPERTOIRE = ("", "6")
SPECIFIC_CHARACTER_SETS = (
    *(f"ISO_IR {number}" for number in _SINGLE_BYTE),
    *(f"ISO 2022 IR {number}" for number in CODE_EXTENSIONS),
    "ISO_IR 192",
    "GB18030",
    "GBK",
)
"""Defined terms of Specific Character Set that are read and written (PS3.3 C.12.1.1.2)."""

_NO_PUNCTUATION = re.compile("[^A-Z0-9]")
_C1 = re.compile("[\x80-\x9f]")
_MARK = "\\"
_ESCAPE_BYTE = ESCAPE.encode()
_ESCAPES_ONLY = Iso2022(("",))
"""For escape sequences in datasets that name no set: some writers designate, but do not declare."""
_JIS_X_0201 = re.compile("[\x00-\x5b\\]-}\x7f\uff61-\uff9f]*")


def with_default(declared: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return sets for decoding: those of a dataset, and one for what they do not explain.

    Parameters
    ----------
    declared : tuple of str
        The values of Specific Character Set; empty if it has none.
    default : tuple of str
        Such values as are configured for what does not say, or lies; empty for Latin-1.
    """
    # No value of Specific Character Set is a backslash: it separates values.
    return (*declared, _MARK, *default) if default else declared


def declare(character_sets: tuple[str, ...], declared: tuple[str, ...]) -> tuple[str, ...]:
    """Return sets for decoding what follows a Specific Character Set: the default stays."""
    if _MARK not in character_sets:
        return declared
    return (*declared, *character_sets[character_sets.index(_MARK) :])


def are_character_sets(terms: tuple[str, ...]) -> bool:
    """Tell whether terms are values of Specific Character Set that can be written, or none."""
    return terms == defined_terms(terms)


@lru_cache(maxsize=256)
def _numbers(terms: tuple[str, ...]) -> tuple[str, ...]:
    """Return registration numbers, or names of sets without one, however they are punctuated."""
    plain = (_NO_PUNCTUATION.sub("", term.upper()) for term in terms)
    return tuple(
        text.removeprefix("ISO2022IR").removeprefix("ISOIR").removeprefix("ISO2022")
        for text in plain
    ) or ("",)


@lru_cache(maxsize=256)
def defined_terms(terms: tuple[str, ...]) -> tuple[str, ...]:
    """Return terms as PS3.3 C.12.1.1.2 defines them; none if they name nothing to write in."""
    numbers = _numbers(terms)
    if numbers[0] in _STAND_ALONE:
        return (_STAND_ALONE[numbers[0]][0],)
    if any(number not in (*_SINGLE_BYTE, *MULTI_BYTE, *_DEFAULT_REPERTOIRE) for number in numbers):
        return ()
    if len(numbers) == 1 and numbers[0] in _SINGLE_BYTE:
        return (f"ISO_IR {numbers[0]}",)
    if numbers[0] in MULTI_BYTE:
        # They extend another set, so value 1 is empty (PS3.3 C.12.1.1.2).
        numbers = ("", *numbers)
    if len(numbers) == 1:
        return ()
    return tuple(number and f"ISO 2022 IR {number}" for number in numbers)


@lru_cache(maxsize=256)
def _repertoire(terms: tuple[str, ...]) -> "str | Iso2022 | None":
    """Return the codec's name, or the code extensions; None if nothing is said of high bytes."""
    numbers = _numbers(terms)
    if numbers[0] in _STAND_ALONE:
        return _STAND_ALONE[numbers[0]][1]
    if len(numbers) == 1 and numbers[0] not in MULTI_BYTE:
        by_escape = terms[:1] and "2022" in terms[0]
        codec = _SINGLE_BYTE.get(numbers[0])
        return Iso2022(numbers) if by_escape and codec else codec
    return Iso2022(numbers)


def decode_text(raw: bytes | memoryview, vr: str, character_sets: tuple[str, ...]) -> str:
    """Decode the whole value of a textual element; backslashes and padding stay.

    Parameters
    ----------
    raw : bytes or memoryview
        The value as transmitted.
    vr : str
        Its value representation. Only LO, LT, PN, SH, ST, UC and UT heed the character set.
    character_sets : tuple of str
        The values of Specific Character Set, empty if there are none; or `with_default`.
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
    place = character_sets.index(_MARK) if _MARK in character_sets else len(character_sets)
    default = character_sets[place + 1 :]
    named = _repertoire(character_sets[:place])
    configured = _repertoire(default) if default else None
    if named is None and _ESCAPE_BYTE in raw:
        named = _ESCAPES_ONLY
    for repertoire in (named, None if raw.isascii() else "utf_8", configured):
        if repertoire and (text := _explain(raw, vr, repertoire)) is not None:
            return text
    # Nothing explains all of it: what the dataset says comes nearest.
    last = named or configured or "latin_1"
    return last.decode(raw, vr) if isinstance(last, Iso2022) else raw.decode(last, "replace")


def _explain(raw: bytes, vr: str, repertoire: "str | Iso2022") -> str | None:
    """Return the text if all bytes have a meaning."""
    if isinstance(repertoire, Iso2022):
        return repertoire.explain(raw, vr)
    try:
        text = raw.decode(repertoire)
    except UnicodeDecodeError:
        return None
    # Single-byte sets have no characters from 80H to 9FH (PS3.5 §6.1.2.1), though codecs do.
    return None if repertoire != "utf_8" and _C1.search(text) else text


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
    terms = defined_terms(character_sets) if vr in CHARACTER_SET_VRS else ()
    repertoire = _repertoire(terms) if terms else None
    if isinstance(repertoire, Iso2022):
        return repertoire.encode(text, vr, errors)
    if repertoire == "shift_jis":
        # Its characters of two bytes are not in JIS X 0201, and may hold a backslash's byte.
        return b"".join(
            c.encode("shift_jis" if _JIS_X_0201.fullmatch(c) else "ascii", errors) for c in text
        )
    return text.encode(repertoire or "ascii", errors)


def best_character_set(attributes: Attributes, requested: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Choose the Specific Character Set in which to send attributes.

    Parameters
    ----------
    attributes : Attributes
        What is to be sent.
    requested : tuple of str
        The sets that the peer used or asked for, however it spells them.

    Returns
    -------
    tuple of str
        None for text in the default repertoire; the requested sets, in defined terms, where they
        express everything; else ``ISO_IR 192``.
    """
    values = list(_texts(attributes))
    if all(text.isascii() for _, text in values):
        return ()
    terms = defined_terms(requested)
    return terms if terms and all(expresses(terms, vr, t) for vr, t in values) else (UTF_8,)


def expresses(terms: tuple[str, ...], vr: str, text: str) -> bool:
    """Whether a text survives being written in these character sets, given as defined terms."""
    if _numbers(terms)[0] == "13" and ("~" in text or "\\" in text):
        # In JIS X 0201 these two bytes are an overline and a yen sign (PS3.5 §6.1.2.5.3 note).
        return False
    if text.isascii() and ESCAPE not in text:
        return True
    try:
        raw = _encode(text, vr, terms, "strict")
    except UnicodeEncodeError:
        return False
    return _decode(raw, vr, terms) == text


def _texts(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """Iterate over the values that the character set is for, with their representations."""
    pending = [attributes]
    while pending:
        for tag, values in pending.pop().items():
            vr = vr_of(tag)
            vr = "LO" if vr == "UN" else vr
            for value in values if tag != SPECIFIC_CHARACTER_SET else ():
                if isinstance(value, Mapping):
                    pending.append(value)
                elif not isinstance(value, str):
                    raise TypeError(f"{tag:08X} is {value!r}: values are text, numbers too")
                elif vr in CHARACTER_SET_VRS:
                    yield vr, value
