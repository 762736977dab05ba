"""A DICOMDIR held against PS3.3 F.3: it has no SOP Class UID, by which other IODs are found.

What its records refer to, ``pacs dicomdir show`` looks at.
"""

from typing import Final

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, ElementSet, tag_of
from pacs_tools.files import DicomFile
from pacs_tools.validation.findings import ERROR, Findings

DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage, of File Meta Information."""

_REFERENCE: Final = "PS3.3 F.3.2.2"
_RECORDS: Final = tag_of("DirectoryRecordSequence")
_TYPES: Final = {
    "FileSetID": 2,
    "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity": 1,
    "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity": 1,
    "FileSetConsistencyFlag": 1,
    "DirectoryRecordSequence": 2,
}
_TYPES_OF_RECORD: Final = {
    "OffsetOfTheNextDirectoryRecord": 1,
    "RecordInUseFlag": 1,
    "OffsetOfReferencedLowerLevelDirectoryEntity": 1,
    "DirectoryRecordType": 1,
}
_REFERRING: Final = (
    "ReferencedSOPClassUIDInFile", "ReferencedSOPInstanceUIDInFile",
    "ReferencedTransferSyntaxUIDInFile",
)  # fmt: skip
"""What a record has that refers to a file, all or none of these with Referenced File ID."""


def check_directory(file: DicomFile, findings: Findings) -> None:
    """Add what of a DICOMDIR is not as its IOD has it."""
    if file.meta.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN:
        text = "a DICOMDIR is in Explicit VR Little Endian"
        findings.add(ERROR, "meta", (), text, "PS3.10 §8.6")
    _check(file.elements, _TYPES, (), findings)
    records = file.elements.elements.get(_RECORDS)
    for number, record in enumerate(records.items if records and records.vr == "SQ" else ()):
        types = dict(_TYPES_OF_RECORD)
        if record.texts(tag_of("ReferencedFileID")):
            types |= dict.fromkeys(_REFERRING, 1)
        _check(record, types, (_RECORDS, number), findings)


def _check(
    elements: ElementSet, types: dict[str, int], path: tuple[int, ...], findings: Findings
) -> None:
    for keyword, kind in types.items():
        tag = tag_of(keyword)
        element = elements.elements.get(tag)
        if element is None:
            text = f"is absent, but Type {kind} in Directory Information"
        elif kind == 1 and not element.value:
            text = "is empty, but Type 1 in Directory Information"
        else:
            continue
        findings.add(ERROR, "type", (*path, tag), text, _REFERENCE)
