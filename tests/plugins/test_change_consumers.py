"""Change consumers hear of everything, whatever is killed when; by a third party's distribution."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import anyio
import pytest
from attrs import define, field

from pacs_core import connect
from pacs_core.association import AssociationError, Proposal
from pacs_core.contracts import Peer
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

pytestmark = [pytest.mark.anyio]

OUTBOX = Path(__file__).parents[1] / "distributions" / "pacs-outbox"
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDIES = 4
SLOW = 0.004  # seconds that the consumer takes for each change: less than it takes to store one


@pytest.fixture(scope="module", autouse=True)
def outbox(site):
    site.link(OUTBOX)


def tables(workers=1, **outbox):
    return {
        "node": {"workers": workers},
        "log": {"level": "info"},
        "network": {"timeouts": {"shutdown": 1.0, "plugin": 5.0}},
        "archive": {"study_quiet_time": 1.0, "space": {"reserve": 0}},
        "plugin": {"outbox": outbox},
    }


def dataset(study: str, uid: str) -> bytes:
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "PatientID": study,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
    }
    return encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)


@define
class Ledger:
    """What was acknowledged, by study, in order."""

    acknowledged: dict[str, list[str]] = field(factory=lambda: defaultdict(list))
    count: int = 0

    async def send(self, peer: Peer, study: str, limit: int = 1_000_000) -> None:
        """Store one instance after another, until the node dies."""
        try:
            async with connect(peer, [Proposal(CT, (EXPLICIT,))]) as association:
                for _ in range(limit):
                    self.count += 1
                    uid = f"{study}.1.{self.count}"
                    response = await association.c_store(CT, uid, dataset(study, uid))
                    assert response.status == 0x0000
                    self.acknowledged[study].append(uid)
        except (AssociationError, OSError):
            pass

    async def send_until_killed(self, peer: Peer, kill, seconds: float) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(1, STUDIES + 1):
                tasks.start_soon(self.send, peer, f"1.2.826.0.1.{number}")
            await anyio.sleep(seconds)
            kill()
            tasks.cancel_scope.deadline = anyio.current_time() + 2

    @property
    def total(self) -> int:
        return sum(map(len, self.acknowledged.values()))


def heard(folder: Path) -> list[dict]:
    """What the consumer has written, but for a line that a kill has cut short."""
    file = folder / "outbox" / "changes.jsonl"
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []


def pacs(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = str(folder / "pacs.toml")
    command = [sys.executable, "-m", "pacs_core.cli.main", *arguments, "--config", config]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def processes(folder: Path) -> list[int]:
    file = folder / "outbox" / "processes"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def check(folder: Path, ledger: Ledger) -> None:
    """Everything was heard, in order in each study and over all, one process after the other."""
    lines = heard(folder)
    first: dict[int, dict] = {}
    for line in lines:
        assert first.setdefault(line["sequence"], line)["instance"] == line["instance"]
    assert list(first) == sorted(first)  # again only what was heard already, never too early
    for study, uids in ledger.acknowledged.items():
        added = [
            line["instance"]
            for line in first.values()
            if (line["study"], line["kind"]) == (study, "added")
        ]
        assert set(uids) <= set(added)
        assert [uid for uid in added if uid in set(uids)] == uids
    # A process that has ended its part does not come back.
    turns = [
        line["process"]
        for before, line in zip([None, *lines], lines, strict=False)
        if before is None or before["process"] != line["process"]
    ]
    assert len(turns) == len(set(turns))


def all_heard(folder: Path, ledger: Ledger) -> bool:
    found = {line["instance"] for line in heard(folder)}
    return all(found >= set(uids) for uids in ledger.acknowledged.values())


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_instance_is_heard_of_however_often_the_node_is_killed(tmp_path, workers):
    chance = random.SystemRandom()
    ledger = Ledger()
    for _ in range(5):
        with node_process(tmp_path, tables(workers, seconds=SLOW)) as node:
            await ledger.send_until_killed(node.peer, node.kill, chance.uniform(0.2, 1.0))
    assert ledger.total > 50
    assert not all_heard(tmp_path, ledger), "the consumer is slow: something was left to be told"
    with node_process(tmp_path, tables(workers)) as node:
        until(lambda: all_heard(tmp_path, ledger), seconds=60)
        assert node.stop() == 0
    check(tmp_path, ledger)


async def test_when_the_worker_that_consumes_is_killed_another_takes_over(tmp_path):
    ledger = Ledger()
    with node_process(tmp_path, tables(2, seconds=SLOW)) as node:
        for turn in range(1, 4):
            until(lambda: len(processes(tmp_path)) == turn)  # noqa: B023
            consumer = processes(tmp_path)[-1]
            assert consumer != node.process.pid
            await ledger.send_until_killed(
                node.peer,
                lambda: os.kill(consumer, signal.SIGKILL),  # noqa: B023
                0.5,
            )
        until(lambda: all_heard(tmp_path, ledger), seconds=60)
        assert len(processes(tmp_path)) == 4
        assert node.stop() == 0
    assert ledger.total > 50
    check(tmp_path, ledger)


async def test_a_study_is_complete_once_it_is_quiet_and_reopened_by_late_arrivals(tmp_path):
    ledger = Ledger()
    study = "1.2.826.0.1.9"

    def kinds() -> list[str]:
        # What a consumer has heard when its node ends it may hear once more.
        lines = {line["sequence"]: line for line in heard(tmp_path) if line["study"] == study}
        return [line["kind"] for line in lines.values()]

    with node_process(tmp_path, tables()) as node:
        await ledger.send(node.peer, study, 3)
        until(lambda: kinds() == [*["added"] * 3, "study-complete"])
        await ledger.send(node.peer, study, 1)
        node.kill()  # before it can be complete again
    with node_process(tmp_path, tables()) as node:
        until(lambda: kinds()[-1] == "study-complete" and "study-reopened" in kinds())
        node.stop()
    with node_process(tmp_path, tables()) as node:
        await anyio.sleep(2)  # twice the quiet time: nothing is derived anew
        node.stop()
    assert [kind for kind in kinds() if kind != "added"] == [
        "study-complete", "study-reopened", "study-complete",
    ]  # fmt: skip


async def test_a_new_consumer_hears_of_all_that_is_there(tmp_path):
    ledger = Ledger()
    without = tables() | {"plugins": {"disabled": ["outbox"]}, "plugin": {}}
    with node_process(tmp_path, without) as node:
        for number in range(1, 4):
            await ledger.send(node.peer, f"1.2.826.0.1.{number}", 40)
        node.stop()
    with node_process(tmp_path, tables(seconds=SLOW, begin="all")) as node:
        until(lambda: heard(tmp_path))
        node.kill()  # in the middle: it begins anew
    assert not all_heard(tmp_path, ledger)
    with node_process(tmp_path, tables(begin="all")) as node:
        until(lambda: all_heard(tmp_path, ledger))
        await ledger.send(node.peer, "1.2.826.0.1.1", 1)
        until(lambda: all_heard(tmp_path, ledger))
        node.stop()
    count = len(heard(tmp_path))
    with node_process(tmp_path, tables(begin="all")) as node:
        await ledger.send(node.peer, "1.2.826.0.1.2", 1)
        until(lambda: all_heard(tmp_path, ledger))
        node.stop()
    assert [line["kind"] for line in heard(tmp_path)[count:] if line["sequence"]] == [
        line["kind"] for line in heard(tmp_path)[count:]
    ]


async def test_a_consumer_that_fails_keeps_its_place(tmp_path):
    ledger = Ledger()
    with node_process(tmp_path, tables(fail_at=3)) as node:
        await ledger.send(node.peer, "1.2.826.0.1.1", 6)
        until(lambda: "ConnectionError: the other side does not answer" in node.log.read_text())
        until(lambda: len(processes(tmp_path)) >= 2)
        log = node.log.read_text()
        assert "change consumer outbox, at changes " in log
        assert "are not done) failed, and gets them again" in log
        assert not all_heard(tmp_path, ledger)
        (tmp_path / "outbox" / "mended").touch()
        until(lambda: all_heard(tmp_path, ledger))
        node.stop()
    check(tmp_path, ledger)


async def test_a_consumer_that_is_stuck_is_named_in_the_log(tmp_path):
    ledger = Ledger()
    settings = tables(seconds=3600.0)
    settings["network"]["timeouts"]["plugin"] = 0.5
    with node_process(tmp_path, settings) as node:
        await ledger.send(node.peer, "1.2.826.0.1.1", 2)
        # It may have begun with the first, before the second had come.
        said = re.compile(r"outbox, .*\d are not done\) has not returned for")
        until(lambda: said.search(node.log.read_text()))
        assert node.stop() == 0


async def test_changes_kept_for_a_consumer_that_is_gone_are_named(tmp_path):
    ledger = Ledger()
    with node_process(tmp_path, tables()) as node:
        node.stop()
    without = tables() | {"plugins": {"disabled": ["outbox"]}, "plugin": {}}
    with node_process(tmp_path, without) as node:
        assert "no plugin has the change consumer outbox" in node.log.read_text()
        await ledger.send(node.peer, "1.2.826.0.1.1", 2)
        node.stop()
    listed = pacs(tmp_path, "consumers").stdout.split()
    assert listed[-6:] == ["outbox", "0", "2", "pacs-core-study-watch", "0", "2"]
    with node_process(tmp_path, tables()) as node:
        until(lambda: all_heard(tmp_path, ledger))
        node.stop()


async def test_a_consumer_can_be_forgotten(tmp_path):
    ledger = Ledger()
    with node_process(tmp_path, tables()) as node:
        node.stop()
    assert pacs(tmp_path, "consumers", "--forget", "outbox").returncode == 0
    assert pacs(tmp_path, "consumers", "--forget", "pacs-core-study-watch").returncode == 0
    assert "for nobody" in pacs(tmp_path, "consumers").stdout
    refused = pacs(tmp_path, "consumers", "--forget", "outbox")
    assert refused.returncode != 0
    assert "knows no consumer outbox" in refused.stderr
    without = tables() | {"plugins": {"disabled": ["outbox"]}, "plugin": {}}
    with node_process(tmp_path, without) as node:
        await ledger.send(node.peer, "1.2.826.0.1.1", 2)
        node.stop()
    with node_process(tmp_path, tables()) as node:
        await ledger.send(node.peer, "1.2.826.0.1.2", 2)
        until(lambda: heard(tmp_path))
        node.stop()
    assert {line["study"] for line in heard(tmp_path)} == {"1.2.826.0.1.2"}
