"""Files in fragments: what they say of themselves is overwritten (ISO/IEC 14496-12, 15444-1 I)."""

from collections.abc import Generator
from typing import Final

from pacs_deidentify.streaming import EVERYTHING, Copy, Operation, Peek, Replace, Zero

_FIRST: Final = frozenset({b"jP  ", b"JXL ", b"ftyp"})
CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"moof", b"traf"})
NEEDED: Final = frozenset({
    # JPEG 2000 and JPEG XL
    b"jP  ", b"ftyp", b"jp2h", b"JXL ", b"jxlc", b"jxlp", b"jxli", b"jxll",
    # MP4
    b"edts", b"iods", b"mdat", b"mfhd", b"mfra", b"minf", b"mvex", b"sidx", b"styp", b"tfdt",
    b"tfhd", b"tref", b"trun",
})  # fmt: skip
_CODESTREAM: Final = b"jp2c"
TIMES: Final = frozenset({b"mvhd", b"tkhd", b"mdhd"})
HANDLER: Final = b"hdlr"
BEFORE_NAME: Final = 24
_FREE: Final = b"free"


def is_boxed(start: bytes) -> bool:
    """Whether bytes are the beginning of such a file."""
    return start[4:8] in _FIRST


def clean_boxes(left: int = EVERYTHING) -> Generator[Operation, bytes, bool]:
    """Go over boxes; tell whether the codestream of a JPEG 2000 image follows."""
    while left >= 8:
        head = yield Peek(16)
        if len(head) < 8:  # what pads the fragment
            yield Zero(EVERYTHING)
        size, kind, start = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), 16
        # A box without a size is the last one.
        content = (size or EVERYTHING) - start
        if kind == _CODESTREAM:
            yield Copy(start)
            return True
        if content < 0:
            yield Zero(EVERYTHING)
        elif kind in CONTAINERS:
            yield Copy(start)
            if (yield from clean_boxes(content)):
                return True
        elif kind in TIMES:
            yield from _clean_times(start, content)
        elif kind == HANDLER:
            yield Copy(start + min(BEFORE_NAME, content))
            yield Zero(content - min(BEFORE_NAME, content))
        elif kind in NEEDED:
            yield Copy(start + content)
        else:
            yield Replace((head[:4] + _FREE + head[8:])[:start])
            yield Zero(content)
        left -= start + content
    return False


def _clean_times(start: int, content: int) -> Generator[Operation, bytes, None]:
    """Overwrite when a movie or a track was made and changed."""
    version = (yield Peek(start + 1))[start:]
    times = min(16 if version == b"\x01" else 8, max(content - 4, 0))
    yield Copy(start + min(4, content))
    yield Zero(times)
    yield Copy(content - min(4, content) - times)
