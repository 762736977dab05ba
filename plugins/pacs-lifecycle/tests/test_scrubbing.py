"""Objects read again: what is damaged is mended from a peer, or named; a pass goes on."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime

import anyio
import pytest
from attrs import define, field
from pacs_jobs.api import RunningJob
from pacs_lifecycle.config import LifecycleConfig, ScrubConfig
from pacs_lifecycle.interface import Findings, Pass, Studies
from pacs_lifecycle.scrubbing import ScrubHandler

from pacs_core.contracts import InstanceIdentity, NodeSettings, StoredInstance
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

from .test_node import PLUGINS, enqueue, pacs
from .test_room_and_quotas import send

IDLE = "0 0 1 1 *"


def tables(**lifecycle):
    return {
        "archive": {"study_quiet_time": 0.2, "space": {"reserve": 0}},
        "plugin": {"jobs": {}, "lifecycle": {"schedule": IDLE, **lifecycle}},
    }


def path_of(folder, dataset):
    (found,) = (folder / "objects").rglob(f"{dataset.sop_instance_uid}.dcm")
    return found


def damage(folder, dataset):
    path = path_of(folder, dataset)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-2] + b"??")


def faults(folder):
    code, told = pacs(folder, "lifecycle", "faults", "--json")
    found = {each["instance"]: each["kind"] for each in map(json.loads, told.splitlines())}
    assert code == bool(found)
    return found


def change(folder, statement):
    with closing(sqlite3.connect(folder / "database.sqlite", isolation_level=None)) as connection:
        connection.execute(statement)


def succeeded(folder, kind):
    _, told = pacs(folder, "jobs", "list", "--state", "succeeded")
    return told.count(kind)


def run_job(folder, kind):
    before = succeeded(folder, kind)
    anyio.run(enqueue, folder, kind)
    until(lambda: succeeded(folder, kind) > before)


def test_what_is_damaged_is_mended_or_named(tmp_path):
    folder, study = tmp_path / "node", SampleStudy()
    both, alone, gone = (study.make("CT") for _ in range(3))
    with node_process(tmp_path / "vna", {}, plugins=PLUGINS) as vna:
        assert send(vna, "MOD", both) == [0x0000]
        peers = {"vna": {"ae_title": "PACS", "host": "127.0.0.1", "port": vna.port}}
        scrub = {"every": 30, "rate": 0, "mend_from": ["vna"], "schedule": IDLE}
        own = tables(scrub=scrub, check={"schedule": IDLE}) | {"peers": peers}
        with node_process(folder, own, plugins=PLUGINS) as node:
            assert send(node, "MOD", both, alone, gone) == [0x0000] * 3
            until(lambda: "1 studies" in f"{counted(folder)} studies")
            for each in (both, alone):
                damage(folder, each)
            run_job(folder, "lifecycle.scrub")
            assert faults(folder) == {alone.sop_instance_uid: "damaged"}
            _, told = pacs(folder, "status")
            assert "1 damaged" in told, told
            # Not before its time, and what was stored again is whole.
            assert send(node, "MOD", alone) == [0x0000]
            run_job(folder, "lifecycle.scrub")
            assert faults(folder) == {alone.sop_instance_uid: "damaged"}
            change(folder, "UPDATE lifecycle_passes SET began = began - 31 * 86400")
            run_job(folder, "lifecycle.scrub")
            assert faults(folder) == {}
            # Index and store are compared as well.
            path_of(folder, gone).unlink()
            run_job(folder, "lifecycle.check")
            assert faults(folder) == {gone.sop_instance_uid: "missing"}
            assert send(node, "MOD", gone) == [0x0000]
            run_job(folder, "lifecycle.check")
            assert faults(folder) == {}
    _, told = pacs(folder, "audit", "search", "--json", "--event", "instance-healed")
    assert len(told.splitlines()) == 2
    _, told = pacs(folder, "audit", "search", "--json", "--event", "lifecycle.checked")
    assert [json.loads(line)["outcome"] for line in told.splitlines()] == ["success", "warning"]


def web_url(node):
    """Return the root of the DICOMweb service of a node."""
    return re.match(r"web: (http://[\d.:]+)", node.process.stdout.readline())[1] + "/dicom-web"


def test_what_is_damaged_is_mended_from_a_backup_or_over_dicomweb(tmp_path):
    folder, backups, study = tmp_path / "node", tmp_path / "backups", SampleStudy()
    kept, remote, nowhere = (study.make("CT") for _ in range(3))
    web = {"plugin": {"web": {"port": 0}}}
    with node_process(tmp_path / "cloud", web, plugins=(*PLUGINS, "web", "dicomweb")) as cloud:
        url = web_url(cloud)
        assert send(cloud, "MOD", remote) == [0x0000]
        scrub = {"every": 30, "rate": 0, "schedule": IDLE}
        scrub |= {"mend_from": ["cloud"], "mend_from_backup": str(backups)}
        own = tables(scrub=scrub) | {"peers": {"cloud": {"dicomweb": url}}}
        with node_process(folder, own, plugins=PLUGINS) as node:
            assert send(node, "MOD", kept) == [0x0000]
            code, told = pacs(folder, "backup", "create", str(backups))
            assert code == 0, told
            assert send(node, "MOD", remote, nowhere) == [0x0000] * 2
            until(lambda: counted(folder) == 1)
            for each in (kept, remote, nowhere):
                damage(folder, each)
            run_job(folder, "lifecycle.scrub")
            assert faults(folder) == {nowhere.sop_instance_uid: "damaged"}
            (mended,) = (folder / "objects").rglob(f"{kept.sop_instance_uid}*.dcm")
            assert mended.read_bytes().endswith(kept.encode())
            # A backup that is damaged itself mends nothing.
            for content in (backups / "contents").rglob("*"):
                if content.is_file():
                    content.write_bytes(b"?" * content.stat().st_size)
            damaged = mended.read_bytes()[:-2] + b"??"
            mended.chmod(0o600)
            mended.write_bytes(damaged)
            change(folder, "UPDATE lifecycle_passes SET began = began - 31 * 86400")
            run_job(folder, "lifecycle.scrub")
            assert faults(folder).keys() == {kept.sop_instance_uid, nowhere.sop_instance_uid}
    _, told = pacs(folder, "audit", "search", "--json", "--event", "instance-healed")
    assert len(told.splitlines()) == 2


def test_what_is_damaged_is_mended_from_another_tier(tmp_path):
    """As after a recall there are two copies; one that is damaged itself mends nothing."""
    folder, study = tmp_path / "node", SampleStudy()
    mended, lost = (study.make("CT") for _ in range(2))
    stores = {
        "main": {"type": "tiered", "hot": "ssd", "cold": "tape"},
        "ssd": {"type": "filesystem"},
        "tape": {"type": "filesystem"},
    }
    own = tables(scrub={"every": 30, "rate": 0, "schedule": IDLE}) | {"stores": stores}
    own["archive"] = {**own["archive"], "store": "main"}
    with node_process(folder, own, plugins=(*PLUGINS, "store-tiered")) as node:
        assert send(node, "MOD", mended, lost) == [0x0000] * 2
        until(lambda: counted(folder) == 1)
        ssd, tape = folder / "stores" / "ssd", folder / "stores" / "tape"
        contents = {}
        for sample in (mended, lost):
            (path,) = ssd.rglob(f"{sample.sop_instance_uid}.dcm")
            contents[path] = path.read_bytes()
            copy = tape / path.relative_to(ssd)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes() if sample is mended else b"?" * 100)
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-2] + b"??")
        run_job(folder, "lifecycle.scrub")
        assert faults(folder) == {lost.sop_instance_uid: "damaged"}
        whole, damaged = contents
        assert whole.read_bytes() == contents[whole]
        assert damaged.read_bytes().endswith(b"??"), "what is not mended is left as it is"
    _, told = pacs(folder, "audit", "search", "--json", "--event", "instance-healed")
    (event,) = map(json.loads, told.splitlines())
    assert event["details"]["tier"] == "cold"


def counted(folder):
    with closing(sqlite3.connect(folder / "database.sqlite", timeout=30)) as connection:
        return connection.execute("SELECT count(*) FROM lifecycle_studies").fetchone()[0]


@define
class Bench:
    """A node of studies with one instance each; who looks finds that the hours end."""

    uids: list[str]
    state: Pass = field(factory=Pass)
    examined: list[str] = field(factory=list)
    settings: NodeSettings = field(factory=NodeSettings)

    def find(self, interface):
        assert interface in (Findings, Studies)
        return self

    @property
    def archive(self):
        return self

    async def by_uid(self, after):
        for uid in sorted(self.uids):
            if uid > after:
                yield uid

    async def instances(self, query):
        uid = query.conditions[0].value
        yield StoredInstance(
            InstanceIdentity(uid, f"{uid}.1", f"{uid}.2", "1.2"), "1.2", uid, 10, 0
        )

    async def examine(self, instance, origin, pace):
        self.examined.append(instance.key)
        await pace(instance.size)
        return ""

    async def claim(self, name, seconds):
        return self.state

    async def save(self, name, state, hold):
        self.state = state

    async def clear(self, by_whom, instances=None):
        pass

    async def found(self, limit):
        return []


@pytest.mark.anyio
async def test_a_pass_goes_on_in_the_next_night():
    bench = Bench([f"1.2.{number}" for number in range(1, 8)])
    config = LifecycleConfig(scrub=ScrubConfig(every=30, rate=0, hours=("22:00-06:00",)))
    for night in range(1, 4):
        looks = 0

        def clock(night=night):
            nonlocal looks
            looks += 1
            hour = 23 if looks <= 3 else 7  # the hours end after three studies
            return datetime(2026, 1, night, hour).astimezone()

        await ScrubHandler(bench, config, clock).run(RunningJob(1))
        assert bench.examined == sorted(bench.uids)[: 3 * night]
    assert (bench.state.checked, bool(bench.state.ended)) == (7, True)

    def by_day():
        return datetime(2026, 1, 9, 12).astimezone()

    await ScrubHandler(bench, config, by_day).run(RunningJob(1))
    assert len(bench.examined) == 7
