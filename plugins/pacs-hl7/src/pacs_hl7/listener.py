"""The MLLP listener: connections, each answered message by message.

One worker of a node listens, and one node of several that share an index: so messages of one
patient are heeded in their order. A connection may be silent for as long as its sender likes, but
a message that has begun must end in time, however its sender dribbles it.
"""

import logging
import math
import ssl
import time
from functools import partial
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream
from attrs import define, evolve, field

from pacs_core.api.tls import describe_connection, explain
from pacs_core.contracts import (
    Node,
    Origin,
    ServerTls,
    Service,
    Setup,
    SpanKind,
    Started,
    TlsConfigError,
    correlated,
    new_correlation,
)
from pacs_hl7.admission import Admission, RefusedConnectionError
from pacs_hl7.config import Hl7Config
from pacs_hl7.framing import Deframer, FramingError, frame
from pacs_hl7.handling import Handler
from pacs_hl7.interface import Messages
from pacs_hl7.messages import read_header, split_messages

logger = logging.getLogger(__name__)

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
    _admission: Admission = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._handler = Handler(self.node, self.config)
        self._admission = Admission(self.config, self.node.audit)

    async def start(self) -> None:
        """Refuse to start without the certificate that is configured."""
        self._check_tls(self.config)

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next connection or message on."""
        config = setup.config(Hl7Config)
        if (config.tls is None) != (self.config.tls is None):
            raise ValueError("tls: whether connections are secured is not changed while it runs")
        self._check_tls(config)
        self.config = self._handler.config = self._admission.config = config

    def _check_tls(self, config: Hl7Config) -> None:
        if config.tls is not None:
            try:
                self.node.tls.server_context(config.tls)
            except TlsConfigError as error:
                raise ValueError(f"tls: {error}") from error

    async def run(self, started: Started) -> None:
        """Listen until cancelled."""
        async with anyio.create_task_group() as tasks:
            for sock in self.sockets:
                listener = await SocketListener.from_socket(sock)
                tasks.start_soon(partial(listener.serve, self._serve))
            started()
            while True:
                await self._forget()
                await anyio.sleep(_UPKEEP)

    async def _forget(self) -> None:
        try:
            before = time.time() - self.config.keep * 86400
            await self.node.find(Messages).forget(before)
        except Exception:  # the database may be away; there is another hour
            logger.exception("old messages were not forgotten")

    async def _serve(self, connection: SocketStream) -> None:
        address: tuple[object, ...] = connection.extra_attributes[SocketAttribute.remote_address]()
        host, port = str(address[0]), int(str(address[1]))
        origin = Origin("HL7", host=host, port=port)
        try:
            async with connection:
                with self._admission.admit(origin.host):
                    await self._secure(connection, origin)
        except RefusedConnectionError as error:
            await self._admission.refuse(origin, str(error))
        except FramingError as error:
            logger.warning("HL7 connection from %s is closed: %s", host, error)
        except TimeoutError:
            logger.warning("HL7 connection from %s is closed: it is too slow", host)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        except Exception:
            # Nothing was answered: the sender comes again.
            logger.exception("HL7 connection from %s is closed", host)

    async def _secure(self, connection: SocketStream, origin: Origin) -> None:
        if self.config.tls is None:
            await self._answer(connection, origin)
            return
        try:
            with anyio.fail_after(self.config.timeout):
                secured = await self._shake_hands(connection, self.config.tls)
        except ssl.SSLError as error:
            raise RefusedConnectionError(f"TLS: {explain(error)}") from error
        except TlsConfigError as error:
            raise RefusedConnectionError(f"TLS: {error}") from error
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise RefusedConnectionError("TLS: it left during the handshake") from error
        described = describe_connection(secured.extra(TLSAttribute.ssl_object))
        try:
            await self._answer(secured, evolve(origin, tls=described))
        except ssl.SSLError as error:
            logger.warning("HL7 connection from %s is closed: %s", origin.host, explain(error))

    async def _shake_hands(self, connection: SocketStream, tls: ServerTls) -> TLSStream:
        context = self.node.tls.server_context(tls)
        return await TLSStream.wrap(
            connection, server_side=True, ssl_context=context, standard_compatible=False
        )

    async def _answer(self, stream: ByteStream, origin: Origin) -> None:
        deframer = Deframer(self.config.max_message)
        deadline = math.inf
        while True:
            with anyio.fail_after(deadline - anyio.current_time()):
                data = await stream.receive(_PIECE)
            was_within = deframer.is_within
            for framed in deframer.feed(data):
                was_within = False
                for content in split_messages(framed):
                    if read_header(content, self.config.character_set).is_acknowledgment:
                        # Else two systems that mistake each other for the sender never end.
                        logger.warning("an acknowledgment from %s: nothing answers it", origin.host)
                        continue
                    tracing = self.node.tracing
                    with correlated(new_correlation()), tracing.span("HL7", SpanKind.SERVER):
                        answer = frame(await self._handler.take(content, origin))
                    with anyio.fail_after(self.config.timeout):
                        await stream.send(answer)
            if not deframer.is_within:
                deadline = math.inf
            elif not was_within:
                deadline = anyio.current_time() + self.config.timeout
