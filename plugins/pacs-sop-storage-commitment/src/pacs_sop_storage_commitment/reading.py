"""Requests and reports as they arrive in messages."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio.to_thread

from pacs_core.contracts import Operation
from pacs_core.dataset import Attributes, MalformedDataset, parse_attributes
from pacs_core.dimse import DimseError, Status
from pacs_sop_storage_commitment.references import (
    ARGUMENTS,
    EventType,
    Failures,
    Reference,
    read_report,
)

_DEPTH: Final = 4
"""Of sequences; those of the standard have one."""

_BYTES_EACH: Final = 512
"""Bytes for each instance that is named: two UIDs of 64 characters, and their item, take 170."""


async def read_information(operation: Operation, most: int) -> Attributes:
    """Return Action or Event Information about so many instances at most.

    Raises
    ------
    DimseError
        0114H: nothing of it is an argument of the service; 0115H: it is no dataset; 0213H: it is
        too long.
    """
    try:
        data = await operation.dataset.read(most * _BYTES_EACH + 4096)
    except DimseError as error:
        raise DimseError(Status.RESOURCE_LIMITATION, error.comment) from error
    parse = partial(parse_attributes, max_depth=_DEPTH)
    try:
        # In a thread: thousands of items take their time.
        parsed = await anyio.to_thread.run_sync(parse, data, operation.context.transfer_syntax)
    except MalformedDataset as error:
        raise DimseError(Status.INVALID_ARGUMENT_VALUE, str(error)) from error
    if parsed and ARGUMENTS.isdisjoint(parsed):
        raise DimseError(Status.NO_SUCH_ARGUMENT, "nothing of it is of this service")
    return parsed


async def receive_report(
    operation: Operation, most: int
) -> tuple[str, Sequence[Reference], Failures]:
    """Return what an N-EVENT-REPORT says, see :func:`read_report`.

    Raises
    ------
    DimseError
        0113H: it is about no event of the service; else as :func:`read_information`.
    """
    if operation.command.event_type_id not in set(EventType):
        raise DimseError(Status.NO_SUCH_EVENT_TYPE, "events are 1 and 2")
    return read_report(await read_information(operation, most))
