"""The MLLP listener: connections, each answered message by message.

One worker of a node listens, and one node of several that share an index: so messages of one
patient are heeded in their order. A connection may be silent for as long as its sender likes, but
a message that has begun must go on.
"""

import asyncio
import logging
import time
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Final

import anyio
from attrs import define, field

from pacs_core.contracts import Node, Origin, Service, Started
from pacs_hl7.config import Hl7Config
from pacs_hl7.framing import Deframer, FramingError, frame
from pacs_hl7.handling import Handler
from pacs_hl7.interface import Messages
from pacs_hl7.messages import split_messages

logger = logging.getLogger(__name__)

_WITHIN: Final = 30.0
"""Seconds between two pieces of one message."""
_PIECE: Final = 64 << 10
_UPKEEP: Final = 3600.0


@define(eq=False)
class Listener(Service):
    """Serves senders of messages.

    Parameters
    ----------
    node : Node
    config : Hl7Config
    """

    node: Node
    config: Hl7Config
    _handler: Handler = field(init=False)
    _open: set[asyncio.StreamWriter] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        config = self.config
        self._handler = Handler(self.node, config.domains, config.character_set, config.mapping)

    async def run(self, started: Started) -> None:
        """Listen until cancelled."""
        servers = [await asyncio.start_server(self._serve, sock=sock) for sock in self.sockets]
        started()
        try:
            while True:
                await self._forget()
                await anyio.sleep(_UPKEEP)
        finally:
            for server in servers:
                server.close()
            for writer in list(self._open):
                writer.close()

    async def _forget(self) -> None:
        try:
            await self.node.find(Messages).forget(time.time() - self.config.keep * 86400)
        except Exception:  # the database may be away; there is another hour
            logger.exception("old messages were not forgotten")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port, *_ = writer.get_extra_info("peername")
        self._open.add(writer)
        try:
            if reason := self._refusal(host):
                logger.warning("HL7 connection from %s is refused: %s", host, reason)
                return
            await self._answer(reader, writer, Origin("HL7", host=host, port=port))
        except FramingError as error:
            logger.warning("HL7 connection from %s is closed: %s", host, error)
        except TimeoutError:
            logger.warning("HL7 connection from %s is closed: a message does not go on", host)
        except ConnectionError:
            pass
        except Exception:
            # Nothing was answered: the sender comes again.
            logger.exception("HL7 connection from %s is closed", host)
        finally:
            self._open.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _refusal(self, host: str) -> str:
        if len(self._open) > self.config.max_connections:
            return f"there are {self.config.max_connections} already"
        address = ip_address(host)
        # A socket for both protocols shows addresses of IPv4 as IPv6.
        address = getattr(address, "ipv4_mapped", None) or address
        if self.config.allow and not any(address in ip_network(n) for n in self.config.allow):
            return "its address is not in plugin.hl7.allow"
        return ""

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: Origin
    ) -> None:
        deframer = Deframer(self.config.max_message)
        while True:
            timeout = _WITHIN if deframer.is_within else None
            async with asyncio.timeout(timeout):
                data = await reader.read(_PIECE)
            if not data:
                return
            for framed in deframer.feed(data):
                for content in split_messages(framed):
                    writer.write(frame(await self._handler.take(content, origin)))
                    async with asyncio.timeout(_WITHIN):
                        await writer.drain()
