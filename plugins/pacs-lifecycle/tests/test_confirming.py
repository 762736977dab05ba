"""What a rule needs of another archive: asked when a study is to go, and never assumed."""

import json
import sqlite3
from contextlib import asynccontextmanager, closing
from types import SimpleNamespace

import anyio
import pytest
from attrs import define, evolve
from pacs_lifecycle.confirming import Confirmations

from pacs_core.contracts import ConnectError, NodeSettings, Peer
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.operations import memory_node
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.waiting import until

from .test_node import PLUGINS, pacs
from .test_room_and_quotas import store

NEEDS = {"found": "found:vna", "committed": "commitment:vna", "sent": "routed:vna"}
MORE = (*PLUGINS, "sop-storage-commitment")


def plan(folder):
    """Return why each patient's study is not deleted; nothing for one that is."""
    code, told = pacs(folder, "lifecycle", "plan", "--json")
    assert code == 0, told
    found = [json.loads(line) for line in told.splitlines()]
    return {each["rule"]: "; ".join(each["obstacles"]) for each in found}


def routed(folder):
    with closing(sqlite3.connect(folder / "database.sqlite", timeout=30)) as connection:
        query = "SELECT count(*) FROM routing_deliveries WHERE state = 'sent'"
        return connection.execute(query).fetchone()[0]


def age(folder):
    with closing(sqlite3.connect(folder / "database.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE lifecycle_studies SET arrived = 1, complete = 1")
        rows = connection.execute("SELECT count(*) FROM lifecycle_studies").fetchone()
    return rows == (len(NEEDS),)


@pytest.mark.long
def test_nothing_goes_that_the_other_archive_lacks(tmp_path):
    folder, port = tmp_path / "node", find_free_port()
    studies = {name: SampleStudy() for name in NEEDS}
    datasets = {
        name: [study.make(each, PatientID=name, StudyDate="20000101") for each in ("CT", "MR")]
        for name, study in studies.items()
    }
    rules = [
        {"name": name, "older_than": 1, "where": {"PatientID": name}, "needs": [need]}
        for name, need in NEEDS.items()
    ]
    # Of the study that is to be sent, one series goes first.
    sending = {"sent": {"where": {"PatientID": "sent", "Modality": "CT"}, "to": ["vna"]}}
    vna = {
        "node": {"ae_title": "VNA"},
        "archive": {"space": {"reserve": 0}},
        "peers": {"main": {"ae_title": "MAIN", "host": "127.0.0.1", "port": port}},
    }
    with node_process(tmp_path / "vna", vna, plugins=MORE) as archive:
        there = evolve(archive.peer, ae_title="VNA")
        tables = {
            "node": {"ae_title": "MAIN", "port": port},
            "archive": {"space": {"reserve": 0}},
            "peers": {"vna": {"ae_title": "VNA", "host": "127.0.0.1", "port": archive.port}},
            "plugin": {
                "jobs": {},
                "lifecycle": {"rules": rules, "schedule": "0 0 1 1 *"},
                "routing": {"rules": sending},
            },
        }
        with node_process(folder, tables, plugins=(*MORE, "routing")) as node:
            here = evolve(node.peer, ae_title="MAIN")
            for some in datasets.values():
                assert anyio.run(store, here, "MOD", *some) == [0x0000] * 2
            until(lambda: routed(folder) == 1)
            # Again, as long as the node hears of what came.
            until(lambda: age(folder) and set(plan(folder)) == set(NEEDS))
            assert plan(folder) == {
                "found": "found:vna: vna does not find 2 of 2 instances",
                "committed": "commitment:vna: vna does not commit to 2 of 2 instances",
                "sent": "routed:vna: 1 of 2 instances were not sent to vna",
            }
            # Half is not enough.
            for name in ("found", "committed"):
                assert anyio.run(store, there, "MOD", datasets[name][0]) == [0x0000]
            assert plan(folder)["found"] == "found:vna: vna does not find 1 of 2 instances"
            assert "1 of 2" in plan(folder)["committed"]
            for name in ("found", "committed"):
                assert anyio.run(store, there, "MOD", datasets[name][1]) == [0x0000]
            sent = studies["sent"].study_instance_uid
            assert pacs(folder, "routes", "send", sent, "--to", "vna")[0] == 0
            until(lambda: routed(folder) == 2)
            assert plan(folder) == dict.fromkeys(NEEDS, "")
        # A peer that is away is a no.
        assert archive.stop() == 0
    refused = plan(folder)
    assert all(refused[name] for name in ("found", "committed"))


@define
class Finder:
    """Finds instances by C-FIND, or fails."""

    uids: list[str]
    status: int = 0x0000
    is_away: bool = False

    @asynccontextmanager
    async def connect(self, peer, proposals, **_):
        if self.is_away:
            raise ConnectError(f"{peer}: connection refused")
        yield self

    async def c_find(self, sop_class, identifier):
        assert identifier[tag_of("QueryRetrieveLevel")] == ("IMAGE",)
        assert len(identifier[tag_of("SeriesInstanceUID")]) == 1
        for uid in self.uids:
            yield SimpleNamespace(status=0xFF00), {tag_of("SOPInstanceUID"): (uid,)}
        yield SimpleNamespace(status=self.status), None


STUDY = SampleStudy()
INSTANCES = [STUDY.make(modality) for modality in ("CT", "CT", "MR")]
UIDS = [each.sop_instance_uid for each in INSTANCES]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("finder", "lack"),
    [
        (Finder([*UIDS, "1.2.3"]), ""),
        (Finder(UIDS[1:]), "vna does not find 1 of 3 instances"),
        (Finder([]), "vna does not find 3 of 3 instances"),
        (Finder(UIDS, status=0xA700), "out of resources"),
        (Finder(UIDS, is_away=True), "connection refused"),
    ],
)
async def test_a_peer_that_does_not_find_all_is_a_no(finder, lack):
    settings = NodeSettings(peers={"vna": Peer("VNA", "127.0.0.1", 104)})
    node = memory_node(settings, [each.encode() for each in INSTANCES])
    node = evolve(node, connector=finder)
    said = await Confirmations(node).lack("found:vna", STUDY.study_instance_uid)
    assert bool(said) is bool(lack)
    assert lack in said
    # What cannot be asked is a no as well.
    for need in ("found:nobody", "routed:vna", "commitment:vna"):
        assert await Confirmations(node).lack(need, STUDY.study_instance_uid)
