"""Takes HL7 messages by MLLP, and corrects what the archive hands out accordingly."""

import asyncio
import logging

from pacs_core.contracts import CorrectionError, Node, Origin, Service, Started
from pacs_reconciler.messages import UnsupportedMessageError, control_id_of, read_message

_log = logging.getLogger(__name__)

_BEGIN, _END = b"\x0b", b"\x1c\r"


class Listener(Service):
    """Serves one message after another on each connection."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def run(self, started: Started) -> None:
        """Listen until cancelled."""
        servers = [await asyncio.start_server(self._serve, sock=sock) for sock in self.sockets]
        started()
        try:
            await asyncio.gather(*(server.serve_forever() for server in servers))
        finally:
            for server in servers:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port, *_ = writer.get_extra_info("peername")
        try:
            while framed := await reader.readuntil(_END):
                text = framed.removeprefix(_BEGIN).removesuffix(_END).decode("utf-8", "replace")
                answer = await self._take(text, Origin("HL7", host=host, port=port))
                writer.write(_BEGIN + answer.encode() + _END)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _take(self, text: str, origin: Origin) -> str:
        """Do what a message asks for; return its acknowledgment."""
        code, why = "AA", ""
        try:
            message = read_message(text)
            archive = self._node.archive.on_behalf_of(origin)
            report = await archive.update(
                message.entity,
                message.changes,
                origin,
                reason="COERCE",
                comment=f"ADT^{message.trigger} {message.control_id}",
                in_advance=True,
            )
            why = f"correction {report.correction.number} of {report.instances}"
        except (UnsupportedMessageError, CorrectionError) as error:
            code, why = "AR", str(error)
        except Exception as error:
            _log.exception("message %r failed", control_id_of(text))
            code, why = "AE", str(error)
        return f"MSH|^~\\&|PACS\rMSA|{code}|{control_id_of(text)}|{why}\r"
