"""The peer that the node sends to, behind a gate that refuses, hangs or breaks connections off."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import anyio
from anyio.abc import SocketStream
from attrs import define, field
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from pacs_core.contracts import Peer
from pacs_core.testing.peer_programs import find_free_port

_RESET = struct.pack("ii", 1, 0)


@define
class Receiver:
    """A storage SCP of pynetdicom that also takes reports of storage commitment.

    Attributes
    ----------
    port : int
        Of the gate.
    mode : str
        ``"pass"``, ``"refuse"``, ``"hang"``: accept and say nothing, ``"reset"`` amid what comes.
    routed, moved : Counter of str
        Instances by UID, as they came.
    digests : dict of str to bytes
    reports : Counter of str
        By Transaction UID.
    failed : dict of str to list of str
        Instances by Transaction UID that were not committed to.
    """

    port: int = field(factory=find_free_port)
    mode: str = "pass"
    routed: Counter[str] = field(factory=Counter)
    moved: Counter[str] = field(factory=Counter)
    digests: dict[str, set[bytes]] = field(factory=dict)
    reports: Counter[str] = field(factory=Counter)
    failed: dict[str, list[str]] = field(factory=dict)
    _behind: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    @property
    def peer(self) -> Peer:
        """The receiver as the node sees it."""
        return Peer("DEST", "127.0.0.1", self.port)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run it for an ``async with`` block."""
        ae = AE("DEST")
        ae.supported_contexts = AllStoragePresentationContexts
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        ae.maximum_associations = 50
        handlers: Any = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_EVENT_REPORT, self._report),
        ]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self._behind = server.server_address[1]
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, self._gate)
                yield
                tasks.cancel_scope.cancel()
        finally:
            server.shutdown()

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        digest = sha256(event.request.DataSet.getvalue()).digest()
        with self._lock:
            kind = self.moved if event.request.MoveOriginatorMessageID else self.routed
            kind[uid] += 1
            self.digests.setdefault(uid, set()).add(digest)
        return 0x0000

    def _report(self, event: Any) -> tuple[int, None]:
        information = event.event_information
        failed = [str(i.ReferencedSOPInstanceUID) for i in information.get("FailedSOPSequence", ())]
        with self._lock:
            self.reports[str(information.TransactionUID)] += 1
            if failed:
                self.failed[str(information.TransactionUID)] = failed
        return 0x0000, None

    async def _gate(self, outer: SocketStream) -> None:
        async with outer:
            if self.mode == "refuse":
                _reset(outer)
                return
            await self._hang()
            try:
                async with (
                    await anyio.connect_tcp("127.0.0.1", self._behind) as inner,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(self._pump, outer, inner, tasks.cancel_scope)
                    tasks.start_soon(self._pump, inner, outer, tasks.cancel_scope)
            except* (OSError, anyio.BrokenResourceError):
                pass

    async def _hang(self) -> None:
        while self.mode == "hang":  # noqa: ASYNC110 whoever sets it need not know of this
            await anyio.sleep(0.2)

    async def _pump(
        self, source: SocketStream, sink: SocketStream, scope: anyio.CancelScope
    ) -> None:
        try:
            async for chunk in source:
                if self.mode == "reset":
                    _reset(source)
                    _reset(sink)
                    break
                await self._hang()
                await sink.send(chunk)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass
        scope.cancel()


def _reset(stream: SocketStream) -> None:
    """Let the close of a connection be a RST."""
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
