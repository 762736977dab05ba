"""Objects read again: what is damaged is mended from a peer, or named; a pass goes on."""

import json
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
