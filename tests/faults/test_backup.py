"""A backup of a node that is being sent to; then everything is destroyed, and restored."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from hashlib import sha256
from types import SimpleNamespace

import anyio
import pytest
from pydicom import dcmread

from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.cli.main import main
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.cloud_servers import BUCKET, run_s3, s3_environment
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.postgresql import postgresql_server
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

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


def archive_of(number, folder, capsys):
    """Import so many images of a study into an archive in a folder; return its config file."""
    config, study = folder / "pacs.toml", SampleStudy()
    config.write_text(f'[node]\ndata_directory = "{folder / "data"}"\n')
    for each in range(number):
        write_file(folder / f"{each}.dcm", study.make("CT"))
    pacs(capsys, "import", *sorted(folder.glob("*.dcm")), "--config", config)
    return config


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
    config = archive_of(3, tmp_path, capsys)
    backups = tmp_path / "backups"
    told = pacs(capsys, "backup", "create", backups, "--by-reference", "--config", config)
    assert "3 referred to" in told
    (tmp_path / "data").rename(tmp_path / "old")
    assert main(["backup", "restore", str(backups), "--config", str(config)]) == 1
    told = capsys.readouterr()
    assert told.err.count(" is in no backup, and not in the store\n") == 3
    assert "0 objects restored" in told.out


def test_damage_ends_a_restore_and_nothing_of_it_is_served(tmp_path, capsys):
    config = archive_of(1, tmp_path, capsys)
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


def test_tables_in_postgresql_are_not_passed_over_in_silence(tmp_path, capsys, monkeypatch):
    """A backup that is called one without its database is found out on the day it is needed."""
    config = tmp_path / "pacs.toml"
    config.write_text(
        f'[node]\ndata_directory = "{tmp_path / "data"}"\n'
        '[database]\nurl = "postgresql://nobody@127.0.0.1:1/none"\npassword = { env = "SECRET" }\n'
    )
    monkeypatch.setenv("SECRET", "secret")
    create = ["backup", "create", str(tmp_path / "backups"), "--config", str(config)]
    assert main(create) == 1
    told = capsys.readouterr().err
    assert "psql of database has failed: " in told
    assert "secret" not in told
    assert main(["backup", "list", str(tmp_path / "backups")]) == 1
    assert main([*create, "--without-database"]) == 0


@pytest.mark.peer("postgresql")
def test_index_and_tables_in_postgresql_come_back(tmp_path, capsys):
    """Everything is destroyed: the data directory, and the database."""
    data, backups = tmp_path / "data", tmp_path / "backups"
    config, plugins = data / "pacs.toml", (*ARCHIVE, "index-postgresql", "sop-worklist", "database")
    with postgresql_server() as server:
        (tmp_path / "dsn").write_text(server.url)
        tables = {
            "archive": {"index": "postgresql"},
            "database": {"url": server.url},
            "plugin": {"index-postgresql": {"dsn": {"file": str(tmp_path / "dsn")}}},
        }
        with node_process(data, tables, plugins=plugins) as node, Sender(node.peer) as sender:
            at = ("--config", config)
            pacs(capsys, "worklist", "add", "4711", "Doe^Jane", "--modality", "CT", *at)
            sender.wait_for(10)
            before = dict(sender.acknowledged)
            assert " 2 dump" in pacs(capsys, "backup", "create", backups, *at)
            text = config.read_text()
            node.kill()
        assert ", 0 damaged" in pacs(capsys, "backup", "verify", backups)
        shutil.rmtree(data)
        moved = tmp_path / "pacs.toml"
        moved.write_text(text)
        at = ("--config", moved)
        restore = ["backup", "restore", backups, *at]
        # Nobody's tables are written over.
        assert main([str(each) for each in restore]) == 1
        assert "the index of the configuration has instances" in capsys.readouterr().err
        for schema in ("pacs", "public"):
            server_sql(server, f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")
        told = pacs(capsys, *restore, "--resume")
        assert "0 faults" in told
        assert "Doe^Jane" in pacs(capsys, "worklist", "list", *at)
        wanted = [argument for uid in before for argument in ("--instance", uid)]
        main(["delete", *wanted, *map(str, at)])
        assert capsys.readouterr().out.startswith(f"{len(before)} instances would be deleted")


def test_from_a_bucket_everything_comes_back(tmp_path, capsys, monkeypatch):
    """Archive, backups and config file are destroyed: a bucket of an S3 server is left."""
    config, data, backups = tmp_path / "pacs.toml", tmp_path / "data", tmp_path / "backups"
    config.write_text(f'[node]\ndata_directory = "{data}"\n[plugin.lifecycle]\n')
    text, at, study = config.read_text(), ("--config", config), SampleStudy()
    for number, modality in enumerate(("CT", "CT", "MR", "SR")):
        write_file(tmp_path / f"{number}.dcm", study.make(modality))
    pacs(capsys, "import", *tmp_path.glob("*.dcm"), *at)
    pacs(capsys, "worklist", "add", "4711", "Doe^Jane", "--modality", "CT", *at)
    pacs(capsys, "lifecycle", "hold", study.study_instance_uid, "--reason", "a trial", *at)
    objects = digests(data / "objects")
    assert len(objects) == 4
    with run_s3() as url:
        for name, value in s3_environment(url).items():
            monkeypatch.setenv(name, value)
        bucket = f"s3://{BUCKET}/clinic"
        pacs(capsys, "backup", "create", backups, *at)
        pacs(capsys, "backup", "push", backups, bucket)
        trail = min((data / "audit").glob("*.jsonl")).read_text()
        for lost in (data, backups):
            shutil.rmtree(lost)
        config.unlink()
        pacs(capsys, "backup", "pull", backups, bucket)
    assert ", 0 damaged" in pacs(capsys, "backup", "verify", backups)
    told = pacs(capsys, "backup", "restore", backups, *at)
    assert "0 faults" in told
    assert config.read_text() == text
    assert digests(data / "objects") == objects
    assert "0 faults" in pacs(capsys, "index", "verify", "--content", *at)
    instances = [argument for uid in uids(data) for argument in ("--instance", uid)]
    assert "4 instances would be deleted" in pacs(capsys, "delete", *instances, *at)
    assert "Doe^Jane" in pacs(capsys, "worklist", "list", *at)
    assert "a trial" in pacs(capsys, "lifecycle", "holds", *at)
    assert "the trail is as it was written" in pacs(capsys, "audit", "verify", *at)
    assert min((data / "audit").glob("*.jsonl")).read_text().startswith(trail)


def digests(folder):
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.dcm")
    }


def uids(data):
    with closing(sqlite3.connect(data / "index.sqlite")) as index:
        return [uid for (uid,) in index.execute("SELECT SOPInstanceUID FROM instance")]


def server_sql(server, command):
    postgresql = shutil.which("psql")
    subprocess.run([postgresql, "--dbname", server.url, "-qc", command], check=True)


def test_a_disk_without_room_is_refused_before_anything_is_copied(tmp_path, capsys, monkeypatch):
    config = archive_of(1, tmp_path, capsys)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    assert main(["backup", "create", str(tmp_path / "backups"), "--config", str(config)]) == 1
    assert "has room for 1000: make room" in capsys.readouterr().err
    assert [path for path in (tmp_path / "backups" / "contents").rglob("*") if path.is_file()] == []


def test_one_that_is_killed_leaves_a_folder_that_can_be_used(tmp_path, capsys):
    """SIGKILL amid a backup: it is none, the next one is whole, its leavings are pruned."""
    config = archive_of(30, tmp_path, capsys)
    backups = tmp_path / "backups"
    pacs(capsys, "backup", "create", backups, "--config", config)
    shutil.rmtree(backups / "contents")
    create = ["backup", "create", str(backups), "--config", str(config)]
    with subprocess.Popen([sys.executable, "-m", "pacs_core.cli.main", *create]) as process:
        until(lambda: len(list((backups / "contents").rglob("*"))) > 5)
        # It holds the folder: another one is refused, at once, unless it has ended meanwhile.
        code = main(create)
        refused = capsys.readouterr().err
        process.kill()
    assert code == 0 or "another `pacs backup` is at work in" in refused
    assert ", 0 damaged" in pacs(capsys, "backup", "verify", backups) or not code
    pacs(capsys, *create)
    assert ", 0 damaged" in pacs(capsys, "backup", "verify", backups)
    pacs(capsys, "backup", "prune", backups, "--keep-last", "1", "--yes")
    assert [path for path in backups.rglob("*") if "partial" in path.name] == []
    assert ", 0 damaged" in pacs(capsys, "backup", "verify", backups)


def test_what_waits_in_the_bin_comes_back_and_can_be_restored_from_there(tmp_path, capsys):
    """Tables of plugins are in a file of SQLite; a rebuild does not serve what is in the bin."""
    config = archive_of(3, tmp_path, capsys)
    text = config.read_text()
    config.write_text(text + '[plugin.lifecycle.bin]\ndeletions = ["commands"]\n')
    at, backups = ("--config", config), tmp_path / "backups"
    objects = {path.name: path.read_bytes() for path in (tmp_path / "data").rglob("*.dcm")}
    study = dcmread(
        next((tmp_path / "data").rglob("*.dcm")), stop_before_pixels=True
    ).StudyInstanceUID
    assert "in the deletion bin" in pacs(capsys, "delete", "--study", study, "--yes", *at)
    pacs(capsys, "backup", "create", backups, *at)
    shutil.rmtree(tmp_path / "data")
    pacs(capsys, "backup", "restore", backups, *at)
    assert "0 faults" in pacs(capsys, "index", "verify", *at)
    assert study in pacs(capsys, "lifecycle", "bin", "list", *at)
    assert "restored" in pacs(capsys, "lifecycle", "bin", "restore", study, *at)
    assert "0 faults" in pacs(capsys, "index", "verify", *at)
    restored = {path.name: path.read_bytes() for path in (tmp_path / "data").rglob("*.dcm")}
    assert restored == objects


def test_each_backup_is_a_moment_to_go_back_to(tmp_path, capsys):
    """All is destroyed; what was deleted since is there again, and what came since is not."""
    config, data = tmp_path / "pacs.toml", tmp_path / "data"
    config.write_text(f'[node]\ndata_directory = "{data}"\n')
    at, backups, study = ("--config", config), tmp_path / "backups", SampleStudy()
    there, moments = set(), []
    for number in range(3):
        if there:
            pacs(capsys, "delete", "--instance", min(there), "--yes", *at)
            there.remove(min(there))
        for sample in (study.make("CT"), study.make("MR")):
            write_file(tmp_path / f"{number}{len(there)}.dcm", sample)
            there.add(sample.sop_instance_uid)
        pacs(capsys, "import", *tmp_path.glob(f"{number}*.dcm"), *at)
        pacs(capsys, "backup", "create", backups, *at)
        moments.append(set(there))
    names = [each["name"] for each in json.loads(pacs(capsys, "backup", "list", backups, "--json"))]
    for name, expected in zip(names, moments, strict=True):
        shutil.rmtree(data)
        assert "0 faults" in pacs(capsys, "backup", "restore", backups, "--name", name, *at)
        with closing(sqlite3.connect(data / "index.sqlite")) as index:
            found = {uid for (uid,) in index.execute("SELECT SOPInstanceUID FROM instance")}
        assert found == expected
        assert len(list((data / "objects").rglob("*.dcm"))) == len(expected)
