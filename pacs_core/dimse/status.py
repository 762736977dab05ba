"""Status codes of DIMSE responses, their category and meaning (PS3.7 Annex C, PS3.4)."""

from enum import Enum, IntEnum
from typing import Final


class StatusCategory(Enum):
    """What a status means for the course of an operation (PS3.7 §C.1)."""

    SUCCESS = "success"
    PENDING = "pending"
    CANCEL = "cancel"
    WARNING = "warning"
    FAILURE = "failure"


class Status(IntEnum):
    """Status codes of PS3.7 Annex C, and of the services of PS3.4 Annexes B and C."""

    SUCCESS = 0x0000
    OPTIONAL_ATTRIBUTES_NOT_SUPPORTED = 0x0001
    NO_SUCH_ATTRIBUTE = 0x0105
    INVALID_ATTRIBUTE_VALUE = 0x0106
    ATTRIBUTE_LIST_ERROR = 0x0107
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    NO_SUCH_ARGUMENT = 0x0114
    INVALID_ARGUMENT_VALUE = 0x0115
    ATTRIBUTE_VALUE_OUT_OF_RANGE = 0x0116
    INVALID_SOP_INSTANCE = 0x0117
    NO_SUCH_SOP_CLASS = 0x0118
    CLASS_INSTANCE_CONFLICT = 0x0119
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION_TYPE = 0x0123
    NOT_AUTHORIZED = 0x0124
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    OUT_OF_RESOURCES_MATCHES = 0xA701
    OUT_OF_RESOURCES_SUBOPERATIONS = 0xA702
    MOVE_DESTINATION_UNKNOWN = 0xA801
    DATASET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    COERCION_OF_DATA_ELEMENTS = 0xB000
    SUBOPERATIONS_COMPLETE_WITH_FAILURES = 0xB000
    ELEMENTS_DISCARDED = 0xB006
    DATASET_DOES_NOT_MATCH_SOP_CLASS_WARNING = 0xB007
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC000
    CANCEL = 0xFE00
    PENDING = 0xFF00
    PENDING_WITH_WARNINGS = 0xFF01


# Codes whose range does not give away their category.
_CATEGORIES: Final = {
    0x0000: StatusCategory.SUCCESS,
    0x0001: StatusCategory.WARNING,
    0x0107: StatusCategory.WARNING,
    0x0116: StatusCategory.WARNING,
    0xFE00: StatusCategory.CANCEL,
    0xFF00: StatusCategory.PENDING,
    0xFF01: StatusCategory.PENDING,
}

_MEANINGS: Final = {
    0x0000: "success",
    0x0001: "requested optional attributes are not supported",
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0107: "attribute list error: some attributes were not recognized",
    0x0110: "processing failure",
    0x0111: "duplicate SOP instance",
    0x0112: "no such SOP instance",
    0x0113: "no such event type",
    0x0114: "no such argument",
    0x0115: "invalid argument value",
    0x0116: "attribute value out of range",
    0x0117: "invalid SOP instance UID",
    0x0118: "no such SOP class",
    0x0119: "SOP instance is not of this SOP class",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "refused: SOP class not supported",
    0x0123: "no such action type",
    0x0124: "refused: not authorized",
    0x0210: "duplicate invocation: the message ID is in use",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA701: "refused: out of resources, unable to calculate the number of matches",
    0xA702: "refused: out of resources, unable to perform sub-operations",
    0xA801: "refused: move destination unknown",
    0xB000: "warning: data elements coerced, or one or more sub-operations failed",
    0xB006: "warning: data elements discarded",
    0xB007: "warning: data set does not match SOP class",
    0xFE00: "cancelled",
    0xFF00: "pending",
    0xFF01: "pending: optional keys are not supported",
}

# First and last code of each range that PS3.4 §B.2.3, §C.4.1.1.4, §C.4.2.1.5 and §C.4.3.1.4 leave
# to the implementation.
_RANGES: Final = (
    (0xA700, 0xA7FF, "refused: out of resources"),
    (0xA900, 0xA9FF, "failed: data set or identifier does not match SOP class"),
    (0xC000, 0xCFFF, "failed: cannot understand or unable to process"),
)

_WARNINGS: Final = range(0xB000, 0xC000)


def category(status: int) -> StatusCategory:
    """Return the category of `status`; a code nobody defined is a failure (PS3.7 Annex C).

    Parameters
    ----------
    status : int
        Value of Status (0000,0900).

    Returns
    -------
    StatusCategory
    """
    known = _CATEGORIES.get(status)
    if known is not None:
        return known
    return StatusCategory.WARNING if status in _WARNINGS else StatusCategory.FAILURE


def describe(status: int) -> str:
    """Return what `status` means, for logs and audit messages.

    Parameters
    ----------
    status : int
        Value of Status (0000,0900).

    Returns
    -------
    str
        For example ``"A801H refused: move destination unknown"``.
    """
    return f"{status:04X}H {_known_meaning(status)}"


def _known_meaning(status: int) -> str:
    if status in _MEANINGS:
        return _MEANINGS[status]
    for first, last, meaning in _RANGES:
        if first <= status <= last:
            return meaning
    return f"unknown status ({category(status).value})"
