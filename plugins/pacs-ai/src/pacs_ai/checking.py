"""Checks of results before they are archived, against the request that they answer.

Theory of operation
-------------------
All of it is done on datasets of pydicom without their pixel data, in a thread, and reads nothing:
the source, and what the archive says of UIDs, are handed in. Each check is a generator of what it
has found; none of them stops at the first.

A segmentation has a frame of reference, and then its frames may have any size and place in that
(PS3.3 A.51.5.1); or none, and then they lie pixel by pixel on the images that it refers to.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from pacs_ai.findings import Fault, Finding, Verdict
from pacs_ai.kinds import PARAMETRIC_MAP, SEGMENTATIONS, check_kind, structure_frames
from pacs_core.dataset import Value, tag_of

if TYPE_CHECKING:
    from pydicom import Dataset

_NO_INSTANCES: Final = frozenset(
    {
        "ReferencedPatientSequence", "ReferencedVisitSequence", "ReferencedStudySequence",
        "ReferencedPerformedProcedureStepSequence", "RTReferencedStudySequence",
    }
)  # fmt: skip
"""Sequences whose items name what no archive stores, such as a study by its own UID (PS3.3 C.8.8.5,
10.6), although in the attributes in which others name instances."""
_ALGORITHM_NAME, _ALGORITHM_VERSION = "111001", "111003"  # DCM, TID 4019
_PROCESSING_ALGORITHM: Final = ("99IHE", "Newcode1")
"""Purpose of contributing equipment that is an algorithm: IHE AIR 6.5.3.1 has no better code.
Processing Equipment of PS3.16 CID 7005 is what libraries say of themselves as well."""
_PATIENT: Final = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
)  # fmt: skip
_STUDY: Final = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip
_DAY: Final = timedelta(days=1)
_TOLERANCE: Final = 1e-3


@frozen
class Source:
    """The request as results are held against it.

    Attributes
    ----------
    study_uid : str
    inputs : frozenset of str
        SOP Instance UIDs.
    series : frozenset of str
        Series of the inputs.
    headers : sequence of Dataset
        Headers of an instance of each series.
    """

    study_uid: str
    inputs: frozenset[str]
    series: frozenset[str]
    headers: "Sequence[Dataset]" = field(repr=False)


@frozen
class Surroundings:
    """What the archive has of the UIDs in a result.

    Attributes
    ----------
    known : mapping of str to str
        SOP Class UIDs of those SOP Instance UIDs that are there.
    series_in_use : bool
        Whether its series is one that is not of the service's making.
    results : frozenset of str
        SOP Instance UIDs of results about the study.
    now : datetime
    """

    known: Mapping[str, str] = field(factory=dict)
    series_in_use: bool = False
    results: frozenset[str] = frozenset()
    now: datetime = field(factory=datetime.now)


def check_result(
    dataset: "Dataset", source: Source | None, around: Surroundings, *, algorithm: bool = True
) -> Verdict:
    """Say what is to be thought of a result.

    Parameters
    ----------
    dataset : Dataset
        Without pixel data.
    source : Source or None
        None if nobody has asked for it.
    around : Surroundings
    algorithm : bool
        Whether it must say what has made it.
    """
    references = references_of(dataset)
    findings = list(_check_uids(dataset, around))
    findings += _check_dates(dataset, source, around)
    findings += check_kind(dataset)
    findings += _check_references(references, source, around)
    made_by, missing = _algorithm_of(dataset)
    if algorithm and missing:
        findings.append(Finding(Fault.ALGORITHM, f"it does not say its {' and '.join(missing)}"))
    changes: dict[int, tuple[Value, ...] | None] = {}
    if source is None:
        findings.append(Finding(Fault.UNASKED, "there is no request that it could answer"))
    else:
        findings += _check_identity(dataset, source, changes)
        findings += _check_geometry(dataset, source, around, frozenset(references))
    return Verdict(tuple(findings), changes, made_by, frozenset(references))


def references_of(dataset: "Dataset") -> dict[str, str]:
    """Return the SOP Class UIDs of the SOP Instance UIDs that a dataset refers to, at any depth."""
    found: dict[str, str] = {}

    def walk(item: "Dataset", sequence: str = "") -> None:
        uid = str(item.get("ReferencedSOPInstanceUID", ""))
        if uid and sequence not in _NO_INSTANCES:
            found[uid] = str(item.get("ReferencedSOPClassUID", "")) or found.get(uid, "")
        for element in item:
            if element.VR == "SQ":
                for each in element.value or ():
                    walk(each, element.keyword)

    walk(dataset)
    return found


def _check_identity(
    dataset: "Dataset", source: Source, changes: dict[int, tuple[Value, ...] | None]
) -> Iterator[Finding]:
    """Hold patient and study against those of the source; note what makes them agree."""
    header = source.headers[0]
    for fault, keywords in ((Fault.PATIENT, _PATIENT), (Fault.STUDY, _STUDY)):
        differing = []
        for keyword in keywords:
            wanted, found = _text(header, keyword), _text(dataset, keyword)
            if wanted == found:
                continue
            if found in _former(header, keyword):
                continue  # it was called so when the service was asked; the archive corrects that
            changes[tag_of(keyword)] = (wanted,) if wanted else ()
            # The study is that of its UID; what else is said of it is completed without a word.
            if fault is Fault.PATIENT or keyword == "StudyInstanceUID":
                differing.append(f"{keyword} is {found[:64] or 'empty'}, not {wanted or 'empty'}")
        if differing:
            yield Finding(fault, "; ".join(differing))


def _former(header: "Dataset", keyword: str) -> set[str]:
    """Return what an attribute of the source was before it was corrected (PS3.3 C.12.1.1.9)."""
    return {
        _text(former, keyword)
        for item in header.get("OriginalAttributesSequence") or []
        for former in item.get("ModifiedAttributesSequence") or []
        if keyword in former
    }


def _check_uids(dataset: "Dataset", around: Surroundings) -> Iterator[Finding]:
    uid = _text(dataset, "SOPInstanceUID")
    if uid in around.known:
        yield Finding(Fault.UID, f"the archive has another instance {uid}")
    if around.series_in_use:
        series = _text(dataset, "SeriesInstanceUID")
        yield Finding(Fault.UID, f"the series {series} is not one of this service")


def _check_dates(
    dataset: "Dataset", source: Source | None, around: Surroundings
) -> Iterator[Finding]:
    studied = _date(source.headers[0], "StudyDate") if source else None
    for keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate"):
        made = _date(dataset, keyword)
        if made and made > around.now + _DAY:
            yield Finding(Fault.DATE, f"{keyword} {made:%Y%m%d} is still to come")
        elif made and studied and keyword != "SeriesDate" and made < studied - _DAY:
            yield Finding(Fault.DATE, f"{keyword} {made:%Y%m%d} is before the study was made")


def _check_references(
    references: Mapping[str, str], source: Source | None, around: Surroundings
) -> Iterator[Finding]:
    unknown = [uid for uid in references if uid not in around.known]
    if unknown:
        more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        yield Finding(Fault.REFERENCE, f"the archive has no instance {unknown[0]}{more}")
    for uid, sop_class in references.items():
        if sop_class and around.known.get(uid, sop_class) != sop_class:
            yield Finding(Fault.REFERENCE, f"{uid} is not of SOP class {sop_class}")
            break


def _check_geometry(
    dataset: "Dataset", source: Source, around: Surroundings, references: frozenset[str]
) -> Iterator[Finding]:
    sop_class = _text(dataset, "SOPClassUID")
    frame = _text(dataset, "FrameOfReferenceUID")
    frames = {_text(header, "FrameOfReferenceUID") for header in source.headers} - {""}
    is_derived = bool(references & source.inputs)
    if sop_class in SEGMENTATIONS or sop_class == PARAMETRIC_MAP:
        if frame and frames and frame not in frames:
            text = f"its frame of reference is {frame}, that of the source {min(frames)}"
            yield Finding(Fault.GEOMETRY, text)
        # Without any reference a segmentation lies where its frame of reference says.
        elif not is_derived and not (frame and frame in frames):
            yield Finding(Fault.REFERENCE, "it refers to nothing that the request was about")
        headers = [each for each in source.headers if _has_pixels(each)]
        if headers and not any(_fits(dataset, header, frame) for header in headers):
            own = (dataset.get("Rows"), dataset.get("Columns"))
            rows, columns = headers[0].get("Rows"), headers[0].get("Columns")
            text = f"its frames are {own[0]}x{own[1]}, those of the source {rows}x{columns}"
            yield Finding(Fault.GEOMETRY, text)
    elif frames and (others := structure_frames(dataset) - frames):
        text = f"its frame of reference is {min(others)}, that of the source {min(frames)}"
        yield Finding(Fault.GEOMETRY, text)
    # A report may be about nothing but a segmentation of the same study.
    elif references and not is_derived and not references & around.results:
        yield Finding(Fault.REFERENCE, "it refers to nothing that the request was about")


def _fits(dataset: "Dataset", header: "Dataset", frame: str) -> bool:
    """Tell whether frames may lie on those of a source: pixel by pixel, or in its space."""
    own = (dataset.get("Rows"), dataset.get("Columns"))
    theirs = (header.get("Rows"), header.get("Columns"))
    if own == theirs:
        return True
    if not frame or not _text(header, "FrameOfReferenceUID"):
        return False
    if _measures(dataset) != _measures(header) or None in own or None in theirs:
        return True
    return all(a <= b for a, b in zip(own, theirs, strict=True) if a and b)


def _has_pixels(header: "Dataset") -> bool:
    return header.get("Rows") is not None


def _measures(dataset: "Dataset") -> tuple[float, ...]:
    """Return spacing and orientation, as far as they are the same for all frames."""
    found: list[float] = []
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    for group, keyword in (
        ("PixelMeasuresSequence", "PixelSpacing"),
        ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ):
        item: Any = (shared.get(group) or [dataset])[0]
        found += [round(float(each) / _TOLERANCE) for each in item.get(keyword) or ()]
    return tuple(found)


def _algorithm_of(dataset: "Dataset") -> tuple[str, list[str]]:
    """Return what a result was made by, and what of that it does not say."""
    name = version = source = ""
    for segment in dataset.get("SegmentSequence") or []:
        for each in segment.get("SegmentationAlgorithmIdentificationSequence") or []:
            name = name or _text(each, "AlgorithmName")
            version = version or _text(each, "AlgorithmVersion")
            source = source or _text(each, "AlgorithmSource")
        name = name or _text(segment, "SegmentAlgorithmName")
    for roi in dataset.get("StructureSetROISequence") or []:
        for each in roi.get("ROIDerivationAlgorithmIdentificationSequence") or []:
            name = name or _text(each, "AlgorithmName")
            version = version or _text(each, "AlgorithmVersion")
            source = source or _text(each, "AlgorithmSource")
    for item in _content_items(dataset):
        code = (item.get("ConceptNameCodeSequence") or [{}])[0].get("CodeValue", "")
        name = name or (_text(item, "TextValue") if code == _ALGORITHM_NAME else "")
        version = version or (_text(item, "TextValue") if code == _ALGORITHM_VERSION else "")
    for each in dataset.get("ContributingEquipmentSequence") or []:
        if _PROCESSING_ALGORITHM in _purposes_of(each):
            name = name or _text(each, "ManufacturerModelName")
            version = version or _text(each, "SoftwareVersions")
            source = source or _text(each, "Manufacturer")
    # Secondary captures and encapsulated documents have equipment of their own (PS3.3 C.8.6.1).
    for prefix in ("", "SecondaryCaptureDevice"):
        name = name or _text(dataset, f"{prefix}ManufacturerModelName")
        version = version or _text(dataset, f"{prefix}SoftwareVersions")
        source = source or _text(dataset, f"{prefix}Manufacturer")
    parts = {"algorithm's name": name, "version": version, "manufacturer": source}
    shown = " ".join(filter(None, (name, version, f"({source})" if source else "")))
    return shown[:200], [part for part, value in parts.items() if not value]


def _purposes_of(equipment: "Dataset") -> set[tuple[str, str]]:
    return {
        (_text(code, "CodingSchemeDesignator"), _text(code, "CodeValue"))
        for code in equipment.get("PurposeOfReferenceCodeSequence") or []
    }


def _content_items(dataset: "Dataset") -> "Iterator[Dataset]":
    for item in dataset.get("ContentSequence") or []:
        yield item
        yield from _content_items(item)


def _text(dataset: Any, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    if not isinstance(value, str) and isinstance(value, Sequence):
        value = "\\".join(map(str, value))
    text = str(value).strip(" \0")
    return text.rstrip("^") if keyword.endswith("Name") else text


def _date(dataset: "Dataset", keyword: str) -> datetime | None:
    try:
        return datetime.strptime(_text(dataset, keyword)[:8], "%Y%m%d")
    except ValueError:
        return None
