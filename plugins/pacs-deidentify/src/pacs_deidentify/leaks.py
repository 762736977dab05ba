"""Proof: a file that was made is scanned for every identifying value of the file it comes from."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset

from pacs_deidentify.attributes import tag_text
from pacs_deidentify.dummies import DATE, TEXT
from pacs_deidentify.files import open_file

_NO_TEXT: Final = frozenset({
    "AS", "AT", "CS", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "TM", "UL", "US", "UV",
})  # fmt: skip
"""Numbers, times, and words that the standard chooses."""

_DATES: Final = frozenset({"DA", "DT"})
_DUMMIES: Final = frozenset({TEXT, DATE})


def find_leaks(
    made: Path | IO[bytes], identifiers: Iterable[str], *, dates_move: bool = False
) -> list[str]:
    """Return where a file shows what it must not.

    Parameters
    ----------
    made : Path or file
        That was de-identified.
    identifiers : iterable of str
        As of :attr:`Report.identifiers`.
    dates_move : bool
        Whether dates were moved: one may then be equal to another by chance, so that dates are
        looked for in text only.

    Returns
    -------
    list of str
        Paths of attributes, and ``file meta information``; never a value.
    """
    with open_file(made) as read:
        searched = frozenset(identifiers) - _DUMMIES
        pattern = _pattern(searched, read.dataset)
        if pattern is None:
            return []
        skipped = _NO_TEXT | _DATES if dates_move else _NO_TEXT
        found = list(_search(read.dataset, pattern, skipped, ""))
        if pattern.search(_file_meta(made, read.meta.dataset_offset)):
            found.append("file meta information")
        return found


def _pattern(identifiers: frozenset[str], dataset: Dataset) -> re.Pattern[bytes] | None:
    charset = dataset.get("SpecificCharacterSet", None) or "ISO_IR 6"
    encodings = convert_encodings(charset)
    forms = {form for text in identifiers for form in _forms(text, encodings)}
    if not forms:
        return None
    alternatives = b"|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.compile(rb"(?i)(?<![0-9A-Za-z.])(?:" + alternatives + rb")(?![0-9A-Za-z]|\.\d)")


def _forms(text: str, encodings: list[str]) -> Iterator[bytes]:
    for written in {text, text.replace(" ", "^")}:
        for encoding in ("utf-8", "latin-1", "utf-16-le"):
            try:
                yield written.encode(encoding)
            except UnicodeEncodeError:
                continue
        try:
            yield encode_string(written, encodings)
        except (UnicodeError, LookupError, ValueError):
            continue


def _search(
    dataset: Dataset, pattern: re.Pattern[bytes], skipped: frozenset[str], path: str
) -> Iterator[str]:
    for tag in dataset.keys():  # noqa: SIM118 iteration would convert each element
        where = f"{path}{tag_text(tag)}"
        element = dataset.get_item(tag)
        raw = element.value if isinstance(element.value, bytes) else b""
        vr = str(dataset[tag].VR)
        if vr == "SQ":
            for number, item in enumerate(dataset[tag].value):
                yield from _search(item, pattern, skipped, f"{where}[{number}].")
        elif vr not in skipped and pattern.search(raw):
            yield where


def _file_meta(made: Path | IO[bytes], length: int) -> bytes:
    if isinstance(made, Path):
        with made.open("rb") as opened:
            return opened.read(length)
    made.seek(0)
    return made.read(length)
