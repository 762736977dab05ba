"""Kinds of command sets, and which elements belong in which (PS3.7 §9.3, §10.3, §E.1)."""

from enum import Enum, IntEnum
from typing import Final

from attrs import frozen


class CommandField(IntEnum):
    """Values of Command Field (0000,0100) (PS3.7 §E.1)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    C_CANCEL_RQ = 0x0FFF
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150

    @property
    def is_sent_by_scp(self) -> bool:
        """Whether the SCP sends this request: N-EVENT-REPORT alone does (PS3.7 §7.5.2)."""
        return self is CommandField.N_EVENT_REPORT_RQ

    @property
    def is_normalized(self) -> bool:
        """Whether it belongs to a DIMSE-N service (PS3.7 §7.5.2)."""
        return self & 0x0F00 == 0x0100


class Priority(IntEnum):
    """Values of Priority (0000,0700) (PS3.7 §E.1)."""

    MEDIUM = 0x0000
    HIGH = 0x0001
    LOW = 0x0002


RESPONSE_BIT: Final = 0x8000

GROUP_LENGTH: Final = 0x0000
COMMAND_FIELD: Final = 0x0100
DATASET_TYPE: Final = 0x0800
NO_DATASET: Final = 0x0101
WITH_DATASET: Final = 0x0001


@frozen
class Element:
    """One element of group 0000.

    Parameters
    ----------
    number : int
        Element number; the tag is (0000,`number`).
    attribute : str
        Name of the attribute of `Command` that holds its value.
    vr : str
        Value representation: AE, AT, LO, UI or US.
    """

    number: int
    attribute: str
    vr: str


ELEMENTS: Final = tuple(
    Element(*row)
    for row in (
        (0x0002, "affected_sop_class_uid", "UI"),
        (0x0003, "requested_sop_class_uid", "UI"),
        (0x0110, "message_id", "US"),
        (0x0120, "message_id_being_responded_to", "US"),
        (0x0600, "move_destination", "AE"),
        (0x0700, "priority", "US"),
        (0x0900, "status", "US"),
        (0x0901, "offending_element", "AT"),
        (0x0902, "error_comment", "LO"),
        (0x0903, "error_id", "US"),
        (0x1000, "affected_sop_instance_uid", "UI"),
        (0x1001, "requested_sop_instance_uid", "UI"),
        (0x1002, "event_type_id", "US"),
        (0x1005, "attribute_identifier_list", "AT"),
        (0x1008, "action_type_id", "US"),
        (0x1020, "number_of_remaining_suboperations", "US"),
        (0x1021, "number_of_completed_suboperations", "US"),
        (0x1022, "number_of_failed_suboperations", "US"),
        (0x1023, "number_of_warning_suboperations", "US"),
        (0x1030, "move_originator_application_entity_title", "AE"),
        (0x1031, "move_originator_message_id", "US"),
    )
)
"""The elements in use of PS3.7 Table E.1-1, but for those the codec itself accounts for:
Command Group Length, Command Field and Command Data Set Type."""


class DatasetRule(Enum):
    """Whether a data set follows the command set."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    FORBIDDEN = "forbidden"


@frozen
class FieldLayout:
    """What one kind of command set consists of.

    Parameters
    ----------
    mandatory : tuple of Element
        Elements without which the message means nothing.
    permitted : tuple of Element
        All elements the message may have, `mandatory` included, ascending.
    dataset : DatasetRule
        Whether a data set follows.
    """

    mandatory: tuple[Element, ...]
    permitted: tuple[Element, ...]
    dataset: DatasetRule


def _layout(mandatory: str, optional: str = "", dataset: str = "optional") -> FieldLayout:
    required, allowed = set(mandatory.split()), set(optional.split())
    unknown = (required | allowed) - {element.attribute for element in ELEMENTS}
    assert not unknown, unknown  # noqa: S101 (the tables below, checked once at import)
    return FieldLayout(
        mandatory=tuple(e for e in ELEMENTS if e.attribute in required),
        permitted=tuple(e for e in ELEMENTS if e.attribute in required | allowed),
        dataset=DatasetRule(dataset),
    )


_AFFECTED = "affected_sop_class_uid message_id"
_REQUESTED = "requested_sop_class_uid requested_sop_instance_uid message_id"
_RESPONSE = "message_id_being_responded_to status"
# Elements that PS3.7 Annex C attaches to statuses may come with any response.
_OUTCOME = "affected_sop_class_uid offending_element error_comment error_id"
_COUNTS = (
    " number_of_remaining_suboperations number_of_completed_suboperations"
    " number_of_failed_suboperations number_of_warning_suboperations"
)
_ORIGINATOR = "move_originator_application_entity_title move_originator_message_id"
_INSTANCE = " affected_sop_instance_uid"
_ATTRIBUTES = " attribute_identifier_list"

LAYOUTS: Final = {
    CommandField.C_STORE_RQ: _layout(_AFFECTED + " priority" + _INSTANCE, _ORIGINATOR, "required"),
    CommandField.C_STORE_RSP: _layout(_RESPONSE, _OUTCOME + _INSTANCE),
    CommandField.C_FIND_RQ: _layout(_AFFECTED + " priority", dataset="required"),
    CommandField.C_FIND_RSP: _layout(_RESPONSE, _OUTCOME),
    CommandField.C_GET_RQ: _layout(_AFFECTED + " priority", dataset="required"),
    CommandField.C_GET_RSP: _layout(_RESPONSE, _OUTCOME + _COUNTS),
    CommandField.C_MOVE_RQ: _layout(_AFFECTED + " priority move_destination", dataset="required"),
    CommandField.C_MOVE_RSP: _layout(_RESPONSE, _OUTCOME + _COUNTS),
    CommandField.C_ECHO_RQ: _layout(_AFFECTED, dataset="forbidden"),
    CommandField.C_ECHO_RSP: _layout(_RESPONSE, _OUTCOME),
    CommandField.C_CANCEL_RQ: _layout("message_id_being_responded_to"),
    CommandField.N_EVENT_REPORT_RQ: _layout(_AFFECTED + _INSTANCE + " event_type_id"),
    CommandField.N_EVENT_REPORT_RSP: _layout(_RESPONSE, _OUTCOME + _INSTANCE + " event_type_id"),
    CommandField.N_GET_RQ: _layout(_REQUESTED, _ATTRIBUTES, "forbidden"),
    CommandField.N_GET_RSP: _layout(_RESPONSE, _OUTCOME + _INSTANCE + _ATTRIBUTES),
    CommandField.N_SET_RQ: _layout(_REQUESTED, dataset="required"),
    CommandField.N_SET_RSP: _layout(_RESPONSE, _OUTCOME + _INSTANCE + _ATTRIBUTES),
    CommandField.N_ACTION_RQ: _layout(_REQUESTED + " action_type_id"),
    CommandField.N_ACTION_RSP: _layout(_RESPONSE, _OUTCOME + _INSTANCE + " action_type_id"),
    CommandField.N_CREATE_RQ: _layout(_AFFECTED, _INSTANCE),
    CommandField.N_CREATE_RSP: _layout(_RESPONSE, _OUTCOME + _INSTANCE + _ATTRIBUTES),
    CommandField.N_DELETE_RQ: _layout(_REQUESTED, dataset="forbidden"),
    CommandField.N_DELETE_RSP: _layout(_RESPONSE, _OUTCOME + _INSTANCE),
}
