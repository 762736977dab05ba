"""Forms in which people and devices write what identifies somebody: names, dates, identifiers."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from unicodedata import category, combining, normalize
from urllib.parse import quote

_SEPARATORS: Final = re.compile(r"[\^,\s]+")
_JOINTS: Final = re.compile(r"['’`‐‑–-]+")
"""What joins words to a name: Smith-Jones, O'Brien."""

_NOT_WORD: Final = re.compile(r"[\W_]+")
_RANGE: Final = re.compile(r"(?<=\d{8})-(?=\d{8})")
_DATE: Final = re.compile(r"(\d{4})[./-]?(\d\d)[./-]?(\d\d)")
_NUMBERS: Final = "0123456789 ,#"
_DIGITS: Final = re.compile(r"\d{5,}")
UNSPACED: Final = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
"""Letters of scripts whose words stand without spaces, and may be names of one letter."""

_SPELLED_MIN: Final = 3
_SPELLED_RUN: Final = re.compile(
    r"(?<![^\W\d_])[^\W\d_](?:[\s.,;:/|*+~·•^_'’-]{1,3}[^\W\d_](?![^\W\d_])){2,}"
)
"""Letters that are set apart, at least three."""

_GAPS: Final = re.compile(r"\s{2,}|[,;]\s")
"""What is between words whose letters are set apart; one that is no wider is none."""

_NAMES_IN_GROUP: Final = 3
"""Components of a name that are names: family, given and middle; then prefix and suffix follow."""

_PARTICLES: Final = frozenset({
    "and", "bin", "das", "del", "della", "den", "der", "des", "dos", "ibn", "las", "les", "los",
    "ter", "the", "und", "van", "vom", "von", "zum", "zur",
})  # fmt: skip
"""Words of names that are words of languages as well."""

_UMLAUTS: Final = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe",
})  # fmt: skip
_SPELLED: Final = re.compile(r"(?<=[aou])e")
_BASES: Final = {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "ı": "i", "’": "'"}
_SHORT_PARTICLES: Final = frozenset({
    "al", "da", "de", "di", "do", "dr", "du", "el", "en", "et", "ii", "iv", "jr", "la", "le", "lo",
    "mc", "of", "pr", "sr", "st", "te", "to", "vi", "y.",
})  # fmt: skip
_LONG_NAME: Final = 4
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def name_forms(text: str) -> set[str]:
    """Return forms of a person name (PS3.5 §6.2.1), and the words that it is of.

    Examples
    --------
    >>> sorted(name_forms("Ruiz^Ana^^Dr"))
    ['ARuiz', 'Ana', 'Ana Ruiz', 'AnaRuiz', 'Ruiz', 'Ruiz Ana', 'RuizA', 'RuizAna']
    >>> {"Jones", "Smith Jones", "SmithJones"} <= name_forms("Smith-Jones^Ann")
    True
    """
    forms: set[str] = set()
    for words in _words(text):
        plain = [_plain(word) for word in words]
        basic = [_SPELLED.sub("", fold(word).lower()) for word in words]
        for each in {tuple(words), tuple(plain), tuple(basic)}:
            turned = (*each[1:], *each[:1])
            forms.update(word for word in each if word.casefold() not in _PARTICLES)
            forms.update(_JOINTS.sub(between, word) for word in each for between in ("", " "))
            forms.update(quote(word) for word in each if not word.isascii())
            for order in (each, turned, each[::-1]):
                forms.update({" ".join(order), "".join(order)})
        # Names of accounts
        if len(words) > 1 and len(words[0]) >= _LONG_NAME:
            forms.update({words[1][0] + words[0], words[0] + words[1][0]})
    return {form for form in forms if is_telling(form)}


def short_names(text: str) -> set[str]:
    """Return the words of two letters of a name as they are written in text.

    Examples
    --------
    >>> sorted(short_names("NG^Bo"))
    ['BO', 'Bo', 'NG', 'Ng']
    """
    words = {word for words in _words(text) for word in words if len(word) == 2 and word.isalpha()}
    return {
        form
        for word in words
        if word.isascii() and word.lower() not in _SHORT_PARTICLES
        for form in (word.title(), word.upper())
    }


def fold(text: str) -> str:
    """Return text with as many letters, each without accents, and in its usual width.

    Examples
    --------
    >>> fold("José Łukasz Ｒｕｉｚ")
    'Jose Lukasz Ruiz'
    """
    return text if text.isascii() else text.translate(_FOLDED)


def composed(text: str) -> str:
    """Return text in the form that is folded: composed, and without what is not to be seen."""
    if text.isascii():
        return text
    return "".join(letter for letter in normalize("NFC", text) if category(letter) != "Cf")


def fold_latin(data: bytes) -> str:
    """Return bytes as text, folded, as fast as large binary values need it."""
    return data.translate(_FOLDED_LATIN).decode("latin-1")


