"""Native Pixel Data: its value to frames and back, piece by piece (PS3.5 §8.1, §8.2)."""

from struct import Struct

from attrs import evolve

from pacs_core.dataset import Encoding
from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.frame import FrameFormat
from pacs_core.imaging.image import (
    Image,
    is_subsampled,
    native_format,
    native_frame_bits,
    native_length,
)
from pacs_core.imaging.samples import (
    BitPacker,
    Buffer,
    WordSwapper,
    align_samples,
    by_pixel,
    by_plane,
    shift_bits,
    upsample_chroma,
)

# Theory of operation
#
# The value of native Pixel Data is one run of bits in which frames follow each other without
# padding, so a frame of single bits may begin within a byte. `NativeFrames` holds what has arrived
# of one frame, at most, and hands it on in the form that codecs take: little endian, samples by
# pixel, chroma for each pixel, the first bit at bit 0.
#
# Words are swapped before anything else, since big endian OW swaps pairs of bytes whatever samples
# they belong to. That works on pieces of any length, with one odd byte held back.
#
# Too short is an error before the first frame comes out; too long is left out with a note, as old
# applications padded in excess. `range_of` and `take` do the same for a single frame by arithmetic.

_MAX_LENGTH = 0xFFFF_FFFE
_PIXEL_DATA = (0x7FE0, 0x0010)


