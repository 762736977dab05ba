"""An archive whose objects are in a bucket: filled by DCMTK's storescu, killed, read again."""

import shutil
from hashlib import sha256

import anyio
import boto3
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.association import Proposal, connect
from pacs_core.testing.cloud_servers import BUCKET
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

COUNT = 5


def tables(url, prefix, **keys):
    return {
        "archive": {"store": "main", "space": {"reserve": 0}},
        "stores": {
            "main": {
                "type": "s3",
                "bucket": BUCKET,
                "endpoint": url,
                "prefix": prefix,
                "allow_http": True,
                "access_key_id": {"env": "CLOUD_TEST_KEY"},
                "secret_access_key": {"env": "CLOUD_TEST_KEY"},
                **keys,
            },
            **({"disk": {"type": "filesystem"}} if "spool" in keys else {}),
        },
    }


async def store(peer, datasets):
    async with connect(peer, [Proposal(datasets[0].sop_class_uid)]) as association:
        for each in datasets:
            response = await association.c_store(
                each.sop_class_uid, each.sop_instance_uid, each.encode()
            )
            assert response.status == 0x0000


def get_digests(peer, study, sop_class):
    """Retrieve a study by C-GET; return the digests of what has come."""
    received = {}

    def take(uid, chunk):
        received.setdefault(uid, sha256()).update(chunk)

    last = anyio.run(retrieve, peer, {"StudyInstanceUID": study}, sop_class, take)
    assert last.status == 0x0000
    return {uid: digest.hexdigest() for uid, digest in received.items()}


def names_in_bucket(url, prefix):
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id="testing", aws_secret_access_key="testing",
    )  # fmt: skip
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", [])
    client.close()
    return {each["Key"] for each in found}


@pytest.mark.peer("dcmtk")
def test_what_was_acknowledged_outlives_the_node_and_its_disk(s3_url, dcmtk, tmp_path, monkeypatch):
    """Acknowledged from the spool and killed; uploaded by the next; read without a spool."""
    monkeypatch.setenv("CLOUD_TEST_KEY", "testing")
    url, prefix = s3_url, "node"
    config = tables(url, prefix, spool="disk", spool_grace=0.0)
    folder = tmp_path / "node"
    sample = SampleStudy()
    datasets = [sample.make("CT") for _ in range(COUNT)]
    study, sop_class = sample.study_instance_uid, datasets[0].sop_class_uid
    sent = {each.sop_instance_uid: sha256(each.encode()).hexdigest() for each in datasets}
    original = get_testdata_file("CT_small.dcm")
    with node_process(folder, config) as node:
        anyio.run(store, node.peer, datasets)
        dcmtk.run("storescu", "-aec", "PACS", "127.0.0.1", node.port, original)
        node.kill()
    with node_process(folder, config) as node:
        assert get_digests(node.peer, study, sop_class) == sent
        until(lambda: len(names_in_bucket(url, prefix)) == COUNT + 1)
        assert node.stop() == 0
    shutil.rmtree(folder / "stores")  # all that this machine has of objects
    with node_process(folder, tables(url, prefix)) as node:
        another = sample.make("CT")
        anyio.run(store, node.peer, [another])
        sent[another.sop_instance_uid] = sha256(another.encode()).hexdigest()
        assert len(names_in_bucket(url, prefix)) == COUNT + 2
        assert get_digests(node.peer, study, sop_class) == sent
        received = dcmtk.directory / "received"
        received.mkdir()
        theirs = dcmread(original)
        dcmtk.run(
            "getscu", "-S", "-aec", "PACS", "-od", received, "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={theirs.StudyInstanceUID}", "127.0.0.1", node.port,
        )  # fmt: skip
        (ours,) = [dcmread(path) for path in received.iterdir()]
        assert ours.PixelData == theirs.PixelData
        assert ours.SOPInstanceUID == theirs.SOPInstanceUID
        assert node.stop() == 0
