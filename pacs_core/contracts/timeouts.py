"""Timeouts of a node."""

import math
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from attrs.validators import and_, ge, gt, lt

from pacs_core.contracts.reloading import RELOADABLE


def _seconds(default: float, metadata: Mapping[str, Any] | None = RELOADABLE) -> Any:
    return field(default=default, validator=and_(gt(0.0), lt(math.inf)), metadata=metadata)


@frozen
class Timeouts:
    """Seconds to wait before giving up.

    Attributes
    ----------
    artim : float
        For the whole first PDU, and for the peer to close the transport (PS3.8 §9.1.5).
    idle : float
        For the next message on an established association.
    dimse : float
        For the rest of a message once it has begun, and for responses to our requests.
    write : float
        For the peer to take what we send.
    connect : float
        For a TCP connection to be made.
    memory : float
        For room in the node's memory budget.
    notice : float
        After SIGTERM, for a balancer to see that the node is not ready any more: it says so at
        once, and still accepts what comes. 0 for none.
    shutdown : float
        Grace for running associations after that.
    plugin : float
        For a component to start or stop, an audit sink to write, an event handler to return.
    """

    artim: float = _seconds(30.0)
    idle: float = _seconds(600.0)
    dimse: float = _seconds(60.0)
    write: float = _seconds(60.0)
    connect: float = _seconds(15.0)
    memory: float = _seconds(30.0)
    notice: float = field(default=0.0, validator=and_(ge(0.0), lt(math.inf)), metadata=RELOADABLE)
    shutdown: float = _seconds(10.0, None)
    plugin: float = _seconds(30.0, None)
