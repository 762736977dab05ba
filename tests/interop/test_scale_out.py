"""Three nodes with one PostgreSQL and one bucket behind a balancer, killed and stopped in turn."""

import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from itertools import count

import anyio
import pytest
from anyio import to_thread

from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.contracts import Peer
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.cloud_servers import BUCKET, run_s3
from pacs_core.testing.node import node_process
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.postgresql import postgresql_server
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

pytestmark = [pytest.mark.timeout(300), pytest.mark.peer("postgresql", "haproxy")]

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
STUDY = "1.2.826.0.1.3680043.10.3.1"
NAMES = ("one", "two", "three")
SENDERS = 8
NOTICE = 3.0
"""Seconds in which a node that is stopped still accepts, so that the balancer sees it."""
BETWEEN = 10
"""Objects that are acknowledged between two blows."""
PLUGINS = (
    "index-postgresql", "store-cloud", "sop-storage", "sop-query-retrieve", "sop-verification",
    "audit-json", "web",
)  # fmt: skip


def make(number, comment="", study=STUDY):
    """Return an instance's UID and dataset."""
    uid = f"{study}.9.{number}"
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "PatientID": "P1",
        "Modality": "CT",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{1 + number % 3}",
        "InstanceNumber": str(number),
        "ImageComments": comment or "x" * 500,
    }
    return uid, encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)


class Site:
    """The servers, and the nodes that are to be killed."""

    def __init__(self, stack, folder, ports):
        self.stack, self.folder, self.ports = stack, folder, ports
        self.health = {name: find_free_port() for name in ports}
        self.database = stack.enter_context(postgresql_server())
        (folder / "dsn").write_text(self.database.url)
        self.bucket = stack.enter_context(run_s3())
        self.open = {}
        self.nodes = {}

    def start(self, name):
        """Start a node, or start it again."""
        stack = self.open[name] = self.stack.enter_context(ExitStack())
        tables = {
            "node": {"port": self.ports[name]},
            "network": {"timeouts": {"notice": NOTICE, "shutdown": 60.0}},
            "archive": {"index": "postgresql", "store": "main", "space": {"reserve": 0}},
            "plugin": {
                "index-postgresql": {"dsn": {"file": str(self.folder / "dsn")}},
                "web": {"port": self.health[name]},
            },
            "stores": {
                "main": {
                    "type": "s3",
                    "bucket": BUCKET,
                    "endpoint": self.bucket,
                    "allow_http": True,
                    "access_key_id": {"file": str(self.folder / "key")},
                    "secret_access_key": {"file": str(self.folder / "key")},
                }
            },
        }
        node = node_process(self.folder / name, tables, plugins=PLUGINS)
        self.nodes[name] = stack.enter_context(node)

    def kill(self, name):
        """Kill a node, and let its process be."""
        self.nodes[name].kill()
        self.open[name].close()

    @contextmanager
    def balanced(self, port):
        """Run HAProxy in front of the nodes until the block ends."""
        servers = "\n".join(
            f"    server {name} 127.0.0.1:{self.ports[name]} "
            f"check port {self.health[name]} inter 200ms fall 1 rise 1"
            for name in NAMES
        )
        config = self.folder / "haproxy.cfg"
        config.write_text(
            "defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 120s\n"
            "    timeout server 120s\n    timeout check 30s\n    retries 3\n    option redispatch\n"
            f"listen dicom\n    bind 127.0.0.1:{port}\n    balance leastconn\n"
            f"    option httpchk GET /health/ready\n{servers}\n"
        )
        program = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/usr/bin")
        process = subprocess.Popen([program, "-f", str(config), "-db"], stderr=subprocess.DEVNULL)
        try:
            until(lambda: is_open(port), 60)
            yield Peer("PACS", "127.0.0.1", port)
        finally:
            process.kill()
            process.wait()


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Three nodes that serve."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "key").write_text("testing")
    for name in NAMES:
        (folder / name).mkdir()
    ports = {name: find_free_port() for name in NAMES}
    with ExitStack() as stack:
        site = Site(stack, folder, ports)
        for name in NAMES:
            site.start(name)
        yield site


