"""Proof: a file that was made is searched for all that the file it comes from tells of people."""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from attrs import frozen
from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs_deidentify.attributes import TEXT_VRS, tag_text, values_of
from pacs_deidentify.evidence import Evidence
from pacs_deidentify.files import open_file
from pacs_deidentify.forms import cases, find_spelled, fold, spelled_words
from pacs_deidentify.tables import load_code_words

# Theory of operation
#
# Attributes are searched one by one, so that it can be told which it is: text for each form of each
# value, in each encoding; numbers and what is binary for long ones only, for short ones are there
# by chance. An attribute that has the very value that it had is found however short that is. Then
# all bytes of the file are searched for long forms: pixels, comments in compressed ones, gaps, what
# was appended. UIDs are taken out of the text and looked up, for there may be thousands.
#
# Letters of a word may be set apart in text: R u i z, R-u-i-z.
#
# A code string may be a word of somebody's name. It counts unless the standard has the word itself.

LONG: Final = 7
"""Characters of what is in a large binary value by no chance, if three of them differ."""

_NUMBERS: Final = frozenset({
    "AS", "AT", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "TM", "UL", "US",
    "UV",
})  # fmt: skip
_DATES: Final = frozenset({"DA", "DT"})
_BINARY: Final = frozenset({"OB", "OW", "UN"})
_SHORT_BINARY: Final = 1 << 10
_NUMBER_MIN: Final = 5
"""Digits of a number that may stand beside letters."""

# After a date there may be a time of day.
_AFTER: Final = (
    rb"(?:(?<![0-9])(?![a-z])|(?<=[0-9])(?![0-9]|\.[0-9])|"
    rb"(?<=[0-9]{8})(?=(?:[0-9]{4}|[0-9]{6})(?![0-9])))"
)
_INNER: Final = re.compile(rb"(?<=[a-z])(?=[A-Z])")
_AFTER_FIRST_ARC: Final = re.compile(rb"\.\d+(?:\.\d+)+")
_BLOCK: Final = 1 << 20
_OVERLAP: Final = 1 << 10


@frozen
class Findings:
    """What the search of a file has found.

    Attributes
    ----------
    leaks : tuple of str
        Paths of attributes, ``file meta information``, and ``bytes at`` an offset; never a value.
    searched : int
        Bytes.
    """

    leaks: tuple[str, ...] = ()
    searched: int = 0


class _Pattern:
    """Finds any of some texts as words, however they are encoded."""

    def __init__(self, texts: frozenset[str], encodings: tuple[str, ...]) -> None:
        # A name may be of one letter, which is in other words as well.
        forms = {form for text in texts if len(text) > 1 for form in _encode(text, encodings)}
        self._pattern = (
            re.compile(rb"(?:" + _alternatives(forms) + rb")" + _AFTER) if forms else None
        )

    def find(self, data: bytes) -> int | None:
        """Return where one is, None if none is there."""
        data, position = data.lower(), 0
        while self._pattern and (match := self._pattern.search(data, position)):
            if _stands_alone(match[0], data[match.start() - 1 : match.start()], data, match.end()):
                return match.start()
            position = match.start() + 1
        return None


def _stands_alone(found: bytes, before: bytes, data: bytes, end: int) -> bool:
    """Whether what was found is a word: a name may be beside digits, a number beside letters."""
    if found.isdigit() and len(found) < _NUMBER_MIN:
        return not before.isalnum() and before != b"." and not data[end : end + 1].isalnum()
    if found[:1].isdigit():
        return not before.isdigit() and before != b"."
    return not before.isalpha()


# Files of a series tell the same of people, but for their UIDs.
_find_any = lru_cache(maxsize=32)(_Pattern)


