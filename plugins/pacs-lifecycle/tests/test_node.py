"""A node from outside: rules, the bin, holds; what C-FIND finds meanwhile."""

import io
import json
import re
import sqlite3
from contextlib import closing, redirect_stderr, redirect_stdout
from hashlib import sha256
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import anyio
import pytest
from pacs_jobs.api import JobQueue, NewJob

from pacs_core.api.commands import assemble, load_config, main, open_archive
from pacs_core.association import Proposal, connect
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, tag_of, texts
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

PLUGINS = (
    "audit-json", "database", "index-sqlite", "jobs", "lifecycle", "sop-query-retrieve",
    "sop-storage", "store-filesystem",
)  # fmt: skip
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
NAMES = ("old", "young", "child", "excepted", "held")
STUDIES = {name: SampleStudy() for name in NAMES}
DATASETS = {
    name: [
        STUDIES[name].make(
            "CT",
            PatientID=name,
            StudyDate="20260101" if name == "young" else "20100101",
            PatientBirthDate="20090101" if name == "child" else "19500101",
            InstanceNumber=str(number),
        )
        for number in (1, 2)
    ]
    for name in NAMES
}
DATASETS["excepted"].append(
    STUDIES["excepted"].make("MG", PatientID="excepted", StudyDate="20100101")
)
RULES = [
    {"name": "children", "action": "keep", "where": {"PatientBirthDate": "20080101-"}},
    {
        "name": "ten years",
        "older_than": 3653,
        "where": {"Modality": "CT"},
        "unless": {"Modality": "MG"},
        "sources": ["PACS*"],
    },
]


def tables(rules=RULES, **lifecycle):
    return {
        "archive": {"study_quiet_time": 0.3, "space": {"reserve": 0}},
        "plugin": {"jobs": {}, "lifecycle": {"rules": rules, "schedule": "0 0 1 1 *", **lifecycle}},
    }


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "node"


