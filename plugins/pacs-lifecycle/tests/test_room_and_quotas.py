"""Quotas and little room, from outside: who is refused, and what goes."""

import json
import sqlite3
from contextlib import closing

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

from .test_node import PLUGINS, find, objects, pacs

IDLE = "0 0 1 1 *"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "node"


def tables(**lifecycle):
    lifecycle = {"schedule": IDLE, "grace": 0, **lifecycle}
    return {
        "archive": {"study_quiet_time": 0.2, "space": {"reserve": 0}},
        "plugin": {"jobs": {}, "lifecycle": lifecycle},
    }


async def store(peer, calling, *datasets):
    """Store datasets; return the statuses."""
    proposals = [Proposal(uid) for uid in {each.sop_class_uid for each in datasets}]
    async with connect(peer, proposals, calling_ae_title=calling) as association:
        return [
            (
                await association.c_store(each.sop_class_uid, each.sop_instance_uid, each.encode())
            ).status
            for each in datasets
        ]


def send(node, calling, *datasets):
    return anyio.run(store, node.peer, calling, *datasets)


def counted(folder, quota):
    with closing(sqlite3.connect(folder / "database.sqlite", timeout=30)) as connection:
        query = "SELECT studies, instances FROM lifecycle_quotas WHERE name = ?"
        return connection.execute(query, (quota,)).fetchone()


def complete(folder):
    with closing(sqlite3.connect(folder / "database.sqlite", timeout=30)) as connection:
        query = "SELECT count(*) FROM lifecycle_studies WHERE complete"
        return connection.execute(query).fetchone()[0]


def test_a_quota_that_is_full_refuses_cleans_or_warns(folder):
    quotas = {
        "clinic": {
            "sources": ["CLINIC"],
            "where": {"Modality": "CT"},
            "studies": 1,
            "over": "refuse",
        },
        "elsewhere": {"where": {"InstitutionName": "St. Elsewhere"}, "studies": 1, "over": "clean"},
        "all": {"bytes": 1, "over": "warn"},
    }
    rules = [{"name": "teaching", "action": "keep", "where": {"PatientID": "kept"}}]
    with node_process(folder, tables(quotas=quotas, rules=rules), plugins=PLUGINS) as node:
        first, second = SampleStudy(), SampleStudy()
        one, two = (first.make("CT", PatientID="first") for _ in range(2))
        assert send(node, "CLINIC", one) == [0x0000]
        until(lambda: counted(folder, "clinic") == (1, 1))
        other = second.make("CT", PatientID="second")
        # What was looked up is remembered for a second, so that some may come in meanwhile.
        studies = [first]

        def is_refused():
            study = SampleStudy()
            (status,) = send(node, "CLINIC", study.make("CT"))
            studies.extend([] if status else [study])
            return status == 0xA700

        until(is_refused)
        assert send(node, "CLINIC", two, other) == [0x0000, 0xA700]
        assert send(node, "CLINIC", SampleStudy().make("US")) == [0x0000]
        assert send(node, "OTHER", other) == [0x0000]
        assert "second" in anyio.run(find, node.peer)
        # Whoever makes room may be stored from again.
        until(lambda: counted(folder, "clinic") == (len(studies), len(studies) + 1))
        uids = [word for each in studies for word in ("--study", each.study_instance_uid)]
        assert pacs(folder, "delete", *uids, "--yes")[0] == 0
        until(lambda: counted(folder, "clinic") == (0, 0))
        until(lambda: send(node, "CLINIC", one) == [0x0000])

        # The oldest goes that may: not what a rule keeps.
        for name in ("kept", "older", "newer"):
            dataset = SampleStudy().make("MR", PatientID=name, InstitutionName="St. Elsewhere")
            assert send(node, "OTHER", dataset) == [0x0000]
            until(lambda name=name: name in anyio.run(find, node.peer) or name == "newer")
        until(lambda: not anyio.run(find, node.peer) & {"older", "newer"})
        assert "kept" in anyio.run(find, node.peer)
        until(lambda: counted(folder, "elsewhere") == (1, 1))
        _, told = pacs(folder, "lifecycle", "bin", "list", "--json")
        by = {json.loads(line)["deleted_by"] for line in told.splitlines()}
        assert by == {"rule quota elsewhere"}
        _, told = pacs(folder, "status")
        assert "the quota all is exceeded" in told, told


def test_room_is_made_of_the_bin_first_and_then_of_what_rules_let_go(folder):
    """More room is wanted than any disk has: so all goes that may."""
    rules = [
        {"name": "mammograms", "action": "keep", "where": {"Modality": "MG"}},
        {"name": "when it is tight", "when": "low-room", "where": {"Modality": ["CT", "MG"]}},
    ]
    room = {"clean_below": 1 << 62}
    study = SampleStudy()
    ct, mg, mr = (SampleStudy().make(each, PatientID=each) for each in ("CT", "MG", "MR"))
    waiting = {"deletions": ["commands", "rules"], "keep": 30}
    with node_process(folder, tables(rules=rules, bin=waiting), plugins=PLUGINS) as node:
        in_bin = study.make("MR", PatientID="bin")
        assert send(node, "MOD", ct, mg, mr, in_bin) == [0x0000] * 4
        assert pacs(folder, "delete", "--study", study.study_instance_uid, "--yes")[0] == 0
        assert len(objects(folder)) == 4
        # There is room: such a rule does not count.
        assert "0 studies would be deleted" in pacs(folder, "lifecycle", "plan")[1]
        # What is not complete would go a minute later only.
        until(lambda: complete(folder) == 3)
        assert node.stop() == 0
    with node_process(folder, tables(rules=rules, bin=waiting, room=room), plugins=PLUGINS) as node:
        until(lambda: len(objects(folder)) == 2)
        assert anyio.run(find, node.peer) == {"MG", "MR"}
        until(lambda: "no rule lets anything more be deleted" in node.log.read_text())
        assert send(node, "MOD", ct) == [0x0000]
        assert pacs(folder, "index", "verify")[0] == 0
    _, told = pacs(folder, "audit", "search", "--json", "--event", "lifecycle.cleaned")
    event = json.loads(told.splitlines()[-1])
    assert (event["outcome"], event["details"]["studies"]) == ("warning", 1)
