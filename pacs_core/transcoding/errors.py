"""Faults of a frame in a worker process, apart from the frame itself."""

from pacs_core.contracts import TranscodingError


class CodecCrashedError(TranscodingError):
    """The process in which a codec ran has died."""


class CodecKilledError(CodecCrashedError):
    """The process in which a codec ran was killed from outside: the frame may be good."""


class CodecTimeoutError(TranscodingError):
    """A codec took longer than it may, and was killed."""


class CodecMemoryError(TranscodingError):
    """A codec asked for more memory than it may have."""
