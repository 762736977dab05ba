"""WebSockets (RFC 6455): connections that a route keeps open, on uvicorn's protocol with wsproto.

A request to become one passes the same layers as any other: who asks, from which page, under which
name. Once it is one, it is answered as long as it lasts: it makes way for no other connection, and
a client that does not answer pings is cut off.
"""

from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState


class GuardedWebSocket(WSProtocol):
    """One connection that has become a WebSocket.

    Parameters
    ----------
    config : uvicorn.config.Config
    server_state : uvicorn.server.ServerState
    app_state : dict
        What is known of the connection.
    """

    is_answering: ClassVar[bool] = True

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.accepted_at = self.loop.time()

    def close(self) -> None:
        """End the connection."""
        self.shutdown()
