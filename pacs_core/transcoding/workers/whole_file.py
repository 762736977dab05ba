"""Conversion of a whole file in a codec worker: read, converted and written without an event loop.

A small file takes less time to convert than its frames take to be sent to a worker and back.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Final

from pacs_core.contracts import (
    Action,
    CodecError,
    FrameFormat,
    TranscodingError,
    VerificationError,
)
from pacs_core.transcoding.conversion import convert_dataset, describe_conversion
from pacs_core.transcoding.file_draft import FileDraft
from pacs_core.transcoding.image_conversion import FAULTS
from pacs_core.transcoding.workers.protocol import Buffer, ConvertedFrame, FileJob, Job, JobStatus

# Theory of operation
#
# For a small file the node's way, a queue of frames to several processes and back, costs more than
# the conversion. So the whole job goes to one process: path in, path out. It runs the same
# conversion as the node. Its iterators are asynchronous in form only, since a converter that works
# at once never waits: they are driven by hand, without an event loop, and something that did wait
# would be noticed as a fault.
#
# Two things send a file back to the node (TOO_LARGE): frames so many that several processes should
# share them, and something to be logged, because nobody sees what a worker logs.

MAX_FILE: Final = 8 * 1024 * 1024
"""Bytes of a dataset that one worker converts alone."""

_MAX_NATIVE: Final = 64 * 1024 * 1024
_MAX_ENCODED: Final = 1 << 40
"""More than the memory that a worker may have: nothing is spooled to a file."""

_CHUNK: Final = 1024 * 1024

Convert = Callable[[Job, bytes], tuple[bytes, FrameFormat]]


class _TooLargeError(Exception):
    """The frames are so many that several workers had better share them."""


class WholeFileConversion:
    """Converts frames at once, in this process: a `FrameConverter`.

    Parameters
    ----------
    convert : callable
        Takes a job and a frame; returns what becomes of it.
    """

    is_full = False

    def __init__(self, convert: Convert) -> None:
        self._convert = convert
        self._done: list[ConvertedFrame] = []
        self._number = 0
        self._native = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is no frame to take."""
        return not self._done

    def put(self, job: Job, frame: Buffer) -> None:
        """Convert a frame."""
        self._number += 1
        self._native += job.format.size
        if self._native > _MAX_NATIVE:
            raise _TooLargeError
        try:
            data, form = self._convert(job, bytes(frame))
        except (CodecError, VerificationError) as error:
            raise type(error)(f"frame {self._number}: {error}") from error
        self.is_full = True
        self._done.append(ConvertedFrame(memoryview(data), form))

    async def take(self) -> ConvertedFrame:
        """Return the frame that went in."""
        self.is_full = False
        return self._done.pop()

    def require_log(self) -> None:
        """Leave it to the node, as a file that is too large: nobody sees what is logged here."""
        raise _TooLargeError

    def cancel(self) -> None:
        """Forget it."""
        self._done.clear()


def convert_file(job: FileJob, convert: Convert) -> JobStatus:
    """Convert a file; nothing is left of it unless it is complete.

    Raises
    ------
    CodecError
        It cannot be converted, read or written; the message says why.
    VerificationError
        As of :func:`pacs_core.transcoding.workers.main.convert`.
    """
    try:
        with Path(job.source).open("rb", buffering=0) as source:
            source.seek(job.offset)
            _write(job, _pieces(job, source, convert))
    except _TooLargeError:
        return JobStatus.TOO_LARGE
    except FileExistsError:
        raise CodecError(f"{job.target} exists") from None
    except OSError as error:
        raise CodecError(f"{error.filename or job.target}: {error.strerror or error}") from error
    except VerificationError as error:
        raise VerificationError(f"{describe_conversion(job.plan)}: {error}") from error
    except (*FAULTS, TranscodingError) as error:
        raise CodecError(f"{describe_conversion(job.plan)}: {error}") from error
    return JobStatus.DONE


def _write(job: FileJob, pieces: Iterator[Buffer]) -> None:
    draft = FileDraft(job.draft)
    try:
        draft.write(job.head)
        for piece in pieces:
            draft.write(piece)
        draft.finish(job.target, job.overwrite)
    finally:
        draft.discard()


def _pieces(job: FileJob, source: IO[bytes], convert: Convert) -> Iterator[Buffer]:
    chunks = _chunks(source, job.length)
    if job.plan.action is Action.PASS_THROUGH:
        return _drain(chunks)
    queue = WholeFileConversion(convert)
    return _drain(convert_dataset(job.plan, chunks, queue, job.coders, max_in_memory=_MAX_ENCODED))


async def _chunks(source: IO[bytes], length: int) -> AsyncIterator[bytes]:
    while length:
        chunk = source.read(min(length, _CHUNK))
        if not chunk:
            raise OSError("the file has become shorter")
        length -= len(chunk)
        yield chunk


def _drain(pieces: AsyncIterator[Buffer]) -> Iterator[Buffer]:
    """Iterate over what an asynchronous iterator yields that never has to wait for anything."""
    following = partial(anext, pieces)
    while True:
        try:
            following().__await__().send(None)
        except StopIteration as done:
            yield done.value
        except StopAsyncIteration:
            return
        else:
            raise RuntimeError("it waits for something")
