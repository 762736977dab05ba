"""SOP class extended negotiation: optional behaviour, agreed on (PS3.4 C.5.1.1, C.5.2.1)."""

from enum import IntEnum
from typing import Final

from pacs_core.contracts import Operation
from pacs_sop_query_retrieve.config import QueryRetrieveConfig


class Option(IntEnum):
    """Position of an option in the service class application information."""

    RELATIONAL = 0
    COMBINED_DATE_TIME = 1
    FUZZY_NAMES = 2
    TIMEZONE_ADJUSTMENT = 3
    FRAME_CONVERSION = 4
    EMPTY_VALUES = 5
    MULTIPLE_VALUES = 6


_ALWAYS: Final = {
    Option.RELATIONAL,
    Option.COMBINED_DATE_TIME,
    Option.TIMEZONE_ADJUSTMENT,
    Option.EMPTY_VALUES,
    Option.MULTIPLE_VALUES,
}


def find_options(config: QueryRetrieveConfig) -> frozenset[Option]:
    """Return the options that C-FIND offers (PS3.4 Table C.5-2)."""
    return frozenset(_ALWAYS | ({Option.FUZZY_NAMES} if config.fuzzy_names else set()))


RETRIEVE_OPTIONS: Final = frozenset({Option.RELATIONAL})
"""What C-MOVE and C-GET offer (PS3.4 Tables C.5-3 and C.5-5)."""


def answer_options(offered: frozenset[Option], application_information: bytes) -> bytes:
    """Return the acceptor's field: as long as the requestor's, 1 for what both want."""
    return bytes(
        int(wanted == 1 and position in offered)
        for position, wanted in enumerate(application_information[: len(Option)])
    )


def agreed_options(operation: Operation) -> frozenset[Option]:
    """Return what was agreed on for the SOP class of a request."""
    field = operation.association.extended.get(operation.context.abstract_syntax, b"")
    return frozenset(option for option in Option if field[option : option + 1] == b"\x01")
