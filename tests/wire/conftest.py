"""A raw peer that says whatever a test wants, and a node that must come out of it unharmed.

Test modules cannot import each other, so what they share comes as fixtures: `wire` builds bytes,
`dial` connects, `node` checks after each test that nothing was left behind.
"""

import asyncio
import gc
import json
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import define, evolve

from pacs_core.contracts import Level, Peer, Query
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.dimse import Command, CommandField, encode_command
from pacs_core.testing.node import NodeThread, node_thread
from pacs_core.testing.raw_peer import (
    RELEASE_RP,
    RELEASE_RQ,
    RawPeer,
    abort_pdu,
    pdu,
    pdv,
    raw_server,
    reject_pdu,
)
from pacs_core.upper_layer import (
    AssociateRQ,
    PDataTF,
    ProposedContext,
    UserInformation,
    encode,
    fragment,
)

PATIENCE = 60.0
"""Seconds until a test gives up on something that should happen soon."""


class Wire:
    """What tests say and expect, as bytes."""

    VERIFICATION = "1.2.840.10008.1.1"
    CT = "1.2.840.10008.5.1.4.1.1.2"
    MR = "1.2.840.10008.5.1.4.1.1.4"
    STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
    STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
    IMPLICIT = "1.2.840.10008.1.2"
    EXPLICIT = "1.2.840.10008.1.2.1"
    DEFLATED = "1.2.840.10008.1.2.1.99"
    RELEASE_RQ = RELEASE_RQ
    RELEASE_RP = RELEASE_RP
    abort = staticmethod(abort_pdu)
    reject = staticmethod(reject_pdu)
    pdu = staticmethod(pdu)
    pdv = staticmethod(pdv)
    ECHO, STORE, MISSING, FIND, GET, DEFLATE, OTHER = 1, 3, 5, 7, 9, 11, 13
    """Presentation contexts of :meth:`request`; the node does not support MISSING."""

    @classmethod
    def request(cls, called: str = "PACS", calling: str = "RAW", **user: object) -> AssociateRQ:
        """A-ASSOCIATE-RQ for everything that tests use; `user` is its user information."""
        contexts = (
            ProposedContext(cls.ECHO, cls.VERIFICATION, (cls.IMPLICIT,)),
            ProposedContext(cls.STORE, cls.CT, (cls.EXPLICIT,)),
            ProposedContext(cls.MISSING, "1.2.3.4", (cls.EXPLICIT,)),
            ProposedContext(cls.FIND, cls.STUDY_FIND, (cls.EXPLICIT,)),
            ProposedContext(cls.GET, cls.STUDY_GET, (cls.EXPLICIT,)),
            ProposedContext(cls.DEFLATE, cls.CT, (cls.DEFLATED,)),
            ProposedContext(cls.OTHER, cls.MR, (cls.EXPLICIT,)),
        )
        information = evolve(UserInformation(16384, "1.2.3.4"), **user)
        return AssociateRQ(called, calling, contexts, information)

    @staticmethod
    def item(kind: int, value: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(value)) + value

    @classmethod
    def context(cls, number: int, abstract: str = VERIFICATION, transfer: str = IMPLICIT) -> bytes:
        value = cls.item(0x30, abstract.encode()) + cls.item(0x40, transfer.encode())
        return cls.item(0x20, bytes([number, 0, 0, 0]) + value)

    @classmethod
    def handmade(
        cls,
        *items: bytes,
        version: int = 1,
        application: str = "1.2.840.10008.3.1.1.1",
        called: bytes = b"PACS",
        calling: bytes = b"RAW",
        user: bytes = b"",
    ) -> bytes:
        """A-ASSOCIATE-RQ of these items, right or wrong (PS3.8 §9.3.2)."""
        user = cls.item(0x50, cls.item(0x51, struct.pack(">I", 16384)) + user)
        body = struct.pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
        body += cls.item(0x10, application.encode()) + b"".join(items) + user
        return struct.pack(">BxI", 1, len(body)) + body

    @classmethod
    def command_pdu(cls, context: int, command: bytes) -> bytes:
        return cls.pdu(4, cls.pdv(context, 3, command))

    @classmethod
    def dataset_pdus(cls, context: int, dataset: bytes, *, last: bool = True) -> bytes:
        pdvs = fragment(context, False, dataset, 16384, is_last=last)
        return b"".join(encode(PDataTF((pdv,))) for pdv in pdvs)

    @classmethod
    def echo(cls, message_id: int = 1) -> Command:
        return Command(
            field=CommandField.C_ECHO_RQ,
            message_id=message_id,
            affected_sop_class_uid=cls.VERIFICATION,
        )

    @classmethod
    def echo_response(cls, **fields: int) -> bytes:
        """A C-ECHO-RSP in the context of its request, or what `fields` make of it."""
        success = Command(
            field=CommandField.C_ECHO_RSP, message_id_being_responded_to=1, status=0x0000
        )
        return cls.command_pdu(cls.ECHO, encode_command(evolve(success, **fields)))

    @classmethod
    def store(cls, uid: str, message_id: int = 1, sop_class: str = CT) -> Command:
        return Command(
            field=CommandField.C_STORE_RQ,
            message_id=message_id,
            affected_sop_class_uid=sop_class,
            affected_sop_instance_uid=uid,
            priority=0,
            has_dataset=True,
        )

    @classmethod
    def query(cls, field: CommandField, message_id: int = 1) -> Command:
        sop_class = cls.STUDY_FIND if field is CommandField.C_FIND_RQ else cls.STUDY_GET
        return Command(
            field=field,
            message_id=message_id,
            affected_sop_class_uid=sop_class,
            priority=0,
            has_dataset=True,
        )

    @staticmethod
    def dataset(syntax: str = EXPLICIT, **values: str) -> bytes:
        attributes = {tag_of(name): (value,) if value else () for name, value in values.items()}
        return encode_attributes(attributes, syntax)

    @classmethod
    def instance(cls, uid: str, *, sop_class: str = CT, size: int = 0, **values: str) -> bytes:
        """A whole instance, with `size` bytes of Pixel Data."""
        head = cls.dataset(
            SOPClassUID=sop_class,
            SOPInstanceUID=uid,
            StudyInstanceUID="1.2.826.0.1",
            SeriesInstanceUID="1.2.826.0.1.1",
            PatientID="RAW",
            PatientName="Raw^Peer",
            **values,
        )
        return head + cls.element(0x7FE00010, b"OW", bytes(size)) if size else head

    @staticmethod
    def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
        """An element in explicit VR little endian with a long VR (PS3.5 §7.1.2)."""
        size = len(value) if length is None else length
        return struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr, size) + value

    encode_command = staticmethod(encode_command)


