"""Services, capabilities and hooks of plugins in real nodes, by a distribution of a third party."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.peer_programs import find_free_port

BEACON = Path(__file__).parents[1] / "distributions" / "pacs-beacon"
PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def beacon(site):
    site.link(BEACON)


def tables(**further):
    return {"log": {"level": "info"}, "network": {"timeouts": {"shutdown": 1.0}}} | further


def visit(port):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        return connection.makefile().readline().split()


def await_visit(port):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if line := visit(port):
                return line
        except OSError:
            pass
        assert time.monotonic() < deadline, "the beacon does not answer"
        time.sleep(0.05)


def events(folder):
    files = sorted((folder / "audit").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def pacs(folder, *arguments):
    config = folder / "pacs.toml"
    command = [sys.executable, "-m", "pacs_core.cli.main", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_service_answers_and_says_where(tmp_path):
    with node_process(tmp_path, tables()) as node:
        name, _, address = node.process.stdout.readline().partition(": ")
        port = int(address.rpartition(":")[2])
        assert name == "beacon"
        assert visit(port) == ["0/1", "1", "hello-from-beacon-greeting"]
        assert visit(port)[1] == "2"
        assert node.stop() == 0


def test_what_a_service_records_on_its_way_out_is_kept(tmp_path):
    with node_process(tmp_path, tables()) as node:
        node.stop()
    assert [e["details"] for e in events(tmp_path) if "beacon" in e["details"]] == [
        {"beacon": "out"}
    ]


def test_a_service_that_fails_is_run_again(tmp_path):
    port = find_free_port()
    plugin = {"beacon": {"port": port, "fail_after": 1}}
    with node_process(tmp_path, tables(plugin=plugin)) as node:
        assert await_visit(port)
        assert await_visit(port)
        node.stop()
        assert "RuntimeError: the lamp is broken" in node.log.read_text()
    failures = [e for e in events(tmp_path) if e["event"] == "service-failed"]
    assert failures
    assert failures[0]["details"]["service"] == "beacon"
    assert failures[0]["details"]["reason"] == "RuntimeError: the lamp is broken"
    assert failures[0]["outcome"] == "failure"


def test_a_port_that_is_taken_is_said_before_the_node_is_ready(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        plugin = {"beacon": {"port": port}}
        with node_process(tmp_path, tables(plugin=plugin)) as node:
            assert f"cannot listen on 127.0.0.1:{port}" in node.log.read_text()
            assert "another port in [plugin.beacon]" in node.log.read_text()


def test_a_required_plugin_without_its_port_keeps_the_node_from_starting(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        archive = ["store-filesystem", "store-cloud", "store-tiered"]
        archive += ["index-sqlite", "index-postgresql"]
        required = {"required": ["beacon"], "disabled": archive}
        plugin = {"beacon": {"port": taken.getsockname()[1]}}
        write_config(tmp_path, tables(plugin=plugin, plugins=required))
        run = pacs(tmp_path, "serve")
    assert run.returncode != 0
    assert "ready" not in run.stdout
    assert "beacon: service beacon cannot listen" in run.stderr


def test_commands_do_not_run_services(tmp_path):
    port = find_free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        write_config(tmp_path, tables(plugin={"beacon": {"port": port}}))
        (tmp_path / "empty").mkdir()
        run = pacs(tmp_path, "import", str(tmp_path / "empty"))
    assert "cannot listen" not in run.stderr
    assert not (tmp_path / "beacon").exists()


def test_workers_share_the_port_and_one_of_them_is_the_keeper(tmp_path):
    port = find_free_port()
    further = tables(node={"workers": 2}, plugin={"beacon": {"port": port}})
    with node_process(tmp_path, further) as node:
        assert {visit(port)[0] for _ in range(20)} <= {"0/2", "1/2"}
        (keeper,) = keepers(tmp_path, 1)
        assert keeper != node.process.pid
        os.kill(keeper, signal.SIGKILL)
        assert keepers(tmp_path, 2)[-1] != keeper
        assert await_visit(port)
        assert len(keepers(tmp_path, 2)) == 2
        node.stop()


def keepers(folder, count):
    deadline = time.monotonic() + PATIENCE
    while True:
        file = folder / "beacon" / "keepers"
        found = [int(line) for line in file.read_text().split()] if file.exists() else []
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{found} of {count} keepers"
        time.sleep(0.05)


def test_a_capability_that_nobody_provides(tmp_path):
    write_config(tmp_path, tables(plugins={"disabled": ["beacon-counter"]}))
    run = pacs(tmp_path, "plugins", "doctor")
    assert "requires pacs_beacon.beacon.Counter, and no plugin provides that" in run.stdout
    assert "install a plugin that provides it" in run.stdout


def test_an_optional_hook_of_a_plugin_that_is_not_there(tmp_path):
    with node_process(tmp_path, tables(plugins={"disabled": ["beacon"]})) as node:
        assert "quarantined" not in node.log.read_text()


def test_what_a_plugin_finds_wrong_is_counted_with_all_problems(tmp_path):
    plugin = {"beacon": {"colour": "black"}}
    write_config(tmp_path, tables(plugin=plugin, audit={"required": ["tape"]}))
    run = pacs(tmp_path, "config", "check")
    assert run.returncode == 2
    assert "plugin.beacon: colour: black cannot be seen" in run.stderr
    assert "no audit sink 'tape'" in run.stderr
