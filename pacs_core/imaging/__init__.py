"""Images without input or output: Pixel Data to frames and back (PS3.5 §8, PS3.3 C.7.6.3)."""

from pacs_core.imaging.codestream import CodestreamImage
from pacs_core.imaging.codestreams import announced_image
from pacs_core.imaging.conversion import (
    CONVERSION_TAGS,
    Edits,
    LossyCompression,
    conversion_edits,
)
from pacs_core.imaging.encapsulated import (
    MAX_FRAGMENTS_PER_FRAME,
    MAX_FRAME_BYTES,
    MAX_OFFSET_TABLE_BYTES,
    EncapsulatedFrames,
    offsets_of,
)
from pacs_core.imaging.encapsulation import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    SEQUENCE_END,
    encapsulate,
    encapsulated_length,
    extended_offset_table,
    frame_item,
    needs_extended_offset_table,
)
from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.frame import CodecError, FrameFormat
from pacs_core.imaging.frame_ranges import FrameRanges
from pacs_core.imaging.image import (
    IMAGE_TAGS,
    Image,
    image_of,
    native_format,
    native_frame_bits,
    native_frame_size,
    native_length,
)
from pacs_core.imaging.jpeg import (
    EOI,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LS,
    JPEG_PROGRESSIVE,
    JpegHeader,
    ended_jpegs,
    is_ycbcr,
    read_jpeg,
)
from pacs_core.imaging.jpeg2000 import COD, QCD, J2kHeader, bare_j2k, read_j2k
from pacs_core.imaging.native import NativeFrames, NativeWriter, arrange_native
from pacs_core.imaging.samples import align_samples, bits_of_bytes, bytes_of_bits
from pacs_core.imaging.syntaxes import (
    PixelLoss,
    PixelSyntax,
    Profile,
    check_format,
    is_lossless,
    is_video,
    misfit,
    pixel_syntax,
)

__all__ = [
    "COD",
    "CONVERSION_TAGS",
    "EOI",
    "EXTENDED_OFFSET_TABLE",
    "EXTENDED_OFFSET_TABLE_LENGTHS",
    "IMAGE_TAGS",
    "JPEG_BASELINE",
    "JPEG_EXTENDED",
    "JPEG_LOSSLESS",
    "JPEG_LS",
    "JPEG_PROGRESSIVE",
    "MAX_FRAGMENTS_PER_FRAME",
    "MAX_FRAME_BYTES",
    "MAX_OFFSET_TABLE_BYTES",
    "QCD",
    "SEQUENCE_END",
    "CodecError",
    "CodestreamImage",
    "Edits",
    "EncapsulatedFrames",
    "FrameFormat",
    "FrameRanges",
    "Image",
    "ImageError",
    "J2kHeader",
    "JpegHeader",
    "LossyCompression",
    "NativeFrames",
    "NativeWriter",
    "PixelLoss",
    "PixelSyntax",
    "Profile",
    "align_samples",
    "announced_image",
    "arrange_native",
    "bare_j2k",
    "bits_of_bytes",
    "bytes_of_bits",
    "check_format",
    "conversion_edits",
    "encapsulate",
    "encapsulated_length",
    "ended_jpegs",
    "extended_offset_table",
    "frame_item",
    "image_of",
    "is_lossless",
    "is_video",
    "is_ycbcr",
    "misfit",
    "native_format",
    "native_frame_bits",
    "native_frame_size",
    "native_length",
    "needs_extended_offset_table",
    "offsets_of",
    "pixel_syntax",
    "read_j2k",
    "read_jpeg",
]