def open_files() -> int:
    """How many file descriptors this process has, but for those of databases.

    Nor does the file count that is opened for a moment, now and then, to sign the audit trail.
    """
    names = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    passing = (".sqlite", ".db", ".checkpoints")
    return sum(not any(each in name for each in passing) for name in names)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds, for a bounded time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


HAVE_SERVED: set[Path] = set()
"""Data directories of nodes that have had a connection."""


@define
class Residue:
    """What a misbehaving peer could leave behind in a node."""

    associations: int
    tasks: int
    descriptors: int
    instances: int
    files: list[str]

    def is_no_more_than(self, before: "Residue") -> bool:
        """Tell whether nothing was left since; what was still ending before may have ended."""
        ours, theirs = ((each.associations, each.instances, each.files) for each in (self, before))
        is_fewer = self.tasks <= before.tasks and self.descriptors <= before.descriptors
        return ours == theirs and is_fewer


def stored_files(node: NodeThread) -> list[str]:
    root = node.data_directory / "objects"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def residue(node: NodeThread) -> Residue:
    async def count() -> int:
        search = node.node.opened.index.instances(Query(Level.IMAGE))
        return len([instance async for instance in search])

    return Residue(
        associations=node.node.listener.associations,
        tasks=len(node.call(asyncio.all_tasks)),
        descriptors=open_files(),
        instances=node.call(count),
        files=stored_files(node),
    )


