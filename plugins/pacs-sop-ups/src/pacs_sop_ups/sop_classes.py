"""UIDs of the Unified Procedure Step Service (PS3.4 CC.2, CC.3), and what each SOP class may do."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from pacs_core.contracts import AuditCode, PluginAuditKind
from pacs_core.dimse import CommandField

UPS_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
UPS_WATCH: Final = "1.2.840.10008.5.1.4.34.6.2"
UPS_PULL: Final = "1.2.840.10008.5.1.4.34.6.3"
UPS_EVENT: Final = "1.2.840.10008.5.1.4.34.6.4"
UPS_QUERY: Final = "1.2.840.10008.5.1.4.34.6.5"

UPS_GLOBAL: Final = "1.2.840.10008.5.1.4.34.5"
UPS_FILTERED: Final = "1.2.840.10008.5.1.4.34.5.1"
WELL_KNOWN: Final = frozenset({UPS_GLOBAL, UPS_FILTERED})
"""Instances that stand for all steps, or those that match a filter; to subscribe to."""


class ActionType(IntEnum):
    """Action Type ID (PS3.4 CC.2.1.2 to CC.2.3.2)."""

    CHANGE_STATE = 1
    REQUEST_CANCEL = 2
    SUBSCRIBE = 3
    UNSUBSCRIBE = 4
    SUSPEND_GLOBAL = 5


OPERATIONS: Final[Mapping[str, frozenset[CommandField]]] = {
    UPS_PUSH: frozenset(
        {CommandField.N_CREATE_RQ, CommandField.N_ACTION_RQ, CommandField.N_GET_RQ}
    ),
    UPS_WATCH: frozenset({CommandField.C_FIND_RQ, CommandField.N_ACTION_RQ, CommandField.N_GET_RQ}),
    UPS_PULL: frozenset(
        {
            CommandField.C_FIND_RQ,
            CommandField.N_ACTION_RQ,
            CommandField.N_GET_RQ,
            CommandField.N_SET_RQ,
        }
    ),
    UPS_QUERY: frozenset({CommandField.C_FIND_RQ}),
    UPS_EVENT: frozenset(),
}
"""What may be asked for in a presentation context of each SOP class (PS3.4 Table CC.2-1)."""

ACTIONS: Final[Mapping[str, frozenset[ActionType]]] = {
    UPS_PUSH: frozenset({ActionType.REQUEST_CANCEL}),
    UPS_WATCH: frozenset(ActionType) - {ActionType.CHANGE_STATE},
    UPS_PULL: frozenset({ActionType.CHANGE_STATE}),
}
"""Which actions."""

TOLD: Final = PluginAuditKind("ups.told", AuditCode("110111", "DCM", "Procedure Record"))
"""A receiver was told of an event."""
CHANGED: Final = PluginAuditKind("ups.changed", AuditCode("110111", "DCM", "Procedure Record"))
"""A step was created, changed or subscribed to by command or over HTTP."""
