"""Ages above a limit, which become one age (45 CFR 164.514(b)(2)(i)(C); PS3.15 E.3.7)."""

import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any, Final

from pydicom.dataset import Dataset

from pacs_deidentify.number_words import words_of_years, years_in_words

# Theory of operation
#
# Few people are older than 89, so that an age or a date by which they are is as good as a name.
# Safe Harbor lets such ages be told as one: 90 or older. An Age String has no sign for "or older",
# so that 090Y stands for it, as in public archives, and 90 in text and in content items.
#
# Where somebody is that old, the year of birth is taken out of text as well, and a birth date does
# not stay whatever is to be kept, for together with the date of the study it tells the age.

DEFAULT_OLDEST: Final = 89
_FIRST_IN_WORDS: Final = 90

_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
_AGE: Final = re.compile(r"(\d{1,4}) ?([DWMY]?)", re.IGNORECASE)
"""Some devices leave the unit out, or a zero before; years are meant then."""

_UNITS: Final = {"a": "Y", "mo": "M", "wk": "W", "d": "D"}
"""Units of UCUM (PS3.16 CID 7456) by those of an Age String (PS3.5 §6.2)."""

_AGE_CONCEPTS: Final = frozenset({
    ("DCM", "121033"), ("SCT", "397669002"), ("SCT", "424144002"), ("LN", "30525-0"),
    ("LN", "21612-7"), ("LN", "29553-5"),
})  # fmt: skip
_BIRTH_CONCEPTS: Final = frozenset({("DCM", "121031"), ("SCT", "184099003"), ("LN", "21112-8")})
_DATE_VALUES: Final = frozenset({0x0040_A120, 0x0040_A121})
_BIRTH_DATES: Final = frozenset({0x0010_0030, 0x0010_0033})
_OF_STUDY: Final = ("StudyDate", "SeriesDate", "AcquisitionDate", "AcquisitionDateTime")

_NUMBER: Final = r"(?<!\w)(?<!\d[.,/])0?(\d{2,3})(?:[.,]\d+)?"
_YEARS: Final = (
    r"years?|yrs?|y\.?/?o\.?[fmw]?|y(?:/?[mf])?|jahren?|jahre|j[äa]e?hr\w*|jaar|jarige|ans|a[ñn]os|"
    r"anos|anni"
)
_OF_AGE: Final = (
    r"(?<!\w)(?:aged?|alter|[âa]ge|edad|idade|et[àa]|leeftijd)(?:[ \t]*(?:of|de|von|[:=]))?[ \t]*"
)
_HALF: Final = r"[ \t]+and[ \t]+a[ \t]+half"
_MORE: Final = (
    rf"(?:\+|½|[ \t]*1/2|{_HALF}|[ \t]*(?:[-–]|to|or|bis|oder|à|ou|[aoeu]|of|tot)[ \t]*\d{{2,3}})?"
)
"""What may be between a number and the years: a half, and another number."""

_IN_TEXT: Final = re.compile(
    # 95 years, 95-year-old, 95 yo, 95 y/o, 95Y, 95yM, 95-jähriger, 95 ans, 95J, 95+ y, 95 to 96 y
    rf"{_NUMBER}(?:(?={_MORE}[ \t-]{{0,3}}(?:{_YEARS}|j\.)(?!\w))|(?=(?-i:J)(?!\w))"
    # 95. Lebensjahr, 95th birthday
    r"|(?=(?:\.|st|nd|rd|th)[ \t]{0,3}(?:lebensjahr|lj(?!\w)|geburtstag|year of|birthday)))"
    # aged 95, age: 95, but no months
    rf"|{_OF_AGE}"
    r"0?(\d{2,3})(?!\w|[.,]\d|[ \t-]*(?:m|w|d|tag|woch|jour|sem|d[íi]a)\w*)",
    re.IGNORECASE,
)
_GROUP: Final = re.compile(
    r"(?<!\w)(?:super-?)?(?:nona|cente)(?:g[eé])?nari(?:ans?|[oa]s?)(?!\w)"
    r"|(?<!\w)(?:nonag[eé]naire|centenaire)s?(?!\w)"
    r"|(?<!\w)(in (?:his|her|their) )(?:(?:early|mid|late)[ -])?nineties(?!\w)",
    re.IGNORECASE,
)
"""Words for people who are older than 89."""

_STEMS: Final = (
    "ninet", "nonag", "centena", "hundred", "neunzig", "hundert", "vingt", "nonant", "cent ",
    "cent-", "noventa", "novant", "cento", "centu", "cien", "cem", "negentig", "honderd",
)  # fmt: skip
"""Some of them are in all words for such ages: most texts have none, and the words take time."""


def cap_age(text: str, oldest: int) -> str | None:
    """Return a value of VR AS that tells no age above a limit; None if it is no age.

    Examples
    --------
    >>> [cap_age(text, 89) for text in ("089Y", "090Y", "103Y", "95", "011M", "1100M", "old")]
    ['089Y', '090Y', '090Y', '090Y', '011M', '090Y', None]
    """
    years = _years(text)
    if years is None:
        return None
    return f"{oldest + 1:03d}Y" if years >= oldest + 1 else text


