"""Studies as ImagingStudy resources (FHIR R4, ImagingStudy: Mappings to DICOM).

The logical id of a study is its Study Instance UID, which may be one (FHIR R4 2.24.0.1: letters,
digits, hyphens and dots, at most 64). A patient is named by identifier, for this server has no
Patient resources.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pacs_core.dataset import Attributes, tag_of, texts

from pacs_fhir.config import FhirConfig

UID_SYSTEM: Final = "urn:dicom:uid"
DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_URI: Final = "urn:ietf:rfc:3986"
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_ACCESSION: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]
}

Resource = dict[str, Any]


def _tags(*keywords: str) -> frozenset[int]:
    return frozenset(map(tag_of, keywords))


STUDY_TAGS: Final = _tags(
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber",
    "PatientID", "IssuerOfPatientID", "PatientName", "ReferringPhysicianName",
    "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
SERIES_TAGS: Final = _tags(
    "SeriesInstanceUID", "SeriesNumber", "Modality", "SeriesDescription", "BodyPartExamined",
    "NumberOfSeriesRelatedInstances",
)  # fmt: skip
INSTANCE_TAGS: Final = _tags("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber")
"""Attributes that are asked for."""


def make_study(
    study: Attributes,
    series: Iterable[Attributes],
    instances: Mapping[str, list[Attributes]] | None,
    config: FhirConfig,
    dicomweb: str,
) -> Resource:
    """Return a study as a resource.

    Parameters
    ----------
    study : Attributes
    series : iterable of Attributes
    instances : mapping of str to list of Attributes, or None
        By Series Instance UID; None where they are left out.
    config : FhirConfig
    dicomweb : str
        URL of the WADO-RS service.
    """
    uid = _text(study, "StudyInstanceUID")
    made: Resource = {"resourceType": "ImagingStudy", "id": uid}
    if instances is None:
        made["meta"] = {"tag": [_SUBSETTED]}
    made["contained"] = [_endpoint(dicomweb)]
    made["identifier"] = [{"system": UID_SYSTEM, "value": f"urn:oid:{uid}"}]
    if number := _text(study, "AccessionNumber"):
        accession = {"type": _ACCESSION, "value": number}
        if config.accession_system:
            accession["system"] = config.accession_system
        made["identifier"].append(accession)
    made["status"] = "available"
    if modalities := sorted({each for each in texts(study, tag_of("ModalitiesInStudy")) if each}):
        made["modality"] = [_modality(each) for each in modalities]
    made["subject"] = _subject(study, config)
    optional = {
        "started": started(_text(study, "StudyDate"), _text(study, "StudyTime")),
        "referrer": _display(_text(study, "ReferringPhysicianName")),
        "numberOfSeries": _number(study, "NumberOfStudyRelatedSeries"),
        "numberOfInstances": _number(study, "NumberOfStudyRelatedInstances"),
        "description": _text(study, "StudyDescription"),
    }
    made.update(_given(optional))
    made["endpoint"] = [{"reference": "#wado"}]
    if listed := [_series(each, instances) for each in series]:
        made["series"] = listed
    return made


def _series(series: Attributes, instances: Mapping[str, list[Attributes]] | None) -> Resource:
    uid = _text(series, "SeriesInstanceUID")
    listed = [] if instances is None else instances.get(uid, [])
    return {
        "uid": uid,
        "modality": _modality(_text(series, "Modality") or "OT"),
        **_given(
            {
                "number": _number(series, "SeriesNumber"),
                "description": _text(series, "SeriesDescription"),
                "numberOfInstances": _number(series, "NumberOfSeriesRelatedInstances"),
                "bodySite": _display(_text(series, "BodyPartExamined")),
                "instance": [_instance(each) for each in listed],
            }
        ),
    }


def _instance(instance: Attributes) -> Resource:
    sop_class = _text(instance, "SOPClassUID")
    return {
        "uid": _text(instance, "SOPInstanceUID"),
        "sopClass": {"system": _URI, "code": f"urn:oid:{sop_class}"},
        **_given({"number": _number(instance, "InstanceNumber")}),
    }


def _subject(study: Attributes, config: FhirConfig) -> Resource:
    subject: Resource = {"type": "Patient"}
    issuer = _text(study, "IssuerOfPatientID")
    if value := _text(study, "PatientID"):
        subject["identifier"] = {"value": value}
        if issuer in config.systems:
            subject["identifier"]["system"] = config.systems[issuer]
        elif issuer:
            subject["identifier"]["assigner"] = {"display": issuer}
    subject["display"] = person(_text(study, "PatientName")) or value or "unknown"
    return subject


def _endpoint(address: str) -> Resource:
    kind = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
    return {
        "resourceType": "Endpoint",
        "id": "wado",
        "status": "active",
        "connectionType": {"system": kind, "code": "dicom-wado-rs"},
        "payloadType": [{"text": "DICOM"}],
        "payloadMimeType": ["application/dicom"],
        "address": address,
    }


def _modality(code: str) -> Resource:
    return {"system": DICOM, "code": code}


def _given(values: Mapping[str, object]) -> Resource:
    """Return the values that there are: in FHIR nothing is empty."""
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _display(text: str) -> Resource | None:
    name = person(text)
    return {"display": name} if name else None


def person(name: str) -> str:
    """Return a name for people to read: of its alphabetic, or else another representation."""
    for group in name.split("="):
        family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
        if found := " ".join(filter(None, (prefix, given, middle, family, suffix))).strip():
            return found
    return ""


def started(date: str, time: str) -> str:
    """Return a dateTime: with a time of day it has a zone, that of this archive."""
    digits = date.replace(".", "")
    clock = time.replace(":", "").partition(".")[0]
    try:
        day = datetime.strptime(digits, "%Y%m%d")
    except ValueError:
        return ""
    try:
        moment = datetime.strptime(digits + clock.ljust(6, "0"), "%Y%m%d%H%M%S") if clock else None
    except ValueError:
        moment = None
    return moment.astimezone().isoformat() if moment else day.date().isoformat()


def _text(attributes: Attributes, keyword: str) -> str:
    """Return a value without what no string of FHIR may have."""
    value = "".join(texts(attributes, tag_of(keyword))[:1])
    return "".join(each for each in value if each.isprintable()).strip()


def _number(attributes: Attributes, keyword: str) -> int | None:
    """Return an unsignedInt (FHIR R4 2.24.0.1), or None."""
    text = _text(attributes, keyword)
    return int(text) if text.isdecimal() and int(text) < 1 << 31 else None
