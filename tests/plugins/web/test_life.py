"""The life of the web server: ports, workers, draining, and what plugins break."""

import os
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from pacs_core.testing.node import node_process, write_config

from .conftest import PATIENCE, run_web, wait_for, without

DISABLED = without()


def pacs(folder, *arguments):
    command = [sys.executable, "-m", "pacs_core.cli.main", *arguments]
    command += ["--config", str(folder / "pacs.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def taken():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_download_is_finished_before_the_node_ends(bulletin, tmp_path):
    with run_web(tmp_path, network={"timeouts": {"shutdown": 10.0}}) as web:
        idle = web.connect()
        got = []

        def download():
            got.append(len(web.get("/streams/send?pieces=40&pause=0.05").content))

        thread = threading.Thread(target=download)
        thread.start()
        wait_for(lambda: web.get("/streams/work").json() == ["sending"], "not sending")
        assert web.node.stop() == 0
        thread.join(PATIENCE)
        assert got == [40 * 16384]
        assert idle.recv(10) == b""
        idle.close()
        assert "Traceback" not in web.log


def test_a_download_that_takes_too_long_is_cut_off(bulletin, tmp_path):
    with run_web(tmp_path) as web:
        with web.connect() as connection:
            request = (
                b"GET /streams/send?pieces=100000&pause=0.05 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            connection.sendall(request)
            connection.recv(1000)
            assert web.node.stop() == 0
        assert "Task was destroyed" not in web.log


def test_workers_share_the_port(bulletin, tmp_path):
    with run_web(tmp_path, node={"workers": 2}) as web:

        def workers():
            return {web.get("/bulletin/who").json()["worker"] for _ in range(40)}

        assert workers() <= {0, 1}
        held = [web.connect() for _ in range(16)]
        assert web.is_healthy()
        for each in held:
            each.close()
        assert web.node.stop() == 0


def test_a_worker_that_is_killed_takes_the_port_with_it_from_nobody(bulletin, tmp_path):
    with run_web(tmp_path, node={"workers": 2}) as web:
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(web.node.process.pid)],
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        os.kill(int(children[0]), signal.SIGKILL)
        wait_for(lambda: answers(web), "nobody answers")
        assert web.node.stop() == 0


def answers(web):
    try:
        return web.is_healthy()
    except httpx.TransportError:
        return False


def test_a_node_that_was_killed_has_its_port_again(bulletin, tmp_path):
    with run_web(tmp_path) as web:
        port = web.port
        assert web.is_healthy()
        web.node.kill()
    with run_web(tmp_path, {"port": port}) as web:
        assert web.port == port
        assert web.is_healthy()


def test_without_its_port_the_node_runs_on_and_says_what_to_do(tmp_path, taken):
    tables = {"plugin": {"web": {"port": taken}}, "plugins": {"disabled": DISABLED}}
    with node_process(tmp_path, tables) as node:
        assert f"service web cannot listen on 127.0.0.1:{taken}" in node.log.read_text()
        assert "another port in [plugin.web]" in node.log.read_text()
        assert node.stop() == 0


def test_the_doctor_says_that_the_port_is_taken(tmp_path, taken):
    tables = {"plugin": {"web": {"port": taken}}, "plugins": {"disabled": DISABLED}}
    write_config(tmp_path, tables)
    run = pacs(tmp_path, "plugins", "doctor")
    assert f"127.0.0.1:{taken}" in run.stdout
    assert "[plugin.web]" in run.stdout


def test_the_doctor_finds_nothing_wrong_with_a_port_that_is_free(tmp_path):
    write_config(tmp_path, {"plugin": {"web": {"port": 0}}, "plugins": {"disabled": DISABLED}})
    assert "cannot listen" not in pacs(tmp_path, "plugins", "doctor").stdout


def test_where_it_is_required_the_node_does_not_start_without_its_port(tmp_path, taken):
    plugins = {"disabled": DISABLED, "required": ["web"]}
    write_config(tmp_path, {"plugin": {"web": {"port": taken}}, "plugins": plugins})
    run = pacs(tmp_path, "serve")
    assert run.returncode != 0
    assert "ready" not in run.stdout
    assert "service web cannot listen" in run.stderr


def test_routes_that_cannot_be_created_take_no_others_with_them(bulletin, tmp_path):
    with run_web(tmp_path, plugins=("bulletin", "bulletin-broken")) as web:
        assert web.get("/bulletin/notices").status_code == 200
        assert web.get("/broken/").status_code == 404
        assert "RuntimeError: the routes are not there" in web.log


def test_a_guard_that_does_not_start_keeps_the_server_shut(bulletin, tmp_path):
    with run_web(tmp_path, plugins=("bulletin", "bulletin-sleeper")) as web:
        wait_for(lambda: "the guard does not wake up" in web.log, "nothing is said")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{web.url}/bulletin/notices", timeout=2)
        assert web.node.stop() == 0


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"base_path": "pacs/"}, "begin with a slash"),
        ({"trusted_proxies": ["nginx"]}, "trusted_proxies"),
        ({"cors_origins": ["*"], "cors_credentials": True}, "cors_credentials"),
        ({"port": 70000}, "70000"),
        ({"port": -1}, "port"),
        ({"timeouts": {"head": 0}}, "timeouts"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, table, problem):
    tables = {"plugin": {"web": table}, "plugins": {"disabled": DISABLED}}
    write_config(tmp_path, tables)
    run = pacs(tmp_path, "config", "check")
    assert run.returncode != 0
    assert problem in run.stdout + run.stderr
