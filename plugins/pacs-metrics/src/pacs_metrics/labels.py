"""Values of labels: few, whatever peers send.

A time series is kept for each combination of values, by the node and, for months, by Prometheus. So
no value comes from outside as it is: a peer is one that the configuration names, a status one of
the standard's, an operation one of PS3.7. What else there is shares a value.
"""

from typing import Final

from attrs import define, field

from pacs_core.contracts import AssociationInfo, Node, NodeSettings
from pacs_core.dimse import CommandField, Status, category

OTHER: Final = "other"
NO_STATUS: Final = "none"
"""The association ended before there was a final response."""

_STATUSES: Final = {int(status): f"{status:04X}" for status in Status}
_OPERATIONS: Final = {
    field: field.name.removesuffix("_RQ").replace("_", "-") for field in CommandField
}


@define(eq=False)
class PeerNames:
    """Names of the tables of peers, by AE title; follows the configuration as it changes."""

    node: Node
    _settings: NodeSettings | None = None
    _names: dict[str, str] = field(factory=dict)

    def name_of(self, association: AssociationInfo) -> str:
        """Return the name of the table of the peer, or "other" for those that have none."""
        settings = self.node.settings
        if settings is not self._settings:
            # Of several tables with one title the first counts, as for whoever looks up a peer.
            tables = reversed(list(settings.peers.items()))
            self._names = {peer.ae_title: name for name, peer in tables}
            self._settings = settings
        origin = association.origin
        title = origin.called_ae_title if association.is_requestor else origin.calling_ae_title
        return self._names.get(title, OTHER)


def direction_of(*, is_invoked_here: bool) -> str:
    """Return who asked whom."""
    return "out" if is_invoked_here else "in"


def operation_of(field: CommandField) -> str:
    """Return the name of the service as PS3.7 has it, such as ``C-STORE``."""
    return _OPERATIONS[field]


def status_of(code: int | None) -> str:
    """Return a status of PS3.7 Annex C or PS3.4 as such, and else its category (PS3.7 §C.1)."""
    if code is None:
        return NO_STATUS
    return _STATUSES.get(code) or category(code).value
