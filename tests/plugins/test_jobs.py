"""Durable jobs of a third party's distribution, on nodes that run, and are killed."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue, JobState, NewJob
from pacs_jobs.database_queue import DatabaseJobQueue

from pacs_core.contracts import Correlation, correlated
from pacs_core.testing.node import NodeProcess, node_process, write_config
from pacs_core.testing.waiting import until

CHORES = Path(__file__).parents[1] / "distributions" / "pacs-chores"
TABLES = {
    "node": {"workers": 2},
    "plugins": {"disabled": ["codec-imagecodecs"]},
    "plugin": {"jobs": {"poll": 0.1, "lease": 3.0}},
}


@pytest.fixture(scope="module", autouse=True)
def chores(site):
    site.link(CHORES)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with node_process(tmp_path_factory.mktemp("node"), TABLES) as running:
        yield running


def queue_call(directory: Path, method: str, *arguments: object) -> object:
    """Call a method of the queue of a data directory, as another process of the site would."""

    async def call() -> object:
        async with open_database(directory) as database:
            queue: JobQueue = DatabaseJobQueue(database)
            if method != "find":  # which is asked again and again
                await queue.start()
            return await getattr(queue, method)(*arguments)

    return anyio.run(call)


def enqueue(directory: Path, **arguments: object) -> int:
    number = queue_call(directory, "enqueue", NewJob("chores.append", arguments))
    assert isinstance(number, int)
    return number


def state(directory: Path, number: int) -> JobState:
    return queue_call(directory, "find", number).state  # type: ignore[attr-defined]


def ended(directory: Path, number: int, wanted: JobState) -> Callable[[], bool]:
    return lambda: state(directory, number) is wanted


def lines(directory: Path) -> list[str]:
    file = directory / "chores" / "chores"
    return file.read_text().splitlines() if file.exists() else []


def pacs(directory: Path, *arguments: str, of: str = "jobs") -> subprocess.CompletedProcess[str]:
    words = [of, *arguments] if of else arguments
    config = str(directory / "pacs.toml")
    command = [sys.executable, "-m", "pacs_core.cli.main", *words, "--config", config]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_jobs_that_another_process_enqueued_are_done_once(node):
    numbers = [enqueue(node.data_directory, line=f"n{n}") for n in range(6)]
    for number in numbers:
        until(ended(node.data_directory, number, JobState.SUCCEEDED))
    done = [line for line in lines(node.data_directory) if line.startswith("end n")]
    assert sorted(done) == [f"end n{n} 1" for n in range(6)]


def test_what_fails_is_tried_again(node):
    with correlated(Correlation("the-cause")):
        number = enqueue(node.data_directory, line="again", failures=2)
    until(ended(node.data_directory, number, JobState.SUCCEEDED))
    assert "end again 3" in lines(node.data_directory)
    # What the job does belongs to what has enqueued it.
    told = [each for each in node.log.read_text().splitlines() if f"job {number} (" in each]
    assert len(told) == 2
    assert all("[the-cause]" in each for each in told)


def test_what_goes_on_failing_is_given_up_and_audited(node):
    number = enqueue(node.data_directory, line="bad", failures=99)
    until(ended(node.data_directory, number, JobState.FAILED))
    trail = node.data_directory / "audit" / "audit.jsonl"
    until(lambda: '"jobs.given-up"' in trail.read_text())
    given_up = [json.loads(s) for s in trail.read_text().splitlines() if '"jobs.given-up"' in s]
    assert number in [event["details"]["job"] for event in given_up]
    shown = pacs(node.data_directory, "list", "--state", "failed")
    assert re.search(
        rf"^{number} +chores.append +failed +3 .* OSError: try 3 fails", shown.stdout, re.MULTILINE
    )
    assert "\x1b" not in shown.stdout
    # With two workers it is told once.
    status = pacs(node.data_directory, "status", of="").stdout
    assert status.count("chores.append): pacs jobs list --state failed") == 1
    again = pacs(node.data_directory, "retry", str(number))
    assert (again.returncode, again.stdout) == (0, f"job {number} waits again\n")
    until(ended(node.data_directory, number, JobState.FAILED))
    assert lines(node.data_directory).count("begin bad 3") == 2


def test_what_is_pointless_is_given_up_at_once(node):
    number = enqueue(node.data_directory, line="never", pointless=True)
    until(ended(node.data_directory, number, JobState.FAILED))
    assert lines(node.data_directory).count("begin never 1") == 1
    assert pacs(node.data_directory, "show", str(number)).stdout.count("it is pointless") == 1


def test_a_running_job_is_cancelled_by_a_command(node):
    number = enqueue(node.data_directory, line="long", seconds=60.0)
    until(lambda: "begin long 1" in lines(node.data_directory))
    asked = pacs(node.data_directory, "cancel", str(number))
    assert asked.stdout == f"the worker of job {number} is asked\n"
    until(ended(node.data_directory, number, JobState.CANCELLED))
    assert "end long 1" not in lines(node.data_directory)
    late = pacs(node.data_directory, "cancel", str(number))
    assert (late.returncode, late.stderr) == (
        1,
        f"pacs: job {number} has ended already: cancelled\n",
    )


def test_what_is_scheduled_waits_for_its_time(node):
    listed = pacs(node.data_directory, "list", "chores.daily", "--json").stdout.splitlines()
    (job,) = map(json.loads, listed)
    due = datetime.fromisoformat(job["due"])
    assert (due.astimezone().hour, due.minute, job["state"]) == (3, 0, "waiting")
    assert datetime.now(UTC) < due < datetime.now(UTC) + timedelta(days=1, hours=1)


def test_progress_is_seen_while_a_job_runs(node):
    number = enqueue(node.data_directory, line="slow", seconds=4.0)
    until(lambda: "1/2 half of it" in pacs(node.data_directory, "list").stdout)
    until(ended(node.data_directory, number, JobState.SUCCEEDED))


def test_purged_jobs_are_forgotten(node):
    number = enqueue(node.data_directory, line="gone")
    until(ended(node.data_directory, number, JobState.SUCCEEDED))
    assert pacs(node.data_directory, "purge").returncode == 0
    missing = pacs(node.data_directory, "show", str(number))
    assert (missing.returncode, missing.stderr) == (1, f"pacs: there is no job {number}\n")
    refused = pacs(node.data_directory, "purge", "--state", "waiting")
    assert refused.returncode == 2
    assert "cancel them first" in refused.stderr


def test_a_node_that_is_killed_does_its_jobs_when_it_is_back(tmp_path):
    tables = {**TABLES, "node": {"workers": 1}}
    write_config(tmp_path, tables)
    doomed = enqueue(tmp_path, line="doomed")
    for _ in range(3):  # by workers that are not heard of again
        assert queue_call(tmp_path, "lease", ["chores.append"], "killed", -1.0)
    first = enqueue(tmp_path, line="first", seconds=3.0)
    second = enqueue(tmp_path, line="second")
    with node_process(tmp_path, tables) as node:
        until(lambda: "begin first 1" in lines(tmp_path))
        until(ended(tmp_path, second, JobState.SUCCEEDED))
        until(ended(tmp_path, doomed, JobState.FAILED))
        node.kill()
    assert state(tmp_path, first) is JobState.RUNNING
    third = enqueue(tmp_path, line="third")
    with node_process(tmp_path, tables) as node:
        for number in (first, third):
            until(ended(tmp_path, number, JobState.SUCCEEDED))
        assert node.stop() == 0
    assert {"end first 2", "end third 1"} <= set(lines(tmp_path))
    assert lines(tmp_path).count("end second 1") == 1
    assert not [line for line in lines(tmp_path) if "doomed" in line]
    assert "begun 3 times" in pacs(tmp_path, "show", str(doomed)).stdout


def test_a_worker_without_its_queue_ends_its_job_with_the_lease(tmp_path):
    tables = {**TABLES, "node": {"workers": 1}}
    write_config(tmp_path, tables)
    number = enqueue(tmp_path, line="alone", seconds=60.0)
    with node_process(tmp_path, tables) as node:
        until(lambda: "begin alone 1" in lines(tmp_path))
        with closing(sqlite3.connect(tmp_path / "database.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else writes until it ends
            until(lambda: f"lease of job {number} (chores.append) is lost" in node.log.read_text())
            assert "begin alone 2" not in lines(tmp_path)
        until(lambda: "begin alone 2" in lines(tmp_path))


def test_a_node_that_is_stopped_gives_its_jobs_back(tmp_path):
    tables = {**TABLES, "node": {"workers": 1}}
    write_config(tmp_path, tables)
    number = enqueue(tmp_path, line="stopped", seconds=30.0)
    with node_process(tmp_path, tables) as node:
        until(lambda: "begin stopped 1" in lines(tmp_path))
        assert node.stop() == 0
    job = queue_call(tmp_path, "find", number)
    assert (job.state, job.attempts) == (JobState.WAITING, 0)
