"""Images without input or output: Pixel Data to frames and back (PS3.5 §8, PS3.3 C.7.6.3)."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.imaging.codestream import CodestreamImage as CodestreamImage
    from pacs_core.imaging.codestreams import announced_image as announced_image
    from pacs_core.imaging.conversion import (
        CONVERSION_TAGS as CONVERSION_TAGS,
        Edits as Edits,
        LossyCompression as LossyCompression,
        conversion_edits as conversion_edits,
    )
    from pacs_core.imaging.encapsulated import (
        MAX_FRAGMENTS_PER_FRAME as MAX_FRAGMENTS_PER_FRAME,
        MAX_FRAME_BYTES as MAX_FRAME_BYTES,
        MAX_OFFSET_TABLE_BYTES as MAX_OFFSET_TABLE_BYTES,
        EncapsulatedFrames as EncapsulatedFrames,
        offsets_of as offsets_of,
    )
    from pacs_core.imaging.encapsulation import (
        EXTENDED_OFFSET_TABLE as EXTENDED_OFFSET_TABLE,
        EXTENDED_OFFSET_TABLE_LENGTHS as EXTENDED_OFFSET_TABLE_LENGTHS,
        SEQUENCE_END as SEQUENCE_END,
        encapsulate as encapsulate,
        encapsulated_length as encapsulated_length,
        extended_offset_table as extended_offset_table,
        frame_item as frame_item,
        needs_extended_offset_table as needs_extended_offset_table,
    )
    from pacs_core.imaging.errors import ImageError as ImageError
    from pacs_core.imaging.frame import CodecError as CodecError, FrameFormat as FrameFormat
    from pacs_core.imaging.frame_ranges import FrameRanges as FrameRanges
    from pacs_core.imaging.image import (
        IMAGE_TAGS as IMAGE_TAGS,
        Image as Image,
        image_of as image_of,
        native_format as native_format,
        native_frame_bits as native_frame_bits,
        native_frame_size as native_frame_size,
        native_length as native_length,
    )
    from pacs_core.imaging.jpeg import (
        EOI as EOI,
        JPEG_BASELINE as JPEG_BASELINE,
        JPEG_EXTENDED as JPEG_EXTENDED,
        JPEG_LOSSLESS as JPEG_LOSSLESS,
        JPEG_LS as JPEG_LS,
        JPEG_PROGRESSIVE as JPEG_PROGRESSIVE,
        JpegHeader as JpegHeader,
        ended_jpegs as ended_jpegs,
        is_ycbcr as is_ycbcr,
        read_jpeg as read_jpeg,
    )
    from pacs_core.imaging.jpeg2000 import (
        COD as COD,
        QCD as QCD,
        J2kHeader as J2kHeader,
        bare_j2k as bare_j2k,
        read_j2k as read_j2k,
    )
    from pacs_core.imaging.native import (
        NativeFrames as NativeFrames,
        NativeWriter as NativeWriter,
        arrange_native as arrange_native,
    )
    from pacs_core.imaging.pixel_sizes import aspect_of as aspect_of, pixel_aspect as pixel_aspect
    from pacs_core.imaging.samples import (
        align_samples as align_samples,
        bits_of_bytes as bits_of_bytes,
        bytes_of_bits as bytes_of_bits,
    )
    from pacs_core.imaging.syntaxes import (
        PixelLoss as PixelLoss,
        PixelSyntax as PixelSyntax,
        Profile as Profile,
        check_format as check_format,
        is_lossless as is_lossless,
        is_video as is_video,
        misfit as misfit,
        pixel_syntax as pixel_syntax,
    )

import_on_demand(
    __name__,
    """
.codestream CodestreamImage
.codestreams announced_image
.conversion CONVERSION_TAGS Edits LossyCompression conversion_edits
.encapsulated MAX_FRAGMENTS_PER_FRAME MAX_FRAME_BYTES MAX_OFFSET_TABLE_BYTES EncapsulatedFrames
.encapsulated offsets_of
.encapsulation EXTENDED_OFFSET_TABLE EXTENDED_OFFSET_TABLE_LENGTHS SEQUENCE_END encapsulate
.encapsulation encapsulated_length extended_offset_table frame_item needs_extended_offset_table
.errors ImageError
.frame CodecError FrameFormat
.frame_ranges FrameRanges
.image IMAGE_TAGS Image image_of native_format native_frame_bits native_frame_size native_length
.jpeg EOI JPEG_BASELINE JPEG_EXTENDED JPEG_LOSSLESS JPEG_LS JPEG_PROGRESSIVE JpegHeader ended_jpegs
.jpeg is_ycbcr read_jpeg
.jpeg2000 COD QCD J2kHeader bare_j2k read_j2k
.native NativeFrames NativeWriter arrange_native
.pixel_sizes aspect_of pixel_aspect
.samples align_samples bits_of_bytes bytes_of_bits
.syntaxes PixelLoss PixelSyntax Profile check_format is_lossless is_video misfit pixel_syntax
""",
)
