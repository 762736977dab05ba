"""``pacs from-pdf``, ``from-cda``, ``from-stl``: documents as DICOM instances (PS3.3 A.45, A.85).

A document keeps its bytes, and is copied as a stream, however large it is. ``pacs to-document`` is
the way back.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

from attrs import evolve, frozen
from cyclopts import Parameter

from pacs_core.api.file_commands import CommandError, say
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    ElementSet,
    MutableAttributes,
    NotPart10,
    UnencodableValue,
    Value,
    element_header,
    encode_attributes,
    encode_elements,
    file_meta,
    read_elements,
    scan_file,
    tag_of,
    texts,
)
from pacs_tools.editing import Changes, read_values
from pacs_tools.files import DicomFile, open_dicom
from pacs_tools.output import check_output, write_file

_DOCUMENT: Final = tag_of("EncapsulatedDocument")
_LENGTH: Final = tag_of("EncapsulatedDocumentLength")
_MIME: Final = tag_of("MIMETypeOfEncapsulatedDocument")
_BLOCK: Final = 1 << 20
_LONGEST: Final = 0xFFFF_FFFE
_UTF_8: Final = "ISO_IR 192"

_FROM_PATIENT: Final = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip
"""What a document has in common with the instances of its study (PS3.3 C.7.1.1, C.7.2.1)."""


@frozen
class Kind:
    """A kind of document.

    Attributes
    ----------
    sop_class : str
    mime : str
    modality : str
    begins : pattern
        What its first bytes are.
    further : mapping of str to tuple
        Attributes that only this kind has.
    """

    sop_class: str
    mime: str
    modality: str
    begins: re.Pattern[bytes]
    further: dict[str, tuple[Value, ...]]


def _code(value: str, scheme: str, meaning: str) -> tuple[Value, ...]:
    texts_ = (value, scheme, meaning)
    names = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    return ({tag_of(name): (text,) for name, text in zip(names, texts_, strict=True)},)


_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.104"
PDF: Final = Kind(f"{_STORAGE}.1", "application/pdf", "DOC", re.compile(rb"%PDF-"), {})
CDA: Final = Kind(
    f"{_STORAGE}.2",
    "text/XML",
    "SR",
    re.compile(rb"(\xef\xbb\xbf)?\s*<"),
    {"HL7InstanceIdentifier": ("2.25.0",)},
)
STL: Final = Kind(
    f"{_STORAGE}.3",
    "model/stl",
    "M3D",
    re.compile(rb"(?s).{84}|solid "),
    {"MeasurementUnitsCodeSequence": _code("mm", "UCUM", "mm")},
)

Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@frozen(kw_only=True)
class DocumentOptions:
    """What the instance is to have besides the document.

    Attributes
    ----------
    like : Path, optional
        DICOM file whose patient and study it is to have.
    title : str
        Of the document.
    set_ : list of str, optional
        KEYWORD=VALUE, as PatientID=4711; may be given several times.
    overwrite : bool
        Replace the output if there is one.
    """

    like: Path | None = None
    title: str = ""
    set_: Annotated[list[str] | None, Parameter(name=["--set", "-s"], negative=())] = None
    overwrite: Flag = False


NO_OPTIONS: Final = DocumentOptions()


def from_pdf(source: Path, output: Path, /, *, options: DocumentOptions = NO_OPTIONS) -> None:
    """Make an Encapsulated PDF of a PDF.

    Parameters
    ----------
    source
        The PDF.
    output
        DICOM file to write.
    """
    _wrap(PDF, source, output, options)


def from_cda(source: Path, output: Path, /, *, options: DocumentOptions = NO_OPTIONS) -> None:
    """Make an Encapsulated CDA of an HL7 Clinical Document Architecture document.

    Parameters
    ----------
    source
        The XML document, whose id becomes HL7 Instance Identifier.
    output
        DICOM file to write.
    """
    _wrap(CDA, source, output, options)


def from_stl(source: Path, output: Path, /, *, options: DocumentOptions = NO_OPTIONS) -> None:
    """Make an Encapsulated STL of a model for 3D printing, whose unit is mm.

    Parameters
    ----------
    source
        The STL file.
    output
        DICOM file to write.
    """
    _wrap(STL, source, output, options)


def to_document(source: Path, output: Path, /, *, overwrite: Flag = False) -> None:
    """Write the document that a DICOM file holds, without the padding.

    Parameters
    ----------
    source
        An Encapsulated PDF, CDA, STL or the like.
    output
        File to write.
    overwrite
        Replace the output if there is one.
    """
    check_output(output, overwrite)
    try:
        file = open_dicom(source)
    except NotPart10 as error:
        raise CommandError(f"{source}: {error}") from error
    with file:
        element = file.elements.elements.get(_DOCUMENT)
        if file.damage:
            raise CommandError(f"{source}: damaged: {file.damage}")
        if element is None or isinstance(element.value, tuple):
            raise CommandError(f"{source}: it has no Encapsulated Document (0042,0011)")
        said = "".join(file.elements.texts(_LENGTH)[:1])
        write_file(output, _document(file, element.value, int(said) if said.isdecimal() else None))
    say(f"{output} written")


def _document(file: DicomFile, value: bytes | BulkData, said: int | None) -> Iterator[bytes]:
    length = len(value) if isinstance(value, bytes) else value.length or 0
    if said is not None and not length - 1 <= said <= length:
        raise CommandError(
            f"{file.path}: Encapsulated Document Length says {said}, but there are {length} bytes"
        )
    wanted = length if said is None else said
    if isinstance(value, bytes):
        yield value[:wanted]
    else:
        yield from file.read_bulk(value.offset, wanted)


def _wrap(kind: Kind, source: Path, output: Path, options: DocumentOptions) -> None:
    check_output(output, options.overwrite)
    changes = Changes(read_values(options.set_ or ()))
    size = source.stat().st_size
    with source.open("rb") as file:
        begin = file.read(_BLOCK)
    if kind.begins.match(begin) is None:
        raise CommandError(f"{source}: it does not begin as {kind.mime} does")
    if size > _LONGEST:
        raise CommandError(f"{source}: it is larger than the 4 GiB that a value can have")
    attributes = {**_attributes(kind, options.title, size), **_like(options.like)}
    if kind is CDA and (found := _cda_id(begin)):
        attributes[tag_of("HL7InstanceIdentifier")] = (found,)
    try:
        encoded = encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN, (_UTF_8,))
    except UnencodableValue as error:
        raise CommandError(f"{source}: {error}") from error
    elements = changes.apply(read_elements(encoded, EXPLICIT_VR_LITTLE_ENDIAN))
    write_file(output, _pieces(elements, source, size))
    say(f"{output} written")


def _attributes(kind: Kind, title: str, size: int) -> MutableAttributes:
    now = datetime.now().astimezone()
    day, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    values: dict[str, tuple[Value, ...]] = {
        "SOPClassUID": (kind.sop_class,), "SOPInstanceUID": (_new_uid(),),
        "InstanceCreationDate": (day,), "InstanceCreationTime": (time,),
        "StudyInstanceUID": (_new_uid(),), "SeriesInstanceUID": (_new_uid(),),
        "StudyDate": (day,), "StudyTime": (time,), "StudyID": (), "AccessionNumber": (),
        "ReferringPhysicianName": (), "PatientName": (), "PatientID": (),
        "PatientBirthDate": (), "PatientSex": (), "Modality": (kind.modality,),
        "SeriesNumber": ("1",), "InstanceNumber": ("1",), "Manufacturer": (),
        "ConversionType": ("WSD",), "ContentDate": (day,), "ContentTime": (time,),
        "AcquisitionDateTime": (), "BurnedInAnnotation": ("YES",), "DocumentTitle": (),
        "ConceptNameCodeSequence": (), "MIMETypeOfEncapsulatedDocument": (kind.mime,),
        "EncapsulatedDocumentLength": (str(size),), "TimezoneOffsetFromUTC": (now.strftime("%z"),),
        **kind.further,
    }  # fmt: skip
    if title:
        values["DocumentTitle"] = (title,)
    return {tag_of(keyword): value for keyword, value in values.items()}


def _like(path: Path | None) -> MutableAttributes:
    """Return what is taken from another instance of the study."""
    if path is None:
        return {}
    tags = [tag_of(keyword) for keyword in _FROM_PATIENT]
    try:
        found = scan_file(path, set(tags)).attributes
    except (NotPart10, ValueError) as error:
        raise CommandError(f"{path}: {error}") from error
    return {tag: texts(found, tag) for tag in tags if tag in found}


def _cda_id(begin: bytes) -> str:
    """Return the identifier of a CDA document, as ``root^extension`` (PS3.3 C.24.2)."""
    match = re.search(rb"<(?:\w+:)?id\b[^>]*>", begin)
    if match is None:
        return ""
    parts = [
        re.search(name + rb"\s*=\s*[\"']([\w.\-^]{1,64})[\"']", match[0])
        for name in (rb"\broot", rb"\bextension")
    ]
    return "^".join(part[1].decode() for part in parts if part is not None)


def _new_uid() -> str:
    return f"2.25.{uuid4().int}"


def _pieces(elements: ElementSet, source: Path, size: int) -> Iterator[bytes | memoryview]:
    """Iterate over the file: what precedes the document, the document, what follows it."""
    uid, sop_class = (elements.texts(tag_of(name))[0] for name in ("SOPInstanceUID", "SOPClassUID"))
    yield file_meta(sop_class, uid, EXPLICIT_VR_LITTLE_ENDIAN)
    yield from _part(elements, lambda tag: tag < _DOCUMENT)
    yield element_header(_DOCUMENT, "OB", size + size % 2, EXPLICIT_VR_LITTLE_ENDIAN)
    left = size
    with source.open("rb") as file:
        while block := file.read(min(_BLOCK, left)):
            left -= len(block)
            yield block
    if left:
        raise CommandError(f"{source}: it became shorter while it was read")
    yield b"\0" * (size % 2)
    yield from _part(elements, lambda tag: tag > _DOCUMENT)


def _part(elements: ElementSet, wanted: Callable[[int], bool]) -> Iterator[bytes | memoryview]:
    some = {tag: element for tag, element in elements.elements.items() if wanted(tag)}
    for piece in encode_elements(evolve(elements, elements=some), EXPLICIT_VR_LITTLE_ENDIAN):
        yield bytes(piece)
