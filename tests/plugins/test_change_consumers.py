"""Change consumers hear of everything, whatever is killed when; by a third party's distribution."""

import json
import logging
import os
import random
import re
import signal
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from attrs import define, field

from pacs_core import connect
from pacs_core.association import AssociationError, Proposal
from pacs_core.cli.main import main
from pacs_core.contracts import Peer
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, encode_attributes, tag_of
from pacs_core.testing.node import node_process, node_thread
from pacs_core.testing.waiting import until

pytestmark = [pytest.mark.anyio]

OUTBOX = Path(__file__).parents[1] / "distributions" / "pacs-outbox"
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDIES = 4
PLUGINS = ("index-sqlite", "store-filesystem", "sop-storage", "sop-verification")
SLOW = 0.004  # seconds that the consumer takes for each change: less than it takes to store one


@pytest.fixture(scope="module", autouse=True)
def outbox(site):
    """Where the distribution is installed, for processes and for this one."""
    site.link(OUTBOX)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site.folder)
        yield site


@pytest.fixture
def node(outbox, tmp_path, caplog):
    """What runs a node in this process: what is not to be killed need not be another."""
    caplog.set_level(logging.INFO)

    def run(tables, *, without=False):
        more = () if without else outbox.entry_points
        return node_thread(tmp_path, tables, plugins=(*PLUGINS, *more))

    return run


def node_to_kill(folder, tables):
    return node_process(folder, tables, plugins=(*PLUGINS, "outbox"))


def tables(workers=1, **outbox):
    return {
        "node": {"workers": workers},
        "log": {"level": "info"},
        "network": {"timeouts": {"shutdown": 1.0, "plugin": 5.0}},
        "archive": {"study_quiet_time": 1.0, "space": {"reserve": 0}},
        "plugin": {"outbox": outbox},
    }


WITHOUT = tables() | {"plugins": {"disabled": ["outbox"]}, "plugin": {}}


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

    async def send_until_killed(self, peer: Peer, kill, seconds: float, least: int) -> None:
        """Store for some time, and until so many more are acknowledged."""
        goal = self.total + least
        async with anyio.create_task_group() as tasks:
            for number in range(1, STUDIES + 1):
                tasks.start_soon(self.send, peer, f"1.2.826.0.1.{number}")
            await anyio.sleep(seconds)
            while self.total < goal:  # noqa: ASYNC110 - counted by several tasks
                await anyio.sleep(0.02)
            kill()
            tasks.cancel_scope.deadline = anyio.current_time() + 2

    @property
    def total(self) -> int:
        return sum(map(len, self.acknowledged.values()))


def heard(folder: Path) -> list[dict]:
    """What the consumer has written, but for a line that a kill has cut short."""
    file = folder / "outbox" / "changes.jsonl"
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []


