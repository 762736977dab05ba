"""Messages between the node and its codec workers.

Requests are pickled: they are ours. Answers are not, for a hostile frame may have taken over the
worker that answers: a fixed head, a short text, and bytes, each of a length that is checked.
"""

import pickle
import re
import struct
from enum import IntEnum
from typing import ClassVar, Final

from attrs import field, frozen

from pacs_core.contracts import EncodeOptions, FrameFormat, Plan

# Theory of operation
#
# The two directions differ because trust does. Requests are pickled, as they carry functions that
# create codecs and come from the node itself. In an answer nothing is unpickled: a decoder written
# in C, given a hostile frame, may be executing somebody else's code by then. The worst that an
# answer can do is to be a wrong image.
#
# Lengths are checked against what an honest answer to this job may have before anything is
# allocated for them, and format and size of the frame against the question. An answer that breaks
# these rules counts as a crash: the process is killed, never asked again.

Buffer = bytes | bytearray | memoryview

REQUEST: Final = struct.Struct("<II")
"""Lengths of what follows: the pickled job, and the frame."""

ANSWER: Final = struct.Struct("<BHQ7H")
"""Status, lengths of the text and of the frame, and the numbers of the frame's format."""

MAX_TEXT: Final = 4000
_MAX_FRAME: Final = 0xFFFF_FFFF


class JobStatus(IntEnum):
    """What became of a job."""

    DONE = 0
    REFUSED = 1
    """The codec cannot do it: the text says why."""
    MEMORY = 2
    TOO_LARGE = 3
    """A file that is better converted frame by frame, by many workers."""
    NOT_LOSSLESS = 4
    """What was encoded is not what comes back of it: the text says how."""


@frozen
class Proof:
    """What proves that nothing was lost, see `pacs_core.transcoding.verification`.

    Attributes
    ----------
    decoders : tuple of (str, bytes)
        Names of codecs, and the pickled functions that create them, in the order to ask them.
    reverser : bytes
        The pickled function that creates what recompresses the other way; empty if nothing does.
    """

    decoders: tuple[tuple[str, bytes], ...]
    reverser: bytes = b""


@frozen
class Coders:
    """The codecs of a conversion, as workers are sent them.

    Attributes
    ----------
    decoder, encoder : bytes
        The pickled function that creates the codec; empty where there is nothing to do: then the
        frame is native before, or after.
    proof : Proof or None
        With what each encoded frame is verified; None if it is not.
    """

    decoder: bytes = b""
    encoder: bytes = b""
    proof: Proof | None = None


@frozen
class Job:
    """What to do with a frame.

    Attributes
    ----------
    format : FrameFormat
        What the dataset says of the frame.
    decoder, encoder : bytes
        As of `Coders`.
    options : EncodeOptions
    recompress_to : str
        Transfer syntax UID to which the encoder recompresses a codestream; empty if it encodes a
        native frame. The decoder is then only for the proof.
    low_bits : int
        Bits below the samples, if codestreams hold them as well: see `Image`.
    proof : Proof or None
        As of `Coders`.
    recompress_from : str
        Transfer syntax UID of the codestream that is recompressed.
    """

    format: FrameFormat
    decoder: bytes = b""
    encoder: bytes = b""
    options: EncodeOptions = field(factory=EncodeOptions)
    recompress_to: str = ""
    low_bits: int = 0
    proof: Proof | None = None
    recompress_from: str = ""

    what: ClassVar[str] = "a frame"

    @property
    def most(self) -> int:
        """Most bytes that an honest answer has: some formats enlarge what is noise."""
        return 2 * self.format.size + (1 << 20)


