"""Events of the audit trail about deliveries, but for those of the transfers themselves."""

import logging
from typing import Final

from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    Counter,
    Meter,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
)
from pacs_routing.interface import Delivery

logger = logging.getLogger(__name__)

GIVEN_UP: Final = PluginAuditKind("routing.given-up")
"""Instances were not sent, and nobody tries any more."""
STEERED: Final = PluginAuditKind("routing.steered")
"""Somebody had something sent, tried again, or not sent any more."""
VIEWED: Final = PluginAuditKind("routing.viewed")
"""Somebody looked at what goes where."""


def count_given_up(meter: Meter) -> Counter:
    """Return the counter of instances that are not tried any more."""
    return meter.counter(
        "routing_given_up", "Instances that were not sent, and are given up", labels=("peer",)
    )


async def record_given_up(node: Node, delivery: Delivery, reason: str, count: int = 1) -> None:
    """Log, count and audit that deliveries, of which one is given, are not tried any more."""
    count_given_up(node.meter).add(count, peer=delivery.peer)
    logger.error(
        "%s was not sent to %s, and is given up: %s; see pacs routes list --state failed",
        delivery.instance_uid, delivery.peer, reason,
    )  # fmt: skip
    details: dict[str, AuditValue] = {
        "peer": delivery.peer,
        "rule": delivery.rule,
        "reason": reason,
        "instances": count,
    }
    study = AuditObject(AuditObjectKind.STUDY, delivery.study_uid)
    settings = node.settings
    origin = Origin("routing", called_ae_title=settings.ae_title, host=settings.host)
    event = AuditEvent(GIVEN_UP, Outcome.FAILURE, origin, details, objects=(study,))
    try:
        await node.audit.record(event)
    except AuditFailedError:
        return  # logged by the trail
