"""A backup of a node that is being sent to; then everything is destroyed, and restored."""

import json
import shutil
import sqlite3
import threading
from contextlib import suppress

import anyio
import pytest

from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.cli.main import main
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.transfers import retrieve

ARCHIVE = (
    "store-filesystem",
    "index-sqlite",
    "sop-storage",
    "sop-query-retrieve",
    "audit-json",
    "backup",
)
PATIENCE = 60.0


class Sender:
    """Sends one instance after the other until it is told to stop, or the node is gone."""

    def __init__(self, peer):
        self.peer = peer
        self.acknowledged = {}
        self._stop = threading.Event()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: anyio.run(self._run))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(PATIENCE)

    def wait_for(self, number):
        while len(self.acknowledged) < number:
            assert self._thread.is_alive()
            self._enough.wait(0.02)

    async def _run(self):
        with suppress(AssociationError):  # the node is killed
            await self._send()

    async def _send(self):
        study = SampleStudy()
        proposals = [Proposal(study.make("CT").sop_class_uid)]
        async with connect(self.peer, proposals) as association:
            while not self._stop.is_set():
                dataset = study.make("CT")
                data = dataset.encode()
                answer = await association.c_store(
                    dataset.sop_class_uid, dataset.sop_instance_uid, data
                )
                assert answer.status == 0x0000
                self.acknowledged[dataset.sop_instance_uid] = (study.study_instance_uid, data)


def pacs(capsys, *arguments, code=0):
    assert main(list(map(str, arguments))) == code, capsys.readouterr()
    return capsys.readouterr().out


def test_what_was_acknowledged_before_a_backup_outlives_the_loss_of_everything(tmp_path, capsys):
    data, backups = tmp_path / "data", tmp_path / "backups"
    config = data / "pacs.toml"
    with node_process(data, plugins=ARCHIVE) as node, Sender(node.peer) as sender:
        sender.wait_for(20)
        before = dict(sender.acknowledged)
        first = pacs(capsys, "backup", "create", backups, "--config", config)
        assert " copied" in first
        assert len(sender.acknowledged) > len(before), "the node did not serve meanwhile"
        sender.wait_for(len(sender.acknowledged) + 5)
        before = dict(sender.acknowledged)
        second = pacs(capsys, "backup", "create", backups, "--config", config)
        assert " known" in second
        assert copied(second) < copied(first) + len(before)
        # Each content is there once.
        assert len(list((backups / "contents").rglob("*"))) < 3 * len(sender.acknowledged) + 50
        text = config.read_text()
        node.kill()
        shutil.rmtree(data)

    listed = json.loads(pacs(capsys, "backup", "list", backups, "--json"))
    assert [each["databases"] for each in listed] == [1, 1]
    assert listed[1]["objects"] >= len(before)
    assert ", 0 damaged" in pacs(capsys, "backup", "verify", backups)
    moved = tmp_path / "elsewhere" / "pacs.toml"
    moved.parent.mkdir()
    moved.write_text(text)
    told = pacs(capsys, "backup", "restore", backups, "--config", moved)
    assert "0 faults" in told

    trail = "".join(path.read_text() for path in (data / "audit").glob("*.jsonl"))
    assert trail.count("backup.created") == 2
    assert "backup.restored" in trail
    assert not (data / "restoring").exists()
    assert "the trail is as it was written" in pacs(capsys, "audit", "verify", "--config", moved)
    with node_process(data, plugins=ARCHIVE) as node:
        (study,) = {study for study, _ in before.values()}
        got = {}

        def take(uid, chunk):
            got[uid] = got.get(uid, b"") + chunk

        sop_class = SampleStudy().make("CT").sop_class_uid
        keys = {"StudyInstanceUID": study}
        assert anyio.run(retrieve, node.peer, keys, sop_class, take).status == 0x0000
        assert {uid: got.get(uid) for uid in before} == {uid: d for uid, (_, d) in before.items()}


def copied(told):
    return int(told.partition(" copied")[0].rpartition("(")[2].rpartition(" ")[2])


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory):
    """A backup of an archive without instances, and its config file."""
    folder = tmp_path_factory.mktemp("backed-up")
    config = folder / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{folder / "data"}"\n')
    assert main(["backup", "create", str(folder / "backups"), "--config", str(config)]) == 0
    return folder, config


