"""A disk that fills up: warned of, refused in time, and nothing acknowledged is lost.

The peers' reports that are tried here: Orthanc and dcm4chee nodes whose database could not be
written any more on a full disk, so that nothing could be deleted either.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from itertools import count

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, encode_attributes, tag_of
from pacs_core.testing.waiting import until

MIB = 1024 * 1024
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "1.2.826.0.9"
STORAGE = [Proposal(CT_IMAGE, (EXPLICIT,))]


@pytest.fixture
def small_disk(tmp_path, request):
    """A file system of 32 MiB, or as many as is said, or with the options that are said."""
    options = getattr(request, "param", 32)
    path = tmp_path / "disk"
    path.mkdir()
    options = options if isinstance(options, str) else f"size={options}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def dataset(uid, size):
    values = {
        "SOPClassUID": CT_IMAGE,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "PatientID": "FULL",
    }
    head = encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)
    return head + b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little") + bytes(size)


async def store_until_refused(peer, size, numbers):
    """Store instances until one is refused; return the UIDs of the others, and the status."""
    stored = set()
    async with connect(peer, STORAGE) as association:
        for number in numbers:
            uid = f"{STUDY}.2.{number}"
            status = (await association.c_store(CT_IMAGE, uid, dataset(uid, size))).status
            if status != 0x0000:
                return stored, status
            stored.add(uid)
    return stored, 0x0000


def fill(path):
    """Leave not a block on the disk."""
    with open(path, "wb", buffering=0) as file:
        for block in (bytes(MIB), bytes(4096)):
            try:
                while file.write(block):
                    pass
            except OSError:
                continue


def free(path):
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def pacs(directory, *command):
    return subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", *command, "--data", str(directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def space(**sizes):
    return {"archive": {"space": {name: size * MIB for name, size in sizes.items()}}}


def test_it_warns_then_refuses_with_room_for_the_index(pacs_process, small_disk):
    """PS3.4 Table B.2-1: A700H, out of resources."""
    data = small_disk / "data"
    tables = space(warning=16, minimum=8, reserve=2)
    node = pacs_process(tables, data_directory=data)
    stored, status = anyio.run(store_until_refused, node.peer, MIB, count())
    assert status == 0xA700
    assert 4 * MIB < free(small_disk) < 8 * MIB
    audit = data / "audit" / "audit.jsonl"
    until(lambda: audit.read_text().count('"event":"space"') == 2)
    log = node.log.read_text()
    assert re.search(r"WARNING.*little room is left", log)
    assert re.search(r"ERROR.*nothing is stored until there is more", log)
    # What is there can be deleted by the running node's side, and then there is room again.
    deleted = pacs(data, "delete", "--study", STUDY, "--yes")
    assert deleted.stdout == f"{len(stored)} instances deleted\n"
    # What is free is measured once a second.
    until(lambda: anyio.run(store_until_refused, node.peer, MIB, count(1000))[0])
    until(lambda: "enough room again" in node.log.read_text())
    assert node.stop() == 0


@pytest.mark.parametrize("running", [True, False])
def test_delete_works_on_a_disk_that_others_have_filled(pacs_process, small_disk, running):
    data = small_disk / "data"
    node = pacs_process(space(warning=8, minimum=4, reserve=4), data_directory=data)
    until(lambda: (data / ".reserve").exists())
    assert anyio.run(store_until_refused, node.peer, MIB // 4, range(4))[1] == 0x0000
    if not running:
        node.stop()
    fill(small_disk / "filler")
    assert free(small_disk) == 0
    uids = [argument for n in range(3) for argument in ("--instance", f"{STUDY}.2.{n}")]
    deleted = pacs(data, "delete", *uids, "--yes")
    assert deleted.stdout == "3 instances deleted\n", deleted.stderr
    assert "the reserve was released" in deleted.stderr
    if running:
        _, status = anyio.run(store_until_refused, node.peer, MIB // 4, count(10))
        assert status == 0xA700
        (small_disk / "filler").unlink()
        until(lambda: (data / ".reserve").exists())


FEW_FILES = pytest.mark.parametrize("small_disk", ["size=64m,nr_inodes=250"], indirect=True)


@FEW_FILES
def test_it_refuses_while_files_can_still_be_made(pacs_process, small_disk):
    """Room for bytes is of no use without inodes; whoever looks at the node is told as well."""
    data = small_disk / "data"
    node = pacs_process(space(warning=16, minimum=8, reserve=2), data_directory=data)
    stored, status = anyio.run(store_until_refused, node.peer, 70_000, count())
    assert status == 0xA700
    assert 20 < os.statvfs(small_disk).f_favail < 64
    assert re.search(
        r"ERROR.* more files \(inodes\) may be made: .*nothing is", node.log.read_text()
    )
    status = pacs(data, "status")
    assert status.returncode == 1
    assert "more files (inodes) may be made" in status.stdout
    deleted = pacs(data, "delete", "--study", STUDY, "--yes")
    assert deleted.stdout == f"{len(stored)} instances deleted\n", deleted.stderr
    until(lambda: anyio.run(store_until_refused, node.peer, 70_000, count(1000))[0])


@FEW_FILES
@pytest.mark.parametrize("running", [True, False])
def test_delete_works_where_others_have_made_all_files(pacs_process, small_disk, running):
    data = small_disk / "data"
    node = pacs_process(space(warning=8, minimum=4, reserve=4), data_directory=data)
    until(lambda: (data / ".reserve").exists())
    assert anyio.run(store_until_refused, node.peer, MIB // 4, range(4))[1] == 0x0000
    if not running:
        node.stop()
    else:
        until(lambda: len(list(data.glob(".reserve-*"))) == 16)
    with suppress(OSError):  # the node may be about to make some as well
        for number in count():
            (small_disk / str(number)).touch()
    assert os.statvfs(small_disk).f_favail == 0
    deleted = pacs(data, "delete", "--study", STUDY, "--yes")
    assert deleted.stdout == "4 instances deleted\n", deleted.stderr


@pytest.mark.parametrize(
    ("small_disk", "size", "journal"),
    [(32, 100_000, False), (80, 60_000, True)],
    ids=["large", "small"],
    indirect=["small_disk"],
)
def test_without_a_mark_nothing_acknowledged_is_lost(pacs_process, small_disk, size, journal):
    """Nor where small ones are in a journal, which was made while there was room."""
    data = small_disk / "data"
    node = pacs_process(space(warning=0, minimum=0, reserve=0), data_directory=data)
    stored, status = anyio.run(store_until_refused, node.peer, size, count())
    assert status == 0xA700
    assert bool(list(data.glob("journal-0/segment-*"))) == journal
    node.kill()
    verified = pacs(data, "index", "verify")
    missing = [line for line in verified.stdout.splitlines() if line.startswith("missing")]
    assert not missing
    # With no reserve, what a journal has may not fit into the index before there is room.
    subprocess.run(["mount", "-o", "remount,size=128m", str(small_disk)], check=True)
    counted = pacs(data, "delete", "--study", STUDY)
    assert counted.stdout.startswith(f"{len(stored)} instances would be deleted"), counted.stderr
