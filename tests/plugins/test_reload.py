"""SIGHUP: a node reads its configuration again, and takes all of it, or nothing."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from pynetdicom import AE

from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.peer_programs import find_free_port

LAMP = Path(__file__).parents[1] / "distributions" / "pacs-lamp"
PATIENCE = 60.0
VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture(scope="module", autouse=True)
def lamp(site):
    site.link(LAMP)


@pytest.fixture
def port():
    return find_free_port()


def tables(port, *, node=None, network=None, level="info", peers=None, colour="red", **lamp):
    shade = {"pattern": lamp.pop("pattern")} if "pattern" in lamp else {}
    return {
        "log": {"level": level},
        "node": {"port": 0, **(node or {})},
        "network": {"timeouts": {"shutdown": 1.0}, **(network or {})},
        "peers": peers or {},
        "plugin": {"lamp": {"port": port, "colour": colour, **lamp}, "lamp-shade": shade},
    }


def with_folder(folder, given):
    return given | {"node": given["node"] | {"data_directory": str(folder)}}


def visit(port, say=b""):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                connection.sendall(say)
                if line := connection.makefile().readline().split():
                    return line
        except OSError:
            pass
        assert time.monotonic() < deadline, "the lamp does not answer"
        time.sleep(0.05)


def reload(node, given, *, until, text=None):
    """Write another configuration, send SIGHUP, and return what is logged up to a sentence."""
    before = len(node.log.read_text())
    path = write_config(node.data_directory, with_folder(node.data_directory, given))
    if text is not None:
        path.write_text(text)
    node.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE
    while until not in (logged := node.log.read_text()[before:]):
        assert node.process.poll() is None
        assert time.monotonic() < deadline, logged
        time.sleep(0.05)
    return logged


def events(folder, kind):
    files = sorted((folder / "audit").glob("*.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [event for event in found if event["event"] == kind]


def await_events(folder, kind, count):
    deadline = time.monotonic() + PATIENCE
    while len(found := events(folder, kind)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert len(found) == count
    return found


def echo(port, ae_title="ECHOSCU"):
    ae = AE(ae_title)
    ae.add_requested_context(VERIFICATION)
    return ae.associate("127.0.0.1", port)


TAKEN = "the configuration was read again: "
REFUSED = "the node goes on with the configuration that it had"


def test_what_is_marked_takes_effect_and_the_rest_is_named(tmp_path, port):
    with node_process(tmp_path, tables(port)) as node:
        assert visit(port) == ["0", "red", "hall", "-"]
        peers = {"ct": {"ae_title": "CT", "host": "127.0.0.1", "port": 104}}
        other = tables(port, colour="blue", place="attic", peers=peers, node={"ae_title": "OTHER"})
        logged = reload(node, other, until="plugin.lamp.colour changed")
        assert "these settings need a restart: node.ae_title, plugin.lamp.place" in logged
        assert f"{TAKEN}peers.ct, plugin.lamp.colour changed" in logged
        assert visit(port) == ["0", "blue", "hall", "ct"]
        (event,) = await_events(tmp_path, "configuration-changed", 1)
        assert event["details"]["keys"] == ["peers.ct", "plugin.lamp.colour"]
        assert event["details"]["restart"] == ["node.ae_title", "plugin.lamp.place"]
        # What waits is said again, and still not applied.
        logged = reload(node, other, until="nothing that can change now has changed")
        assert "these settings need a restart: node.ae_title, plugin.lamp.place" in logged
        assert visit(port) == ["0", "blue", "hall", "ct"]
        assert len(events(tmp_path, "configuration-changed")) == 1
        assert node.stop() == 0


def test_what_fails_later_is_made_anew_with_the_new_settings(tmp_path, port):
    with node_process(tmp_path, tables(port)) as node:
        reload(node, tables(port, colour="green"), until="plugin.lamp.colour changed")
        visit(port, b"break")
        deadline = time.monotonic() + PATIENCE
        while "service lamp of plugin lamp" not in node.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert visit(port)[1] == "green"


def test_every_error_is_reported_and_nothing_changes(tmp_path, port):
    with node_process(tmp_path, tables(port)) as node:
        peers = {"ct": {"ae_title": "A" * 17, "host": "127.0.0.1"}}
        wrong = tables(port, colour="pink", peers=peers, network={"max_associations": 0})
        logged = reload(node, wrong, until=REFUSED)
        assert "peers.ct.ae_title: an AE title has 1 to 16" in logged
        assert "network.max_associations: " in logged
        assert "plugin.lamp: colour: pink is none of red" in logged
        assert visit(port) == ["0", "red", "hall", "-"]
        (event,) = await_events(tmp_path, "configuration-error", 1)
        assert len(event["details"]["problems"]) == 3
        for text, problem in (("[node", "is not TOML"), ("[nod]\na = 1", "nod: unknown table")):
            assert problem in reload(node, wrong, until=REFUSED, text=text)
        (node.data_directory / "pacs.toml").unlink()
        node.process.send_signal(signal.SIGHUP)
        await_events(tmp_path, "configuration-error", 4)
        assert "pacs.toml: cannot be read" in node.log.read_text()
        assert visit(port)[1] == "red"
        reload(node, tables(port, colour="green"), until="plugin.lamp.colour changed")
        assert visit(port)[1] == "green"


@pytest.mark.parametrize("refusal", ["raises", "refuses"])
def test_one_that_fails_takes_all_back(tmp_path, port, refusal):
    with node_process(tmp_path, tables(port)) as node:
        peers = {"ct": {"ae_title": "CT", "host": "127.0.0.1"}}
        if refusal == "raises":  # the first that is told
            other = tables(port, colour="blue", peers=peers, pattern="torn")
            assert "the shade is torn" in reload(node, other, until=REFUSED)
        else:  # the second: the first goes back
            (tmp_path / "finger-0").touch()
            other = tables(port, colour="blue", peers=peers, pattern="dotted")
            logged = reload(node, other, until=REFUSED)
            assert "a finger is on the switch of lamp 0" in logged
            assert (tmp_path / "shade").read_text().split() == ["dotted", "plain"]
        assert visit(port) == ["0", "red", "hall", "-"]
        assert events(tmp_path, "configuration-changed") == []
        (event,) = await_events(tmp_path, "configuration-error", 1)
        assert len(event["details"]["problems"]) == 1


def test_a_key_that_changes_what_is_registered_is_named_with_what_to_do(tmp_path, port):
    """The port of a service is bound before the node is ready: it waits."""
    with node_process(tmp_path, tables(port)) as node:
        logged = reload(node, tables(port + 1, colour="blue"), until="lamp.colour changed")
        assert "these settings need a restart: plugin.lamp.port" in logged
        assert visit(port)[1] == "blue"


def test_limits_and_log_level_change_and_associations_are_not_touched(tmp_path, port):
    with node_process(tmp_path, tables(port, network={"max_associations": 1})) as node:
        running = echo(node.port)
        assert running.is_established
        assert not echo(node.port).is_established
        wider = {"max_associations": 3, "calling_ae_titles": ["GOOD"], "max_pdu_length": 8192}
        logged = reload(node, tables(port, network=wider), until=TAKEN)
        assert "network.max_associations, network.max_pdu_length" in logged
        assert running.send_c_echo().Status == 0x0000  # it would not be allowed to begin now
        assert not echo(node.port).is_established
        second = echo(node.port, "GOOD")
        assert second.is_established
        assert second.acceptor.maximum_length == 8192
        second.release()
        running.release()
        quiet = tables(port, network=wider, level="error")
        path = write_config(tmp_path, with_folder(tmp_path, quiet))
        assert path.exists()
        node.process.send_signal(signal.SIGHUP)
        await_events(tmp_path, "configuration-changed", 2)
        before = node.log.read_text()
        echo(node.port, "GOOD").release()
        assert node.stop() == 0
        assert node.log.read_text() == before


def colours(port, workers):
    """Ask until every worker has answered; return their colours."""
    found = {}
    deadline = time.monotonic() + PATIENCE
    while len(found) < workers:
        worker, colour, *_ = visit(port)
        found[worker] = colour
        assert time.monotonic() < deadline, found
    return set(found.values())


def worker_pids(node):
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def test_all_workers_take_it_or_none(tmp_path, port):
    two = {"workers": 2}
    with node_process(tmp_path, tables(port, node=two)) as node:
        assert colours(port, 2) == {"red"}
        reload(node, tables(port, node=two, colour="blue"), until="plugin.lamp.colour changed")
        assert colours(port, 2) == {"blue"}
        (tmp_path / "finger-1").touch()  # the first takes it, and has to go back
        logged = reload(node, tables(port, node=two, colour="green"), until=REFUSED)
        assert "a finger is on the switch of lamp 1" in logged
        assert colours(port, 2) == {"blue"}
        await_events(tmp_path, "configuration-error", 1)
        await_events(tmp_path, "configuration-changed", 1)
        assert "colour: pink" in reload(node, tables(port, node=two, colour="pink"), until=REFUSED)
        # A worker that takes the place of another has what the others have.
        (tmp_path / "finger-1").unlink()
        os.kill(worker_pids(node)[0], signal.SIGKILL)
        await_events(tmp_path, "worker-restarted", 1)
        assert colours(port, 2) == {"blue"}
        # SIGHUP to a worker itself is harmless.
        for pid in worker_pids(node):
            os.kill(pid, signal.SIGHUP)
        assert colours(port, 2) == {"blue"}
        assert node.stop() == 0
