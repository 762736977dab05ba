"""A node with two tiers, from outside: the job, recall for C-GET, C-MOVE and WADO, the audit."""

import io
import json
import os
import re
import sqlite3
from collections import Counter
from contextlib import closing, redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import anyio
import pytest
from pacs_jobs.api import JobQueue, NewJob
from pynetdicom import AE, evt

from pacs_core.api.commands import assemble, load_config, main, open_archive
from pacs_core.archive import pacing
from pacs_core.association import Proposal, connect
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

PLUGINS = (
    "audit-json", "database", "dicomweb", "index-sqlite", "jobs", "sop-query-retrieve",
    "sop-storage", "store-filesystem", "store-tiered", "web",
)  # fmt: skip
COUNT = 2
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDIES = {name: SampleStudy() for name in ("old", "pinned", "away", "moved")}
DATASETS = {name: [study.make("CT") for _ in range(COUNT)] for name, study in STUDIES.items()}
DATASETS["old"].append(STUDIES["old"].make("MG"))


def tables(receiver, policies=({"to": "hot", "modalities": ["MG"]}, {"to": "cold"}), **main):
    return {
        "peers": {"RECEIVER": {"ae_title": "RECEIVER", "host": "127.0.0.1", "port": receiver.port}},
        "archive": {"store": "main", "study_quiet_time": 0.3, "space": {"reserve": 0}},
        "stores": {
            "main": {"type": "tiered", "hot": "ssd", "cold": "tape", **main},
            "ssd": {"type": "filesystem"},
            "tape": {"type": "filesystem"},
        },
        "plugin": {
            "jobs": {},
            "web": {"port": 0},
            "store-tiered": {
                "policies": list(policies),
                "schedule": "0 0 1 1 *",
            },
        },
    }


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "node"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def run_pacs(*arguments):
    """Run a command in this process, which costs no imports; return code and output."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main([*arguments])
    return code, said.getvalue()


def pacs(folder, *arguments):
    return run_pacs(*arguments, "--config", str(folder / "pacs.toml"))


def of(name):
    return f"StudyInstanceUID={STUDIES[name].study_instance_uid}"


async def store(peer):
    datasets = [each for some in DATASETS.values() for each in some]
    classes = {each.sop_class_uid for each in datasets}
    async with connect(peer, [Proposal(uid) for uid in classes]) as association:
        for each in datasets:
            response = await association.c_store(
                each.sop_class_uid, each.sop_instance_uid, each.encode()
            )
            assert response.status == 0x0000


async def enqueue(folder):
    assembly = assemble(load_config(folder / "pacs.toml"))
    async with open_archive(assembly, requires=(JobQueue,)) as opened:
        await opened.node.find(JobQueue).enqueue(NewJob("store-tiered.migrate"))


def age(folder, seconds):
    """Let all studies have come so long ago."""
    with closing(sqlite3.connect(folder / "database.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE tiered_studies SET arrived = arrived - ?", (seconds,))


def digests(peer, name):
    """Retrieve the images of a study; return the final status and their digests."""
    received = {}

    def take(uid, chunk):
        received.setdefault(uid, sha256()).update(chunk)

    keys = {"StudyInstanceUID": STUDIES[name].study_instance_uid}
    last = anyio.run(retrieve, peer, keys, DATASETS[name][0].sop_class_uid, take)
    return last.status, {uid: digest.digest() for uid, digest in received.items()}


def files(folder, tier, name):
    # Folders go while they are walked through, which `rglob` does not bear.
    study = STUDIES[name].study_instance_uid
    walk = os.walk(folder / "stores" / tier)
    return [Path(root, file) for root, _, names in walk if study in root for file in names
            if file.endswith(".dcm")]  # fmt: skip


def places(folder, name):
    return len(files(folder, "ssd", name)), len(files(folder, "tape", name))


def wado(port, name):
    study = STUDIES[name].study_instance_uid
    url = f"http://127.0.0.1:{port}/dicom-web/studies/{study}"
    request = Request(url, headers={"Accept": 'multipart/related; type="application/dicom"'})
    with urlopen(request, timeout=60) as response:
        return response.status, response.read()


def web_port(node):
    return re.match(r"web: http://127\.0\.0\.1:(\d+)/", node.process.stdout.readline())[1]


class Receiver:
    """The destination of C-MOVE, in a thread of pynetdicom."""

    def __enter__(self):
        self.received = {}
        entity = AE("RECEIVER")
        for uid in {each.sop_class_uid for some in DATASETS.values() for each in some}:
            entity.add_supported_context(uid, EXPLICIT_VR_LITTLE_ENDIAN)
        handlers = [(evt.EVT_C_STORE, self._take)]
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self._server.shutdown()

    def _take(self, event):
        request = event.request
        data = request.DataSet.getvalue()
        self.received[str(request.AffectedSOPInstanceUID)] = sha256(data).digest()
        return 0x0000


async def converse(peer, sop_class, operation, name, **more):
    """Ask for a study by C-FIND or C-MOVE; return all responses."""
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDIES[name].study_instance_uid}
    identifier = {tag_of(keyword): (value,) for keyword, value in (keys | more).items()}
    async with connect(peer, [Proposal(sop_class, (EXPLICIT_VR_LITTLE_ENDIAN,))]) as association:
        return [each async for each in operation(association, sop_class, identifier)]


def move(peer, name):
    """Move a study to the receiver; return the final response."""

    def operate(association, sop_class, identifier):
        return association.c_move(sop_class, identifier, "RECEIVER")

    return anyio.run(converse, peer, STUDY_ROOT_MOVE, operate, name)[-1][0]


def find_availability(peer, name):
    def operate(association, sop_class, identifier):
        return association.c_find(sop_class, identifier)

    async def run():
        return await converse(peer, STUDY_ROOT_FIND, operate, name, InstanceAvailability="")

    found = anyio.run(run)[0][1]
    return found[tag_of("InstanceAvailability")][0]


def audited(folder, *kinds):
    """Return what was recorded of moves: who, study, way, how many, the outcome; oldest first."""
    asked = [word for kind in kinds for word in ("--event", f"store-tiered.{kind}")]
    code, told = pacs(folder, "audit", "search", "--json", *asked)
    assert code == 0, told
    names = {study.study_instance_uid: name for name, study in STUDIES.items()}
    found = []
    for each in map(json.loads, reversed(told.splitlines())):
        details = each["details"]
        study = names[details["study_instance_uid"]]
        assert each["objects"][0]["id"] == details["study_instance_uid"]
        assert sum(each["objects"][0]["sop_classes"].values()) == details["instances"]
        way = f"{details['from']} -> {details['to']}"
        found.append((each["interface"], study, way, details["instances"], each["outcome"]))
    return found


def digests_of(name):
    return {each.sop_instance_uid: sha256(each.encode()).digest() for each in DATASETS[name]}


def move_and_recall(folder, receiver):
    """Let a study go to the cold tier, and come back."""
    sent = digests_of("old")
    mammogram = DATASETS["old"][-1].sop_instance_uid
    with node_process(folder, tables(receiver, nearline=["cold"]), plugins=PLUGINS) as node:
        port = web_port(node)
        anyio.run(store, node.peer)
        assert pacs(folder, "tiers", "pin", "-k", of("pinned"), "--reason", "teaching") == (
            0,
            "1 studies are pinned\n",
        )
        said = f"hot -> cold: {3 * COUNT} objects"
        until(lambda: said in pacs(folder, "tiers", "plan")[1])
        code, told = pacs(folder, "tiers", "migrate")
        assert (code, "nothing was moved" in told, said in told) == (0, True, True)
        assert places(folder, "old") == (COUNT + 1, 0)
        anyio.run(enqueue, folder)
        until(lambda: [places(folder, each) for each in ("away", "moved")] == [(0, COUNT)] * 2)
        until(lambda: places(folder, "old") == (1, COUNT))
        assert places(folder, "pinned") == (COUNT, 0)
        code, told = pacs(folder, "index", "verify")
        assert code == 0, told
        age(folder, 7200)
        status, received = digests(node.peer, "old")
        assert status == 0xB000  # its mammogram was not asked for
        assert received == {uid: each for uid, each in sent.items() if uid != mammogram}
        assert places(folder, "old") == (COUNT + 1, COUNT)
        # C-MOVE and WADO wait for what is recalled.
        assert find_availability(node.peer, "moved") == "NEARLINE"
        response = move(node.peer, "moved")
        assert (response.status, receiver.received) == (0x0000, digests_of("moved"))
        assert find_availability(node.peer, "moved") == "ONLINE"
        status, body = wado(port, "away")
        assert (status, body.count(b"DICM"), places(folder, "away")) == (200, COUNT, (COUNT,) * 2)
        assert node.stop() == 0
    moved = audited(folder, "moved")
    assert sorted(moved) == [
        ("jobs", name, "hot -> cold", COUNT, "success") for name in ("away", "moved", "old")
    ]
    recalled = Counter()
    for who, name, way, count, outcome in audited(folder, "recalled"):
        assert (who, way, outcome) == ("recall", "cold -> hot", "success")
        recalled[name] += count
    assert recalled == dict.fromkeys(("old", "moved", "away"), COUNT)
    # What was read is left alone for a day, though the policy says it is to go.
    assert "nothing is to move" in pacs(folder, "tiers", "plan")[1]
    migrate = ("tiers", "migrate", "--to", "cold", "--yes")
    code, told = pacs(folder, *migrate, "-k", of("old"))
    assert (code, told.split(",")[0]) == (0, f"{COUNT + 1} objects moved")
    assert places(folder, "old") == (0, COUNT + 1)
    assert audited(folder, "moved")[3:] == [("tiers", "old", "hot -> cold", COUNT + 1, "success")]
    code, told = pacs(folder, "tiers", "recall", "-k", of("old"))
    assert (code, told) == (0, f"{COUNT + 1} objects recalled\n")
    # What is damaged stays, and the record says so.
    damaged = files(folder, "ssd", "moved")[0]
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-2] + b"??")
    code, told = pacs(folder, *migrate, "-k", of("moved"))
    assert (code, told.splitlines()[-1].partition(",")[0]) == (1, f"{COUNT - 1} objects moved")
    assert (places(folder, "moved"), damaged.exists()) == ((1, COUNT), True)
    assert audited(folder, "moved", "recalled")[-2:] == [
        ("tiers", "old", "cold -> hot", COUNT + 1, "success"),
        ("tiers", "moved", "hot -> cold", COUNT - 1, "warning"),
    ]
    damaged.unlink()
    assert "teaching" in pacs(folder, "tiers", "pin")[1]
    assert pacs(folder, "tiers", "unpin", "-k", of("pinned"))[0] == 0
    code, told = pacs(folder, "tiers", "status")
    assert re.search(rf"cold +nearline +{3 * COUNT + 1} ", told), told
    code, told = pacs(folder, "index", "rebuild")
    assert code == 0, told
    code, told = pacs(folder, "index", "verify")
    assert code == 0, told
    write_config(folder, tables(receiver, nearline=["cold"], cool="tape"))
    code, told = pacs(folder, "config", "check")
    assert (code, "stores.main: unknown key 'cool'" in told) == (2, True), told


def make_room(folder, receiver, monkeypatch):
    """Move what was not used for longest, just so much that enough is free."""
    studies = ["old", "moved", "away", "pinned"]
    first = sum(each.stat().st_size for each in files(folder, "ssd", studies[0]))
    total = 100 * first

    def tell_room(path):
        assert Path(path).is_relative_to(folder)
        return os.statvfs_result((1, 1, total, total, total // 10, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", tell_room)
    with closing(sqlite3.connect(folder / "database.sqlite", isolation_level=None)) as connection:
        for day, name in enumerate(studies):
            connection.execute(
                "UPDATE tiered_studies SET arrived = ?, used = ?, complete = 1 WHERE uid = ?",
                (day * 86400, day * 86400, STUDIES[name].study_instance_uid),
            )
    part = 0.1 + (first + 1) / total  # the first study is one byte too few
    planned = {}
    for free_below in (0.1, part):
        policies = [{"to": "cold", "free_below": free_below}]
        write_config(folder, tables(receiver, policies, nearline=["cold"]))
        code, told = pacs(folder, "tiers", "plan", "--each")
        keys = [line.split()[-1] for line in told.splitlines() if line.endswith(".dcm")]
        planned[free_below] = Counter(key.split("/")[0] for key in keys)
        assert code == 0, told
    count = len(files(folder, "ssd", studies[0]))
    uids = [STUDIES[name].study_instance_uid for name in studies]
    assert planned == {0.1: {}, part: {uids[0]: count, uids[1]: 1}}
    size = sum((folder / "stores" / "ssd" / key).stat().st_size for key in keys)
    # Each is read twice, at the rate.
    waited: list[float] = []

    async def note(seconds):
        waited.append(seconds)

    clock = SimpleNamespace(current_time=lambda: sum(waited), sleep=note)
    monkeypatch.setattr(pacing, "anyio", clock)
    tiering = tables(receiver, [{"to": "cold", "free_below": part}], nearline=["cold"])
    tiering["plugin"]["store-tiered"]["rate"] = 0.001
    write_config(folder, tiering)
    code, told = pacs(folder, "tiers", "migrate", "--yes")
    assert (code, told.count("objects moved")) == (0, 1), told
    assert sum(waited) == pytest.approx(2 * size / 1000)


def ask_for_what_is_offline(folder, receiver):
    """Be told that it comes later; all else goes on."""
    write_config(folder, tables(receiver, nearline=["cold"]))
    assert pacs(folder, "tiers", "migrate", "-k", of("away"), "--to", "cold", "--yes")[0] == 0
    assert places(folder, "away") == (0, COUNT)
    receiver.received.clear()
    with node_process(folder, tables(receiver, offline=["cold"]), plugins=PLUGINS) as node:
        port = web_port(node)
        with pytest.raises(HTTPError) as caught:
            wado(port, "away")
        with caught.value as response:
            assert (response.code, response.headers["Retry-After"]) == (503, "60")
        assert find_availability(node.peer, "away") == "OFFLINE"
        response = move(node.peer, "away")
        assert (response.status, receiver.received) == (0xA702, {})
        assert digests(node.peer, "pinned") == (0x0000, digests_of("pinned"))
        # No index is made, and nothing said to be copied, that would lack it.
        other = write_config(folder.parent / "other", {"archive": {"space": {"reserve": 0}}})
        copy = ("archive", "copy", "--from", str(folder / "pacs.toml"), "--to", str(other))
        for command in (("index", "rebuild", "--config", str(folder / "pacs.toml")), copy):
            code, told = run_pacs(*command)
            assert (code, "cannot be listed, for the tier cold" in told) == (1, True), told
        assert find_availability(node.peer, "away") == "OFFLINE"


def test_a_node_with_two_tiers(folder, receiver):
    """One course of events: what was recalled, or is cold, is what the next part begins with."""
    move_and_recall(folder, receiver)
    with pytest.MonkeyPatch.context() as patch:
        make_room(folder, receiver, patch)
    ask_for_what_is_offline(folder, receiver)
