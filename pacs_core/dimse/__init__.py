"""DIMSE, the message exchange of DICOM (PS3.7), without input or output.

Command sets to bytes and back, PDVs to messages and back, the meaning of status codes, and the
account of outstanding operations.
"""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.dataset.uid import MAX_UID_LENGTH as MAX_UID_LENGTH, is_valid_uid as is_valid_uid
    from pacs_core.dimse.assembler import (
        DEFAULT_MAX_COMMAND_LENGTH as DEFAULT_MAX_COMMAND_LENGTH,
        CommandInvalid as CommandInvalid,
        CommandReceived as CommandReceived,
        DatasetFragment as DatasetFragment,
        Event as Event,
        MessageAssembler as MessageAssembler,
    )
    from pacs_core.dimse.commands import (
        Command as Command,
        decode_command as decode_command,
        encode_command as encode_command,
    )
    from pacs_core.dimse.errors import (
        DimseError as DimseError,
        DimseProtocolViolation as DimseProtocolViolation,
        InvalidArgument as InvalidArgument,
        MalformedCommand as MalformedCommand,
    )
    from pacs_core.dimse.fields import (
        LAYOUTS as LAYOUTS,
        CommandField as CommandField,
        DatasetRule as DatasetRule,
        FieldLayout as FieldLayout,
        Priority as Priority,
    )
    from pacs_core.dimse.messages import encode_message as encode_message
    from pacs_core.dimse.operations import (
        InvokedOperations as InvokedOperations,
        RequestedOperations as RequestedOperations,
    )
    from pacs_core.dimse.repetition import (
        CommandDecoder as CommandDecoder,
        encode_status as encode_status,
        encode_store as encode_store,
    )
    from pacs_core.dimse.status import (
        Status as Status,
        StatusCategory as StatusCategory,
        category as category,
        describe as describe,
    )

import_on_demand(
    __name__,
    """
pacs_core.dataset.uid MAX_UID_LENGTH is_valid_uid
.assembler DEFAULT_MAX_COMMAND_LENGTH CommandInvalid CommandReceived DatasetFragment Event
.assembler MessageAssembler
.commands Command decode_command encode_command
.errors DimseError DimseProtocolViolation InvalidArgument MalformedCommand
.fields LAYOUTS CommandField DatasetRule FieldLayout Priority
.messages encode_message
.operations InvokedOperations RequestedOperations
.repetition CommandDecoder encode_status encode_store
.status Status StatusCategory category describe
""",
)
