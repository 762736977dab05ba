"""Deliveries and totals as commands and the API tell of them."""

from datetime import datetime

from pacs_routing.interface import Delivery, RouteTotal


def describe_total(total: RouteTotal) -> dict[str, object]:
    """Return how many deliveries of a route are in a state."""
    return {
        "rule": total.rule,
        "peer": total.peer,
        "state": str(total.state),
        "instances": total.count,
        "oldest": moment(total.oldest),
        "latest": moment(total.latest),
    }


def describe_delivery(delivery: Delivery) -> dict[str, object]:
    """Return what is known of a delivery."""
    return {
        "number": delivery.number,
        "rule": delivery.rule,
        "peer": delivery.peer,
        "state": str(delivery.state),
        "study": delivery.study_uid,
        "instance": delivery.instance_uid,
        "sent_as": delivery.sent_uid,
        "status": f"{delivery.status:04X}H",
        "reason": delivery.reason,
        "attempts": delivery.attempts,
        "wanted": moment(delivery.created),
        "changed": moment(delivery.changed),
    }


def moment(seconds: float) -> str:
    """Return a moment in local time; `seconds` are since 1970."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")
