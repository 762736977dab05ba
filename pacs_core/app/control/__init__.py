"""The control channel: commands ask a running node, over a socket in its data directory."""

from pacs_core.app.control.client import NodeConnection, connect_to_node
from pacs_core.app.control.operations import (
    LOG_LEVELS,
    RELOAD,
    SET_LOG_LEVELS,
    STATUS,
    STOP,
    LogLevels,
    NodeStatus,
    Nothing,
    Reload,
    SetLogLevels,
    Stop,
)
from pacs_core.app.control.server import open_control

# Theory of operation
#
# Each process of a node listens on a socket of its own in ``DATA/control``, a folder that only the
# owner may enter; who connects is asked for by the operating system (SO_PEERCRED), and must be the
# same user, or root. The names of the sockets mean nothing: a caller connects to all there are. One
# that refuses belonged to a process that died, and is removed by the next that starts.
#
# What is said is lines of JSON. The process begins with who it is: ``{"pacs": 1, "worker": 0,
# "workers": 2, ...}``. The caller says what is to be done: ``{"operation": NAME, "request":
# {...}}``. Then come any number of ``{"response": {...}}``, and ``{"end": true}`` or ``{"error":
# MESSAGE, "status": 404}``. A caller that wants no more closes the connection, which cancels the
# operation. An operation for all processes is asked of each by the caller.

__all__ = [
    "LOG_LEVELS",
    "RELOAD",
    "SET_LOG_LEVELS",
    "STATUS",
    "STOP",
    "LogLevels",
    "NodeConnection",
    "NodeStatus",
    "Nothing",
    "Reload",
    "SetLogLevels",
    "Stop",
    "connect_to_node",
    "open_control",
]
