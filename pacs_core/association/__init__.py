"""Association drivers for both roles: listener and acceptor, and the requestor API."""

from pacs_core.association.access_control import AccessControl
from pacs_core.association.association import Association, Receive
from pacs_core.association.connector import NodeConnector
from pacs_core.association.errors import (
    AssociationAbortedError,
    AssociationError,
    AssociationRefusedError,
    ConnectError,
    NoContextError,
    PeerTimeoutError,
)
from pacs_core.association.listener import Listener, bind_sockets
from pacs_core.association.operation import PeerOperation
from pacs_core.association.requestor import connect
from pacs_core.association.services import Preferences, Services, SupportedService
from pacs_core.association.settings import NetworkSettings
from pacs_core.association.worker_load import WorkerLoad
from pacs_core.contracts import MAX_CONTEXTS, AssociationOptions, Proposal

__all__ = [
    "MAX_CONTEXTS",
    "AccessControl",
    "Association",
    "AssociationAbortedError",
    "AssociationError",
    "AssociationOptions",
    "AssociationRefusedError",
    "ConnectError",
    "Listener",
    "NetworkSettings",
    "NoContextError",
    "NodeConnector",
    "PeerOperation",
    "PeerTimeoutError",
    "Preferences",
    "Proposal",
    "Receive",
    "Services",
    "SupportedService",
    "WorkerLoad",
    "bind_sockets",
    "connect",
]
