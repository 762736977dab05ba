"""Codestreams of any kind, told apart by how they begin."""

from pacs_core.imaging.codestream import CodestreamImage
from pacs_core.imaging.frame import CodecError
from pacs_core.imaging.jpeg import read_jpeg
from pacs_core.imaging.jpeg2000 import bare_j2k, read_j2k


def announced_image(codestream: bytes) -> CodestreamImage | None:
    """Return the image that a JPEG, JPEG-LS or JPEG 2000 codestream announces; None for others."""
    try:
        if codestream.startswith(b"\xff\xd8"):
            return read_jpeg(codestream).image
        return read_j2k(bare_j2k(codestream)).image
    except CodecError:
        return None
