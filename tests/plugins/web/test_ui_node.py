"""Pages of the node and of a study's history: what is told, and to whom."""

import re

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from .conftest import run_web, wait_for
from .test_ui import PLUGINS, XSS, studies, study_of, token_of, upload


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """A node whose configuration comes from many sides."""
    tables = {
        "peers": {"ward": {"ae_title": "WARD", "host": "127.0.0.1", "port": 1}},
        "plugin": {"web": {"port": 0}, "web-ui": {"page_size": 7}},
    }
    with run_web(tmp_path_factory.mktemp("ui"), plugins=PLUGINS, **tables) as running:
        upload(running, study_of("Doe^Jane", PatientID="P1"))
        upload(running, study_of(f"{XSS}^Evil", PatientID=f'"{XSS}'))
        yield running


def test_the_page_tells_the_port_that_was_taken(ui):
    page = ui.get("/ui/node")
    assert page.status_code == 200
    assert f"127.0.0.1:{ui.node.port}" in page.text
    state = ui.get("/api/node/status").json()
    assert state["addresses"] == [f"127.0.0.1:{ui.node.port}"]
    assert (state["studies"], state["instances"]) == (2, 4)
    assert state["warnings"] == []
    assert {each["kind"] for each in state["queues"]} >= {"write-behind", "audit"}
    assert "web-ui" in {each["name"] for each in state["plugins"]}
    (disk, *_) = state["disks"]
    assert disk["total"] > disk["free"] > 0
    assert "<svg" in page.text
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", page.text)


def test_operations_are_counted(ui):
    ae = AE("CHECK")
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", ui.node.port)
    assert association.send_c_echo().Status == 0
    association.release()

    def counted():
        found = {e["operation"]: e for e in ui.get("/api/node/status").json()["durations"]}
        return found if "C-ECHO" in found else None

    found = wait_for(counted, "nothing is counted")
    assert found.keys() == {"C-ECHO", "HTTP"}
    assert found["C-ECHO"]["count"] == 1
    assert found["HTTP"]["count"] >= 1
    assert all(0 < each["mean"] < 60_000 for each in found.values())
    assert "C-ECHO" in ui.get("/ui/node").text


def test_each_value_has_its_origin(ui):
    values = {each["path"]: each for each in ui.get("/api/node/configuration").json()}
    assert values["plugin.web-ui.page_size"]["value"] == "7"
    assert values["plugin.web-ui.page_size"]["origin"] == "file"
    assert values["archive.duplicates"]["origin"] == "default"
    page = ui.get("/ui/node/configuration").text
    assert "[plugin.web-ui]" in page
    assert str(ui.node.data_directory / "pacs.toml") in page


def test_an_echo_is_answered_on_the_page(ui):
    with ui.client() as client:
        token = token_of(client.get("/ui/node"))
        assert client.post("/ui/peers/ward/echo", data={"csrf": "x"}).status_code == 403
        page = client.post("/ui/peers/ward/echo", data={"csrf": token})
    assert "WARD@127.0.0.1:1" in page.text or "127.0.0.1" in page.text
    assert 'role="status"' in page.text


def test_a_study_has_a_history(ui):
    (study,) = studies(ui, "PatientID=P1")["studies"]
    at = f"/ui/studies/{study['study_instance_uid']}"
    ui.get(at)
    assert f'href="{at}/history"' in ui.get(at).text
    for what in ("Stored", "Looked at", "History looked at"):
        wait_for(lambda what=what: what in ui.get(f"{at}/history").text, f"no event: {what}")
    german = ui.get(f"{at}/history", headers={"accept-language": "de"}).text
    assert "Angesehen" in german
    assert ui.get("/ui/studies/1.2.3/history").status_code == 404


def test_markup_in_the_history_is_text(ui):
    (study,) = [e for e in studies(ui)["studies"] if "Evil" in e["patient_name"]]
    page = ui.get(f"/ui/studies/{study['study_instance_uid']}/history")
    assert XSS not in page.text


def test_what_goes_wrong_is_a_page(ui):
    page = ui.get("/ui/studies/1.2.3", headers={"accept-language": "de"})
    assert page.status_code == 404
    assert "Das ging nicht" in page.text
    assert 'role="alert" lang="en"' in page.text  # reasons are in English (WCAG 2.2, 3.1.2)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_what_is_nowhere_is_a_page(ui):
    page = ui.get("/nowhere", headers={"accept": "text/html", "accept-language": "de"})
    assert page.status_code == 404
    assert '<html lang="de">' in page.text
    assert 'role="alert" lang="en"' in page.text
