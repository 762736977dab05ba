"""Text that is cleaned of what identifies somebody (PS3.15 E.3.5, E.3.4)."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from pacs_deidentify.ages import cap_ages
from pacs_deidentify.forms import (
    UNSPACED,
    composed,
    find_spelled,
    fold,
    fold_latin,
    spelled_words,
)
from pacs_deidentify.tables import load_code_words

MARK: Final = "***"
"""Stands where something was taken out. No identifier is shorter, so that text never grows."""

LONG: Final = 6
"""Characters of an identifier that is in a large binary value by no chance."""

_MONTH: Final = (
    r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ckt]t|nov|de[cz]|f[eé]v|avr|juin|juil|ao[uû]t|"
    r"ene|abr|ago|set|dic|gen|mag|giu|lug|out|mrt|mei)"
    r"[a-zéû]{0,7}\.?"
)
_UID: Final = re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9]\d*)){4,}(?![\w.]?\d)")
_PRECISE: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # mail
        r"\b(?:https?|ftp)://\S+",
        r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])",  # social security number
    )
)
_CAUTIOUS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # a label, and what follows it in the same clause
        r"(?i)\b(?:patient|name|mrn|pid|id|dob|born|ssn|address|phone|tel|fax|physician|referring|"
        r"operator|technologist|accession|anschrift|geboren|geb|arzt|patientin)\b\.?\s*"
        r"(?:name|id|no|nr|number|on|am)?\s*[:=#]\s*[^;,\n\r]+",
        # a title, and the names after it
        r"(?i:\b(?:dr|prof|mr|mrs|ms|herrn?|frau|mme|sig)\b)\.?(?:\s*(?i:med|dr)\.)*"
        r"(?:\s+[A-ZÀ-Þ][\w'’-]*)+",
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])",  # internet address
        r"(?<!\d)\d{4}[-./]\d{1,2}[-./]\d{1,2}(?!\d)",
        r"(?<!\d)\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d\d)(?!\d)",
        rf"(?i)\b\d{{1,2}}(?:\.|st|nd|rd|th)?\s+(?:de\s+)?{_MONTH},?\s+(?:de\s+)?\d{{4}}\b",
        rf"(?i)\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}\b",
        r"(?<!\w)\+?\(?\d{2,5}\)?[\s/-]\d{2,4}[\s/-]?\d{2,}(?:[\s-]\d{2,})*(?!\w)",  # phone
        r"(?<![\w.-])(?=[\w-]*\d{4})[A-Za-z\d][\w-]{4,}(?!\w)",  # number of something
        r"(?<![\w.])\d{5,}(?!\w)",
    )
)


_NUMBER_MIN: Final = 5
_DIALLED_MIN: Final = 7
_TIMED: Final = 8
"""Digits of a number that may stand beside letters, in groups, and before a time of day."""

# A name may stand beside a digit, and a number beside a letter; in CamelCase names are words, too.
_INNER: Final = r"(?-i:(?<=[a-z])(?=[A-Z]))"
_BEFORE: Final = {"letter": rf"(?:(?<![^\W\d_])|{_INNER})", "digit": r"(?<!\d)"}
_AFTER: Final = {
    "letter": rf"(?:(?![^\W\d_])|{_INNER})",
    "digit": r"(?!\d)",
    "date": r"(?:(?!\d)|(?=(?:\d{4}|\d{6})(?!\d)))",
}
_ALONE: Final = (r"(?<![^\W_])", r"(?![^\W_])")


def _pattern(known: list[str]) -> str:
    """Return a pattern for any of some texts where it stands by itself, the first that does."""
    by_bounds: dict[tuple[str, str], list[str]] = {}
    for text in known:
        by_bounds.setdefault(_bounds(text), []).append(_spelling(text))
    return "|".join(
        f"{before}(?:{'|'.join(texts)}){after}" for (before, after), texts in by_bounds.items()
    )


def _bounds(text: str) -> tuple[str, str]:
    if text.isdigit() and len(text) < _NUMBER_MIN:
        return _ALONE
    first, last = ("digit" if letter.isdigit() else "letter" for letter in (text[0], text[-1]))
    return _BEFORE[first], _AFTER["date" if text.isdigit() and len(text) == _TIMED else last]


def _spelling(text: str) -> str:
    if text.isdigit() and len(text) >= _DIALLED_MIN:
        return r"[\s./()-]{0,2}".join(text)
    # What is between the words of a name may be written in any way.
    return re.escape(text).replace(r"\ ", r"[\s^,_.'-]+")


@lru_cache(maxsize=128)
def _compile(known: frozenset[str]) -> re.Pattern[str] | None:
    """Return a pattern for any of some texts; None if there are none.

    It takes a third of the time of a small file, and is the same for all files of a study.
    """
    if not known:
        return None
    # The longest first: of "Anna Maria" nothing is left.
    texts = sorted(known, key=lambda text: (-len(text), text))
    unspaced = [re.escape(text) for text in texts if len(text) > 1 and UNSPACED.search(text)]
    either = "|".join([_pattern(texts), *unspaced])
    # Most letters begin none of them, which is told faster than what is before a letter.
    first = "".join(sorted({re.escape(text[0]) for text in texts}))
    return re.compile(f"(?i)(?=[{first}])(?:{either})")


def _find(uid: str, text: str) -> Iterator[tuple[int, int]]:
    """Iterate over where a UID is, and no digits beside it."""
    start = text.find(uid)
    while start >= 0:
        end = start + len(uid)
        if not (text[start - 1 : start].isdecimal() or text[end : end + 1].isdecimal()):
            yield start, end
        start = text.find(uid, start + 1)


class TextCleaner:
    """Takes identifiers and what looks like some out of text.

    Parameters
    ----------
    identifiers : iterable of str
        What is known to identify somebody: each is taken out wherever it stands as a word,
        whatever its case.
    replace_uid : callable
        From the UID in a text to what replaces it.
    patterns : iterable of re.Pattern
        What else is taken out of text that is cleaned.
    oldest_age : int
        Years above which all ages are told as one; 0 for no limit.
    """

    def __init__(
        self,
        identifiers: Iterable[str],
        replace_uid: Callable[[str], str],
        patterns: Iterable[re.Pattern[str]] = (),
        oldest_age: int = 0,
    ) -> None:
        known = {fold(text).lower() for text in identifiers}
        # Instances of a study have UIDs of their own, and all else in common.
        self._uids = sorted(filter(_UID.fullmatch, known))
        self._known = _compile(frozenset(known.difference(self._uids)))
        self._words = spelled_words(known)
        self._replace_uid = replace_uid
        self._oldest_age = oldest_age
        self._patterns = (*_PRECISE, *_CAUTIOUS, *patterns)

    def holds(self, data: bytes, least: int) -> bool:
        """Whether bytes have an identifier of some length in them."""
        texts = [fold_latin(data)]
        if not data.isascii():
            texts.append(fold(data.decode("utf-8", "replace")))
        found = (span for text in texts for span in self._spans(text))
        return any(end - start >= least for start, end in found)

    def names(self, code: bytes) -> bool:
        """Whether a code string is somebody's name, or part of it, and no word of the standard."""
        text = code.decode("latin-1")
        found = (text[start:end].lower() for start, end in self._spans(text))
        return any(each not in load_code_words() for each in found)

    def sweep(self, text: str) -> str:
        """Return text without what certainly identifies somebody."""
        text = _UID.sub(lambda match: self._replace_uid(match[0]), text)
        text = self._take_out(text)
        for pattern in _PRECISE:
            text = pattern.sub(MARK, text)
        return text

    def clean(self, text: str) -> str:
        """Return text without what may identify somebody either."""
        # UIDs of those who replace them are long numbers themselves, so they are set aside.
        pieces, end = [], 0
        for match in _UID.finditer(text):
            pieces += [self._cleaned(text[end : match.start()]), self._replace_uid(match[0])]
            end = match.end()
        return "".join([*pieces, self._cleaned(text[end:])])

    def _cleaned(self, text: str) -> str:
        text = self._take_out(text)
        for pattern in self._patterns:
            text = pattern.sub(MARK, text)
        return text

    def _take_out(self, text: str) -> str:
        """Return text without what is known, which is looked for in its plainest form."""
        if self._oldest_age:
            text = cap_ages(text, self._oldest_age)
        written = composed(text)
        kept, last = [], 0
        folded = fold(written)
        for start, end in sorted([*self._spans(folded), *find_spelled(folded, self._words)]):
            if start >= last:
                kept.append(written[last:start])
            last = max(last, end)
        return MARK.join([*kept, written[last:]]) if last else text

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Iterate over where what is known is; places may overlap."""
        uids = [span for uid in self._uids if uid in text for span in _find(uid, text)]
        yield from uids
        if self._known is None:
            return
        yield from (match.span() for match in self._known.finditer(text))
        # What begins within a UID must not hide what begins behind it.
        for _, end in uids:
            yield from (match.span() for match in self._known.finditer(text, end))
