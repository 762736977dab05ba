"""Instances that come in a response, as files of a folder.

The name of a file is made of UIDs that a server has chosen, so that each is checked to be a UID
first.
"""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, field

from pacs_core.api.commands import Draft
from pacs_core.dataset import (
    HeaderScanner,
    MalformedDataset,
    NeedMoreData,
    NotPart10,
    read_file_meta,
    tag_of,
    texts,
)
from pacs_core.dimse import is_valid_uid

_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")
_LOOKED_AT: Final = 1 << 20


class BadInstanceError(ValueError):
    """What came is no instance that could be kept; says why."""


@define
class Identification:
    """Finds out which instance a Part 10 file is, from its beginning, while it is passed on."""

    _buffer: bytes = b""
    _scanner: HeaderScanner | None = None
    _seen: int = 0

    def feed(self, piece: bytes) -> None:
        """Look at the next bytes, as far as that is needed.

        Raises
        ------
        BadInstanceError
            They are those of no Part 10 file.
        """
        if (self._scanner is not None and self._scanner.done) or self._seen > _LOOKED_AT:
            return
        self._seen += len(piece)
        try:
            if self._scanner is None:
                self._buffer += piece
                meta = read_file_meta(self._buffer)
                self._scanner = HeaderScanner(
                    meta.transfer_syntax_uid, {_STUDY, _SERIES, _INSTANCE}
                )
                piece = self._buffer[meta.dataset_offset :]
            self._scanner.feed(piece)
        except NeedMoreData:
            return
        except (NotPart10, MalformedDataset, ValueError) as error:
            raise BadInstanceError(f"it is no DICOM file: {error}") from error

    def uids(self) -> tuple[str, str, str]:
        """Return the UIDs of study, series and instance.

        Raises
        ------
        BadInstanceError
            One is missing, or is none.
        """
        if self._scanner is None:
            raise BadInstanceError("it is no DICOM file")
        found = tuple(
            "".join(texts(self._scanner.attributes, tag)) for tag in (_STUDY, _SERIES, _INSTANCE)
        )
        if not all(map(is_valid_uid, found)):
            raise BadInstanceError("it lacks a UID of study, series or instance, or has one wrong")
        return found  # type: ignore[return-value]


@define
class Folder:
    """A folder that takes instances as STUDY/SERIES/INSTANCE.dcm.

    Attributes
    ----------
    path : Path
    received : int
    """

    path: Path
    received: int = field(default=0, init=False)

    async def take(self, content: AsyncIterator[bytes]) -> Path:
        """Write a Part 10 file, and return where it is.

        Raises
        ------
        BadInstanceError
            It is none; nothing is left of it.
        OSError
        """
        draft = await anyio.to_thread.run_sync(Draft, self.path)
        identification = Identification()
        try:
            async for piece in content:
                identification.feed(piece)
                await anyio.to_thread.run_sync(draft.write, piece)
            study, series, instance = identification.uids()
            finish = partial(draft.finish, study, series, name=f"{instance}.dcm")
            await anyio.to_thread.run_sync(finish)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(draft.discard)
        self.received += 1
        return self.path / study / series / f"{instance}.dcm"
