"""Instances made of something else: their common attributes, and how they are written."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

from attrs import evolve, frozen

from pacs_core.api.file_commands import CommandError, Option, OptionGroup
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    DataElement,
    ElementSet,
    MutableAttributes,
    NotPart10,
    UnencodableValue,
    Value,
    encode_attributes,
    encode_elements,
    file_meta,
    read_elements,
    scan_file,
    tag_of,
    texts,
)
from pacs_tools.editing import Changes
from pacs_tools.output import check_output, write_file
from pacs_tools.setting import read_values

_UTF_8: Final = "ISO_IR 192"
_FROM_PATIENT: Final = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip
"""What an instance has in common with the others of its study (PS3.3 C.7.1.1, C.7.2.1)."""

Flag = Annotated[bool, Option()]


@OptionGroup()
@frozen(kw_only=True)
class InstanceOptions:
    """What an instance is to have besides what it is made of.

    Attributes
    ----------
    like : Path, optional
        DICOM file whose patient and study it is to have.
    set_ : list of str, optional
        KEYWORD=VALUE, as PatientID=4711; may be given several times.
    overwrite : bool
        Replace the output if there is one.
    """

    like: Path | None = None
    set_: Annotated[list[str] | None, Option("--set", "-s")] = None
    overwrite: Flag = False


NO_OPTIONS: Final = InstanceOptions()


@frozen
class Instance:
    """An instance that is to be written.

    Attributes
    ----------
    values : mapping of str to tuple
        Attributes of its kind, by keyword: they go before those that all have.
    transfer_syntax : str
        One with explicit VRs, little endian.
    tag : int
        Of the long value.
    pieces : iterable of bytes
        The element of the long value, its header included.
    further : tuple of DataElement
        Elements with bytes.
    like : tuple of str
        Keywords of what it has in common with another instance, beside patient and study.
    """

    values: Mapping[str, tuple[Value, ...]]
    transfer_syntax: str
    tag: int
    pieces: Iterable[bytes | memoryview]
    further: tuple[DataElement, ...] = ()
    like: tuple[str, ...] = ()


def write_instance(output: Path, instance: Instance, options: InstanceOptions) -> None:
    """Write an instance.

    Raises
    ------
    UsageError
        The output exists, or an option is wrong.
    CommandError
        An attribute cannot be written, or what --like names cannot be read.
    """
    check_output(output, options.overwrite)
    changes = Changes(read_values(options.set_ or ()))
    values = {**_common(), **instance.values}
    attributes: MutableAttributes = {tag_of(keyword): value for keyword, value in values.items()}
    attributes.update(_like(options.like, instance.like))
    try:
        encoded = encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN, (_UTF_8,))
    except UnencodableValue as error:
        raise CommandError(f"{output}: {error}") from error
    elements = read_elements(encoded, EXPLICIT_VR_LITTLE_ENDIAN)
    further = {element.tag: element for element in instance.further}
    elements = changes.apply(evolve(elements, elements={**elements.elements, **further}))
    write_file(output, _file(elements, instance))


def new_uid() -> str:
    """Return a UID that nobody else has (PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"


def _common() -> dict[str, tuple[Value, ...]]:
    now = datetime.now().astimezone()
    day, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    return {
        "SOPInstanceUID": (new_uid(),),
        "InstanceCreationDate": (day,), "InstanceCreationTime": (time,),
        "StudyInstanceUID": (new_uid(),), "SeriesInstanceUID": (new_uid(),),
        "StudyDate": (day,), "StudyTime": (time,), "StudyID": (), "AccessionNumber": (),
        "ReferringPhysicianName": (), "PatientName": (), "PatientID": (),
        "PatientBirthDate": (), "PatientSex": (),
        "SeriesNumber": ("1",), "InstanceNumber": ("1",), "Manufacturer": (),
        "ContentDate": (day,), "ContentTime": (time,),
        "TimezoneOffsetFromUTC": (now.strftime("%z"),),
    }  # fmt: skip


def _like(path: Path | None, further: tuple[str, ...]) -> MutableAttributes:
    """Return what is taken from another instance of the study."""
    if path is None:
        return {}
    tags = [tag_of(keyword) for keyword in (*_FROM_PATIENT, *further)]
    try:
        found = scan_file(path, set(tags)).attributes
    except (NotPart10, ValueError) as error:
        raise CommandError(f"{path}: {error}") from error
    return {tag: texts(found, tag) for tag in tags if tag in found}


def _file(elements: ElementSet, instance: Instance) -> Iterator[bytes | memoryview]:
    """Iterate over the file: what precedes the long value, that, what follows it."""
    uid, sop_class = (elements.texts(tag_of(name))[0] for name in ("SOPInstanceUID", "SOPClassUID"))
    yield file_meta(sop_class, uid, instance.transfer_syntax)
    yield from _part(elements, lambda tag: tag < instance.tag)
    yield from instance.pieces
    yield from _part(elements, lambda tag: tag > instance.tag)


def _part(elements: ElementSet, wanted: Callable[[int], bool]) -> Iterator[bytes | memoryview]:
    some = {tag: element for tag, element in elements.elements.items() if wanted(tag)}
    for piece in encode_elements(evolve(elements, elements=some), EXPLICIT_VR_LITTLE_ENDIAN):
        yield bytes(piece)