@frozen
class FileJob:
    """A whole file to convert, too small to be worth sending its frames about.

    Attributes
    ----------
    plan : Plan
    source : str
        Path of the file.
    offset, length : int
        Where its dataset begins, and bytes of the dataset.
    target : str
        Path of the file to write.
    head : bytes
        What precedes the dataset in it.
    draft : str
        Path of the file until it is complete, in the same folder.
    overwrite : bool
        Whether to replace what is at `target`.
    coders : Coders
    """

    plan: Plan
    source: str
    offset: int
    length: int
    target: str
    head: bytes
    draft: str
    overwrite: bool = False
    coders: Coders = field(factory=Coders)

    what: ClassVar[str] = "a file"

    @property
    def most(self) -> int:
        """Most bytes that an answer has: the file is not in it."""
        return 0


Request = Job | FileJob


@frozen
class Answer:
    """The head of a worker's answer."""

    status: JobStatus
    text_length: int
    frame_length: int
    numbers: tuple[int, ...]


@frozen
class ConvertedFrame:
    """What became of a frame.

    Attributes
    ----------
    data : memoryview
        A codestream, or native samples.
    format : FrameFormat
        What the dataset must say of it.
    """

    data: memoryview
    format: FrameFormat


def pack_request(job: Request, frame: Buffer) -> list[Buffer]:
    """Return a request in parts.

    Raises
    ------
    ValueError
        The frame has 4 GiB or more.
    """
    if len(frame) > _MAX_FRAME:
        raise ValueError(f"a frame of {len(frame)} bytes is more than codecs are given")
    pickled = pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
    return [REQUEST.pack(len(pickled), len(frame)), pickled, frame]


def pack_frame(data: bytes, form: FrameFormat) -> list[Buffer]:
    """Return the answer that is a frame, in parts."""
    text = form.photometric_interpretation.encode("ascii", "replace")
    return [ANSWER.pack(JobStatus.DONE, len(text), len(data), *_numbers(form)), text, data]


def pack_status(status: JobStatus, message: str = "") -> list[Buffer]:
    """Return an answer that is no frame, in parts."""
    text = message.encode("utf-8", "replace")[:MAX_TEXT]
    return [ANSWER.pack(status, len(text), 0, *[0] * 7), text]


def unpack_answer(head: bytes | bytearray, job: Request) -> Answer:
    """Return the head of the answer to a job.

    Raises
    ------
    ValueError
        No worker of ours says such a thing.
    """
    status, text_length, frame_length, *numbers = ANSWER.unpack(head)
    if text_length > MAX_TEXT or frame_length > job.most:
        raise ValueError(f"{text_length} + {frame_length} bytes, where {job.most} are the most")
    return Answer(JobStatus(status), text_length, frame_length, tuple(numbers))


def format_of(answer: Answer, photometric_interpretation: str) -> FrameFormat:
    """Return the format that an answer tells."""
    rows, columns, samples, allocated, stored, signed, planar = answer.numbers
    return FrameFormat(
        rows,
        columns,
        samples,
        allocated,
        stored,
        bool(signed),
        photometric_interpretation,
        planar,
    )


def _numbers(form: FrameFormat) -> tuple[int, ...]:
    return (
        form.rows,
        form.columns,
        form.samples_per_pixel,
        form.bits_allocated,
        form.bits_stored,
        int(form.is_signed),
        form.planar_configuration,
    )


def check_answer(converted: ConvertedFrame, job: Job) -> None:
    """Check that a frame may be the one that was asked for.

    Raises
    ------
    ValueError
        It is not.
    """
    form = converted.format
    found = (form.rows, form.columns, form.samples_per_pixel, form.is_signed)
    asked = job.format
    if found != (asked.rows, asked.columns, asked.samples_per_pixel, asked.is_signed):
        raise ValueError(f"a frame of {form}, not {job.format}")
    if not re.fullmatch("[A-Z0-9_ ]{1,16}", form.photometric_interpretation):
        raise ValueError(f"Photometric Interpretation {form.photometric_interpretation!r}")
    if not job.encoder and len(converted.data) != form.size:
        raise ValueError(f"{len(converted.data)} bytes, where the frame has {form.size}")
