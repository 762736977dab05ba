"""What runs on Windows and macOS, as far as a Linux without what they lack can tell."""

import re
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.contracts import Peer
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import write_config

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
HIDING = Path(__file__).with_name("hiding.py")
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
# By the beginning of their names; what imports one of them is one of them.
NEEDS_POSIX = {
    "pacs_core.app.serve": "signals: reload, drain",
    "pacs_core.app.workers": "fork",
    "pacs_core.transcoding.workers.main": "limits of codec processes",
    "pacs_audit_atna.": "locks on a spool that several processes write",
    "pacs_audit_json.": "locks on a trail that several processes write",
    "pacs_deidentify.": "limits of its process, locks on its vault",
    "pacs_image_export.renderer": "limits of its process",
    "pacs_image_export.worker": "limits of its process",
    "pacs_sop_print.worker": "limits of its process",
    "pacs_store_filesystem.": "folders as descriptors, so that no name leads out of the store",
}


def sources():
    """Iterate over the modules of kernel and plugins."""
    for root in (ROOT / "pacs_core", *sorted(ROOT.glob("plugins/*/src/pacs_*"))):
        if root.suffix == ".egg-info":
            continue
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            # Tools of tests, programs that run when imported, a library of codec processes.
            if not {"testing", "__main__", "jpeg"} & set(parts):
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def run(system, *arguments, **options):
    command = [sys.executable, HIDING, system, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, **options)


def not_importable(system):
    done = run(system, "--import", *sources())
    assert done.returncode == 0, done.stderr
    return dict(line.split("\t", 1) for line in done.stdout.splitlines())


def test_all_is_imported_where_macos_is_imitated():
    assert not_importable("macos") == {}


def test_what_needs_posix_is_known_and_no_plugin_is_lost_by_it():
    failed = not_importable("windows")
    for begin in NEEDS_POSIX:
        assert any(name.startswith(begin) for name in failed), f"{begin} needs it no more"
    unknown = [name for name in failed if not name.startswith(tuple(NEEDS_POSIX))]
    assert {name: failed[name] for name in unknown} == {}
    plugins = {point.module for point in entry_points(group="pacs_core.plugins")}
    assert not plugins & failed.keys()


async def test_commands_that_need_no_archive_run_without_posix(pacs_node, tmp_path):
    node = pacs_node()
    main = ("windows", "-m", "pacs_core.cli.main")
    done = run(*main, "echo", f"PACS@127.0.0.1:{node.port}")
    assert done.returncode == 0, done.stderr
    file = get_testdata_file("CT_small.dcm")
    done = run(*main, "store", f"PACS@127.0.0.1:{node.port}", file)
    assert done.returncode == 0, done.stderr
    assert "CompressedSamples^CT1" in run(*main, "dump", file).stdout
    refused = run(*main, "serve", "--data", tmp_path)
    assert refused.returncode == 1
    assert "run it in WSL 2 or in a container" in refused.stderr
    assert "Traceback" not in refused.stderr


@contextmanager
def served(directory, tables):
    """Run a node where macOS is imitated."""
    config = write_config(directory, tables)
    command = [sys.executable, HIDING, "macos", "-m", "pacs_core.cli.main", "serve", "--config"]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, config], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield process, process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def test_a_node_runs_where_macos_is_imitated(tmp_path):
    tables = {"archive": {"journal": True, "space": {"reserve": 1 << 20}}}
    sample = SampleStudy().make("CT")
    with served(tmp_path, tables) as (process, line):
        port = re.match(r"ready: dicom://PACS@127\.0\.0\.1:(\d+)", line)
        assert port, (tmp_path / "log").read_text()
        peer = Peer("PACS", "127.0.0.1", int(port[1]))
        proposals = [Proposal(sample.sop_class_uid, (EXPLICIT,))]
        async with connect(peer, proposals) as association:
            data = sample.encode()
            uid = sample.sop_instance_uid
            response = await association.c_store(sample.sop_class_uid, uid, data)
            assert response.status == 0x0000
    assert process.returncode == 0
    log = (tmp_path / "log").read_text()
    assert "no local sockets that say who connects" in log
    assert "Traceback" not in log


def test_several_workers_are_refused_where_macos_is_imitated(tmp_path):
    with served(tmp_path, {"node": {"workers": 2}}) as (process, _):
        assert process.wait(60) == 1
    assert "use --workers 1" in (tmp_path / "log").read_text()
