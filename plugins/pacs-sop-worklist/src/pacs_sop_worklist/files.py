"""Files with entries of a worklist: DICOM, with or without a header, and DICOM JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    MalformedDataset,
    NotPart10,
    encode_elements,
    guess_transfer_syntax,
    parse_attributes,
    read_file_meta,
)
from pacs_core.dataset.json_model import read_json
from pacs_sop_worklist.steps import InvalidStepError, Step, steps_of

MAX_FILE: Final = 1 << 20


class UnreadableFileError(ValueError):
    """A file has no entry of a worklist, or cannot be read; says why."""


def read_steps(path: Path) -> list[Step]:
    """Return the steps in a file.

    Raises
    ------
    UnreadableFileError
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise UnreadableFileError(f"it cannot be read: {error.strerror}") from error
    return steps_in(data)


def steps_in(data: bytes) -> list[Step]:
    """Return the steps in the content of a file.

    Raises
    ------
    UnreadableFileError
    """
    if len(data) > MAX_FILE:
        raise UnreadableFileError(f"it has more than {MAX_FILE} bytes")
    try:
        return [step for entry in _entries(data) for step in steps_of(entry)]
    except (MalformedDataset, InvalidStepError, ValueError, RecursionError) as error:
        raise UnreadableFileError(str(error) or type(error).__name__) from error


def _entries(data: bytes) -> Iterator[Attributes]:
    if data.lstrip()[:1] in (b"{", b"["):
        for elements in read_json(data, max_length=MAX_FILE):
            encoded = b"".join(encode_elements(elements, EXPLICIT_VR_LITTLE_ENDIAN))
            yield parse_attributes(encoded, EXPLICIT_VR_LITTLE_ENDIAN, name_bulk=True)
        return
    try:
        meta = read_file_meta(data)
    except NotPart10:
        yield parse_attributes(data, guess_transfer_syntax(data), name_bulk=True)
    else:
        dataset = data[meta.dataset_offset :]
        yield parse_attributes(dataset, meta.transfer_syntax_uid, name_bulk=True)
