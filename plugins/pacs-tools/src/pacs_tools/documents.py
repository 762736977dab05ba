"""``pacs from-pdf``, ``from-cda``, ``from-stl``: documents as DICOM instances (PS3.3 A.45, A.85).

A document keeps its bytes, and is copied as a stream, however large it is. ``pacs to-document`` is
the way back.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from pacs_core.api.file_commands import CommandError, JobsOption, OptionGroup, say
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLEMENTATION_VERSION_NAME,
    BulkData,
    Value,
    element_header,
    tag_of,
)
from pacs_tools.cda import read_header
from pacs_tools.changing import check_target
from pacs_tools.files import DicomFile, open_dicom, open_named
from pacs_tools.folders import convert_folder
from pacs_tools.instances import Flag, Instance, InstanceOptions, new_uid, write_instance
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
    suffix : str
        How names of such files end.
    modality : str
    begins : pattern
        What its first bytes are.
    further : mapping of str to tuple
        Attributes that only this kind has.
    """

    sop_class: str
    mime: str
    suffix: str
    modality: str
    begins: re.Pattern[bytes]
    further: dict[str, tuple[Value, ...]]


def _code(value: str, scheme: str, meaning: str) -> tuple[Value, ...]:
    texts_ = (value, scheme, meaning)
    names = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    return ({tag_of(name): (text,) for name, text in zip(names, texts_, strict=True)},)


_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.104"
_CONVERTED: Final[dict[str, tuple[Value, ...]]] = {"ConversionType": ("WSD",)}
"""Of the SC Equipment Module (PS3.3 C.8.6.1)."""

PDF: Final = Kind(
    f"{_STORAGE}.1", "application/pdf", ".pdf", "DOC", re.compile(rb"%PDF-"), _CONVERTED
)
CDA: Final = Kind(
    f"{_STORAGE}.2",
    "text/XML",
    ".xml",
    "SR",
    re.compile(rb"(\xef\xbb\xbf)?\s*<"),
    {**_CONVERTED, "HL7InstanceIdentifier": ("2.25.0",)},
)
STL: Final = Kind(
    f"{_STORAGE}.3",
    "model/stl",
    ".stl",
    "M3D",
    re.compile(rb"(?s).{84}|solid "),
    {
        "MeasurementUnitsCodeSequence": _code("mm", "UCUM", "mm"),
        "PositionReferenceIndicator": (),
        # Enhanced General Equipment (PS3.3 C.7.5.2): what has made the instance.
        "Manufacturer": ("pacs-core",),
        "ManufacturerModelName": ("pacs from-stl",),
        "DeviceSerialNumber": ("0",),
        "SoftwareVersions": (IMPLEMENTATION_VERSION_NAME,),
    },
)


_SUFFIXES: Final = {each.mime.lower(): each.suffix for each in (PDF, CDA, STL)} | {
    "application/xml": ".xml", "application/sla": ".stl", "model/obj": ".obj",
    "model/mtl": ".mtl", "image/svg+xml": ".svg",
}  # fmt: skip


@OptionGroup()
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


def from_pdf(
    source: Path, output: Path, /, *, options: DocumentOptions = NO_OPTIONS, jobs: JobsOption = 0
) -> int:
    """Make an Encapsulated PDF of a PDF.

    Parameters
    ----------
    source
        The PDF; or a folder, of which all *.pdf below it are taken.
    output
        DICOM file to write; for a folder the folder to write to, where that of a.pdf is a.pdf.dcm.
    """
    return _wrap(PDF, source, output, options, jobs)


def from_cda(
    source: Path, output: Path, /, *, options: DocumentOptions = NO_OPTIONS, jobs: JobsOption = 0
) -> int:
    """Make an Encapsulated CDA of an HL7 Clinical Document Architecture document.

    Parameters
    ----------
    source
        The XML document, whose id becomes HL7 Instance Identifier; or a folder, of which all *.xml
        below it are taken.
    output
        DICOM file to write, or folder.
    """
    return _wrap(CDA, source, output, options, jobs)


def from_stl(
    source: Path, output: Path, /, *, options: DocumentOptions = NO_OPTIONS, jobs: JobsOption = 0
) -> int:
    """Make an Encapsulated STL of a model for 3D printing, whose unit is mm.

    Parameters
    ----------
    source
        The STL file; or a folder, of which all *.stl below it are taken.
    output
        DICOM file to write, or folder.
    """
    return _wrap(STL, source, output, options, jobs)