def cap_ages(text: str, oldest: int) -> str:
    """Return text in which no age is above a limit.

    Examples
    --------
    >>> cap_ages("a 93-year-old, fell at the age of 92; mother aged 101, son 60 yo", 89)
    'a 90-year-old, fell at the age of 90; mother aged 90, son 60 yo'
    >>> cap_ages("aged 95 months, 120 kV, 90Y, 95 mm", 89)
    'aged 95 months, 120 kV, 90Y, 95 mm'
    >>> cap_ages("ninety-one year old, dreiundneunzigjährig, quatre-vingt-douze ans", 89)
    '90 year old, 90jährig, 90 ans'
    """

    def cap(match: re.Match[str]) -> str:
        group = 1 if match[1] else 2
        if int(match[group]) <= oldest:
            return match[0]
        start = match.start(group) - match.start()
        return f"{match[0][:start].removesuffix('0')}{oldest + 1}"

    text = _IN_TEXT.sub(cap, text)
    lower = text.lower()
    return _cap_words(text, oldest) if any(stem in lower for stem in _STEMS) else text


def _cap_words(text: str, oldest: int) -> str:
    pattern, values = _words_pattern()

    def cap(match: re.Match[str]) -> str:
        words = match[1] or match[2]
        years = values[" ".join(re.split(r"[ \t-]+", words.lower()))]
        return match[0].replace(words, str(oldest + 1)) if years > oldest else match[0]

    text = pattern.sub(cap, text)
    if oldest >= _FIRST_IN_WORDS:
        return text
    return _GROUP.sub(lambda match: f"{match[1] or ''}{oldest + 1}", text)


@cache
def _words_pattern() -> tuple[re.Pattern[str], dict[str, int]]:
    words, values = years_in_words()
    before_years = rf"(?<!\w)({words})(?=(?:{_HALF})?[ \t-]{{0,3}}(?:{_YEARS})(?!\w))"
    return re.compile(rf"{before_years}|{_OF_AGE}({words})(?!\w)", re.IGNORECASE), values


def age_forms(text: str) -> set[str]:
    """Return forms in which people write an Age String of years, where it is in text.

    Examples
    --------
    >>> {"95-year-old", "95yo", "095Y"} <= age_forms("095Y")
    True
    """
    years = _years(text)
    if years is None:
        return set()
    n = int(years)
    words = {form for each in words_of_years(n) for form in (each, each.replace(" ", "-"))}
    in_words = {form + years for form in words for years in ("-year", " year", " years", " ans")}
    after = ("Y", " Y", "yo", " yo", " y/o", " years", " year", "-year-old", " yrs", "yrs")
    return {f"{n:03d}Y", f"aged {n}", f"age {n}", *(f"{n}{form}" for form in after), *in_words}


def find_old_ages(dataset: Dataset, oldest: int) -> Iterator[str]:
    """Iterate over the ages above a limit, as Age Strings, that a dataset tells of its patient.

    Dates of birth and of the study tell it as well as Patient's Age (0010,1010) does. Without a
    limit, which is 0, there are none.
    """
    if not oldest:
        return
    years = _years(str(dataset.get("PatientAge", None) or ""))
    if years is not None and years >= oldest + 1:
        yield f"{int(years):03d}Y"
    born = _day(dataset.get("PatientBirthDate"))
    for seen in (_day(dataset.get(keyword)) for keyword in _OF_STUDY):
        if born and seen:
            age = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
            if age > oldest:
                yield f"{age:03d}Y"


def birth_year(dataset: Dataset) -> str:
    """Return the year of a patient's birth, empty if it is not known."""
    born = _day(dataset.get("PatientBirthDate"))
    return f"{born:%Y}" if born else ""


def is_birth_date(tag: int, dataset: Dataset) -> bool:
    """Tell whether an attribute of a dataset is a date of birth, there or in a content item."""
    return tag in _BIRTH_DATES or is_birth_item(tag, dataset)


def is_birth_item(tag: int, dataset: Dataset) -> bool:
    """Tell whether an attribute is the value of a content item for a date of birth (TID 1007)."""
    return tag in _DATE_VALUES and _has_concept(dataset, _BIRTH_CONCEPTS)


def cap_age_of_item(item: Dataset, oldest: int) -> bool:
    """Change a content item whose measured value is an age above a limit; tell whether it was one.

    See PS3.16 TID 1007 (Subject Age), PS3.3 C.18.1.
    """
    if not _has_concept(item, _AGE_CONCEPTS):
        return False
    measured = [item, *(item.get("MeasuredValueSequence", None) or ())]
    changed = [_cap_measured(value, oldest) for value in measured]
    return any(changed)


def _cap_measured(value: Dataset, oldest: int) -> bool:
    codes = value.get("MeasurementUnitsCodeSequence", None)
    unit = _UNITS.get(str(codes[0].get("CodeValue", "")) if codes else "a", "Y")
    days = _DAYS[unit]
    limit = (oldest + 1) * _DAYS["Y"] / days
    numbers = [value[key].value for key in ("NumericValue", "FloatingPointValue") if key in value]
    if not any(float(number) >= limit for number in numbers if number not in (None, "")):
        return False
    value.NumericValue = str(round(limit))
    for keyword in ("FloatingPointValue", "RationalNumeratorValue", "RationalDenominatorValue"):
        if keyword in value:
            del value[keyword]
    return True


def _has_concept(item: Dataset, concepts: frozenset[tuple[str, str]]) -> bool:
    codes = item.get("ConceptNameCodeSequence", None)
    return any(
        (str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeValue", ""))) in concepts
        for code in codes or ()
    )


def _years(text: str) -> float | None:
    match = _AGE.fullmatch(text.strip(" \0"))
    if not match:
        return None
    return int(match[1]) * _DAYS[match[2].upper() or "Y"] / _DAYS["Y"]


def _day(value: Any) -> date | None:
    digits = re.sub(r"[./-]", "", str(value or "").strip(" \0"))[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
