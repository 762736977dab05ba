"""Association drivers for both roles: listener and acceptor, and the requestor API."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.association.access_control import AccessControl as AccessControl
    from pacs_core.association.association import Association as Association, Receive as Receive
    from pacs_core.association.connector import NodeConnector as NodeConnector
    from pacs_core.association.errors import (
        AssociationAbortedError as AssociationAbortedError,
        AssociationError as AssociationError,
        AssociationRefusedError as AssociationRefusedError,
        ConnectError as ConnectError,
        NoContextError as NoContextError,
        PeerTimeoutError as PeerTimeoutError,
    )
    from pacs_core.association.listener import Listener as Listener, bind_sockets as bind_sockets
    from pacs_core.association.operation import PeerOperation as PeerOperation
    from pacs_core.association.requestor import connect as connect
    from pacs_core.association.services import (
        Preferences as Preferences,
        Services as Services,
        SupportedService as SupportedService,
    )
    from pacs_core.association.settings import NetworkSettings as NetworkSettings
    from pacs_core.association.worker_load import WorkerLoad as WorkerLoad
    from pacs_core.contracts import (
        MAX_CONTEXTS as MAX_CONTEXTS,
        AssociationOptions as AssociationOptions,
        Proposal as Proposal,
    )

import_on_demand(
    __name__,
    """
.access_control AccessControl
.association Association Receive
.connector NodeConnector
.errors AssociationAbortedError AssociationError AssociationRefusedError ConnectError NoContextError
.errors PeerTimeoutError
.listener Listener bind_sockets
.operation PeerOperation
.requestor connect
.services Preferences Services SupportedService
.settings NetworkSettings
.worker_load WorkerLoad
pacs_core.contracts MAX_CONTEXTS AssociationOptions Proposal
""",
)
