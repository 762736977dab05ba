"""Readiness and jobs: a node that cannot do them says so, and says so no more once it can."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from importlib_metadata import EntryPoint
from pacs_jobs.api import JobFailedError, JobHandler, JobKind, JobQueue, NewJob, RunningJob
from pacs_jobs.config import JobsConfig
from pacs_jobs.health import JobsCheck

from pacs_core.cli.main import main
from pacs_core.contracts import Setup
from pacs_core.plugins import ENTRY_POINT_GROUP, hookimpl
from pacs_core.testing.node import node_thread
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.waiting import until

PLUGINS = ("jobs", "database", "store-filesystem", "index-sqlite", "audit-json", "web")


class Chore(JobHandler):
    """Does what it is told: nothing, or to fail."""

    async def run(self, job: RunningJob) -> None:
        if job.arguments.get("fails"):
            raise JobFailedError("there is no such file")


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    return [JobKind("chore", lambda node: Chore(), "Does nothing, or fails")]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node that minds jobs soon, its config file, and how it answers."""
    folder, port = tmp_path_factory.mktemp("node"), find_free_port()
    jobs = {"overdue": 1.5, "given_up": 2, "poll": 0.1}
    tables = {"plugin": {"jobs": jobs, "web": {"port": port}}}
    chore = EntryPoint(name="chore", value=__name__, group=ENTRY_POINT_GROUP)
    with node_thread(folder, tables, plugins=[*PLUGINS, chore]) as running:

        def ask():
            url = f"http://127.0.0.1:{port}/health"
            code = httpx.get(f"{url}/ready", timeout=60).status_code
            (jobs,) = httpx.get(f"{url}/details", timeout=60).json()["checks"]["jobs"]
            return code, jobs.get("output", "")

        yield running, ask


def enqueue(node, due=None, **arguments):
    job = NewJob("chore", arguments, due=due)
    return node.call(node.node.opened.node.find(JobQueue).enqueue, job)


def pacs(node, capsys, *arguments):
    code = main([*arguments, "--config", str(node.data_directory / "pacs.toml")])
    return code, capsys.readouterr().out


def test_jobs_that_cannot_be_begun_are_told(node, capsys):
    """Somebody keeps the database locked: it can be read, and no job be taken from it."""
    running, ask = node
    assert ask() == (200, "")
    number = enqueue(running, due=datetime.now(UTC) + timedelta(seconds=3))
    file = running.data_directory / "database.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        until(lambda: ask()[0] == 503)
        assert ask()[1].endswith(" s ago, and is not begun")
    until(lambda: ask() == (200, ""))
    until(lambda: "succeeded" in pacs(running, capsys, "jobs", "show", str(number))[1])


@pytest.mark.anyio
@pytest.mark.parametrize(("begins", "told"), [(0, "a job was due "), (1, "")])
async def test_a_backlog_that_is_worked_off_is_none_that_is_not(begins, told):
    """However old it is: a node that was down for a night has much to do, one after the other."""
    begun = 0

    class Queue:
        async def next_due(self, kinds):
            nonlocal begun
            begun += begins
            return datetime.now(UTC) - timedelta(hours=8)

    check = JobsCheck(Queue(), JobsConfig(), lambda: ["chore"], lambda: begun)
    assert (await check.check()).startswith(told)
    assert bool(await check.check()) == bool(told)


def test_jobs_that_were_given_up_are_told_until_they_are_purged(node, capsys):
    running, ask = node
    enqueue(running, fails=True)
    until(lambda: "failed" in pacs(running, capsys, "jobs", "list")[1])
    assert ask() == (200, ""), "one is no reason to send people elsewhere"
    enqueue(running, fails=True)
    until(lambda: ask() == (503, "jobs were given up: 2"))
    assert pacs(running, capsys, "jobs", "purge", "--state", "failed")[0] == 0
    until(lambda: ask() == (200, ""))
