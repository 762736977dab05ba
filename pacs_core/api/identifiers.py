"""Identifiers of requests: the keys of C-FIND, C-GET and C-MOVE (PS3.4 C.4, K.4, CC.2.8)."""

from typing import Final

from pacs_core.contracts import Operation
from pacs_core.dataset import Attributes, MalformedDataset, parse_attributes
from pacs_core.dimse import DimseError, Status

__all__ = ["MAX_IDENTIFIER", "read_keys"]

MAX_IDENTIFIER: Final = 1 << 20
"""Bytes that an identifier may have."""

_GROUP_LENGTH: Final = 0


async def read_keys(operation: Operation, character_set: tuple[str, ...] = ()) -> Attributes:
    """Read the keys of a request, group lengths left out.

    A key that holds bulk data is named with what cannot be matched: it is not matched, but answered
    (PS3.4 C.4.1.1.3.2).

    Parameters
    ----------
    operation : Operation
    character_set : tuple of str
        Assumed where the identifier names none, or lies.

    Raises
    ------
    DimseError
        C000H: it is no dataset. The status of :meth:`IncomingDataset.read`: it is longer than
        :data:`MAX_IDENTIFIER`.
    """
    data = await operation.dataset.read(MAX_IDENTIFIER)
    try:
        attributes = parse_attributes(
            data,
            operation.context.transfer_syntax,
            default_character_set=character_set,
            name_bulk=True,
        )
    except MalformedDataset as error:
        raise DimseError(Status.UNABLE_TO_PROCESS, f"Identifier: {error}") from error
    return {tag: values for tag, values in attributes.items() if tag & 0xFFFF != _GROUP_LENGTH}
