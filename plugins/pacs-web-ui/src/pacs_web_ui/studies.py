"""Studies, series and instances as pages and API show them, and the search for them.

What a person types into the one search field is looked for in name, ID, accession number and
description, and a date in those of birth and study; the further fields match as keys of C-FIND do
(PS3.4 C.2.2.2), names with a wild card at their end.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from attrs import fields, frozen
from pacs_web.api.http import HttpError

from pacs_core.contracts import (
    Archive,
    Condition,
    Either,
    KeyMatching,
    Level,
    Order,
    PersonName,
    Query,
    SingleValue,
    Wildcard,
    fold_name,
)
from pacs_core.dataset import Attributes, tag_of

T = TypeVar("T")

LONGEST: Final = 200
"""Characters of a value that is searched for."""
_BIRTH_DATE: Final = tag_of("PatientBirthDate")
_STUDY_DATE: Final = tag_of("StudyDate")
_DAY: Final = re.compile(
    r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})"
    r"|(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})",
    re.ASCII,
)
"""How dates are typed that can be meant in one way only."""
_WILD: Final = str.maketrans("*?", "??")


@frozen
class Study:
    """A study."""

    study_instance_uid: str = ""
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    accession_number: str = ""
    modalities_in_study: tuple[str, ...] = ()
    number_of_study_related_series: int = 0
    number_of_study_related_instances: int = 0


@frozen
class Series:
    """A series."""

    series_instance_uid: str = ""
    modality: str = ""
    series_number: str = ""
    series_description: str = ""
    body_part_examined: str = ""
    series_date: str = ""
    number_of_series_related_instances: int = 0


@frozen
class Instance:
    """An instance."""

    sop_instance_uid: str = ""
    sop_class_uid: str = ""
    instance_number: str = ""
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 0


@frozen
class StudyPage:
    """A page of studies, and how many there are in all."""

    total: int
    studies: tuple[Study, ...]


def _keyword(name: str) -> str:
    words = {"uid": "UID", "id": "ID", "sop": "SOP"}
    special = {"modalities_in_study": "ModalitiesInStudy", "number_of_frames": "NumberOfFrames"}
    return special.get(name) or "".join(words.get(w, w.capitalize()) for w in name.split("_"))


TAGS: Final[Mapping[type, Mapping[str, int]]] = {
    kind: {field.name: tag_of(_keyword(field.name)) for field in fields(kind)}
    for kind in (Study, Series, Instance)
}
"""The tag of each attribute."""

SORTABLE: Final = (
    "patient_name", "patient_id", "study_date", "accession_number", "study_description",
)  # fmt: skip
MODALITIES: Final = "ModalitiesInStudy"
FILTERS: Final = {
    "PatientName": tag_of("PatientName"),
    "PatientID": tag_of("PatientID"),
    "AccessionNumber": tag_of("AccessionNumber"),
    "StudyDate": tag_of("StudyDate"),
    MODALITIES: tag_of(MODALITIES),
    "StudyDescription": tag_of("StudyDescription"),
}
"""Fields of the search, by keyword."""
PARAMETERS: Final = (*FILTERS, "q", "from", "to", "sort", "offset", "limit")
"""What a search may have."""
END_BEFORE_BEGINNING: Final = "The range of dates ends before it begins."
_EVERYWHERE: Final = ("PatientID", "AccessionNumber", "StudyDescription")


@frozen
class StudySearch:
    """What was asked for.

    Attributes
    ----------
    text : str
        Looked for in several attributes.
    filters : mapping of str to str
        By keyword, see :data:`FILTERS`.
    sort : str
        An attribute of :data:`SORTABLE`, with a hyphen before it for the reverse.
    offset, limit : int
    """

    text: str
    filters: Mapping[str, str]
    sort: str
    offset: int
    limit: int

    def query(self) -> Query:
        """Return the query.

        Raises
        ------
        InvalidKeyError
            A value that nothing could match: a date that is none.
        """
        keys: Attributes = {
            FILTERS[name]: tuple(value.split("\\")) if name == MODALITIES else (value,)
            for name, value in self.filters.items()
        }
        conditions = KeyMatching().conditions(keys, keys)
        name = self.sort.removeprefix("-")
        order = Order(TAGS[Study][name], self.sort.startswith("-"))
        return Query(
            Level.STUDY,
            (*conditions, *self._anywhere()),
            frozenset(TAGS[Study].values()),
            limit=self.limit,
            offset=self.offset,
            order=(order,),
        )

    def _anywhere(self) -> tuple[Either, ...]:
        """Return what each word must meet: to be somewhere."""
        found = []
        for word in self.text.split():
            pattern = f"*{word.translate(_WILD)}*"
            name: Condition = PersonName(FILTERS["PatientName"], (fold_name(pattern),))
            others = (
                Wildcard(FILTERS[keyword], text)
                for keyword in _EVERYWHERE
                for text in dict.fromkeys((pattern, pattern.upper(), pattern.title()))
            )
            days = (
                SingleValue(tag, day)
                for day in _days_of(word)
                for tag in (_BIRTH_DATE, _STUDY_DATE)
            )
            found.append(Either((name, *others, *days)))
        return tuple(found)


def _days_of(word: str) -> tuple[str, ...]:
    """Return the day that a word names, as DA; none if it is no date."""
    found = _DAY.fullmatch(word)
    if found is None:
        return ()
    day, month, year = (found[name] or found[name[0]] for name in ("day", "month", "year"))
    return (f"{year}{month:0>2}{day:0>2}",)


def read_search(parameters: Mapping[str, str], page_size: int) -> StudySearch:
    """Return the search that query parameters ask for.

    Raises
    ------
    HttpError
        400: a parameter cannot be meant.
    """
    filters = {}
    for name in FILTERS:
        if value := parameters.get(name, "").strip():
            filters[name] = _checked(name, value)
    start, end = (parameters.get(name, "").replace("-", "").strip() for name in ("from", "to"))
    if start and end and start > end:
        raise HttpError(400, END_BEFORE_BEGINNING)
    if start or end:
        filters["StudyDate"] = _checked("from", f"{start}-{end}")
    if modalities := filters.get(MODALITIES):
        filters[MODALITIES] = "\\".join(re.findall(r"[^\s,;\\]+", modalities.upper()))
    for name in ("PatientName", "StudyDescription"):
        if name in filters and not set("*?") & set(filters[name]):
            filters[name] += "*"
    sort = parameters.get("sort") or "-study_date"
    if sort.removeprefix("-") not in SORTABLE:
        raise HttpError(400, f"sort: one of {', '.join(SORTABLE)}, or with a hyphen before it")
    text = _checked("q", parameters.get("q", ""))
    limit = _number(parameters, "limit", page_size, 1000)
    return StudySearch(text, filters, sort, _number(parameters, "offset", 0, 1 << 40), limit)


def _checked(name: str, value: str) -> str:
    if len(value) > LONGEST or not value.isprintable():
        raise HttpError(400, f"{name}: at most {LONGEST} printable characters")
    return value


def _number(parameters: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = parameters.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or len(text) > 15 or int(text) > most:
        raise HttpError(400, f"{name}: a number up to {most}")
    return int(text)


async def search_studies(archive: Archive, search: StudySearch) -> StudyPage:
    """Return a page of the studies that match."""
    query = search.query()
    found = [model_of(Study, each) async for each in archive.search(query)]
    return StudyPage(await archive.count(query), tuple(found))


async def find_study(archive: Archive, study: str) -> Study:
    """Return a study.

    Raises
    ------
    HttpError
        404: there is none, for whoever asks.
    """
    conditions = (SingleValue(TAGS[Study]["study_instance_uid"], study),)
    query = Query(Level.STUDY, conditions, frozenset(TAGS[Study].values()))
    async for each in archive.search(query):
        return model_of(Study, each)
    raise HttpError(404, "there is no such study")


async def list_series(archive: Archive, study: str) -> list[Series]:
    """Return the series of a study, by their number."""
    conditions = (SingleValue(TAGS[Study]["study_instance_uid"], study),)
    query = Query(Level.SERIES, conditions, frozenset(TAGS[Series].values()))
    found = [model_of(Series, each) async for each in archive.search(query)]
    return sorted(found, key=lambda each: _by_number(each.series_number))


async def list_instances(archive: Archive, study: str, series: str) -> list[Instance]:
    """Return the instances of a series, by their number."""
    conditions = (
        SingleValue(TAGS[Study]["study_instance_uid"], study),
        SingleValue(TAGS[Series]["series_instance_uid"], series),
    )
    query = Query(Level.IMAGE, conditions, frozenset(TAGS[Instance].values()))
    found = [model_of(Instance, each) async for each in archive.search(query)]
    return sorted(found, key=lambda each: _by_number(each.instance_number))


def _by_number(text: str) -> tuple[int, str]:
    number = text.strip().lstrip("+-")
    return (int(text), "") if number.isascii() and number.isdigit() else (1 << 40, text)


def model_of(kind: type[T], attributes: Attributes) -> T:
    """Return a model of attributes that the index has returned."""
    values: dict[str, object] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        texts = [t for t in attributes.get(TAGS[kind][field.name], ()) if isinstance(t, str)]
        if field.type is int:
            digits = texts[0].strip() if texts else ""
            values[field.name] = int(digits) if digits.isascii() and digits.isdigit() else 0
        else:
            values[field.name] = texts[0] if texts and field.type is str else tuple(texts)
        if field.type is str and not texts:
            values[field.name] = ""
    return kind(**values)
