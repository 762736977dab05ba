"""Images without input or output: Pixel Data to frames and back (PS3.5 §8, PS3.3 C.7.6.3)."""

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
from pacs_core.imaging.image import (
    IMAGE_TAGS,
    Image,
    image_of,
    native_format,
    native_frame_bits,
    native_frame_size,
    native_length,
)
from pacs_core.imaging.native import NativeFrames, NativeWriter
from pacs_core.imaging.syntaxes import (
    Kind,
    PixelSyntax,
    Profile,
    check_format,
    is_lossless,
    is_video,
    misfit,
    pixel_syntax,
)

__all__ = [
    "CONVERSION_TAGS",
    "EXTENDED_OFFSET_TABLE",
    "EXTENDED_OFFSET_TABLE_LENGTHS",
    "IMAGE_TAGS",
    "MAX_FRAGMENTS_PER_FRAME",
    "MAX_FRAME_BYTES",
    "MAX_OFFSET_TABLE_BYTES",
    "SEQUENCE_END",
    "Edits",
    "EncapsulatedFrames",
    "Image",
    "ImageError",
    "Kind",
    "LossyCompression",
    "NativeFrames",
    "NativeWriter",
    "PixelSyntax",
    "Profile",
    "check_format",
    "conversion_edits",
    "encapsulate",
    "encapsulated_length",
    "extended_offset_table",
    "frame_item",
    "image_of",
    "is_lossless",
    "is_video",
    "misfit",
    "native_format",
    "native_frame_bits",
    "native_frame_size",
    "native_length",
    "needs_extended_offset_table",
    "offsets_of",
    "pixel_syntax",
]
