"""A receiver that stores nothing: the destination of C-MOVE, and of senders that are measured."""

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import monotonic

from attrs import frozen

from . import wire
from .client import PduReader, PeerError, messages, tune

_fork = multiprocessing.get_context("fork")


@frozen
class Received:
    """What one association brought, and how long it lasted."""

    objects: int
    size: int
    began: float
    ended: float


@frozen
class Sink:
    """A receiver in a process of its own."""

    port: int
    _reports: Connection

    def associations(self) -> list[Received]:
        """Return what has come since the last call."""
        received = []
        while self._reports.poll(0.2):
            received.append(self._reports.recv())
        return received


@contextmanager
def sink() -> Iterator[Sink]:
    """Run a receiver for the length of a ``with`` block."""
    mine, theirs = _fork.Pipe(duplex=False)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        process = _fork.Process(target=_accept, args=(server, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            yield Sink(server.getsockname()[1], mine)
        finally:
            process.kill()
            process.join()


def _accept(server: socket.socket, reports: Connection) -> None:
    while True:
        peer, _ = server.accept()
        threading.Thread(target=_serve, args=(tune(peer), reports), daemon=True).start()


def _serve(peer: socket.socket, reports: Connection) -> None:
    began, objects, size = monotonic(), 0, 0
    with peer:
        try:
            reader = PduReader(peer)
            _, body = reader.next()
            peer.sendall(wire.associate_accept(bytes(body)))
            for message in messages(reader):
                if message is None:
                    break
                answer = wire.store_response(message.command)
                peer.sendall(wire.fragment(message.context, 1, answer, wire.MAX_PDU))
                objects, size = objects + 1, size + message.dataset_bytes
        except PeerError:
            return
        reports.send(Received(objects, size, began, monotonic()))
        peer.sendall(wire.RELEASE_RESPONSE)