def audit_events(data_directory: Path, port: int) -> list[dict[str, object]]:
    """What the audit log says of the connection from a port."""
    # The last line may be on its way.
    whole, _, _ = (data_directory / "audit" / "audit.jsonl").read_text().rpartition("\n")
    lines = whole.splitlines()
    return [event for event in map(json.loads, lines) if event["port"] == port]


@pytest.fixture(name="wire", scope="session")
def wire_fixture() -> type[Wire]:
    return Wire


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[RawPeer], object]], Peer]]:
    """Start a server that follows a script on its only connection; return it as a peer."""
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(raw_server(script))


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[[Callable[[], object]], None]:
    return eventually


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, object]]:
    """Config tables of this module's node; modules override it."""
    return {}


@pytest.fixture(scope="module")
def shared_node(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, dict[str, object]]
) -> Iterator[NodeThread]:
    """One node for a module: what one test breaks, the next one finds."""
    gc.collect()  # what earlier modules have left open is closed now, and not amid a test
    with node_thread(tmp_path_factory.mktemp("node") / "data", tables) as node:
        yield node


def connected(node: NodeThread) -> RawPeer:
    """Return a peer with a connection to a node."""
    peer = RawPeer(socket.create_connection(("127.0.0.1", node.port), PATIENCE))
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


@pytest.fixture
def still_serves(wire: type[Wire]) -> Callable[[NodeThread], None]:
    """Ask a node for an echo on an association of its own."""

    def ask(node: NodeThread) -> None:
        peer = connected(node)
        peer.associate(wire.request(called=node.peer.ae_title))
        response, _ = peer.message(wire.ECHO, wire.echo()).response()
        assert response.status == 0x0000
        peer.release()

    return ask


@pytest.fixture
def node(
    shared_node: NodeThread,
    still_serves: Callable[[NodeThread], None],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[NodeThread]:
    """A node that must serve on after the test, with nothing left behind and nothing unforeseen."""
    if shared_node.data_directory not in HAVE_SERVED:
        # An event loop opens files of its own with the first connection.
        still_serves(shared_node)
        HAVE_SERVED.add(shared_node.data_directory)
    eventually(lambda: not shared_node.node.listener.associations)
    before = residue(shared_node)
    yield shared_node
    eventually(lambda: not shared_node.node.listener.associations)
    still_serves(shared_node)
    eventually(lambda: residue(shared_node).is_no_more_than(before))
    logged = [r for phase in ("setup", "call", "teardown") for r in caplog.get_records(phase)]
    assert [r.getMessage() for r in logged if r.levelno >= logging.ERROR] == []


@pytest.fixture
def raw_dial(shared_node: NodeThread) -> Iterator[Callable[..., RawPeer]]:
    """Connect to the node; with a request, associate as well. All hang up in the end."""
    peers: list[RawPeer] = []

    def connect(request: AssociateRQ | None = None) -> RawPeer:
        peer = connected(shared_node)
        peers.append(peer)
        if request is not None:
            peer.associate(request)
        return peer

    yield connect
    for peer in peers:
        peer.close()


@pytest.fixture
def dial(node: NodeThread, raw_dial: Callable[..., RawPeer]) -> Callable[..., RawPeer]:
    """Connect to a node that is looked at afterwards."""
    return raw_dial


@pytest.fixture
def recorded(node: NodeThread, caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """Hang up, then check that the audit log has an event of it, and that a warning was logged."""

    def check(peer: RawPeer | int, kind: str, reason: str = "") -> None:
        port = peer if isinstance(peer, int) else peer.port
        if isinstance(peer, RawPeer):
            peer.close()

        def found() -> bool:
            return any(
                event["event"].startswith(kind)
                and event["outcome"] == "failure"
                and reason in event["details"].get("reason", "")
                for event in audit_events(node.data_directory, port)
            )

        eventually(found)
        assert [r for r in caplog.records if r.levelno == logging.WARNING]

    return check
