"""What ``pacs metrics`` prints, in a real Prometheus: each panel has data, and alerts fire."""

import json
import math
import re
from contextlib import redirect_stdout
from io import StringIO

import anyio
import pytest
import trustme
from importlib_metadata import EntryPoint
from pacs_jobs.api import JobFailedError, JobHandler, JobKind, JobQueue, NewJob, RunningJob

from pacs_core.association import Proposal, connect
from pacs_core.cli.main import main
from pacs_core.contracts import (
    EventHandler,
    EventHandlerDescriptor,
    InstanceEvent,
    InstanceEventKind,
    Setup,
)
from pacs_core.dataset import tag_of
from pacs_core.plugins import ENTRY_POINT_GROUP, hookimpl
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread
from pacs_core.testing.peer_programs import find_free_port

from .monitoring import prometheus, wait_for
from .receivers import PLUGINS, Receiver, rules, store

pytestmark = [
    pytest.mark.peer("prometheus"),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENCE = 120.0


JOB = "broken.job"


class Broken(EventHandler):
    """A handler that fails once: of one event in all, nobody is told twice."""

    failed = False

    async def handle(self, event: InstanceEvent) -> None:
        if not Broken.failed and event.kind is InstanceEventKind.STORED:
            Broken.failed = True
            raise RuntimeError("broken on purpose")


class BrokenJob(JobHandler):
    """A job that is given up at once."""

    async def run(self, job: RunningJob) -> None:
        raise JobFailedError("broken on purpose")


@hookimpl
def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
    return [EventHandlerDescriptor("broken", lambda node: Broken())]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    return [JobKind(JOB, lambda node: BrokenJob(), "Fails")]


class Refusing(Receiver):
    """A peer that takes nothing: Failed, cannot understand (PS3.4 Table B.2-1)."""

    def _take(self, event):
        return 0xC000


def print_of(command):
    """Return what ``pacs metrics`` prints."""
    output = StringIO()
    with redirect_stdout(output):
        assert main(["metrics", command]) == 0
    return output.getvalue()


def in_seconds(alerts):
    """Let minutes be seconds, so that a test need not wait for hours: the rules stay the same."""
    return re.sub(r"(?<=\[|\s)(\d+)m(?=\]|\n)", r"\1s", alerts)


@pytest.fixture(scope="module")
def monitored(tmp_path_factory):
    """A node with a peer that refuses, a handler that fails and a certificate; and its monitor."""
    folder = tmp_path_factory.mktemp("alerts")
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "node.crt")
    issued.private_key_pem.write_to_path(folder / "node.key")
    with Refusing("PICKY") as picky:
        tables = rules(
            {"picky": picky}, {"all": {"where": {"Modality": "CT"}, "to": ["picky"]}}, refusals=1
        )
        tables["network"] = {
            "tls": {
                "port": 0,
                "peers": "ignored",
                "certificate": str(folder / "node.crt"),
                "key": {"file": str(folder / "node.key")},
            }
        }
        tables["plugin"]["web"] = {"port": (port := find_free_port())}
        broken = EntryPoint(name="broken", value=__name__, group=ENTRY_POINT_GROUP)
        plugins = [*PLUGINS, "sop-query-retrieve", "web", "metrics", broken]
        data = folder / "data"
        with node_thread(data, tables, plugins=plugins) as node:
            alerts = in_seconds(print_of("alerts"))
            with prometheus(f"127.0.0.1:{port}", folder, alerts) as running:
                yield node, running


def work(node):
    """Give everything that a panel shows something to show."""
    store(node.port, [SampleStudy().make("CT")])

    async def find():
        keys = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): ()}
        async with connect(node.peer, [Proposal(STUDY_FIND)]) as association:
            return [status async for status, _ in association.c_find(STUDY_FIND, keys)]

    anyio.run(find)


def test_alerts_of_what_is_lost_refused_and_given_up_fire(monitored):
    """A single event that is lost, a single job that fails, and a peer that takes nothing."""
    node, monitor = monitored
    wait_for(lambda: monitor.value('pacs_queue_lost_total{queue="broken"}') == 0)
    node.call(node.node.opened.node.find(JobQueue).enqueue, NewJob(JOB))
    expected = {"PacsPeerRefuses", "PacsSendsGivenUp", "PacsJobsGivenUp", "PacsEventsLost"}
    fired = {}

    def all_fire():
        work(node)
        fired.update(monitor.firing)
        return expected <= fired.keys()

    wait_for(all_fire, PATIENCE)
    assert fired["PacsPeerRefuses"]["peer"] == "picky"
    told = "100% of operations fail, or end without an answer."
    assert fired["PacsPeerRefuses"]["description"] == told
    assert fired["PacsSendsGivenUp"]["peer"] == "picky"
    assert fired["PacsJobsGivenUp"]["kind"] == JOB
    assert fired["PacsEventsLost"]["queue"] == "broken"
    # Those who send to it are answered as before. (Minutes are seconds here: a node whose answer to
    # Prometheus is late on a busy machine may be called down.)
    assert "PacsRefusesInstances" not in fired


def test_every_panel_of_the_dashboard_shows_what_the_node_does(monitored):
    node, monitor = monitored
    dashboard = json.loads(print_of("dashboard"))
    expressions = {
        target["expr"]: panel["title"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    silent = dict(expressions)

    def all_show():
        work(node)
        for expression in list(silent):
            asked = expression.replace("$instance", ".+").replace("$__rate_interval", "30s")
            found = monitor.ask(asked)
            if found and all(math.isfinite(value) for _, value in found):
                del silent[expression]
        return not silent

    try:
        wait_for(all_show, PATIENCE)
    except AssertionError:
        pytest.fail(f"panels without data: {silent}")
