"""A service manager, of which systemd's protocol sd_notify(3) is spoken with the node."""

import os
import signal
import socket
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from pacs_core.testing.waiting import until

pytestmark = pytest.mark.true_start

LIMIT = 0.5
"""Seconds in which the manager awaits a beat."""
PATIENCE = 60.0


class Manager:
    """Hears what a node tells."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0"))
        self.socket.settimeout(0.05)

    def hear(self):
        try:
            return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))
        except TimeoutError:
            return {}

    def await_state(self, name):
        """Return what came with it; beats in between do not matter."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if name in (heard := self.hear()):
                return heard
        raise AssertionError(f"{name} never came")

    def hears_nothing(self):
        while self.hear():
            pass
        self.socket.settimeout(2 * LIMIT)
        try:
            return self.hear() == {}
        finally:
            self.socket.settimeout(0.05)


@pytest.fixture(params=["abstract", "path"])
def manager(request, monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        names = {"abstract": f"@pacs-{uuid.uuid4()}", "path": str(Path(folder, "notify"))}
        manager = Manager(names[request.param])
        monkeypatch.setenv("NOTIFY_SOCKET", names[request.param])
        monkeypatch.setenv("WATCHDOG_USEC", str(int(LIMIT * 1_000_000)))
        with manager.socket:
            yield manager


def test_it_hears_how_a_node_lives(manager, pacs_process):
    before = time.monotonic_ns() // 1000
    node = pacs_process()
    assert manager.await_state("READY") == {"READY": "1"}
    manager.await_state("WATCHDOG")
    node.process.send_signal(signal.SIGHUP)
    reloading = manager.await_state("RELOADING")
    assert before < int(reloading["MONOTONIC_USEC"]) < time.monotonic_ns() // 1000
    manager.await_state("READY")
    node.process.send_signal(signal.SIGSTOP)
    assert manager.hears_nothing()
    node.process.send_signal(signal.SIGCONT)
    manager.await_state("WATCHDOG")
    node.process.terminate()
    manager.await_state("STOPPING")
    assert node.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("manager", ["abstract"], indirect=True)
def test_it_hears_of_workers_only_while_all_of_them_answer(manager, pacs_process):
    node = pacs_process({"node": {"workers": 2}})
    manager.await_state("READY")
    manager.await_state("WATCHDOG")
    pid = node.process.pid
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(worker, signal.SIGSTOP)
    until(lambda: "does not answer" in node.log.read_text())
    assert manager.hears_nothing()
    os.kill(worker, signal.SIGKILL)  # as an operator may; the one in its place answers
    manager.await_state("WATCHDOG")
    node.process.send_signal(signal.SIGHUP)
    manager.await_state("RELOADING")
    manager.await_state("READY")
    node.process.terminate()
    manager.await_state("STOPPING")


@pytest.mark.parametrize("manager", ["abstract"], indirect=True)
def test_beats_that_another_process_is_to_send_are_not_sent(manager, monkeypatch, pacs_process):
    monkeypatch.setenv("WATCHDOG_PID", "1")
    node = pacs_process()
    manager.await_state("READY")
    assert manager.hears_nothing()
    assert node.stop() == 0


def test_a_manager_that_is_gone_harms_nothing(monkeypatch, pacs_process):
    monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    node = pacs_process()
    until(lambda: "the service manager is not told READY=1" in node.log.read_text())
    assert node.stop() == 0