class _Search:
    def __init__(self, evidence: Evidence, dataset: Dataset, *, dates_move: bool) -> None:
        charset = dataset.get("SpecificCharacterSet", None) or "ISO_IR 6"
        encodings = tuple(convert_encodings(charset))
        texts, dates = evidence.texts(), evidence.dates()
        self._places = evidence.places
        self._uids = frozenset(uid.encode() for uid in evidence.uids())
        self._dates_move = dates_move
        self._words = spelled_words(texts)
        self._texts = _find_any(texts | dates, encodings)
        long = frozenset(filter(_is_long, texts))
        # Of dates that move one may become another, and be anywhere where dates are.
        self._temporal = _find_any(texts, encodings) if dates_move else self._texts
        long_dates = frozenset() if dates_move else frozenset(filter(_is_long, dates))
        self._long = _find_any(long | long_dates, encodings)
        words = load_code_words()
        codes = frozenset(text for text in texts if text.casefold() not in words)
        self._codes = _find_any(codes | dates, encodings)
        # Pixels have runs of digits by chance, and longer ones less so.
        self._numbers = _find_any(frozenset(filter(str.isdigit, long)), ())

    def walk(self, dataset: Dataset, path: str) -> Iterator[str]:
        """Iterate over the paths of attributes that show something."""
        for tag in dataset.keys():  # noqa: SIM118 iteration would convert each element
            where = f"{path}{tag_text(tag)}"
            raw = dataset.get_item(tag).value
            element = dataset[tag]
            # Private elements are converted as they are read.
            data = raw if isinstance(raw, bytes) else "\\".join(values_of(raw)).encode()
            if element.VR == "SQ":
                for number, item in enumerate(element.value):
                    yield from self.walk(item, f"{where}[{number}].")
            elif (
                self._is_same(where, dataset, tag)
                or self.shows(data, str(element.VR))
                or (element.VR in TEXT_VRS and self._spells(values_of(element.value)))
            ):
                yield where

    def _spells(self, texts: list[str]) -> bool:
        """Whether letters of a word are in text one by one."""
        return any(any(find_spelled(fold(text), self._words)) for text in texts)

    def _is_same(self, where: str, dataset: Dataset, tag: BaseTag) -> bool:
        had = self._places.get(where)
        if not had:
            return False
        return tuple(text.strip(" \0") for text in values_of(dataset[tag].value)) == had

    def shows(self, data: bytes, vr: str) -> bool:
        """Whether a value shows something."""
        if vr == "TM" and data[:8].isdigit():  # some devices write a date before the time
            return self._texts.find(data[:8]) is not None
        if vr in _NUMBERS:
            pattern = self._numbers if vr in {"DS", "IS"} else None
            return pattern is not None and pattern.find(data) is not None
        if vr in _BINARY and len(data) > _SHORT_BINARY:
            return self.find_long(data) is not None
        if self._find_uid(data) is not None:
            return True
        special = {"CS": self._codes, "DA": self._temporal, "DT": self._temporal}
        pattern = special.get(vr, self._texts)
        # In CamelCase words stand together.
        return any(pattern.find(each) is not None for each in {data, _INNER.sub(b" ", data)})

    def find_long(self, data: bytes) -> int | None:
        """Return where something long is shown, None if nothing is."""
        found = self._long.find(data)
        return self._find_uid(data) if found is None else found

    def _find_uid(self, data: bytes) -> int | None:
        for match in _AFTER_FIRST_ARC.finditer(data) if self._uids else ():
            start = max(match.start() - 1, 0)
            if data[start : match.end()] in self._uids:
                return start
        return None


def find_leaks(made: Path | IO[bytes], evidence: Evidence, *, dates_move: bool = False) -> Findings:
    """Search a file for what it must not show.

    Parameters
    ----------
    made : Path or file
        That was de-identified.
    evidence : Evidence
        Of the file that it was made from.
    dates_move : bool
        Whether dates were moved: one may then be equal to another by chance, so that dates are
        looked for in text, and where they were.
    """
    with open_file(made) as read:
        search = _Search(evidence, read.dataset, dates_move=dates_move)
        found = list(search.walk(read.dataset, ""))
        head = _head(made, read.meta.dataset_offset)
        if search.shows(head, "UN"):
            found.append("file meta information")
        searched = len(head)
        read.content.seek(0 if read.encoding.deflated else read.meta.dataset_offset)
        for offset, block in _blocks(read.content):
            searched = offset + len(block)
            if not found and (position := search.find_long(block)) is not None:
                found.append(f"bytes at {offset + position}")
        return Findings(tuple(found), searched)


def _blocks(content: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Iterate over offsets and blocks, each of which begins with the end of the one before."""
    left = b""
    while data := content.read(_BLOCK):
        end = content.tell()
        yield end - len(data) - len(left), left + data
        left = data[-_OVERLAP:]


def _encode(text: str, encodings: tuple[str, ...]) -> Iterator[bytes]:
    for written in cases(text):
        for form in {written, written.replace(" ", "^"), written.replace(" ", "_")}:
            for encoding in ("utf-8", "cp1252", "utf-16-le", "utf-16-be", *encodings):
                try:
                    yield form.encode(encoding).lower()
                except (UnicodeError, LookupError):
                    continue
            if encodings and not form.isascii():
                try:
                    yield encode_string(form, list(encodings)).lower()
                except (UnicodeError, LookupError, ValueError):
                    continue


def _alternatives(forms: Collection[bytes]) -> bytes:
    """Return a pattern for any of some texts, the longest first, as a tree of what they share.

    A flat list would be gone through wherever one may begin; so the search is twenty times faster.
    """
    by_first: dict[bytes, list[bytes]] = {}
    for form in forms:
        by_first.setdefault(form[:1], []).append(form)
    branches = []
    for group in by_first.values():
        shared = _shared(min(group), max(group))
        rest = {form[len(shared) :] for form in group}
        end = b"?" if b"" in rest else b""
        rest.discard(b"")
        branch = b"(?:" + _alternatives(rest) + b")" + end if rest else b""
        branches.append(re.escape(shared) + branch)
    return b"|".join(branches)


def _shared(first: bytes, last: bytes) -> bytes:
    """Return with what both begin, and so all that are between them."""
    most = min(len(first), len(last))
    return first[: next((n for n in range(most) if first[n] != last[n]), most)]


def _is_long(text: str) -> bool:
    return len(text) >= LONG and len(set(text)) >= 3


def _head(made: Path | IO[bytes], length: int) -> bytes:
    if isinstance(made, Path):
        with made.open("rb") as opened:
            return opened.read(length)
    made.seek(0)
    return made.read(length)
