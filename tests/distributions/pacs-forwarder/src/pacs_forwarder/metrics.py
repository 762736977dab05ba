"""Watches operations, and tells all numbers to whoever connects."""

import asyncio

from pacs_core.contracts import (
    Node,
    ObservedOperation,
    OperationEnd,
    OperationObserver,
    Service,
    Started,
)


class Metrics(Service, OperationObserver):
    """Counts operations in both directions."""

    def __init__(self, node: Node) -> None:
        self._node = node
        meter, labels = node.meter, ("operation", "invoked", "status")
        self._operations = meter.counter("dimse_operations", "That have ended", labels=labels)
        self._bytes = meter.counter("dimse_bytes", "Of datasets", labels=("direction",))
        self._running = meter.gauge("dimse_running", "That have not ended")
        self._seconds = meter.histogram("dimse_seconds", "From beginning to end", unit="seconds")

    async def start(self) -> None:
        """Begin to watch."""
        self._node.operations.add(self)

    async def stop(self) -> None:
        """Watch no more."""
        self._node.operations.remove(self)

    def began(self, operation: ObservedOperation) -> None:
        """Count one that runs."""
        self._running.add(1)

    def ended(self, operation: ObservedOperation, end: OperationEnd) -> None:
        """Count one that has ended."""
        self._running.add(-1)
        status = "none" if end.status is None else f"{end.status:04X}"
        invoked = "here" if operation.is_invoked_here else "there"
        name = operation.command.field.name.removesuffix("_RQ")
        self._operations.add(1, operation=name, invoked=invoked, status=status)
        self._bytes.add(end.bytes_received, direction="in")
        self._bytes.add(end.bytes_sent, direction="out")
        self._seconds.observe(end.seconds)

    async def run(self, started: Started) -> None:
        """Answer until cancelled."""
        servers = [await asyncio.start_server(self._tell, sock=sock) for sock in self.sockets]
        started()
        try:
            await asyncio.gather(*(server.serve_forever() for server in servers))
        finally:
            for server in servers:
                server.close()

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for metric in self._node.meter.collect():
            for sample in metric.samples:
                labels = ",".join(f"{name}={text}" for name, text in sample.labels.items())
                count = f" {sample.buckets[-1][1]}" if sample.buckets else ""
                writer.write(f"{metric.name}{{{labels}}} {sample.value:g}{count}\n".encode())
        writer.close()
        await writer.wait_closed()
