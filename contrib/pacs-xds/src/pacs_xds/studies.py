"""Studies of the archive as they are shared: what a manifest names, and whose they are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pacs_core.api.streams import closing
from pacs_core.contracts import Archive, Level, Query, SingleValue
from pacs_core.dataset import Attributes, tag_of, texts

from pacs_xds.ebxml import Code, timestamp
from pacs_xds.manifest import DESCRIBING, StudyContent, shared

_STUDY: Final = tag_of("StudyInstanceUID")
_MODALITIES: Final = tag_of("ModalitiesInStudy")
_DCM: Final = "1.2.840.10008.2.16.4"
FORMAT: Final = Code(
    "1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1", "Key Object Selection Document"
)
"""formatCode of manifests: the SOP class, in the DICOM UID Registry (RAD TF-3 4.68.4.1.2.3)."""


class UnshareableStudyError(ValueError):
    """A study cannot be shared as it is; says why."""


class StudyGoneError(UnshareableStudyError):
    """A study has nothing that could be shared, any more or yet."""


async def read_study(archive: Archive, study_instance_uid: str) -> StudyContent:
    """Return what there is of a study.

    Raises
    ------
    StudyGoneError
        There is none, or it has nothing that could be shared.
    """
    condition = (SingleValue(_STUDY, study_instance_uid),)
    wanted = frozenset(map(tag_of, DESCRIBING)) | {_MODALITIES}
    query = Query(Level.STUDY, condition, wanted)
    async with closing(archive.search(query)) as found:
        studies = [study async for study in found]
    async with closing(archive.instances(Query(Level.IMAGE, condition))) as instances:
        identities = [each.identity async for each in instances]
    listed = shared(
        (each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid) for each in identities
    )
    if not studies or not listed:
        raise StudyGoneError(f"the study {study_instance_uid} has no instances to share")
    attributes = {each: _text(studies[0], each) for each in DESCRIBING}
    attributes["StudyInstanceUID"] = study_instance_uid
    modalities = tuple(sorted(set(texts(studies[0], _MODALITIES)) - {"KO", ""}))
    return StudyContent(attributes, listed, modalities)


def _text(study: Attributes, keyword: str) -> str:
    return "".join(texts(study, tag_of(keyword))[:1])


def identifier(content: StudyContent, domains: Mapping[str, str]) -> str:
    """Return the Patient ID with its assigning authority, as CX (ITI TF-3 Table 4.2.3.1.7-2).

    Raises
    ------
    UnshareableStudyError
        There is none, or nobody has said who assigns it.
    """
    patient_id = content.attributes["PatientID"]
    issuer = content.attributes["IssuerOfPatientID"]
    if not patient_id:
        raise UnshareableStudyError("the study has no Patient ID")
    if issuer not in domains:
        what = f"the issuer {issuer!r}" if issuer else "images without Issuer of Patient ID"
        raise UnshareableStudyError(f"[plugin.xds.domains] has no OID for {what}")
    return f"{escape(patient_id)}^^^&{domains[issuer]}&ISO"


def patient_info(content: StudyContent, cx: str) -> tuple[str, ...]:
    """Return sourcePatientInfo: segments of PID (ITI TF-3 §4.2.3.2.23)."""
    given = content.attributes
    family, first, middle, prefix, suffix, *_ = [
        *given["PatientName"].split("=")[0].split("^"), *[""] * 5,
    ]  # fmt: skip
    # PN and XPN have prefix and suffix the other way round.
    name = "^".join(map(escape, (family, first, middle, suffix, prefix))).rstrip("^")
    fields = {
        "PID-3": cx,
        "PID-5": name,
        "PID-7": given["PatientBirthDate"],
        "PID-8": given["PatientSex"],
    }
    return tuple(f"{key}|{value}" for key, value in fields.items() if value)


def references(content: StudyContent, cx: str) -> tuple[str, ...]:
    """Return referenceIdList, as CXi: the study, and its accession number."""
    authority = cx.partition("^^^")[2]
    uid = content.study_instance_uid
    found = [f"{uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID"]
    if number := content.attributes["AccessionNumber"]:
        found.append(f"{escape(number)}^^^{authority}^urn:ihe:iti:xds:2013:accession")
    return tuple(found)


def events(content: StudyContent) -> tuple[Code, ...]:
    """Return eventCodeList: the modalities (PS3.16 CID 29)."""
    return tuple(Code(each, _DCM, each) for each in content.modalities)


def service_start(content: StudyContent) -> str:
    """Return serviceStartTime: date and time of the study, as far as they are well-formed.

    What the archive's time zone makes of them is in UTC, as all of XDS (ITI TF-3 Table
    4.2.3.1.7-2); a date without time stays that date.
    """
    date = content.attributes["StudyDate"].replace(".", "")
    time = content.attributes["StudyTime"].replace(":", "").partition(".")[0]
    if len(date) != 8 or not date.isdecimal():
        return ""
    if len(time) not in {2, 4, 6}:
        return date
    try:
        moment = datetime.strptime(date + time, "%Y%m%d%H%M%S"[: 6 + len(time)])
    except ValueError:
        return date
    return timestamp(moment)[: 8 + len(time)]


def escape(text: str) -> str:
    """Return a text with the escapes of HL7 V2 (2.7), without what ends a segment."""
    escapes = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
    return "".join(escapes.get(each, each) for each in text if each.isprintable())
