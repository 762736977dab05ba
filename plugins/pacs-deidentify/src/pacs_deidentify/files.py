"""DICOM files (PS3.10) that are de-identified as they are read, and written anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from attrs import define, evolve
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.filebase import DicomIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from pacs_core.dataset import (
    Encoding,
    FileMeta,
    MalformedDataset,
    NeedMoreData,
    NotPart10,
    encoding_of,
    file_meta,
    guess_transfer_syntax,
    read_file_meta,
)
from pacs_deidentify.blanking import Layout, Removable, native_layout, used_length
from pacs_deidentify.deflation import Deflater, Writer, inflate
from pacs_deidentify.deidentify import deidentify
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.pixels import PixelSpan, copy_pixels, find_pixels
from pacs_deidentify.profile import Profile
from pacs_deidentify.regions import Region
from pacs_deidentify.report import Report

# Theory of operation
#
# Pixel Data may be larger than memory, and are not looked at unless regions are blanked. So a file
# is read as one dataset without the elements of pixels, whose places in the file are remembered.
# What is made of the dataset is written in two parts, with the pixels copied between them, frame by
# frame where regions are blanked. A deflated dataset is inflated into a file first.
#
# The preamble and the file meta information are made anew: both have room for what identifies
# somebody, a preamble even for a whole TIFF header (PS3.15 E.1.1).

MAX_HEADER: Final = 1 << 28
"""Bytes that all but Pixel Data may have."""

_PREFIX: Final = 1 << 16
_PIXELS: Final = frozenset({0x7FE0_0008, 0x7FE0_0009, 0x7FE0_0010})
_BEFORE_PIXELS: Final = 0x7FE0_0008
_AFTER_PIXELS: Final = 0x7FE0_0011
_HEADER: Final = 8
_UNDEFINED: Final = 0xFFFF_FFFF


@define
class ReadFile:
    """A file that was read, all but its pixels."""

    meta: FileMeta
    encoding: Encoding
    content: IO[bytes]
    dataset: Dataset
    pixels: list[PixelSpan]


class _BoundedReader:
    """Reads for pydicom: not without end, and never less than was asked for."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._left = MAX_HEADER
        self.tell, self.seek = content.tell, content.seek
        self.name = ""

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise DeidentificationError(f"all but its pixels are more than {MAX_HEADER} bytes")
        data = self._content.read(size)
        # Nothing at all is the end of the dataset, where pydicom asks for a header.
        if len(data) < size and (data or size > _HEADER):
            raise DeidentificationError("it ends in the middle")
        return data


def deidentify_file(
    source: Path | IO[bytes],
    profile: Profile,
    open_target: Callable[[Dataset], Writer],
    find_text: Callable[[ReadFile], list[Region] | None] | None = None,
    find_face: Callable[[Dataset], Removable | None] | None = None,
) -> Report:
    """De-identify a file.

    Parameters
    ----------
    source : Path or file
        Opened for reading, seekable.
    profile : Profile
    open_target : callable
        From the de-identified dataset, without its pixels, to where the file is written.
    find_text : callable, optional
        From a file to where text is in its pixels; None if that cannot be told.
    find_face : callable, optional
        From a dataset to what of its image is a face; None if nobody has looked.

    Raises
    ------
    DeidentificationError
        It is no DICOM file, damaged, or not safe to let out. What was written until then is not
        to be used.
    OSError
        It cannot be read.
    """
    with open_file(source) as read:
        text = find_text(read) if find_text else None
        face = find_face(read.dataset) if find_face else None
        if face and len(read.pixels) != 1:
            raise DeidentificationError("a face can be removed from one element of pixels only")
        made, report = deidentify(read.dataset, profile, text, face)
        layout = None
        if report.changes_pixels and read.pixels:
            made.set_original_encoding(*read.dataset.original_encoding)
            layout = native_layout(made, read.meta.transfer_syntax_uid, words=read.pixels[0].words)
        keeps = profile.keeps_sound
        _write(read, made, report, layout, open_target(made), keeps_sound=keeps)
        return report


@contextmanager
def open_file(source: Path | IO[bytes]) -> Iterator[ReadFile]:
    """Read a file, all but its pixels.

    Raises
    ------
    DeidentificationError
        It is no DICOM file, or damaged.
    """
    if isinstance(source, Path):
        with source.open("rb") as opened, _read(opened) as read:
            yield read
    else:
        with _read(source) as read:
            yield read


@contextmanager
def _read(content: IO[bytes]) -> Iterator[ReadFile]:
    meta = _file_meta(content)
    try:
        encoding = encoding_of(meta.transfer_syntax_uid)
    except (ValueError, LookupError) as error:
        raise DeidentificationError(f"its transfer syntax is not known: {error}") from error
    content.seek(meta.dataset_offset)
    if not encoding.deflated:
        yield _read_dataset(meta, encoding, content)
        return
    with TemporaryFile() as inflated:
        inflate(content, inflated)
        inflated.seek(0)
        yield _read_dataset(meta, encoding, inflated)


