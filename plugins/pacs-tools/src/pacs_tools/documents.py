"""``pacs from-pdf``, ``from-cda``, ``from-stl``: documents as DICOM instances (PS3.3 A.45, A.85).

A document keeps its bytes, and is copied as a stream, however large it is. ``pacs to-document`` is
the way back.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen
from cyclopts import Parameter

from pacs_core.api.file_commands import CommandError, say
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    Value,
    element_header,
    tag_of,
)
from pacs_tools.files import DicomFile, open_named
from pacs_tools.instances import Flag, Instance, InstanceOptions, write_instance
from pacs_tools.output import check_output, write_file

_DOCUMENT: Final = tag_of("EncapsulatedDocument")
_LENGTH: Final = tag_of("EncapsulatedDocumentLength")
_MIME: Final = tag_of("MIMETypeOfEncapsulatedDocument")
_BLOCK: Final = 1 << 20
_LONGEST: Final = 0xFFFF_FFFE


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


@Parameter(name="*")
@frozen(kw_only=True)
class DocumentOptions(InstanceOptions):
    """What the instance is to have besides the document.

    Attributes
    ----------
    title : str
        Of the document.
    """

    title: str = ""


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
    file = open_named(source)
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
    size = source.stat().st_size
    with source.open("rb") as file:
        begin = file.read(_BLOCK)
    if kind.begins.match(begin) is None:
        raise CommandError(f"{source}: it does not begin as {kind.mime} does")
    if size > _LONGEST:
        raise CommandError(f"{source}: it is larger than the 4 GiB that a value can have")
    values = _attributes(kind, options.title, size)
    if kind is CDA and (found := _cda_id(begin)):
        values["HL7InstanceIdentifier"] = (found,)
    pieces = _pieces(source, size)
    instance = Instance(values, EXPLICIT_VR_LITTLE_ENDIAN, _DOCUMENT, pieces)
    write_instance(output, instance, options)


def _attributes(kind: Kind, title: str, size: int) -> dict[str, tuple[Value, ...]]:
    return {
        "SOPClassUID": (kind.sop_class,), "Modality": (kind.modality,),
        "ConversionType": ("WSD",), "AcquisitionDateTime": (), "BurnedInAnnotation": ("YES",),
        "DocumentTitle": (title,) if title else (), "ConceptNameCodeSequence": (),
        "MIMETypeOfEncapsulatedDocument": (kind.mime,),
        "EncapsulatedDocumentLength": (str(size),), **kind.further,
    }  # fmt: skip


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


def _pieces(source: Path, size: int) -> Iterator[bytes]:
    """Iterate over the element that the document is."""
    yield element_header(_DOCUMENT, "OB", size + size % 2, EXPLICIT_VR_LITTLE_ENDIAN)
    left = size
    with source.open("rb") as file:
        while block := file.read(min(_BLOCK, left)):
            left -= len(block)
            yield block
    if left:
        raise CommandError(f"{source}: it became shorter while it was read")
    yield b"\0" * (size % 2)
