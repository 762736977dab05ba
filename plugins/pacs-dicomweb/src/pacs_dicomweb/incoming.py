"""DICOM files while they arrive: which instance they hold, and their dataset (PS3.10 §7)."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from attrs import field, frozen

from pacs_core.contracts import IdentityMismatchError, InvalidInstanceError
from pacs_core.dataset import (
    FileMeta,
    HeaderScanner,
    MalformedDataset,
    NeedMoreData,
    NotPart10,
    guess_transfer_syntax,
    read_file_meta,
    tag_of,
    texts,
)

_SOP_CLASS: Final = tag_of("SOPClassUID")
_SOP_INSTANCE: Final = tag_of("SOPInstanceUID")
_STUDY: Final = tag_of("StudyInstanceUID")
_LOOKED_AT: Final = 256 * 1024
"""Bytes of a dataset in which its UIDs are looked for; file meta information has them, too."""

Chunk = bytes | memoryview


class StudyMismatchError(IdentityMismatchError):
    """An instance belongs to another study than the one to which it was to be stored."""


class UnidentifiedError(InvalidInstanceError):
    """It is no instance that could be named."""


@frozen
class IncomingFile:
    """A dataset on its way in.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
    dataset : async iterable of bytes-like
        Raises :class:`StudyMismatchError` where it turns out to be of another study.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: AsyncIterable[Chunk] = field(repr=False)


async def read_file(content: AsyncIterator[bytes], study: str = "") -> IncomingFile:
    """Read the beginning of a DICOM file.

    A file without preamble, or without file meta information, is taken, too.

    Parameters
    ----------
    content : async iterator of bytes
    study : str
        Study Instance UID that it must have; empty for any.

    Raises
    ------
    UnidentifiedError
        It is no DICOM file, or has no UIDs.
    """
    meta, beginning = await _read_meta(content)
    wanted = {_SOP_CLASS, _SOP_INSTANCE, _STUDY} if study else {_SOP_CLASS, _SOP_INSTANCE}
    scanner = HeaderScanner(meta.transfer_syntax_uid, wanted)
    head: list[Chunk] = [beginning]
    size = len(beginning)
    try:
        scanner.feed(beginning)
        while not scanner.done and size < _LOOKED_AT and (chunk := await anext(content, b"")):
            head.append(chunk)
            size += len(chunk)
            scanner.feed(chunk)
    except MalformedDataset as error:
        if not meta.sop_instance_uid:
            raise UnidentifiedError(str(error)) from error
        scanner = HeaderScanner(meta.transfer_syntax_uid, set())  # the archive says what is wrong
    sop_class = _only(scanner, _SOP_CLASS) or meta.sop_class_uid
    sop_instance = _only(scanner, _SOP_INSTANCE) or meta.sop_instance_uid
    if not sop_class or not sop_instance:
        raise UnidentifiedError("it has no SOP Class UID or no SOP Instance UID")
    dataset = _watch(head, content, scanner, study)
    return IncomingFile(sop_class, sop_instance, meta.transfer_syntax_uid, dataset)


def _only(scanner: HeaderScanner, tag: int) -> str:
    found = texts(scanner.attributes, tag)
    return found[0] if len(found) == 1 else ""


async def _read_meta(content: AsyncIterator[bytes]) -> tuple[FileMeta, Chunk]:
    """Return file meta information, and what has been read behind it."""
    buffer, needed, is_whole = b"", 1, False
    while True:
        while len(buffer) < needed and not is_whole:
            chunk = await anext(content, b"")
            is_whole = not chunk
            buffer += chunk
        try:
            meta = read_file_meta(buffer)
        except NeedMoreData as error:
            if not is_whole:
                needed = error.needed
                continue
            if not buffer:
                raise UnidentifiedError("it is empty") from error
            return _guess(buffer)
        except NotPart10:
            return _guess(buffer)
        if not meta.transfer_syntax_uid:
            raise UnidentifiedError("its file meta information names no transfer syntax")
        return meta, memoryview(buffer)[meta.dataset_offset :]


def _guess(buffer: bytes) -> tuple[FileMeta, bytes]:
    try:
        return FileMeta("", "", guess_transfer_syntax(buffer), 0), buffer
    except NotPart10 as error:
        raise UnidentifiedError(f"it is no DICOM file: {error}") from error


async def _watch(
    head: list[Chunk], content: AsyncIterator[bytes], scanner: HeaderScanner, study: str
) -> AsyncIterator[Chunk]:
    """Iterate over a dataset; hold its study against the one that is wanted once that is known."""
    is_open = bool(study)
    if is_open and scanner.done:
        check_study(_only(scanner, _STUDY), study)
        is_open = False
    for chunk in head:
        if chunk:
            yield chunk
    head.clear()
    async for chunk in content:
        if is_open:
            scanner.feed(chunk)
            if scanner.done:
                check_study(_only(scanner, _STUDY), study)
                is_open = False
        yield chunk
    if is_open:
        check_study(_only(scanner, _STUDY), study)


def check_study(found: str, wanted: str) -> None:
    """Refuse an instance of another study than the one that is wanted, if one is.

    Raises
    ------
    StudyMismatchError
        It is of another one, or of none.
    """
    if wanted and found != wanted:
        raise StudyMismatchError(f"it is of study {found[:64] or '(none)'}, not {wanted}")
