"""Manifests: Key Object Selection documents that name the instances of a study (PS3.16 TID 2010).

How it works: a manifest is made of what the archive knows of a study, and of nothing else, so that
the same study makes the same manifest; its UIDs follow from a seed. The instances are in the
Current Requested Procedure Evidence Sequence (0040,A375), each series with where it is retrieved
(PS3.3 C.17.3), and once more in the content, as TID 2010 has it (RAD TF-3 4.68.4.1.2.2).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from attrs import field, frozen
from pydicom import DataElement, Dataset, dcmread
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
)

MANIFEST: Final = "113030"
"""Code of the document title "Manifest" (PS3.16 CID 7010)."""

DESCRIBING: Final = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip
"""Attributes of a study that a manifest has."""

_TYPE_2: Final = frozenset(DESCRIBING) - {"IssuerOfPatientID", "StudyDescription"}
_IMAGES: Final = ("Image", "Segmentation", "Parametric Map", "RT Dose Storage")
_WAVEFORMS: Final = ("Waveform", "ECG")
_NOT_THE_STUDYS: Final = frozenset({str(KeyObjectSelectionDocumentStorage)})


class UnreadableManifest(ValueError):  # noqa: N818
    """A document is no manifest; says why."""


@frozen
class Reference:
    """An instance that a manifest names.

    Attributes
    ----------
    study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid : str
    retrieve_location_uid, retrieve_ae_title, retrieve_url : str
        Of its series; empty where the manifest does not say.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    retrieve_location_uid: str = ""
    retrieve_ae_title: str = ""
    retrieve_url: str = ""


@frozen
class Location:
    """Where the instances of this node are retrieved.

    Attributes
    ----------
    location_uid : str
        Retrieve Location UID (0040,E011), for RAD-69.
    ae_title : str
        Retrieve AE Title (0008,0054).
    url : str
        Of the DICOMweb service, without a slash at the end; empty for no Retrieve URL (0008,1190).
    """

    location_uid: str
    ae_title: str = ""
    url: str = ""


@frozen
class StudyContent:
    """What a manifest is made of.

    Attributes
    ----------
    attributes : mapping of str to str
        Of the study and its patient, by keyword.
    instances : tuple of (str, str, str)
        Series Instance UID, SOP Class UID and SOP Instance UID of each.
    modalities : tuple of str
    """

    attributes: Mapping[str, str]
    instances: tuple[tuple[str, str, str], ...]
    modalities: tuple[str, ...] = field(default=())

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D)."""
        return self.attributes["StudyInstanceUID"]

    def digest(self) -> str:
        """Return what tells this content from another of the study."""
        found = hashlib.sha256()
        for key in sorted(self.attributes):
            found.update(f"{key}={self.attributes[key]}\0".encode())
        for instance in sorted(self.instances):
            found.update("\\".join(instance).encode() + b"\0")
        return found.hexdigest()


def shared(instances: Iterable[tuple[str, str, str]]) -> tuple[tuple[str, str, str], ...]:
    """Return the instances that a manifest names: those that select others are not among them."""
    return tuple(sorted(each for each in instances if each[1] not in _NOT_THE_STUDYS))


def make_uid(seed: str) -> str:
    """Return a UID that follows from a seed (PS3.5 B.2)."""
    return f"2.25.{uuid5(NAMESPACE_OID, seed).int}"


def build_manifest(
    content: StudyContent, location: Location, uid: str, moment: datetime
) -> Dataset:
    """Return the manifest of a study.

    Parameters
    ----------
    content : StudyContent
    location : Location
    uid : str
        SOP Instance UID of the manifest.
    moment : datetime
        When it is made.

    Raises
    ------
    ValueError
        The study has nothing to name.
    """
    if not content.instances:
        raise ValueError("the study has no instances that a manifest could name")
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = KeyObjectSelectionDocumentStorage
    made.SOPInstanceUID = uid
    for keyword in DESCRIBING:
        _set(made, keyword, content.attributes.get(keyword, ""))
    made.Modality = "KO"
    made.SeriesInstanceUID = make_uid(f"{uid} series")
    made.SeriesNumber = made.InstanceNumber = "1"
    made.SeriesDescription = "Manifest"
    made.ReferencedPerformedProcedureStepSequence = []
    made.Manufacturer = "pacs-core"
    made.ContentDate, made.ContentTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    made.ReferencedRequestSequence = []
    made.CurrentRequestedProcedureEvidenceSequence = [_evidence(content, location)]
    made.ValueType = "CONTAINER"
    made.ConceptNameCodeSequence = [_code(MANIFEST, "DCM", "Manifest")]
    made.ContinuityOfContent = "SEPARATE"
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    made.ContentTemplateSequence = [template]
    made.ContentSequence = [_item(each) for each in sorted(content.instances)]
    return made


def _set(dataset: Dataset, keyword: str, value: str) -> None:
    """Set a value, or none where it does not fit: nothing is written that is against PS3.5."""
    vr = dictionary_VR(keyword)
    if not value.isprintable():
        value = "".join(each for each in value if each.isprintable())
    try:
        checked = DataElement(keyword, vr, value, validation_mode=RAISE)
    except (ValueError, TypeError):
        checked = DataElement(keyword, vr, "")
    if not checked.is_empty or keyword in _TYPE_2:
        dataset.add(checked)


def _evidence(content: StudyContent, location: Location) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = content.study_instance_uid
    study.ReferencedSeriesSequence = []
    by_series: dict[str, list[tuple[str, str, str]]] = {}
    for instance in sorted(content.instances):
        by_series.setdefault(instance[0], []).append(instance)
    for uid, instances in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = uid
        if location.ae_title:
            series.RetrieveAETitle = location.ae_title
        series.RetrieveLocationUID = location.location_uid
        if location.url:
            series.RetrieveURL = f"{location.url}/studies/{study.StudyInstanceUID}/series/{uid}"
        series.ReferencedSOPSequence = [_sop(each) for each in instances]
        study.ReferencedSeriesSequence.append(series)
    return study


def _sop(instance: tuple[str, str, str]) -> Dataset:
    made = Dataset()
    _, made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = instance
    return made


def _item(instance: tuple[str, str, str]) -> Dataset:
    made = Dataset()
    made.ReferencedSOPSequence = [_sop(instance)]
    made.RelationshipType = "CONTAINS"
    made.ValueType = value_type(instance[1])
    return made


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def value_type(sop_class_uid: str) -> str:
    """Return the Value Type of the content item that refers to an instance (PS3.16 TID 2010)."""
    name = UID(sop_class_uid).name
    if any(each in name for each in _IMAGES):
        return "IMAGE"
    return "WAVEFORM" if any(each in name for each in _WAVEFORMS) else "COMPOSITE"


def encode_manifest(manifest: Dataset) -> bytes:
    """Return a manifest as a DICOM file (PS3.10), for RAD-68 sends it so."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = manifest.SOPClassUID
    meta.MediaStorageSOPInstanceUID = manifest.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    manifest.file_meta = meta
    file = BytesIO()
    manifest.save_as(file, enforce_file_format=True)
    return file.getvalue()


