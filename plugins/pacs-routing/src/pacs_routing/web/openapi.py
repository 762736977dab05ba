"""The section of the OpenAPI 3.1 document about routes."""

from typing import Any, Final

from pacs_web.api.openapi import (
    COUNT,
    TEXT,
    Operation,
    describe_section,
    list_of,
    object_of,
    query,
    reference,
)

from pacs_routing.interface import DeliveryState
from pacs_routing.web.desk import MOST

_STATE: Final = {"type": "string", "enum": list(DeliveryState)}
_SCHEMAS: Final = {
    "RoutingRule": object_of(rule=TEXT, on=TEXT, to=list_of(TEXT)),
    "RouteTotal": object_of(
        rule=TEXT, peer=TEXT, state=_STATE, instances=COUNT, oldest=TEXT, latest=TEXT
    ),
    "Delivery": object_of(
        number=COUNT, rule=TEXT, peer=TEXT, state=_STATE, study=TEXT, instance=TEXT,
        sent_as=TEXT, status=TEXT, reason=TEXT, attempts=COUNT, wanted=TEXT, changed=TEXT,
    ),
}  # fmt: skip
_MEANT: Final = (
    query("peer", "Name of a peer"),
    query("rule", "Name of a rule"),
    query("study", "Study Instance UID"),
    query("instance", "SOP Instance UID"),
)
_TOTALS: Final = object_of(
    rules=list_of(reference("RoutingRule")), totals=list_of(reference("RouteTotal"))
)
_FOUND: Final = object_of(deliveries=list_of(reference("Delivery")), has_more={"type": "boolean"})
_CHANGED: Final = object_of(deliveries=COUNT)
_OPERATIONS: Final = (
    Operation("get", "/", "Rules, and how many deliveries are in which state", _TOTALS),
    Operation("get", "/deliveries", "Deliveries, latest first", _FOUND, (
        *_MEANT,
        query("state", f"With commas between them: {', '.join(DeliveryState)}"),
        query("before", "Only numbers below this one", type="integer", minimum=1),
        query("limit", "Deliveries at most", type="integer", minimum=1, maximum=MOST),
    )),
    Operation("post", "/retry", "Try again what failed or was cancelled, and at once what waits",
              _CHANGED, _MEANT),
    Operation("post", "/cancel", "Let what waits not be sent any more", _CHANGED, _MEANT),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    return describe_section("routes", "What goes to which peers, and went", _OPERATIONS, _SCHEMAS)
