"""Sound of names: Soundex for Latin letters, the letters themselves for other scripts.

The parts of a name (split at carets, spaces and hyphens) are compared one by one in any order, so
that ``Jon Smyth`` finds ``SMITH^JOHN``. Accents do not count.
"""

import re
import unicodedata

from pacs_core.contracts import fold_name

_GROUPS = ("bfpv", "cgjkqsxz", "dt", "l", "mn", "r")
_DIGITS = {letter: str(n) for n, letters in enumerate(_GROUPS, 1) for letter in letters}
_SPECIAL = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})
_LENGTH = 4


def parts(name: str) -> list[str]:
    """Return the parts of a name or pattern, folded, without accents and punctuation."""
    bare = unicodedata.normalize("NFD", fold_name(name).translate(_SPECIAL))
    letters = "".join(char for char in bare if not unicodedata.combining(char))
    return [part for part in re.split(r"[\^\s\-.,']+", letters) if part]


def sounds(name: str) -> frozenset[str]:
    """Return how each part of a name sounds."""
    return frozenset(soundex(part) for part in parts(name))


def soundex(part: str) -> str:
    """Return the Soundex code of one folded part, without padding: ``smith`` is ``S53``.

    Letters after the first that a vowel does not part, and h and w between them, count once.
    """
    if not (part.isascii() and part.isalpha()):
        return part
    code, last = part[0].upper(), _DIGITS.get(part[0], "")
    for letter in part[1:]:
        digit = _DIGITS.get(letter, "")
        if digit and digit != last:
            code += digit
        if letter not in "hw":
            last = digit
        if len(code) == _LENGTH:
            break
    return code