def to_document(
    source: Path, output: Path, /, *, overwrite: Flag = False, jobs: JobsOption = 0
) -> int:
    """Write the document that a DICOM file holds, without the padding.

    Parameters
    ----------
    source
        An Encapsulated PDF, CDA, STL or the like; or a folder, of which all such are taken.
    output
        File to write; for a folder the folder to write to, where names end as the MIME type says.
    overwrite
        Replace the output if there is one.
    """
    if source.is_dir():

        def unwrap_found(path: Path, folder: Path) -> bool:
            with open_dicom(path) as file:
                if _DOCUMENT not in file.elements.elements and not file.damage:
                    return False
                target = folder / _name_document(file)
                check_target(target, replaces=overwrite)
                _unwrap(file, target)
            return True

        return convert_folder(source, output, unwrap_found, jobs)
    check_output(output, overwrite)
    with open_named(source) as file:
        _unwrap(file, output)
    say(f"{output} written")
    return 0


def _name_document(file: DicomFile) -> str:
    """Return the name of the file without .dcm, with the ending of its kind of document."""
    mime = "".join(file.elements.texts(_MIME)[:1]).lower()
    suffix = _SUFFIXES.get(mime, ".bin")
    name = file.path.name.removesuffix(".dcm")
    return name if name.lower().endswith(suffix) else name + suffix


def _unwrap(file: DicomFile, output: Path) -> None:
    element = file.elements.elements.get(_DOCUMENT)
    if file.damage:
        raise CommandError(f"{file.path}: damaged: {file.damage}")
    if element is None or isinstance(element.value, tuple):
        raise CommandError(f"{file.path}: it has no Encapsulated Document (0042,0011)")
    said = "".join(file.elements.texts(_LENGTH)[:1])
    write_file(output, _document(file, element.value, int(said) if said.isdecimal() else None))


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


def _wrap(kind: Kind, source: Path, output: Path, options: DocumentOptions, jobs: int) -> int:
    if source.is_dir():

        def wrap_found(path: Path, folder: Path) -> bool:
            if path.suffix.lower() != kind.suffix:
                return False
            target = folder / f"{path.name}.dcm"
            check_target(target, replaces=options.overwrite)
            _wrap_file(kind, path, target, options)
            return True

        return convert_folder(source, output, wrap_found, jobs)
    check_output(output, options.overwrite)
    _wrap_file(kind, source, output, options)
    say(f"{output} written")
    return 0


def _wrap_file(kind: Kind, source: Path, output: Path, options: DocumentOptions) -> None:
    size = source.stat().st_size
    with source.open("rb") as file:
        begin = file.read(_BLOCK)
    if kind.begins.match(begin) is None:
        raise CommandError(f"{source}: it does not begin as {kind.mime} does")
    if size > _LONGEST:
        raise CommandError(f"{source}: it is larger than the 4 GiB that a value can have")
    values = _attributes(kind, options.title, size)
    if kind is CDA:
        values |= _described(begin, options.title)
    if kind is STL:
        values["FrameOfReferenceUID"] = (new_uid(),)
    instance = Instance(
        values,
        EXPLICIT_VR_LITTLE_ENDIAN,
        _DOCUMENT,
        _pieces(source, size),
        like=("FrameOfReferenceUID", "PositionReferenceIndicator") if kind is STL else (),
    )
    write_instance(output, instance, options)


def _attributes(kind: Kind, title: str, size: int) -> dict[str, tuple[Value, ...]]:
    return {
        "SOPClassUID": (kind.sop_class,), "Modality": (kind.modality,),
        "AcquisitionDateTime": (), "BurnedInAnnotation": ("YES",),
        "DocumentTitle": (title,) if title else (), "ConceptNameCodeSequence": (),
        "MIMETypeOfEncapsulatedDocument": (kind.mime,),
        "EncapsulatedDocumentLength": (str(size),), **kind.further,
    }  # fmt: skip


def _described(begin: bytes, title: str) -> dict[str, tuple[Value, ...]]:
    """Return what a CDA document says of itself, which these attributes repeat (PS3.3 C.24.2)."""
    header = read_header(begin)
    found: dict[str, tuple[Value, ...]] = {}
    if header.identifier:
        found["HL7InstanceIdentifier"] = (header.identifier,)
    if header.title and not title:
        found["DocumentTitle"] = (header.title,)
    if header.code:
        found["ConceptNameCodeSequence"] = _code(*header.code)
    return found


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
