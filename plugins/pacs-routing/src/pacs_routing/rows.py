"""Rows of deliveries: what they say, and which of them are meant."""

import time
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, exists, literal, select

from pacs_core.contracts import StoredInstance
from pacs_routing.interface import Delivery, DeliveryFilter, DeliveryState, Wanted
from pacs_routing.tables import DELIVERIES, LANES

STATE: Final[ColumnElement[str]] = DELIVERIES.c.state
# In the text of statements, so that a planner sees that the index of what waits fits.
_WAITING: Final = literal(str(DeliveryState.WAITING), literal_execute=True)
IS_WAITING: Final = STATE == _WAITING


def version_of(instance: StoredInstance) -> str:
    """Return what tells the content of an instance from other content under its UID."""
    return instance.digest.hex() or instance.key


def is_lane(peer: str, lane: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the row of a lane."""
    return (LANES.c.peer == peer, LANES.c.lane == lane)


def waits_in(peer: str, lane: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for what waits in a lane."""
    return (IS_WAITING, DELIVERIES.c.peer == peer, DELIVERIES.c.lane == lane)


def select_due(peer: str, lane: int, now: float, closed: Collection[str]) -> Select[Any]:
    """Select what is to be sent now, what goes first first."""
    earlier = DELIVERIES.alias("earlier")
    held_back = exists().where(
        earlier.c.state == _WAITING,
        earlier.c.peer == DELIVERIES.c.peer,
        earlier.c.study_uid == DELIVERIES.c.study_uid,
        earlier.c.number < DELIVERIES.c.number,
        earlier.c.due > now,
    )
    statement = (
        select(DELIVERIES)
        .where(*waits_in(peer, lane), DELIVERIES.c.due <= now)
        .where(DELIVERIES.c.is_ordered.is_(False) | ~held_back)
        .order_by(DELIVERIES.c.priority.desc(), DELIVERIES.c.number)
    )
    return statement.where(DELIVERIES.c.rule.not_in(sorted(closed))) if closed else statement


def conditions_of(wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter; none if it means all."""
    found: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (DELIVERIES.c.peer, wanted.peer),
            (DELIVERIES.c.rule, wanted.rule),
            (DELIVERIES.c.study_uid, wanted.study_uid),
            (DELIVERIES.c.instance_uid, wanted.instance_uid),
        )
        if value
    ]
    if wanted.numbers_below is not None:
        found.append(DELIVERIES.c.number < wanted.numbers_below)
    if wanted.states:
        found.append(STATE.in_([str(each) for each in wanted.states]))
    return [and_(*found)] if found else []


def row_of(wanted: Wanted) -> dict[str, Any]:
    """Return the row of a delivery that is to be made."""
    identity, now = wanted.instance.identity, time.time()
    return {
        "rule": wanted.rule,
        "peer": wanted.peer,
        "lane": wanted.lane,
        "study_uid": identity.study_instance_uid,
        "instance_uid": identity.sop_instance_uid,
        "version": version_of(wanted.instance),
        "deidentify": wanted.deidentify,
        "priority": wanted.priority,
        "is_ordered": wanted.is_ordered,
        "is_committed": wanted.is_committed,
        "state": str(DeliveryState.WAITING),
        "attempts": 0,
        "due": 0.0,
        "status": 0,
        "reason": "",
        "sent_uid": "",
        "created": now,
        "changed": now,
    }


def delivery_of(row: Row[Any]) -> Delivery:
    """Return what a row says."""
    return Delivery(**{**row._mapping, "state": DeliveryState(row.state)})
