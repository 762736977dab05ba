"""Headers and single frames of stored instances, as the archive hands them out."""

from attrs import frozen

from pacs_core.dataset import ElementSet, PixelDataElement
from pacs_core.imaging import FrameFormat


class FrameNotFoundError(LookupError):
    """An instance has no frame of this number, or none at all.

    Attributes
    ----------
    number : int
        The first of those asked for that is not there.
    frames : int
        How many there are.
    said : int
        How many Number of Frames (0028,0008) says that there are.
    """

    def __init__(self, number: int, frames: int, said: int = 0) -> None:
        has = f"the instance has {frames}" if frames else "the instance has no pixels"
        if said > frames:
            has += f", though Number of Frames is {said}"
        super().__init__(f"there is no frame {number}: {has}")
        self.number = number
        self.frames = frames
        self.said = max(said, frames)


@frozen
class FrameCount:
    """How many frames an instance has.

    Attributes
    ----------
    frames : int
        How many there are in Pixel Data; 0 if there are none.
    said : int
        How many Number of Frames (0028,0008) says that there are.
    """

    frames: int
    said: int


class UnreadableFramesError(ValueError):
    """Pixel Data are not what their header says, or are not made of frames, as a video."""


@frozen
class InstanceHeader:
    """The elements of an instance, long values left where they are.

    Attributes
    ----------
    transfer_syntax_uid : str
        In which it is stored.
    elements : ElementSet
        Also those behind Pixel Data. Bulk data are given as :class:`BulkData`, with offsets from
        the beginning of the dataset: :meth:`Archive.bulk_data` reads them.
    pixel_data : PixelDataElement or None
        The header of Pixel Data, Float Pixel Data or Double Float Pixel Data.
    pixel_data_offset : int
        Where their value begins, in the dataset.
    """

    transfer_syntax_uid: str
    elements: ElementSet
    pixel_data: PixelDataElement | None = None
    pixel_data_offset: int = 0


@frozen
class Frame:
    """One frame.

    Attributes
    ----------
    number : int
        From 1.
    data : bytes
        A codestream, its fragments joined, perhaps with a byte of padding at its end; or native
        pixels in little endian, as `format` says, that begin with the first bit (PS3.5 §8.1.1).
    transfer_syntax_uid : str
        Of the codestream; Explicit VR Little Endian if the pixels are native.
    format : FrameFormat
        What describes it.
    low_bits : int
        Bits below each sample in its container, as :attr:`FrameFormat.bits_stored` does not say:
        High Bit + 1 - Bits Stored. Not 0 in some old images only.
    is_float : bool
        Whether samples are IEEE 754 numbers, of Float or Double Float Pixel Data, and no integers
        (PS3.3 C.7.6.24, C.7.6.25).
    """

    number: int
    data: bytes
    transfer_syntax_uid: str
    format: FrameFormat
    low_bits: int = 0
    is_float: bool = False
