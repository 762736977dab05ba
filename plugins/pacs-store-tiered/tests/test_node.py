"""A node with two tiers, from outside: the job, recall for C-GET and WADO, a rebuilt index."""

import io
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
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

PLUGINS = (
    "database", "dicomweb", "index-sqlite", "jobs", "sop-query-retrieve", "sop-storage",
    "store-filesystem", "store-tiered", "web",
)  # fmt: skip
COUNT = 2
STUDIES = {name: SampleStudy() for name in ("old", "pinned", "away")}
DATASETS = {name: [study.make("CT") for _ in range(COUNT)] for name, study in STUDIES.items()}
DATASETS["old"].append(STUDIES["old"].make("MG"))


def tables(**main):
    return {
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
                "policies": [{"to": "hot", "modalities": ["MG"]}, {"to": "cold"}],
                "schedule": "0 0 1 1 *",
            },
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tiers") / "node"


def pacs(folder, *arguments):
    """Run a command in this process, which costs no imports; return code and output."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main([*arguments, "--config", str(folder / "pacs.toml")])
    return code, said.getvalue()


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
    return list((folder / "stores" / tier).rglob(f"{STUDIES[name].study_instance_uid}/*/*.dcm"))


def places(folder, name):
    return len(files(folder, "ssd", name)), len(files(folder, "tape", name))


def wado(node, name):
    port = re.match(r"web: http://127\.0\.0\.1:(\d+)/", node.process.stdout.readline())[1]
    study = STUDIES[name].study_instance_uid
    url = f"http://127.0.0.1:{port}/dicom-web/studies/{study}"
    request = Request(url, headers={"Accept": 'multipart/related; type="application/dicom"'})
    with urlopen(request, timeout=60) as response:
        return response.status, response.read()


def test_a_study_goes_to_the_cold_tier_and_comes_back(folder):
    sent = {
        each.sop_instance_uid: sha256(each.encode()).digest() for each in DATASETS["old"][:COUNT]
    }
    with node_process(folder, tables(nearline=["cold"]), plugins=PLUGINS) as node:
        anyio.run(store, node.peer)
        assert pacs(folder, "tiers", "pin", "-k", of("pinned"), "--reason", "teaching") == (
            0,
            "1 studies are pinned\n",
        )
        said = f"hot -> cold: {2 * COUNT} objects"
        until(lambda: said in pacs(folder, "tiers", "plan")[1])
        code, told = pacs(folder, "tiers", "migrate")
        assert (code, "nothing was moved" in told, said in told) == (0, True, True)
        assert places(folder, "old") == (COUNT + 1, 0)
        anyio.run(enqueue, folder)
        until(lambda: places(folder, "old") == (1, COUNT) and places(folder, "away") == (0, COUNT))
        assert places(folder, "pinned") == (COUNT, 0)
        code, told = pacs(folder, "index", "verify")
        assert code == 0, told
        age(folder, 7200)
        status, received = digests(node.peer, "old")
        assert (status, received) == (0xB000, sent)  # its mammogram was not asked for
        assert places(folder, "old") == (COUNT + 1, COUNT)
        assert node.stop() == 0
    # What was read is left alone for a day, though the policy says it is to go.
    assert "nothing is to move" in pacs(folder, "tiers", "plan")[1]
    code, told = pacs(folder, "tiers", "migrate", "-k", of("old"), "--to", "cold", "--yes")
    assert (code, told) == (0, f"{COUNT + 1} objects moved\n")
    assert places(folder, "old") == (0, COUNT + 1)
    code, told = pacs(folder, "tiers", "recall", "-k", of("old"))
    assert (code, told) == (0, f"{COUNT + 1} objects recalled\n")
    assert "teaching" in pacs(folder, "tiers", "pin")[1]
    assert pacs(folder, "tiers", "unpin", "-k", of("pinned"))[0] == 0
    code, told = pacs(folder, "tiers", "status")
    assert re.search(rf"cold +nearline +{2 * COUNT + 1} ", told), told
    code, told = pacs(folder, "index", "rebuild")
    assert code == 0, told
    code, told = pacs(folder, "index", "verify")
    assert code == 0, told
    write_config(folder, tables(nearline=["cold"], cool="tape"))
    code, told = pacs(folder, "config", "check")
    assert (code, "stores.main: unknown key 'cool'" in told) == (2, True), told


def test_wado_recalls_what_is_nearline_and_says_later_for_what_is_offline(folder):
    """Runs after the other, whose rebuilt index has recalled all."""
    assert places(folder, "away") == (COUNT, COUNT)
    write_config(folder, tables(nearline=["cold"]))
    assert pacs(folder, "tiers", "migrate", "-k", of("away"), "--to", "cold", "--yes")[0] == 0
    assert places(folder, "away") == (0, COUNT)
    with node_process(folder, tables(offline=["cold"]), plugins=PLUGINS) as node:
        with pytest.raises(HTTPError) as caught:
            wado(node, "away")
        with caught.value as response:
            assert (response.code, response.headers["Retry-After"]) == (503, "60")
    with node_process(folder, tables(nearline=["cold"]), plugins=PLUGINS) as node:
        status, body = wado(node, "away")
    assert (status, body.count(b"DICM")) == (200, COUNT)
    assert places(folder, "away") == (COUNT, COUNT)
