"""Public API for plugins that send what they want to have sent, and see what became of it.

``node.find(Deliveries)`` keeps what waits; name it in `requires`.
"""

from pacs_routing.interface import (
    Deliveries,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    Outcome,
    RouteTotal,
    Wanted,
)

__all__ = [
    "Deliveries",
    "Delivery",
    "DeliveryFilter",
    "DeliveryState",
    "Outcome",
    "RouteTotal",
    "Wanted",
]