class NativeFrames:
    """Takes the value of native Pixel Data apart, holding no more than one frame.

    Parameters
    ----------
    image : Image
    length : int
        Of the value, as its header says. There may be more than all frames take: old applications
        padded in excess (PS3.5 §8.1.1, note); it is left out. YBR_FULL_422 with as many samples
        as YBR_FULL has is that.
    little_endian : bool
        Byte order of the transfer syntax.
    vr : str
        OB or OW. In big endian, OW is swapped in words of 16 bits whatever Bits Allocated says:
        pairs of 8-bit samples, halves of 32-bit samples (PS3.5 §6.2, §8.1.1, A.3).

    Attributes
    ----------
    format : FrameFormat
        Of the frames that come out: what codecs take (`native_format`).
    notes : tuple of str
        What was wrong and put up with.

    Raises
    ------
    ImageError
        The value is too short for all frames, or native Pixel Data cannot be so.
    """

    def __init__(
        self, image: Image, length: int, little_endian: bool = True, vr: str = "OW"
    ) -> None:
        self.format = native_format(image)
        self.notes: tuple[str, ...] = ()
        image = self._without_false_chroma(image, length)
        _check_native(image, length, little_endian or vr == "OW")
        surplus = length - native_length(image)
        if surplus > 1:
            self.notes += (f"Pixel Data has {surplus} bytes more than its frames: left out",)
        self._image = image
        self._length = length
        self._swapper = None if little_endian or vr != "OW" else WordSwapper()
        self._bits = native_frame_bits(image)
        self._start = 0
        self._held = bytearray()
        self._received = 0
        self._frames = 0

    def _without_false_chroma(self, image: Image, length: int) -> Image:
        full = Image(self.format, image.frames, image.low_bits)
        if not is_subsampled(image) or length < native_length(full):
            return image
        name = image.format.photometric_interpretation
        self.notes += (f"{name} has chroma for each pixel: taken as YBR_FULL",)
        planar = image.format.planar_configuration
        return evolve(full, format=evolve(self.format, planar_configuration=planar))

    def feed(self, data: Buffer) -> list[bytes]:
        """Take the next bytes of the value; return the frames that are complete now.

        Raises
        ------
        ImageError
            There is more than was announced.
        """
        self._received += len(data)
        if self._received > self._length:
            raise ImageError(f"Pixel Data goes on after the {self._length} bytes announced")
        if self._frames == self._image.frames:
            return []
        self._held += self._swapper.feed(data) if self._swapper else data
        frames = []
        while self._frames < self._image.frames and (
            8 * len(self._held) >= self._start + self._bits
        ):
            frames.append(self._frame())
            self._frames += 1
        return frames

    def finish(self) -> None:
        """Declare the end of the value.

        Raises
        ------
        ImageError
            The value is shorter than announced.
        """
        if self._frames < self._image.frames:
            raise ImageError(
                f"Pixel Data ends after {self._received} of {self._length} bytes, "
                f"in frame {self._frames + 1} of {self._image.frames}"
            )

    def range_of(self, number: int) -> tuple[int, int]:
        """Return offset and length, in the value, of what `take` needs of a frame, from 1."""
        start = (number - 1) * self._bits
        first, last = start // 8, (start + self._bits + 7) // 8
        if self._swapper:  # whole words
            first, last = first & ~1, min(last + (last & 1), self._length)
        return first, last - first

    def take(self, number: int, data: Buffer) -> bytes:
        """Return one frame as it is stored, but in little endian and from the first bit on.

        Parameters
        ----------
        number : int
            From 1.
        data : bytes-like
            What lies at `range_of` it.

        Raises
        ------
        ImageError
            The value ends within it.
        """
        offset, length = self.range_of(number)
        if len(data) < length:
            raise ImageError(f"Pixel Data ends within frame {number} of {self._image.frames}")
        start = (number - 1) * self._bits - 8 * offset
        stored = WordSwapper().feed(data) if self._swapper else data
        if self._image.format.bits_allocated == 1:
            return shift_bits(stored, start, self._bits)
        return bytes(stored[start // 8 : (start + self._bits) // 8])

    @property
    def image(self) -> Image:
        """What describes the frames that `take` returns."""
        return self._image

    def _frame(self) -> bytes:
        end, bits_over = divmod(self._start + self._bits, 8)
        with memoryview(self._held) as view:
            stored = view[: end + bool(bits_over)]
            if self._image.format.bits_allocated == 1:
                frame = shift_bits(stored, self._start, self._bits)
            else:
                frame = arrange_native(stored, self._image)
            stored.release()
        del self._held[:end]
        self._start = bits_over
        return frame


def arrange_native(stored: Buffer, image: Image) -> bytes:
    """Return a frame of native Pixel Data as codecs take it: in `native_format`.

    Parameters
    ----------
    stored : bytes-like
        The frame as it is stored, in little endian, from its first bit on.
    image : Image
        What describes it.

    Raises
    ------
    ImageError
        Bits outside of the samples are in use.
    """
    frame = image.format
    if frame.bits_allocated == 1:
        return bytes(stored)
    if is_subsampled(image):
        return upsample_chroma(stored)
    if image.low_bits:
        stored = align_samples(stored, frame, image.low_bits)
    return (
        by_pixel(stored, frame.bits_allocated // 8) if frame.planar_configuration else bytes(stored)
    )


def _check_native(image: Image, length: int, byte_order_is_clear: bool) -> None:
    frame, expected = image.format, native_length(image)
    name = frame.photometric_interpretation
    if name.startswith("YBR_PARTIAL"):
        raise ImageError(f"native Pixel Data in the retired {name} is not supported")
    if is_subsampled(image) and (frame.columns % 2 or frame.bits_allocated != 8):
        raise ImageError(
            f"{name} cannot have {frame.columns} columns of {frame.bits_allocated} bits: they "
            "must be even, and 8 (PS3.3 C.7.6.3.1.2)"
        )
    if frame.bits_allocated > 8 and not byte_order_is_clear:
        raise ImageError(
            f"samples of {frame.bits_allocated} bits are OW, not OB, in big endian (PS3.5 A.3)"
        )
    if length < expected:
        raise ImageError(
            f"Pixel Data has {length} bytes, but {image.frames} frames of {frame.columns} x "
            f"{frame.rows} pixels with {frame.samples_per_pixel} x {frame.bits_allocated} bits "
            f"({name}) take {expected}"
        )


class NativeWriter:
    """Makes native Pixel Data of frames.

    Parameters
    ----------
    frame : FrameFormat
        Of the frames that will be added: by pixel, little endian.
    frames : int
        How many that will be.
    encoding : Encoding
        Of the dataset (PS3.5 Annex A).
    planar_configuration : int
        0 to keep samples by pixel, 1 to store them by plane.

    Attributes
    ----------
    format : FrameFormat
        What the dataset must say.
    vr : str
        OW in implicit VR and for more than 8 bits, else OB (PS3.5 A.1, A.2).
    length : int
        Of the value, padding included.
    header : bytes
        Of the element (7FE0,0010).

    Raises
    ------
    ImageError
        The value would have more than 2**32 - 2 bytes, or the frames are subsampled.
    """

    def __init__(
        self, frame: FrameFormat, frames: int, encoding: Encoding, planar_configuration: int = 0
    ) -> None:
        self._planar = planar_configuration if frame.samples_per_pixel > 1 else 0
        self.format = evolve(frame, planar_configuration=self._planar)
        image = Image(self.format, frames)
        if is_subsampled(image):
            raise ImageError("YBR_FULL_422 is not written natively: upsample it to YBR_FULL")
        unpadded = native_length(image)
        self.length = unpadded + unpadded % 2
        if self.length > _MAX_LENGTH:
            raise ImageError(f"native Pixel Data of {self.length} bytes: 2**32 - 2 are possible")
        self.vr = "OW" if frame.bits_allocated > 8 or not encoding.explicit else "OB"
        self.header = _header(encoding, self.vr, self.length)
        self._padding = bytes(unpadded % 2)
        self._frames_left = frames
        self._packer = BitPacker(native_frame_bits(image)) if frame.bits_allocated == 1 else None
        swaps = self.vr == "OW" and not encoding.little_endian
        self._swapper = WordSwapper() if swaps else None

    def add(self, frame: bytes) -> bytes:
        """Return the next piece of the value.

        Raises
        ------
        ImageError
            The frame has another size than its format says, or is one too many.
        """
        if len(frame) != self.format.size or not self._frames_left:
            raise ImageError(
                f"a frame of {len(frame)} bytes where {self.format.size} are due, "
                f"with {self._frames_left} frames to come"
            )
        self._frames_left -= 1
        if self._planar:
            frame = by_plane(frame, self.format.bits_allocated // 8)
        if self._packer:
            frame = self._packer.feed(frame)
        return self._swapper.feed(frame) if self._swapper else frame

    def finish(self) -> bytes:
        """Return the end of the value, with padding to even length (PS3.5 §8.1.1).

        Raises
        ------
        ImageError
            Frames are missing.
        """
        if self._frames_left:
            raise ImageError(f"{self._frames_left} frames of native Pixel Data are missing")
        end = (self._packer.finish() if self._packer else b"") + self._padding
        return self._swapper.feed(end) if self._swapper else end


def _header(encoding: Encoding, vr: str, length: int) -> bytes:
    order = "<" if encoding.little_endian else ">"
    if not encoding.explicit:
        return Struct(order + "HHI").pack(*_PIXEL_DATA, length)
    return Struct(order + "HH2s2xI").pack(*_PIXEL_DATA, vr.encode(), length)
