"""Metadata that the index keeps are made anew when it is rebuilt, and answer as before."""

import sqlite3
import subprocess
import sys
import time

from pacs_core.testing.datasets import SampleStudy

COUNT = 25


def kept(folder):
    with sqlite3.connect(folder / "index.sqlite") as connection:
        return connection.execute("SELECT count(*) FROM metadata").fetchone()[0]


def wait_until_kept(folder, count):
    deadline = time.monotonic() + 60
    while kept(folder) != count:
        assert time.monotonic() < deadline, f"{kept(folder)} of {count} are kept"
        time.sleep(0.05)


def test_what_is_lost_is_made_anew_by_a_rebuild(door):
    web = door()
    study = SampleStudy()
    web.store(*(study.make("CT", InstanceNumber=str(number)) for number in range(COUNT)))
    folder = web.node.data_directory
    wait_until_kept(folder, COUNT)
    [series] = web.found(f"/studies/{study.study_instance_uid}/series")
    path = f"/studies/{study.study_instance_uid}/series/{series['0020000E']['Value'][0]}/metadata"
    before = web.get(path)
    assert len(before.json()) == COUNT
    index = folder / "index.sqlite"
    was = index.resolve()
    pacs = [sys.executable, "-m", "pacs_core.cli.main"]
    command = [*pacs, "index", "rebuild", "--data", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert index.resolve() != was
    wait_until_kept(folder, COUNT)
    for each in folder.rglob("*.dcm"):
        each.unlink()  # so that nothing but what is kept can answer
    after = web.get(path)
    assert sorted(map(str, after.json())) == sorted(map(str, before.json()))
    assert web.is_well()
