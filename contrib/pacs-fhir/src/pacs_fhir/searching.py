"""Search parameters of ImagingStudy as a query of the archive (FHIR R4 3.1.1, ImagingStudy).

A parameter that is not known is an error, not passed over: a search that is broader than it was
meant shows studies of other patients.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from attrs import frozen
from pacs_core.contracts import (
    AnyOf,
    Condition,
    Either,
    Empty,
    Level,
    Query,
    Range,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.dimse import is_valid_uid
from starlette.datastructures import QueryParams

from pacs_fhir.config import FhirConfig
from pacs_fhir.imaging_study import DICOM, STUDY_TAGS, UID_SYSTEM

PATIENT: Final = ("patient:identifier", "patient.identifier", "subject:identifier")
PARAMETERS: Final = (*PATIENT, "identifier", "modality", "started", "_id")
_PAGING: Final = ("_count", "_offset")
_NEGLIGIBLE: Final = ("_format",)

_STUDY: Final = tag_of("StudyInstanceUID")
_ID, _ISSUER = tag_of("PatientID"), tag_of("IssuerOfPatientID")
_ACCESSION: Final = tag_of("AccessionNumber")
_DATE: Final = tag_of("StudyDate")
_MODALITIES: Final = tag_of("ModalitiesInStudy")
_WHEN: Final = re.compile(r"(eq|ge|le|gt|lt|sa|eb)?(\d{4})(?:-(\d\d)(?:-(\d\d))?)?\Z")
_NOTHING: Final = Either(())
"""What no study meets."""


class SearchError(ValueError):
    """A search cannot be made as it is; says why."""


@frozen
class Search:
    """What is looked for.

    Attributes
    ----------
    query : Query
        Of a page.
    count, offset : int
    """

    query: Query
    count: int
    offset: int


def read_search(given: QueryParams, config: FhirConfig) -> Search:
    """Return what parameters ask for.

    Raises
    ------
    SearchError
    """
    found: list[Condition | Either] = []
    paging = {"_count": config.max_results, "_offset": 0}
    for name, value in given.multi_items():
        if name in _NEGLIGIBLE:
            continue
        if name in paging:
            if not value.isdecimal() or len(value) > 9:
                raise SearchError(f"{name}: a number, not {value[:40]!r}")
            paging[name] = int(value)
        elif name not in PARAMETERS:
            known = ", ".join((*PARAMETERS, *_PAGING))
            raise SearchError(f"{name[:60]!r} is no parameter here; there are {known}")
        elif not value:
            raise SearchError(f"{name} has no value")
        elif "\\" in value or not value.isprintable():
            raise SearchError(f"{name}: {value[:60]!r} is no value of it")
        else:
            found += _conditions(name, value, config)
    count = max(1, min(paging["_count"], config.max_results))
    offset = paging["_offset"]
    query = Query(
        Level.STUDY,
        tuple(each for each in found if not isinstance(each, Either)),
        STUDY_TAGS,
        limit=count,
        offset=offset,
        restrictions=tuple(each for each in found if isinstance(each, Either)),
    )
    return Search(query, count, offset)


def _conditions(name: str, value: str, config: FhirConfig) -> Iterator[Condition | Either]:
    if name == "started":
        yield _period(value)
    elif name == "modality":
        yield AnyOf(_MODALITIES, tuple(SingleValue(_MODALITIES, m) for m in _modalities(value)))
    elif "," in value:
        raise SearchError(f"{name}: one value at a time")
    elif name == "_id":
        yield _study(value)
    elif name == "identifier":
        yield _identifier(value, config)
    else:
        yield from _patient(value, config)


def _patient(value: str, config: FhirConfig) -> Iterator[Condition | Either]:
    system, has_system, identifier = value.rpartition("|")
    if not identifier:
        raise SearchError("the identifier of the patient is missing")
    yield SingleValue(_ID, identifier)
    if not has_system:
        return
    issuers = [issuer for issuer, uri in config.systems.items() if uri == system]
    if not issuers:
        yield _NOTHING  # of a namespace that this archive knows nothing of
        return
    each = (SingleValue(_ISSUER, issuer) if issuer else Empty(_ISSUER) for issuer in issuers)
    yield AnyOf(_ISSUER, tuple(each))


def _identifier(value: str, config: FhirConfig) -> Condition | Either:
    system, has_system, identifier = value.rpartition("|")
    if system == UID_SYSTEM or identifier.startswith("urn:oid:"):
        return _study(identifier.removeprefix("urn:oid:"))
    if not identifier:
        raise SearchError("identifier: its value is missing")
    if has_system and system != config.accession_system:
        return _NOTHING
    return SingleValue(_ACCESSION, identifier)


def _study(uid: str) -> Condition | Either:
    return SingleValue(_STUDY, uid) if is_valid_uid(uid) else _NOTHING


def _modalities(value: str) -> Iterator[str]:
    for each in value.split(","):
        system, has_system, code = each.rpartition("|")
        if not code:
            raise SearchError("modality: a code is missing")
        if not has_system or system == DICOM:
            yield code
        else:
            raise SearchError(f"modality: codes are of {DICOM}, not {system[:80]!r}")


def _period(value: str) -> Condition:
    """Return the days that a date with a prefix means (FHIR R4 3.1.1.4.6)."""
    match = _WHEN.match(value)
    if match is None:
        raise SearchError(f"started: a date such as ge2026-01-31, not {value[:40]!r}")
    prefix, year, month, day = match.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        last = first if day else _last(first, is_month=bool(month))
        before, after = first - timedelta(1), last + timedelta(1)
    except (ValueError, OverflowError) as error:
        raise SearchError(f"started: {value[:40]!r} is no date: {error}") from error
    start, end = {
        "ge": (first, None), "le": (None, last),
        "gt": (after, None), "sa": (after, None),
        "lt": (None, before), "eb": (None, before),
    }.get(prefix or "eq", (first, last))  # fmt: skip
    return Range(_DATE, *(each.strftime("%Y%m%d") if each else "" for each in (start, end)))


def _last(first: date, *, is_month: bool) -> date:
    """Return the last day of a month, or of a year."""
    months = first.month if is_month else 12
    year, month = (first.year + 1, 1) if months == 12 else (first.year, months + 1)
    return date(year, month, 1) - timedelta(1)
