"""Priors that come from another archive by themselves: by an order, and by the first image."""

from datetime import date, timedelta

import anyio
import pytest
from attrs import evolve

from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.waiting import until

from .test_node import PLUGINS, objects, pacs
from .test_room_and_quotas import store
from .test_scrubbing import web_url

TODAY = date.today()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "node"


def prior(patient, modality, days, **more):
    day = (TODAY - timedelta(days=days)).strftime("%Y%m%d")
    return SampleStudy().make(modality, PatientID=patient, StudyDate=day, **more)


def known(folder):
    return {name.removesuffix(".dcm") for name in objects(folder)}


def test_priors_are_fetched_once_for_each_order(tmp_path, folder):
    """By C-GET for an order of the worklist, by C-MOVE when the first image comes."""
    port = find_free_port()
    late, early, other = prior("P1", "CT", 100), prior("P1", "CT", 900), prior("P1", "MR", 50)
    knee, head = (
        prior("P2", "MR", days, BodyPartExamined=part)
        for days, part in ((30, "KNEE"), (400, "HEAD"))
    )
    # Two patients of one Patient ID: the birth date tells them apart.
    namesake = prior("P2", "MR", 5, PatientBirthDate="19010101", BodyPartExamined="HEAD")
    rules = {
        "orders": {
            "peers": ["vna"],
            "count": 1,
            "same_modality": True,
            "retrieve": "get",
            "where": {"Modality": "CT"},
        },
        "arrivals": {"peers": ["vna"], "on": "study", "same_body_part": True, "max_age": 1000},
    }
    tables = {
        "node": {"port": port, "ae_title": "MAIN"},
        "archive": {"space": {"reserve": 0}},
        "plugin": {"jobs": {}, "lifecycle": {"prefetch": rules}, "sop-worklist": {}},
    }
    vna = {
        "node": {"ae_title": "VNA"},
        "peers": {"main": {"ae_title": "MAIN", "host": "127.0.0.1", "port": port}},
        "archive": {"space": {"reserve": 0}},
    }
    plugins = (*PLUGINS, "sop-worklist")
    with node_process(tmp_path / "vna", vna, plugins=PLUGINS) as archive:
        peer = archive.peer
        priors = (late, early, other, knee, head, namesake)
        assert send_to(peer, "VNA", *priors) == [0x0000] * len(priors)
        tables["peers"] = {"vna": {"ae_title": "VNA", "host": "127.0.0.1", "port": archive.port}}
        tables["node"]["data_directory"] = str(folder)
        write_config(folder, tables)
        code, told = pacs(folder, "worklist", "add", "P1", "Doe^Jane", "--modality", "CT")
        assert code == 0, told
        code, told = pacs(folder, "worklist", "add", "P*", "Wild^Card", "--modality", "CT")
        with node_process(folder, tables, plugins=plugins) as node:
            until(lambda: known(folder) == {late.sop_instance_uid})
            now = prior("P2", "MR", 0, BodyPartExamined="HEAD")
            assert send_to(node.peer, "MAIN", now) == [0x0000]
            until(lambda: head.sop_instance_uid in known(folder))
            until(lambda: succeeded(folder) == 2)
            assert known(folder) == {each.sop_instance_uid for each in (late, now, head)}
            assert "lifecycle.prefetch" not in pacs(folder, "jobs", "list", "--state", "failed")[1]


def test_priors_are_fetched_over_dicomweb(tmp_path, folder):
    """From a server that has no AE title; page by page, and no namesake's."""
    knee, head, old = (
        prior("P2", "MR", days, BodyPartExamined=part)
        for days, part in ((30, "KNEE"), (400, "HEAD"), (2000, "HEAD"))
    )
    namesake = prior("P2", "MR", 5, PatientBirthDate="19010101", BodyPartExamined="HEAD")
    rule = {"peers": ["cloud"], "on": "study", "same_body_part": True, "max_age": 1000}
    web = {"plugin": {"web": {"port": 0}}}
    with node_process(tmp_path / "cloud", web, plugins=(*PLUGINS, "web", "dicomweb")) as cloud:
        url = web_url(cloud)
        priors = (knee, head, old, namesake)
        assert send_to(cloud.peer, "PACS", *priors) == [0x0000] * len(priors)
        tables = {
            "archive": {"space": {"reserve": 0}},
            "peers": {"cloud": {"dicomweb": url}},
            "plugin": {"jobs": {}, "lifecycle": {"prefetch": {"arrivals": rule}}},
        }
        with node_process(folder, tables, plugins=PLUGINS) as node:
            now = prior("P2", "MR", 0, BodyPartExamined="HEAD")
            assert send_to(node.peer, "PACS", now) == [0x0000]
            until(lambda: succeeded(folder) == 1)
            assert known(folder) == {each.sop_instance_uid for each in (now, head)}
        cloud.stop()
        with node_process(folder, tables, plugins=PLUGINS) as node:
            another = prior("P3", "MR", 0, BodyPartExamined="HEAD")
            assert send_to(node.peer, "PACS", another) == [0x0000]
            until(lambda: "cannot be reached" in pacs(folder, "jobs", "list", "--json")[1])


def test_peers_that_cannot_be_asked_are_told(tmp_path):
    rule = {"peers": ["nobody"], "on": "study"}
    write_config(tmp_path, {"plugin": {"jobs": {}, "lifecycle": {"prefetch": {"x": rule}}}})
    code, told = pacs(tmp_path, "config", "check")
    assert code != 0
    assert "prefetch.x: there is no peer 'nobody' with an AE title or dicomweb" in told


def succeeded(folder):
    return pacs(folder, "jobs", "list", "--state", "succeeded")[1].count("lifecycle.prefetch")


def send_to(peer, title, *datasets):
    return anyio.run(store, evolve(peer, ae_title=title), "MOD", *datasets)