def describe_manifest(file: bytes, modalities: tuple[str, ...]) -> StudyContent:
    """Return what a manifest of ours says, so that it is described as it was when it was made."""
    made = dcmread(BytesIO(file))
    attributes = {keyword: str(made.get(keyword, "") or "") for keyword in DESCRIBING}
    instances = tuple(
        (each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid)
        for each in _references(made)
    )
    return StudyContent(attributes, instances, modalities)


def read_manifest(file: bytes, uid: str = "") -> tuple[Reference, ...]:
    """Return the instances that a manifest names.

    The title may be another than "Manifest": what counts is the evidence.

    Parameters
    ----------
    file : bytes
    uid : str
        The uniqueId under which it is registered, which is its SOP Instance UID (RAD TF-3
        4.68.4.1.2.3); empty if that is not known.

    Raises
    ------
    UnreadableManifest
        It is no DICOM file, or no Key Object Selection that names instances, or another one.
    """
    try:
        manifest = dcmread(BytesIO(file))
        sop_class = str(manifest.get("SOPClassUID", ""))
        if sop_class != KeyObjectSelectionDocumentStorage:
            raise UnreadableManifest(f"it is no Key Object Selection, but {sop_class[:64]!r}")
        found_uid = str(manifest.get("SOPInstanceUID", ""))
        if uid not in {"", found_uid}:
            raise UnreadableManifest(f"it is another document, {found_uid[:64]!r}")
        found = tuple(dict.fromkeys(_references(manifest)))
    except UnreadableManifest:
        raise
    except Exception as error:
        # pydicom raises whatever it stumbles over, from struct.error to UnicodeError.
        raise UnreadableManifest(f"it is no DICOM file that can be read: {error}") from error
    if not found:
        raise UnreadableManifest("it names no instances")
    return found


def _references(manifest: Dataset) -> Iterator[Reference]:
    for study in _items(manifest, "CurrentRequestedProcedureEvidenceSequence"):
        for series in _items(study, "ReferencedSeriesSequence"):
            for sop in _items(series, "ReferencedSOPSequence"):
                found = Reference(
                    str(study.StudyInstanceUID),
                    str(series.SeriesInstanceUID),
                    str(sop.ReferencedSOPClassUID),
                    str(sop.ReferencedSOPInstanceUID),
                    str(series.get("RetrieveLocationUID", "") or ""),
                    str(series.get("RetrieveAETitle", "") or ""),
                    str(series.get("RetrieveURL", "") or ""),
                )
                for uid in (
                    found.study_instance_uid,
                    found.series_instance_uid,
                    found.sop_instance_uid,
                ):
                    if not UID(uid).is_valid:
                        raise UnreadableManifest(f"it names {uid[:80]!r}, which is no UID")
                yield found


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    return dataset.get(keyword) or ()
