"""Image of a dataset, told from its beginning."""

from pacs_core.contracts import NO_IMAGE, FrameFormat
from pacs_core.dataset import HeaderScanner, MalformedDataset, tag_of
from pacs_core.imaging import IMAGE_TAGS, ImageError, image_of

_BITS_STORED = tag_of("BitsStored")


def image_in(head: bytes, transfer_syntax_uid: str) -> FrameFormat | None:
    """Return the format of the image that a dataset holds.

    Parameters
    ----------
    head : bytes
        The dataset, or its beginning.
    transfer_syntax_uid : str
        How it is encoded.

    Returns
    -------
    FrameFormat or None
        `NO_IMAGE` if there are no pixels that could be compressed; None if `head` is too short to
        tell, or odd.
    """
    scanner = HeaderScanner(transfer_syntax_uid, IMAGE_TAGS)
    try:
        scanner.feed(head)
    except MalformedDataset:
        return None
    return scanned_image(scanner)


def scanned_image(scanner: HeaderScanner) -> FrameFormat | None:
    """Return what :func:`image_in` does, from what a scanner found of `IMAGE_TAGS`."""
    complete = scanner.done or (scanner.offset > 0 and scanner.dataset_ended_cleanly)
    if not complete or scanner.incomplete or scanner.oversized:
        return None
    # Floating point pixels have no Bits Stored (PS3.3 C.7.6.24), and are not compressed.
    if _BITS_STORED not in scanner.attributes:
        return NO_IMAGE
    try:
        return image_of(scanner.attributes).format
    except ImageError:
        return None
