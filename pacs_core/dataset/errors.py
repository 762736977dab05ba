"""Faults of a dataset, or of the name of an attribute."""


class MalformedDataset(ValueError):  # noqa: N818
    """The bytes are not a dataset in the transfer syntax that was announced (PS3.5 §7).

    Parameters
    ----------
    what : str
        What was found, as a clause: "the value runs past its end".
    offset : int
        Byte offset in the (inflated) dataset at which it was found.
    """

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what, offset)
        self.what = what
        self.offset = offset

    def __str__(self) -> str:
        return f"malformed dataset: {self.what} (at byte {self.offset})"


class DatasetTooLarge(MalformedDataset):
    """A dataset has more bytes than whoever wants to read it has room for.

    Parameters
    ----------
    limit : int
        How many it may have, inflated.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"longer than the {limit} bytes allowed here", limit)
        self.args = (limit,)
        self.limit = limit


class UnencodableValue(ValueError):  # noqa: N818
    """A value cannot be written with the value representation of its attribute."""


class UnknownAttribute(LookupError):  # noqa: N818
    """Text that is neither a keyword of PS3.6 nor a tag in hexadecimal digits."""


class NotPart10(ValueError):  # noqa: N818
    """The file has no usable DICOM File Meta Information (PS3.10 §7.1)."""


class NeedMoreData(NotPart10):
    """The prefix ends before the File Meta Information does: read more and try again.

    Parameters
    ----------
    needed : int
        The least number of bytes, from the start of the file, that allows going on.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(f"the file meta information needs {needed} bytes or more of the file")
        self.needed = needed