def test_a_backup_is_not_kept_in_what_it_backs_up(backed_up, capsys):
    folder, config = backed_up
    inside = folder / "data" / "backups"
    assert main(["backup", "create", str(inside), "--config", str(config)]) == 2
    assert "is in the data directory, and would be lost with it" in capsys.readouterr().err
    assert not inside.exists()


def test_objects_that_are_only_referred_to_are_looked_for(tmp_path, capsys):
    config = tmp_path / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    files = SampleStudy()
    for number in range(3):
        write_file(tmp_path / f"{number}.dcm", files.make("CT"))
    pacs(capsys, "import", *sorted(tmp_path.glob("*.dcm")), "--config", config)
    backups = tmp_path / "backups"
    told = pacs(capsys, "backup", "create", backups, "--by-reference", "--config", config)
    assert "3 referred to" in told
    (tmp_path / "data").rename(tmp_path / "old")
    assert main(["backup", "restore", str(backups), "--config", str(config)]) == 1
    told = capsys.readouterr()
    assert told.err.count(" is in no backup, and not in the store\n") == 3
    assert "0 objects restored" in told.out


def test_damage_ends_a_restore_and_nothing_of_it_is_served(tmp_path, capsys):
    config = tmp_path / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    write_file(tmp_path / "one.dcm", SampleStudy().make("CT"))
    pacs(capsys, "import", tmp_path / "one.dcm", "--config", config)
    backups = tmp_path / "backups"
    pacs(capsys, "backup", "create", backups, "--config", config)
    (list_,) = (backups / "backups").iterdir()
    entries = map(json.loads, list_.read_text().splitlines())
    (key,) = [entry for entry in entries if entry["kind"] == "object"]
    content = backups / "contents" / key["sha256"][:2] / key["sha256"]
    content.write_bytes(content.read_bytes()[:-1] + b"!")
    assert main(["backup", "verify", str(backups)]) == 1
    assert f"object {key['name']}: the backup of it is damaged" in capsys.readouterr().err
    (tmp_path / "data").rename(tmp_path / "old")
    assert main(["backup", "restore", str(backups), "--config", str(config)]) == 1
    assert "the backup of it is damaged; nothing serves" in capsys.readouterr().err
    assert [p for p in (tmp_path / "data" / "objects").rglob("*") if p.is_file()] == []


def write_file(path, dataset):
    """Write a Part 10 file (PS3.10 §7.1)."""
    uids = dataset.sop_class_uid, dataset.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN
    path.write_bytes(file_meta(*uids) + dataset.encode())


def test_nothing_is_overwritten(backed_up, capsys):
    folder, config = backed_up
    restore = ["backup", "restore", str(folder / "backups"), "--config", str(config)]
    for more in ([], ["--resume"]):
        assert main([*restore, *more]) == 1
        assert "is not empty, and not of a restore: move it away" in capsys.readouterr().err


def test_what_was_interrupted_goes_on_only_when_told(backed_up, tmp_path, capsys):
    folder, _ = backed_up
    config = tmp_path / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "restoring").touch()
    restore = ["backup", "restore", str(folder / "backups"), "--config", str(config)]
    assert main(restore) == 1
    assert "say --resume" in capsys.readouterr().err
    assert main([*restore, "--resume"]) == 0
    with sqlite3.connect(tmp_path / "data" / "index.sqlite") as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_config_file_that_is_gone_is_written(backed_up, tmp_path, capsys):
    folder, config = backed_up
    text = config.read_text()
    (folder / "data").rename(tmp_path / "old")
    config.unlink()
    try:
        told = pacs(capsys, "backup", "restore", folder / "backups", "--config", config)
    finally:
        shutil.rmtree(folder / "data", ignore_errors=True)
        (tmp_path / "old").rename(folder / "data")
        config.write_text(text)
    assert f"{config} was written" in told


def test_tables_in_postgresql_are_not_passed_over_in_silence(tmp_path, capsys):
    config = tmp_path / "pacs.toml"
    config.write_text(
        f'[node]\ndata_directory = "{tmp_path / "data"}"\n'
        '[database]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n'
    )
    assert main(["backup", "create", str(tmp_path / "backups"), "--config", str(config)]) == 1
    assert "--without-database" in capsys.readouterr().err
    assert not (tmp_path / "backups").exists()
