"""A copy of an archive that receives all the while, into a bucket and PostgreSQL, and back."""

import io
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.testing.cloud_servers import BUCKET
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.postgresql import postgresql_server
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.long]

SIZE = 20_000


def pacs(*arguments):
    """Run a command in this process; return code and output."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main([str(each) for each in arguments])
    return code, said.getvalue()


class Sender:
    """Stores one instance after the other until it is told to end."""

    def __init__(self, peer):
        self.peer = peer
        self.study = SampleStudy()
        self.first = self.study.make("CT")
        self.acknowledged = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._run,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self._ended.set()
        self._thread.join()

    async def _run(self):
        async with connect(self.peer, [Proposal(self.first.sop_class_uid)]) as association:
            while not self._ended.is_set():
                dataset = self.study.make("CT", PixelData=bytes(SIZE))
                data = dataset.encode()
                response = await association.c_store(
                    dataset.sop_class_uid, dataset.sop_instance_uid, data
                )
                assert response.status == 0x0000
                self.acknowledged[dataset.sop_instance_uid] = sha256(data).digest()
                await anyio.sleep(0.05)

    def retrieve_from(self, peer):
        """Return the digests of what a node has of the study."""
        received = {}

        def take(uid, chunk):
            received.setdefault(uid, sha256()).update(chunk)

        keys = {"StudyInstanceUID": self.study.study_instance_uid}
        assert anyio.run(retrieve, peer, keys, self.first.sop_class_uid, take).status == 0x0000
        return {uid: each.digest() for uid, each in received.items()}


def objects(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "objects").rglob("*.dcm")}


def test_an_archive_that_receives_is_copied_to_a_bucket_and_postgresql_and_back(
    s3_url, tmp_path, monkeypatch
):
    monkeypatch.setenv("COPY_TEST_KEY", "testing")
    here, there, back = (tmp_path / name for name in ("here", "there", "back"))
    reserve = {"archive": {"space": {"reserve": 0}}}
    secret = {"env": "COPY_TEST_KEY"}
    with postgresql_server() as database:
        dsn = tmp_path / "dsn"
        dsn.write_text(database.url)
        cloud = {
            "archive": {"index": "postgresql", "store": "bucket", "space": {"reserve": 0}},
            "plugin": {"index-postgresql": {"dsn": {"file": str(dsn)}}},
            "stores": {
                "bucket": {
                    "type": "s3", "bucket": BUCKET, "endpoint": s3_url, "prefix": "copied",
                    "allow_http": True, "access_key_id": secret, "secret_access_key": secret,
                }
            },
        }  # fmt: skip
        plugins = ("index-postgresql", "store-cloud", "sop-storage", "sop-query-retrieve")
        with (
            node_process(here, reserve) as source,
            node_process(there, cloud, plugins=plugins) as target,
            Sender(source.peer) as sender,
        ):
            copy = ("archive", "copy", "--from", here / "pacs.toml", "--to", there / "pacs.toml")
            verify = ("index", "verify", "--config", there / "pacs.toml")
            until(lambda: len(sender.acknowledged) > 20)
            # Throttled, and killed when the other node has some, but not all of them.
            command = [sys.executable, "-m", "pacs_core.cli.main", *map(str, copy), "--rate", "0.1"]
            with subprocess.Popen(command) as process:
                try:
                    until(lambda: len(sender.retrieve_from(target.peer)) > 2)
                finally:
                    process.kill()
            assert 2 < len(sender.retrieve_from(target.peer)) < len(sender.acknowledged)
            code, told = pacs(*copy)
            assert (code, " 0 damaged, 0 failed" in told) == (0, True), told
            before = len(sender.acknowledged)
            until(lambda: len(sender.acknowledged) > before + 10)  # what comes since
            sender.end()
            code, told = pacs(*copy)
            assert (code, told.startswith("0 objects copied")) == (0, False), told
            code, told = pacs(*copy)
            assert (code, told.startswith("0 objects copied")) == (0, True), told
            assert pacs(*verify)[0] == 0
            assert sender.retrieve_from(target.peer) == sender.acknowledged
            # And back, into files and SQLite, byte for byte.
            other = write_config(back, reserve)
            code, told = pacs("archive", "copy", "--from", there / "pacs.toml", "--to", other)
            assert code == 0, told
            assert objects(back) == objects(here)
            assert pacs("index", "verify", "--config", other)[0] == 0