def _file_meta(content: IO[bytes]) -> FileMeta:
    prefix = content.read(_PREFIX)
    try:
        meta = read_file_meta(prefix)
        if meta.transfer_syntax_uid:
            return meta
        guessed = guess_transfer_syntax(prefix[meta.dataset_offset :])
        return evolve(meta, transfer_syntax_uid=guessed)
    except NeedMoreData:
        pass
    except NotPart10 as error:
        try:
            return FileMeta("", "", guess_transfer_syntax(prefix), 0)
        except NotPart10:
            raise DeidentificationError(f"not a DICOM file: {error}") from error
    raise DeidentificationError("not a DICOM file, or it ends in the middle")


def _read_dataset(meta: FileMeta, encoding: Encoding, content: IO[bytes]) -> ReadFile:
    reader = _BoundedReader(content)
    whole, pixels = Dataset(), []
    while True:
        try:
            part = read_dataset(
                reader,  # type: ignore[arg-type]
                not encoding.explicit,
                encoding.little_endian,
                stop_when=lambda tag, vr, length: tag in _PIXELS,
            )
            _check_last(part)
            if part and part.original_encoding[0] is encoding.explicit:
                raise DeidentificationError("it is not encoded as its transfer syntax says")
            if not whole:
                whole = part
            else:
                for tag in part.keys():  # noqa: SIM118 iteration would convert each element
                    whole[tag] = part.get_item(tag)
            span = find_pixels(content, encoding)
        except (
            EOFError, MalformedDataset, BytesLengthException, NotImplementedError, TypeError,
            ValueError,
        ) as error:  # fmt: skip
            if not meta.sop_class_uid and not whole:
                # Without file meta information, what begins as a dataset may be anything.
                raise DeidentificationError(f"not a DICOM file: {error}") from error
            if isinstance(error, DeidentificationError):
                raise
            raise DeidentificationError(f"it cannot be read: {error}") from error
        if span is None:
            break
        pixels.append(span)
        content.seek(span.end)
    if not whole:
        raise DeidentificationError("not a DICOM file: it has no attributes")
    if 0x0004_1220 in whole:
        raise DeidentificationError("it is a directory of other files (DICOMDIR)")
    return ReadFile(meta, encoding, content, whole, pixels)


def _check_last(part: Dataset) -> None:
    """Refuse a dataset whose last value is cut off."""
    last = list(part.keys())[-1:]
    for element in (part.get_item(tag) for tag in last):
        if not isinstance(element, RawDataElement) or not element.value:
            continue
        if len(element.value) < element.length < _UNDEFINED:
            raise DeidentificationError("it ends in the middle")


def change_file(
    source: Path, change: Callable[[Dataset], Dataset], open_target: Callable[[Dataset], Writer]
) -> None:
    """Write a file with another dataset, and its pixels as they are.

    Parameters
    ----------
    source : Path
    change : callable
        From the dataset, without its pixels, to the other.
    open_target : callable
        As of :func:`deidentify_file`, whose errors it raises, too.
    """
    with open_file(source) as read:
        made = change(read.dataset)
        report = Report(sop_instance_uid=str(made.get("SOPInstanceUID", "")))
        _write(read, made, report, None, open_target(made), keeps_sound=True)


def _write(
    read: ReadFile, made: Dataset, report: Report, layout: Layout | None, target: Writer, *,
    keeps_sound: bool,
) -> None:  # fmt: skip
    uid = str(made.get("SOPClassUID", "")) or read.meta.sop_class_uid
    try:
        before, after = made[:_BEFORE_PIXELS], made[_AFTER_PIXELS:]
        charset = made.get("SpecificCharacterSet", None) or "ISO_IR 6"
        parts = [_encode(part, read.encoding, charset) for part in (before, after)]
    except (AttributeError, LookupError, NotImplementedError, OverflowError, TypeError) as error:
        raise DeidentificationError(f"it cannot be written: {type(error).__name__}") from error
    try:
        head = file_meta(uid, report.sop_instance_uid, read.meta.transfer_syntax_uid)
    except ValueError as error:
        raise DeidentificationError("its SOP Class UID or SOP Instance UID is not valid") from error
    target.write(head)
    deflater = Deflater(target) if read.encoding.deflated else None
    body: Writer = deflater or target
    body.write(parts[0])
    used = used_length(made)
    for span in read.pixels:
        syntax = read.meta.transfer_syntax_uid
        copy_pixels(read.content, span, layout, report, body, used, syntax, keeps_sound=keeps_sound)
    body.write(parts[1])
    if deflater:
        deflater.finish()


def _encode(dataset: Dataset, encoding: Encoding, charset: str | list[str]) -> bytes:
    buffer = BytesIO()
    out = DicomIO(buffer)
    out.is_implicit_VR = not encoding.explicit
    out.is_little_endian = encoding.little_endian
    write_dataset(out, dataset, charset)
    return buffer.getvalue()
