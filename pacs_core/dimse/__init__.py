"""DIMSE, the message exchange of DICOM (PS3.7), without input or output.

Command sets to bytes and back, PDVs to messages and back, the meaning of status codes, and the
account of outstanding operations.
"""

from pacs_core.dataset.uid import MAX_UID_LENGTH, is_valid_uid
from pacs_core.dimse.assembler import (
    DEFAULT_MAX_COMMAND_LENGTH,
    CommandInvalid,
    CommandReceived,
    DatasetFragment,
    Event,
    MessageAssembler,
)
from pacs_core.dimse.commands import Command, decode_command, encode_command
from pacs_core.dimse.errors import (
    DimseError,
    DimseProtocolViolation,
    InvalidArgument,
    MalformedCommand,
)
from pacs_core.dimse.fields import LAYOUTS, CommandField, DatasetRule, FieldLayout, Priority
from pacs_core.dimse.messages import encode_message
from pacs_core.dimse.operations import InvokedOperations, RequestedOperations
from pacs_core.dimse.repetition import CommandDecoder, encode_status, encode_store
from pacs_core.dimse.status import Status, StatusCategory, category, describe

__all__ = [
    "DEFAULT_MAX_COMMAND_LENGTH",
    "LAYOUTS",
    "MAX_UID_LENGTH",
    "Command",
    "CommandDecoder",
    "CommandField",
    "CommandInvalid",
    "CommandReceived",
    "DatasetFragment",
    "DatasetRule",
    "DimseError",
    "DimseProtocolViolation",
    "Event",
    "FieldLayout",
    "InvalidArgument",
    "InvokedOperations",
    "MalformedCommand",
    "MessageAssembler",
    "Priority",
    "RequestedOperations",
    "Status",
    "StatusCategory",
    "category",
    "decode_command",
    "describe",
    "encode_command",
    "encode_message",
    "encode_status",
    "encode_store",
    "is_valid_uid",
]