async def pacs(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it writes."""
    output, errors = StringIO(), StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        command = [*arguments, "--config", str(folder / "pacs.toml")]
        code = await anyio.to_thread.run_sync(main, command)  # it has an event loop of its own
    return code, output.getvalue(), errors.getvalue()


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


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("workers", "kills"), [(2, 2), pytest.param(1, 5, marks=LONG), pytest.param(2, 5, marks=LONG)]
)
async def test_every_instance_is_heard_of_however_often_the_node_is_killed(
    tmp_path, workers, kills
):
    chance = random.SystemRandom()
    ledger = Ledger()
    for _ in range(kills):
        with node_to_kill(tmp_path, tables(workers, seconds=SLOW)) as node:
            seconds = chance.uniform(0.2, 1.0)
            await ledger.send_until_killed(node.peer, node.kill, seconds, least=50)
    assert not all_heard(tmp_path, ledger), "the consumer is slow: something was left to be told"
    with node_to_kill(tmp_path, tables(workers)) as node:
        until(lambda: all_heard(tmp_path, ledger), seconds=60)
        assert node.stop() == 0
    check(tmp_path, ledger)


async def test_when_the_worker_that_consumes_is_killed_another_takes_over(tmp_path):
    ledger = Ledger()
    with node_to_kill(tmp_path, tables(2, seconds=SLOW)) as node:
        for turn in (1, 2):
            until(lambda: len(processes(tmp_path)) == turn)  # noqa: B023
            consumer = processes(tmp_path)[-1]
            assert consumer != node.process.pid
            await ledger.send_until_killed(
                node.peer,
                lambda: os.kill(consumer, signal.SIGKILL),  # noqa: B023
                0.3,
                least=50,
            )
        until(lambda: all_heard(tmp_path, ledger), seconds=60)
        assert len(processes(tmp_path)) == 3
        assert node.stop() == 0
    check(tmp_path, ledger)


async def test_a_study_is_complete_once_it_is_quiet_and_reopened_by_late_arrivals(tmp_path, node):
    ledger = Ledger()
    study = "1.2.826.0.1.9"

    def kinds() -> list[str]:
        # What a consumer has heard when its node ends it may hear once more.
        lines = {line["sequence"]: line for line in heard(tmp_path) if line["study"] == study}
        return [line["kind"] for line in lines.values()]

    with node_to_kill(tmp_path, tables()) as killed:
        await ledger.send(killed.peer, study, 3)
        until(lambda: kinds() == [*["added"] * 3, "study-complete"])
        await ledger.send(killed.peer, study, 1)
        killed.kill()  # before it can be complete again
    with node(tables()):
        until(lambda: kinds()[-1] == "study-complete" and "study-reopened" in kinds())
    with node(tables()):
        await anyio.sleep(2)  # twice the quiet time: nothing is derived anew
    assert [kind for kind in kinds() if kind != "added"] == [
        "study-complete", "study-reopened", "study-complete",
    ]  # fmt: skip


async def test_a_new_consumer_hears_of_all_that_is_there(tmp_path, node):
    ledger = Ledger()
    with node(WITHOUT, without=True) as running:
        for number in range(1, 4):
            await ledger.send(running.peer, f"1.2.826.0.1.{number}", 40)
    with node_to_kill(tmp_path, tables(seconds=SLOW, begin="all")) as killed:
        until(lambda: heard(tmp_path))
        killed.kill()  # in the middle: it begins anew
    assert not all_heard(tmp_path, ledger)
    with node(tables(begin="all")) as running:
        until(lambda: all_heard(tmp_path, ledger))
        await ledger.send(running.peer, "1.2.826.0.1.1", 1)
        until(lambda: all_heard(tmp_path, ledger))
    count = len(heard(tmp_path))
    with node(tables(begin="all")) as running:
        await ledger.send(running.peer, "1.2.826.0.1.2", 1)
        until(lambda: all_heard(tmp_path, ledger))
    assert [line["kind"] for line in heard(tmp_path)[count:] if line["sequence"]] == [
        line["kind"] for line in heard(tmp_path)[count:]
    ]


async def test_a_consumer_that_fails_keeps_its_place(tmp_path, node, caplog):
    ledger = Ledger()
    with node(tables(fail_at=3)) as running:
        await ledger.send(running.peer, "1.2.826.0.1.1", 6)
        until(lambda: "ConnectionError: the other side does not answer" in caplog.text)
        until(lambda: len(processes(tmp_path)) >= 2)
        assert "change consumer outbox, at changes " in caplog.text
        assert "are not done) failed, and gets them again" in caplog.text
        assert not all_heard(tmp_path, ledger)
        (tmp_path / "outbox" / "mended").touch()
        until(lambda: all_heard(tmp_path, ledger))
    check(tmp_path, ledger)


async def test_a_consumer_that_is_stuck_is_named_in_the_log(node, caplog):
    ledger = Ledger()
    settings = tables(seconds=3600.0)
    settings["network"]["timeouts"]["plugin"] = 0.5
    with node(settings) as running:
        await ledger.send(running.peer, "1.2.826.0.1.1", 2)
        # It may have begun with the first, before the second had come.
        said = re.compile(r"outbox, .*\d are not done\) has not returned for")
        until(lambda: said.search(caplog.text))


async def test_a_consumer_that_is_gone_is_waited_for_until_it_is_forgotten(tmp_path, node, caplog):
    ledger = Ledger()
    with node(tables()):
        pass
    with node(WITHOUT, without=True) as running:
        assert "no plugin has the change consumer outbox" in caplog.text
        await ledger.send(running.peer, "1.2.826.0.1.1", 2)
    listed = (await pacs(tmp_path, "consumers"))[1].split()
    assert listed[-6:] == ["outbox", "0", "2", "pacs-core-study-watch", "0", "2"]
    with node(tables()):
        until(lambda: all_heard(tmp_path, ledger))
    assert (await pacs(tmp_path, "consumers", "--forget", "outbox"))[0] == 0
    assert (await pacs(tmp_path, "consumers", "--forget", "pacs-core-study-watch"))[0] == 0
    assert "for nobody" in (await pacs(tmp_path, "consumers"))[1]
    code, _, errors = await pacs(tmp_path, "consumers", "--forget", "outbox")
    assert code != 0
    assert "knows no consumer outbox" in errors
    before = len(heard(tmp_path))
    with node(WITHOUT, without=True) as running:
        await ledger.send(running.peer, "1.2.826.0.1.2", 2)
    with node(tables()) as running:
        await ledger.send(running.peer, "1.2.826.0.1.3", 2)
        until(lambda: len(heard(tmp_path)) > before)
    assert {line["study"] for line in heard(tmp_path)[before:]} == {"1.2.826.0.1.3"}