async def send(peer, numbers, acknowledged, done):
    """Send one instance after the other, each until it is acknowledged."""
    number = next(numbers)
    while not done.is_set():
        try:
            async with connect(peer, [Proposal(CT, (EXPLICIT,))]) as association:
                for _ in range(5):  # or else a node that is stopped would wait for its end
                    with anyio.fail_after(60):
                        response = await association.c_store(CT, *make(number))
                    if response.status == 0x0000:
                        acknowledged.add(number)
                        number = next(numbers)
                    await anyio.sleep(0.2)  # the nodes have to start meanwhile
        except (AssociationError, OSError, TimeoutError):
            await anyio.sleep(0.05)


async def strike(site, acknowledged, done):
    """Kill, suspend and stop one after the other, and let some be acknowledged in between."""

    async def more():
        goal = len(acknowledged) + BETWEEN
        while len(acknowledged) < goal:  # noqa: ASYNC110 - senders are threads of nobody's
            await anyio.sleep(0.02)

    await more()
    for name in NAMES:
        await to_thread.run_sync(site.kill, name)
        await more()
        await to_thread.run_sync(site.start, name)
    await to_thread.run_sync(site.database.kill)
    await to_thread.run_sync(site.database.start)
    await more()
    suspended = site.nodes["one"].process
    suspended.send_signal(signal.SIGSTOP)
    await more()
    suspended.send_signal(signal.SIGCONT)
    assert await to_thread.run_sync(site.nodes["two"].stop) == 0
    await more()
    site.open["two"].close()
    await to_thread.run_sync(site.start, "two")
    await more()
    done.set()


def test_nodes_are_stopped_in_turn_and_no_association_fails(site, free_port):
    """Each gives notice, which takes it out of the balancer, and ends what it has begun."""
    stored, numbers = set(), count(100_000)

    async def associate(peer, done):
        while not done.is_set():
            async with connect(peer, [Proposal(CT, (EXPLICIT,))]) as association:
                for number in (next(numbers), next(numbers)):
                    response = await association.c_store(CT, *make(number))
                    assert response.status == 0x0000
                    stored.add(number)
            await anyio.sleep(0.2)  # so that the nodes have time to start

    async def run(peer):
        done = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(associate, peer, done)
            for name in NAMES:
                goal = len(stored) + BETWEEN
                while len(stored) < goal:  # noqa: ASYNC110 - tasks of nobody's
                    await anyio.sleep(0.02)
                assert await to_thread.run_sync(site.nodes[name].stop) == 0
                site.open[name].close()
                await to_thread.run_sync(site.start, name)
            done.set()

    with site.balanced(free_port()) as peer:
        anyio.run(run, peer)
    found = read_all(site.nodes["one"].peer)
    assert {make(number)[0] for number in stored} <= found.keys()


def read_all(peer, study=STUDY):
    """Retrieve a study by C-GET, each instance once; return their digests."""
    received = {}

    def take(uid, chunk):
        received.setdefault(uid, sha256()).update(chunk)

    last = anyio.run(retrieve, peer, {"StudyInstanceUID": study}, CT, take)
    assert last.status == 0x0000
    assert last.number_of_completed_suboperations == len(received)
    return {uid: digest.hexdigest() for uid, digest in received.items()}


def test_what_any_node_acknowledged_all_have_once_and_whole(site, free_port):
    """Eight senders through the balancer, while nodes and database are struck in turn."""
    acknowledged, numbers = set(), count()

    async def run(peer):
        done = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for _ in range(SENDERS):
                tasks.start_soon(send, peer, numbers, acknowledged, done)
            await strike(site, acknowledged, done)

    with site.balanced(free_port()) as peer:
        anyio.run(run, peer)
    wanted = {uid: sha256(dataset).hexdigest() for uid, dataset in map(make, sorted(acknowledged))}
    for node in site.nodes.values():
        found = read_all(node.peer)
        assert {uid: found.get(uid) for uid in wanted} == wanted


def test_two_nodes_given_other_content_agree_on_one(site):
    """The first in the index is served by all; the other is set aside."""
    study = f"{STUDY}.77"
    uid, first = make(1, "first", study)
    second = make(1, "second", study)[1]

    async def store(peer, dataset):
        async with connect(peer, [Proposal(CT, (EXPLICIT,))]) as association:
            assert (await association.c_store(CT, uid, dataset)).status == 0x0000

    async def both():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store, site.nodes["one"].peer, first)
            tasks.start_soon(store, site.nodes["two"].peer, second)

    anyio.run(both)
    served = {read_all(node.peer, study)[uid] for node in site.nodes.values()}
    assert served < {sha256(first).hexdigest(), sha256(second).hexdigest()}
    assert len(served) == 1
