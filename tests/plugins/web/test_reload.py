"""Limits and waits of the web server that change while it serves."""

import signal

import httpx
import pytest

from pacs_core.testing.node import write_config

from .conftest import run_web, wait_for, without


@pytest.fixture
def reload(tmp_path):
    """Return a function that gives a node other settings, and returns what it logs of that."""

    def reload(web, until, **config):
        tables = {
            "log": {"level": "info"},
            "plugin": {"web": {"port": 0, **config}},
            "plugins": {"disabled": without("bulletin")},
        }
        write_config(tmp_path, tables)
        before = len(web.log)
        web.node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: until in web.log[before:], web.log)
        return web.log[before:]

    return reload


def test_limits_take_effect_without_a_restart(bulletin, tmp_path, reload):
    with run_web(tmp_path) as web:
        path = "/bulletin/" + "x" * 400
        assert web.get(path).status_code == 404
        logged = reload(
            web, "plugin.web.access_log", max_target=256, access_log="off", compression=False
        )
        assert "these settings need a restart: plugin.web.compression" in logged
        assert web.get(path).status_code == 414
        before = web.log
        assert web.is_healthy()
        assert web.log == before  # nothing is said of requests any more
        reload(web, "plugin.web.max_target", access_log="path")
        assert web.get(path).status_code == 404
        assert "/bulletin/xxx" in web.log


def test_connections_and_waits_of_new_connections_go_by_new_settings(bulletin, tmp_path, reload):
    with run_web(tmp_path) as web:
        idle = web.connect()
        changed = {"connections_per_address": 1, "timeouts": {"head": 0.5}}
        reload(web, "plugin.web.connections_per_address", **changed)
        with web.connect() as first:  # the one that is idle makes way
            assert first.recv(1000) == b""  # and this one did not ask in time
        idle.close()
        reload(web, "plugin.web.connections_per_address")
        with httpx.Client(base_url=web.url) as one, httpx.Client(base_url=web.url) as two:
            assert one.get("/health/ready").status_code == 200
            assert two.get("/health/ready").status_code == 200


def test_a_wrong_limit_changes_nothing(bulletin, tmp_path, reload):
    with run_web(tmp_path) as web:
        logged = reload(web, "goes on with the configuration that it had", max_target=1)
        assert "plugin.web.max_target" in logged
        assert web.is_healthy()


def test_dicomweb_and_pages_go_by_new_settings(tmp_path):
    plugins = ("dicomweb", "web-ui")

    def tables(**changed):
        own = {"dicomweb": {}, "web-ui": {}} | changed
        return {
            "log": {"level": "info"},
            "plugin": {"web": {"port": 0}, **own},
            "plugins": {"disabled": without(*plugins)},
        }

    with run_web(tmp_path, plugins=plugins) as web:
        none, page = "/dicom-web/studies?PatientID=nobody", "/api/studies/1.2.3"
        study = f"{web.url}/dicom-web/studies/1.2.3"
        assert web.get(none).status_code == 200
        assert "deletion is off" in httpx.delete(web.url + page).text
        assert httpx.delete(study).status_code == 405
        write_config(
            tmp_path,
            tables(
                **{"dicomweb": {"no_results": 204, "delete": True}, "web-ui": {"deletion": True}}
            ),
        )
        before = len(web.log)
        web.node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "plugin.dicomweb.no_results" in web.log[before:], web.log)
        assert "need a restart" not in web.log[before:]
        assert web.get(none).status_code == 204
        assert "deletion is off" not in httpx.delete(web.url + page).text
        assert httpx.delete(study).status_code == 404  # there is none, but it could be deleted
        assert "DELETE" in httpx.options(study, headers={"Accept": "text/plain"}).headers["allow"]
        write_config(tmp_path, tables())
        before = len(web.log)
        web.node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "plugin.dicomweb.delete" in web.log[before:], web.log)
        assert httpx.delete(study).status_code == 405