def pacs(folder, *arguments):
    """Run a command in this process, which costs no imports; return code and output."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main([*arguments, "--config", str(folder / "pacs.toml")])
    return code, said.getvalue()


def planned(folder):
    code, told = pacs(folder, "lifecycle", "plan", "--kept", "--json")
    assert code == 0, told
    names = {study.study_instance_uid: name for name, study in STUDIES.items()}
    found = [json.loads(line) for line in told.splitlines()]
    return {names[each["study"]]: (each["rule"], each["goes"], each["obstacles"]) for each in found}


def age(folder, days):
    """Let all studies have come so long ago."""
    with closing(sqlite3.connect(folder / "database.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE lifecycle_studies SET arrived = arrived - ?", (days * 86400,))


async def store(peer):
    datasets = [each for some in DATASETS.values() for each in some]
    classes = {each.sop_class_uid for each in datasets}
    async with connect(
        peer, [Proposal(uid) for uid in classes], calling_ae_title="PACSMOD"
    ) as association:
        for each in datasets:
            response = await association.c_store(
                each.sop_class_uid, each.sop_instance_uid, each.encode()
            )
            assert response.status == 0x0000


async def find(peer):
    """Return the names of the studies that C-FIND finds."""
    keys = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("PatientID"): ()}
    proposal = Proposal(FIND, (EXPLICIT_VR_LITTLE_ENDIAN,))
    async with connect(peer, [proposal]) as association:
        responses = [each async for each in association.c_find(FIND, keys)]
    return {"".join(texts(match, tag_of("PatientID"))) for _, match in responses if match}


def digests(peer, name):
    received = {}

    def take(uid, chunk):
        received.setdefault(uid, sha256()).update(chunk)

    keys = {"StudyInstanceUID": STUDIES[name].study_instance_uid}
    last = anyio.run(retrieve, peer, keys, DATASETS[name][0].sop_class_uid, take)
    return last.status, {uid: digest.digest() for uid, digest in received.items()}


def digests_of(name):
    return {each.sop_instance_uid: sha256(each.encode()).digest() for each in DATASETS[name]}


async def enqueue(folder, kind):
    assembly = assemble(load_config(folder / "pacs.toml"))
    async with open_archive(assembly, requires=(JobQueue,)) as opened:
        await opened.node.find(JobQueue).enqueue(NewJob(kind))


def objects(folder):
    return {path.name for path in (folder / "objects").rglob("*.dcm")}


def test_what_rules_delete_waits_in_the_bin_and_comes_back(folder):
    uid = {name: study.study_instance_uid for name, study in STUDIES.items()}
    with node_process(folder, tables(), plugins=PLUGINS) as node:
        anyio.run(store, node.peer)
        everything = objects(folder)
        assert pacs(folder, "lifecycle", "hold", uid["held"], "--reason", "case 4711")[0] == 0
        # Nothing goes that is incomplete, or has only just come, however old it is.
        assert planned(folder) == {}
        until(lambda: "complete = 1" if all_complete(folder) else "")
        assert planned(folder) == {}
        # Again, as long as the node hears of what came.
        until(lambda: age(folder, 8) or len(planned(folder)) == 3)
        plan = planned(folder)
        assert plan["old"] == ("ten years", True, [])
        assert plan["child"] == ("children", False, [])
        assert plan["held"][:2] == ("ten years", False)
        assert "lifecycle: case 4711" in plan["held"][2][0]
        code, told = pacs(folder, "lifecycle", "run")
        assert (code, "nothing was deleted" in told) == (0, True)
        assert "\n1 study would be deleted, 1 would not\n" in told
        assert anyio.run(find, node.peer) == set(NAMES)

        anyio.run(enqueue, folder, "lifecycle.sweep")
        until(lambda: anyio.run(find, node.peer) == set(NAMES) - {"old"})
        until(lambda: "1 study deleted (2 instances), " in pacs(folder, "jobs", "list")[1])
        assert digests(node.peer, "old")[1] == {}
        assert objects(folder) == everything
        code, told = pacs(folder, "lifecycle", "bin", "list", "--json")
        (listed,) = map(json.loads, told.splitlines())
        assert (listed["study"], listed["instances"]) == (uid["old"], 2)
        assert (listed["patient"].split()[0], listed["deleted_by"]) == ("old", "rule ten years")
        # Neither is an orphan, and a rebuild brings nothing back.
        assert pacs(folder, "index", "verify")[0] == 0
        assert pacs(folder, "index", "rebuild")[0] == 0
        assert anyio.run(find, node.peer) == set(NAMES) - {"old"}
        # What is held is deleted by no door.
        code, told = pacs(folder, "delete", "--study", uid["held"], "--yes")
        assert (code, "case 4711" in told) == (1, True), told

        code, told = pacs(folder, "lifecycle", "bin", "restore", uid["old"])
        assert (code, told) == (0, "1 study (2 instances) restored\n")
        assert anyio.run(find, node.peer) == set(NAMES)
        assert digests(node.peer, "old") == (0x0000, digests_of("old"))
        code, told = pacs(folder, "lifecycle", "bin", "restore", uid["old"])
        assert (code, "the bin has nothing of that" in told) == (1, True)
        # It has just come, as far as rules are concerned.
        until(lambda: "old" not in planned(folder))
        assert pacs(folder, "lifecycle", "release", uid["held"])[0] == 0
        assert pacs(folder, "index", "verify")[0] == 0
        # A deletion by hand does not wait, if the bin is not for that.
        _, told = pacs(folder, "delete", "--study", uid["young"], "--yes")
        assert told == f"{len(DATASETS['young'])} instances deleted\n"
        gone = {f"{each.sop_instance_uid}.dcm" for each in DATASETS["young"]}
        assert objects(folder) == everything - gone
        assert node.stop() == 0
    kinds = ("lifecycle.held", "lifecycle.restored", "lifecycle.released", "delete")
    asked = [word for kind in kinds for word in ("--event", kind)]
    _, told = pacs(folder, "audit", "search", "--json", *asked)
    events = [json.loads(line) for line in reversed(told.splitlines())]
    assert [each["event"] for each in events] == [
        "lifecycle.held", "delete", "delete", "lifecycle.restored", "lifecycle.released", "delete",
    ]  # fmt: skip
    assert events[1]["user"] == "rule ten years"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_what_is_scheduled_comes_by_itself(folder):
    """Each minute, as cron expressions say: rules, scrubbing and the comparison of index and store.

    Nobody asks for it.
    """
    minutely = {"schedule": "* * * * *"}
    configured = tables(**minutely, scrub={"every": 1, "rate": 0, **minutely}, check=minutely)
    with node_process(folder, configured, plugins=PLUGINS) as node:
        anyio.run(store, node.peer)
        until(lambda: all_complete(folder))
        until(lambda: age(folder, 8) or anyio.run(find, node.peer) != set(NAMES), 150)
        until(lambda: anyio.run(find, node.peer) == set(NAMES) - {"old", "held"})
        until(lambda: "2 studies deleted" in pacs(folder, "jobs", "list")[1])
        wanted = {"lifecycle.sweep", "lifecycle.scrub", "lifecycle.check"}
        until(lambda: wanted <= kinds_of_jobs(folder, "succeeded"))
        # And the next ones are planned.
        until(lambda: wanted <= kinds_of_jobs(folder, "waiting"))


def kinds_of_jobs(folder, state):
    _, told = pacs(folder, "jobs", "list", "--state", state, "--json")
    return {json.loads(line)["kind"] for line in told.splitlines()}


def all_complete(folder):
    with closing(sqlite3.connect(folder / "database.sqlite")) as connection:
        rows = connection.execute("SELECT complete FROM lifecycle_studies").fetchall()
    return len(rows) == len(NAMES) and all(complete for (complete,) in rows)


def ask(port, path, method="GET"):
    """Return status and answer of the API."""
    request = Request(f"http://127.0.0.1:{port}/api/lifecycle/{path}", method=method)
    try:
        with urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_bin_takes_what_commands_delete_and_is_emptied(folder):
    waiting_bin = {"deletions": ["commands"], "keep": 30}
    write_config(folder, tables((), bin=waiting_bin))
    uid = STUDIES["old"].study_instance_uid
    configured = tables((), bin=waiting_bin)
    configured["plugin"]["web"] = {"port": 0}
    with node_process(folder, configured, plugins=(*PLUGINS, "web")) as node:
        port = re.match(r"web: http://127\.0\.0\.1:(\d+)/", node.process.stdout.readline())[1]
        anyio.run(store, node.peer)
        everything = objects(folder)
        of_study = {f"{each.sop_instance_uid}.dcm" for each in DATASETS["old"]}
        told = pacs(folder, "delete", "--study", uid, "--yes")
        assert told == (0, "2 instances deleted, kept in the deletion bin for a while\n")
        assert anyio.run(find, node.peer) == set(NAMES) - {"old"}
        assert objects(folder) == everything
        # Nothing is purged before its time.
        anyio.run(enqueue, folder, "lifecycle.empty")
        until(lambda: "succeeded" in pacs(folder, "jobs", "list", "--state", "succeeded")[1])
        assert objects(folder) == everything
        with closing(sqlite3.connect(folder / "database.sqlite", isolation_level=None)) as database:
            database.execute("UPDATE lifecycle_bin SET deleted = deleted - ?", (31 * 86400,))
        anyio.run(enqueue, folder, "lifecycle.empty")
        until(lambda: objects(folder) == everything - of_study)
        until(lambda: pacs(folder, "lifecycle", "bin", "list", "--json") == (0, ""))
        # By hand, and only what is named.
        for name in ("young", "child"):
            study = STUDIES[name].study_instance_uid
            assert pacs(folder, "delete", "--study", study, "--yes")[0] == 0
        study = STUDIES["young"].study_instance_uid
        code, told = pacs(folder, "lifecycle", "bin", "empty", "--study", study)
        assert (code, told.split(" (")[0]) == (0, "1 study")
        code, told = pacs(folder, "lifecycle", "bin", "empty", "--study", study, "--yes")
        assert (code, told) == (0, "1 study (2 instances) removed for good\n")
        study = STUDIES["child"].study_instance_uid
        (listed,) = ask(port, "bin")[1]["studies"]
        assert (listed["study"], listed["instances"]) == (study, 2)
        assert ask(port, "")[1]["bin"]["studies"] == 1
        assert ask(port, f"bin/restore?study={study}", "POST") == (200, {"instances": 2})
        assert ask(port, f"bin/restore?study={study}", "POST")[0] == 404
        assert ask(port, "bin/restore?study=..", "POST")[0] == 400
        held = f"holds/add?study={study}&reason=case%204711"
        assert ask(port, held, "POST") == (200, {"study": study})
        assert ask(port, "holds")[1]["holds"][0]["reason"] == "case 4711"
        assert pacs(folder, "delete", "--study", study, "--yes")[0] == 1
        assert ask(port, f"holds/release?study={study}", "POST")[0] == 200
        assert ask(port, "faults") == (200, {"faults": []})
        assert anyio.run(find, node.peer) == {"child", "excepted", "held"}
        assert pacs(folder, "index", "verify")[0] == 0
