"""``pacs serve --plugin FILE``, and the first plugin of the how-to, as they are written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Peer
from pacs_core.testing.datasets import SampleStudy

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-plugin.md"
BLOCKS = dict(
    re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE.read_text(), re.DOTALL | re.MULTILINE)
)


def serve(folder, *arguments):
    (folder / "pacs.toml").write_text('[plugins]\ndisabled = ["web"]\n')
    command = [sys.executable, "-um", "pacs_core.cli.main", "serve", "--port", "0"]
    return subprocess.Popen(
        [*command, "--data", str(folder / "data"), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONSAFEPATH": "1"},  # as the program `pacs`: not with this folder's
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_plugin_of_the_how_to_hears_of_what_is_stored(tmp_path):
    (tmp_path / "visitors.py").write_text(BLOCKS["visitors.py"])
    ct = SampleStudy().make("CT")

    async def store(port):
        peer = Peer("PACS", "127.0.0.1", port)
        async with connect(peer, [Proposal(ct.sop_class_uid)]) as association:
            uids = ct.sop_class_uid, ct.sop_instance_uid
            return (await association.c_store(*uids, ct.encode())).status

    with serve(tmp_path, "--plugin", "visitors.py") as node:
        try:
            ready = node.stdout.readline()
            port = int(ready.split()[1].rpartition(":")[2])
            assert anyio.run(store, port) == 0x0000
            lines = [node.stdout.readline() for _ in range(2)]
            assert lines == [f"{what} {ct.sop_class_uid}\n" for what in ("received", "stored")]
        finally:
            node.kill()
            node.communicate()


@pytest.mark.parametrize("name", ["json.py", "a-b.py", "plugin.txt", "missing.py"])
def test_files_that_cannot_be_a_plugin(tmp_path, name):
    if name != "missing.py":
        (tmp_path / name).write_text("")
    with serve(tmp_path, "--plugin", name) as node:
        out, err = node.communicate(timeout=60)
    assert node.returncode != 0
    assert out == ""
    assert name in err
    assert "Traceback" not in err


def test_a_file_that_does_not_load_is_quarantined(tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    with serve(tmp_path, "--plugin", "broken.py") as node:
        try:
            assert node.stdout.readline().startswith("ready:")
        finally:
            node.kill()
            _, err = node.communicate()
    assert "plugin broken" in err
    assert "nothing_of_this_name" in err
