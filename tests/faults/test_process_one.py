"""The node as process 1 of a container, and the signals that are not for it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.contracts import Peer
from pacs_core.testing.node import write_config
from pacs_core.testing.waiting import until

pytestmark = pytest.mark.true_start

ECHO = [Proposal("1.2.840.10008.1.1")]
UNSHARE = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
ORPHANS = """
import os, sys, time
for _ in range(3):
    if os.fork() == 0:
        os._exit(0) if os.fork() else (time.sleep(0.3), os._exit(7))
"""


def can_unshare():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


@pytest.fixture
def contained(tmp_path):
    """Run `pacs serve` as process 1 of a namespace; yields what starts it."""
    if not can_unshare():
        pytest.skip("no PID namespace can be made here (unshare --fork --pid)")
    processes = []

    def start(workers):
        config = write_config(tmp_path, {"node": {"workers": workers}})
        log = (tmp_path / "stderr.log").open("w")
        process = subprocess.Popen(
            [*UNSHARE, sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", config],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        processes.append(process)
        ready = process.stdout.readline()
        assert ready.startswith("ready: "), (tmp_path / "stderr.log").read_text()
        return process, Peer("PACS", "127.0.0.1", int(re.search(r":(\d+) ", ready)[1]))

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


async def echo(peer):
    async with connect(peer, ECHO) as association:
        assert (await association.c_echo()).status == 0x0000


@contextmanager
def held(path):
    """Hold the lock under which nodes recover, so that none that starts gets ready."""
    holder = subprocess.Popen(["flock", "--no-fork", str(path), "sleep", "60"])
    try:
        until(path.exists)
        time.sleep(0.3)
        yield
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_process_one_reaps_orphans_and_goes_on(contained, workers):
    unshared, peer = contained(workers)
    (first,) = children(unshared.pid)
    assert len(children(first)) == workers
    enter = ["nsenter", f"--target={first}", "--pid", "--mount", sys.executable, "-c", ORPHANS]
    subprocess.run(enter, check=True)
    time.sleep(0.5)  # the orphans end, and are inherited
    until(lambda: len(children(first)) == workers)
    assert all(state(child) != "Z" for child in children(first))
    anyio.run(echo, peer)
    os.kill(first, signal.SIGTERM)
    assert unshared.wait(timeout=30) == 0


def test_signals_for_other_programs_kill_nobody(pacs_process):
    node = pacs_process({"node": {"workers": 2}})
    workers = children(node.process.pid)
    for pid in (node.process.pid, *workers):
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, number)
    anyio.run(echo, node.peer)
    assert children(node.process.pid) == workers
    assert node.stop() == 0


def test_a_worker_that_hangs_as_it_starts_does_not_hold_up_a_stop(pacs_process, tmp_path):
    node = pacs_process({"node": {"workers": 2}}, data_directory=tmp_path)
    before = children(node.process.pid)
    with held(tmp_path / "recovery.lock"):
        os.kill(before[0], signal.SIGKILL)
        until(lambda: set(children(node.process.pid)) - set(before))
        assert node.stop() == 0


def test_a_stop_while_the_first_workers_start(tmp_path):
    config = write_config(tmp_path, {"node": {"workers": 2}})
    with held(tmp_path / "recovery.lock"):
        process = subprocess.Popen(
            [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", config],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: children(process.pid))
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=60) == (b"", None)
            assert process.returncode == 0
        finally:
            process.kill()