class _Folded(dict[int, str]):
    """Letters without accents, each found out when it is first asked for."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        parts = normalize("NFKD", letter)
        made = _BASES.get(letter) or (parts[0] if all(map(combining, parts[1:])) else letter)
        return self.setdefault(code, made)


_FOLDED: Final = _Folded()
_FOLDED_LATIN: Final = bytes(
    ord(_FOLDED[code]) if ord(_FOLDED[code]) < 256 else code for code in range(256)
)


def _words(text: str) -> Iterator[list[str]]:
    """Iterate over the words of each group of a name, joined ones whole, and then taken apart."""
    for group in text.split("="):
        parts = group.split("^")[:_NAMES_IN_GROUP]
        words = [word for part in parts for word in _SEPARATORS.split(part) if word]
        yield words
        if any(map(_JOINTS.search, words)):
            yield [piece for word in words for piece in _JOINTS.split(word) if piece]


def date_forms(text: str) -> set[str]:
    """Return forms of the day of a date, or of a date and time; of both days of a range.

    Examples
    --------
    >>> {"23.04.1961", "4/23/61", "23-Apr-1961"} <= date_forms("19610423120000")
    True
    """
    if (ends := _RANGE.split(text))[1:]:  # a key rather than a value
        return set().union(*map(date_forms, ends))
    match = _DATE.match(text)
    if not match:
        return set()
    year, month, day = match.groups()
    found = {f"{year}{month}{day}", f"{day}{month}{year}", f"{month}{day}{year}"}
    for separator in "-/.":
        found.add(separator.join((year, month, day)))
        for years in (year, year[2:]):
            for m, d in ((month, day), (month.lstrip("0"), day.lstrip("0"))):
                found |= {separator.join((d, m, years)), separator.join((m, d, years))}
    if 1 <= int(month) <= len(_MONTHS):
        name = _MONTHS[int(month) - 1]
        for word in (name, name[:3]):
            for d in (day, day.lstrip("0")):
                found |= {f"{d} {word} {year}", f"{d}-{word}-{year}", f"{d}. {word} {year}"}
                found |= {f"{word} {d}, {year}", f"{word} {d} {year}", f"{d}{word}{year}"}
    return found


def identifier_forms(text: str) -> set[str]:
    """Return forms of an identifier, an address or a telephone number.

    Examples
    --------
    >>> sorted(identifier_forms("MRN-0077120"))
    ['0077120', '77120', 'MRN 0077120', 'MRN-0077120', 'MRN0077120']
    """
    found = {text, quote(text), _NOT_WORD.sub(" ", text).strip(), _NOT_WORD.sub("", text)}
    # An address is recognized without the number of the house, too.
    if " " in (words := text.strip(_NUMBERS)):
        found.add(words)
    if len(numbers := _DIGITS.findall(text)) == 1:
        found |= {numbers[0], numbers[0].lstrip("0")}
    return {form for form in found if is_telling(form)}


def is_telling(text: str) -> bool:
    """Whether text is long enough to be looked for."""
    if text.isascii():
        return len(text) >= (4 if text.isdigit() else 3)
    return len(text) >= 2 or bool(UNSPACED.search(text))


def find_spelled(text: str, words: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Iterate over where words are in text whose letters are set apart.

    Words of three letters count where nothing else is spelled beside them: A.N.A. is a test, too.

    Parameters
    ----------
    text : str
        Folded.
    words : frozenset of str
        Folded, in small letters.

    Examples
    --------
    >>> list(find_spelled("seen: R u i z, A.n.a, A-n-a-l-y-s-i-s", frozenset({"ruiz", "ana"})))
    [(6, 13), (15, 20)]
    """
    starts = {word[:_SPELLED_MIN] for word in words}
    longest = max(map(len, words), default=0)
    for run in _SPELLED_RUN.finditer(text):
        at = [run.start() + n for n, letter in enumerate(run[0]) if letter.isalpha()]
        letters, begin = "".join(text[n] for n in at).lower(), 0
        if len(letters) != len(at):  # a letter that has two small ones
            continue
        parts = _GAPS.split(run[0])
        # Where each gap is as wide, they are between letters.
        for word in parts if len(parts) < len(letters) else [run[0]]:
            end = begin + sum(map(str.isalpha, word))
            for first in range(begin, end - _SPELLED_MIN + 1):
                if letters[first : first + _SPELLED_MIN] not in starts:
                    continue
                for last in range(min(end, first + longest), first + _SPELLED_MIN - 1, -1):
                    is_whole = first == begin and last == end
                    if letters[first:last] in words and (is_whole or last - first > _SPELLED_MIN):
                        yield at[first], at[last - 1] + 1
                        break
            begin = end


def spelled_words(texts: Iterable[str]) -> frozenset[str]:
    """Return of some texts the words that are looked for where their letters are set apart."""
    words = {fold(text).lower() for text in texts if len(text) >= _SPELLED_MIN and text.isalpha()}
    return frozenset(word for word in words if word.isalpha())


def cases(text: str) -> set[str]:
    """Return text as written, in small and in capital letters, composed and decomposed."""
    written = {text, text.lower(), text.upper(), text.title()}
    return written | {normalize("NFD", each) for each in written} if not text.isascii() else {text}


def _plain(word: str) -> str:
    """Return a word as it is written where there are no letters but the basic ones."""
    spelled = word.lower().translate(_UMLAUTS)
    return "".join(letter for letter in normalize("NFKD", spelled) if not combining(letter))
