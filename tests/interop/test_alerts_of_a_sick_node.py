"""Alerts that take a node that is really ill, in a real Prometheus that scrapes it.

One illness after the other, with those before still there; the rules are those that ``pacs metrics
alerts`` prints, with minutes as seconds, and the thresholds that hours or thousands would take as
what a test has.
"""

import re
import subprocess
from contextlib import ExitStack, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from threading import Event
from time import sleep

import anyio
import pytest
import trustme
from importlib_metadata import EntryPoint
from pacs_jobs.api import JobHandler, JobKind, JobQueue, NewJob, RunningJob

from pacs_core.cli.main import main
from pacs_core.contracts import (
    ChangeConsumer,
    ChangeConsumerDescriptor,
    HealthCheck,
    Setup,
)
from pacs_core.plugins import ENTRY_POINT_GROUP, hookimpl
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread
from pacs_core.testing.peer_programs import find_free_port

from .monitoring import prometheus, wait_for
from .receivers import BASE, modality, pydicom_of, store

pytestmark = [
    pytest.mark.peer("prometheus"),
    pytest.mark.long,
    pytest.mark.timeout(900),
]

PATIENCE = 180.0
MIB = 1024 * 1024
JOB = "idle.job"
SMALLER = {"> 1800": "> 20", "> 900": "> 15", "> 10000": "> 10"}


class Idle(JobHandler):
    """A job that goes on until the node stops, so that those behind it are late."""

    async def run(self, job: RunningJob) -> None:
        await anyio.sleep_forever()


class Behind(ChangeConsumer):
    """A consumer that never is done with its first changes."""

    async def handle(self, changes):
        await anyio.sleep_forever()


class Ill(HealthCheck):
    """A part that does not work."""

    name = "part"

    async def check(self) -> str:
        return "broken on purpose"


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    return [ChangeConsumerDescriptor("behind", lambda node: Behind())]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    return [JobKind(JOB, lambda node: Idle(), "Never ends", concurrency=1)]


def rules_of_seconds():
    output = StringIO()
    with redirect_stdout(output):
        assert main(["metrics", "alerts"]) == 0
    rules = re.sub(r"(?<=\[|\s)(\d+)m(?=\]|\n)", r"\1s", output.getvalue())
    for large, small in SMALLER.items():
        assert rules.count(large) == 1
        rules = rules.replace(large, small)
    return rules


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def ill(disk, tmp_path):
    """A node, and its monitor; both end before the disk does."""
    soon = datetime.now(UTC) + timedelta(days=10)
    issued = trustme.CA().issue_cert("127.0.0.1", not_after=soon)
    issued.cert_chain_pems[0].write_to_path(tmp_path / "node.crt")
    issued.private_key_pem.write_to_path(tmp_path / "node.key")
    web = find_free_port()
    tables = {
        "archive": {"space": {"warning": 24 * MIB, "minimum": 8 * MIB, "reserve": 0}},
        "network": {
            "tls": {
                "port": 0,
                "peers": "ignored",
                "certificate": str(tmp_path / "node.crt"),
                "key": {"file": str(tmp_path / "node.key")},
            }
        },
        "plugin": {
            "web": {"port": web},
            "audit-atna": {"collector": f"tcp://127.0.0.1:{find_free_port()}"},
        },
    }
    this = EntryPoint(name="ill", value=__name__, group=ENTRY_POINT_GROUP)
    plugins = [*BASE, "web", "metrics", "audit-atna", this]
    with ExitStack() as until_its_end:
        running = node_thread(disk / "data", tables, plugins=plugins)
        node = until_its_end.enter_context(running)
        with prometheus(f"127.0.0.1:{web}", tmp_path, rules_of_seconds()) as monitor:
            yield node, monitor, until_its_end.close


def test_each_fires(ill, disk):
    node, monitor, end = ill
    fired = {}

    def await_all(*names, work=lambda: None):
        def fire():
            work()
            fired.update(monitor.firing)
            return set(names) <= fired.keys()

        try:
            wait_for(fire, PATIENCE)
        except AssertionError:
            pytest.fail(f"not fired: {set(names) - fired.keys()}")

    wait_for(lambda: monitor.value('pacs_health{check="index"}') == 1)
    assert not monitor.firing.keys() & {"PacsDown", "PacsPartDown", "PacsStoresNothing"}
    queue = node.call(node.node.opened.node.find, JobQueue)
    for _ in range(2):
        node.call(queue.enqueue, NewJob(JOB))
    store(node.port, [SampleStudy().make("CT") for _ in range(12)])
    node.call(node.node.opened.node.health.add, Ill())
    await_all("PacsCertificateExpires", "PacsPartDown", "PacsConsumerBehind",
              "PacsAuditNotDelivered", "PacsJobsLate")  # fmt: skip
    assert fired["PacsConsumerBehind"]["queue"] == "behind"
    assert fired["PacsJobsLate"]["kind"] == JOB
    assert fired["PacsPartDown"]["check"] == "part"

    (disk / "filler").write_bytes(bytes(85 * MIB))

    def send():
        sample = SampleStudy().make("CT")
        with modality(node.port, "MODALITY", {sample.sop_class_uid}) as association:
            association.send_c_store(pydicom_of(sample))

    await_all("PacsStoresNothing", "PacsDiskFills", "PacsRefusesInstances", work=send)

    # A plugin that keeps the event loop for itself, most of a second of each two.
    enough = Event()

    async def block():
        while not enough.is_set():
            sleep(0.9)  # noqa: ASYNC251 - that is what is wrong with it
            await anyio.sleep(1.1)

    blocking = node.portal.start_task_soon(block)
    await_all("PacsEventLoopLate")
    enough.set()
    blocking.result()

    end()
    await_all("PacsDown")
