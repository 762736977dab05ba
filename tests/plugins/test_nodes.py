"""Services of which one runs, over several nodes with one index: who takes over, and when."""

import os
import signal
import time
from contextlib import ExitStack

import pytest
from attrs import frozen

from pacs_core.testing.node import node_process

PATIENCE = 60.0
FOREVER = 3600.0

SENTRY = """
    import os
    from pathlib import Path

    import anyio
    from attrs import frozen

    @frozen
    class Config:
        file: str = ""

    class Sentry(Service):
        def __init__(self, path):
            self.path = Path(path)

        def say(self, what):
            with self.path.open("a") as file:
                file.write(f"{what} {self.lease.token} {self.lease.holder} {os.getpid()}\\n")

        async def run(self, started):
            started()
            self.say("on")
            try:
                await anyio.sleep_forever()
            finally:
                self.say("off")

    @hookimpl
    def pacs_config():
        return Config

    @hookimpl
    def pacs_services(setup):
        path = setup.config(Config).file
        return [ServiceDescriptor("sentry", lambda node: Sentry(path), scope="node")]
"""


@pytest.fixture(scope="module", autouse=True)
def sentry(site):
    site.install("sentry", SENTRY)


@frozen
class Entry:
    what: str
    token: int
    holder: str
    pid: int


@frozen
class Nodes:
    """Nodes with a data directory each, and one index and store."""

    folder: object
    stack: ExitStack

    def start(self, name, lease_time):
        shared = self.folder / "shared"
        tables = {
            "node": {"lease_time": lease_time},
            "log": {"level": "info"},
            "network": {"timeouts": {"shutdown": 1.0}},
            "archive": {"space": {"reserve": 0}},
            "plugin": {
                "sentry": {"file": str(self.folder / "sentries")},
                "index-sqlite": {"path": str(shared / "index.sqlite")},
                "store-filesystem": {"root": str(shared / "objects")},
            },
        }
        return self.stack.enter_context(node_process(self.folder / name, tables))

    def entries(self):
        file = self.folder / "sentries"
        rows = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [Entry(what, int(token), holder, int(pid)) for what, token, holder, pid in rows]

    def await_entries(self, count):
        deadline = time.monotonic() + PATIENCE
        while len(found := self.entries()) < count:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found


@pytest.fixture
def nodes(tmp_path):
    with ExitStack() as stack:
        yield Nodes(tmp_path, stack)


def await_log(node, text):
    deadline = time.monotonic() + PATIENCE
    while text not in node.log.read_text():
        assert time.monotonic() < deadline, node.log.read_text()
        time.sleep(0.05)


def test_another_node_takes_over_when_one_dies(nodes):
    one, two = nodes.start("one", 2.0), nodes.start("two", 2.0)
    (first,) = nodes.await_entries(1)
    assert first.pid == one.process.pid
    os.kill(one.process.pid, signal.SIGKILL)
    first, second = nodes.await_entries(2)
    assert (second.what, second.pid) == ("on", two.process.pid)
    assert second.token > first.token
    assert second.holder != first.holder
    two.stop()


def test_another_node_takes_over_at_once_when_one_stops(nodes):
    one, two = nodes.start("one", FOREVER), nodes.start("two", FOREVER)
    nodes.await_entries(1)
    assert one.stop() == 0
    assert [(each.what, each.pid) for each in nodes.await_entries(3)] == [
        ("on", one.process.pid),
        ("off", one.process.pid),
        ("on", two.process.pid),
    ]
    two.stop()


def test_a_node_that_comes_back_goes_on_at_once(nodes):
    one = nodes.start("one", FOREVER)
    (first,) = nodes.await_entries(1)
    os.kill(one.process.pid, signal.SIGKILL)
    one.process.wait(PATIENCE)
    again = nodes.start("one", FOREVER)
    first, second = nodes.await_entries(2)
    assert (second.pid, second.holder) == (again.process.pid, first.holder)
    assert second.token > first.token


def test_a_node_that_was_suspended_finds_out(nodes):
    one, two = nodes.start("one", 2.0), nodes.start("two", 2.0)
    (first,) = nodes.await_entries(1)
    os.kill(one.process.pid, signal.SIGSTOP)
    second = nodes.await_entries(2)[1]
    os.kill(one.process.pid, signal.SIGCONT)
    third = nodes.await_entries(3)[2]
    assert (second.what, second.pid) == ("on", two.process.pid)
    assert (third.what, third.pid, third.token) == ("off", first.pid, first.token)
    await_log(one, "the lease on sentry is lost")
    assert one.stop() == 0
    assert len(nodes.entries()) == 3
