"""What others have reported of archives in the cloud, tried on a node with its objects in S3."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256

import anyio
import boto3
import httpx
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Level, Origin, Query, SingleValue
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.cloud_servers import BUCKET, run_s3
from pacs_core.testing.node import node_thread
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PLUGINS = (
    "store-cloud", "index-sqlite", "sop-storage", "sop-query-retrieve", "web", "dicomweb",
)  # fmt: skip


class Site:
    """A node, and its bucket as others see it."""

    def __init__(self, folder, node, web, url):
        self.folder, self.node, self.web = folder, node, f"http://127.0.0.1:{web}/dicom-web"
        self.bucket = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1",
            aws_access_key_id="testing", aws_secret_access_key="testing",
        )  # fmt: skip

    def names(self, study):
        pages = self.bucket.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return [name for name in found if f"/{study}/" in name]

    def store(self, study, numbers, comment=""):
        async def send():
            async with connect(self.node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
                for number in numbers:
                    uid, dataset = make(study, number, comment)
                    assert (await association.c_store(CT, uid, dataset)).status == 0x0000

        anyio.run(send)

    def read(self, study):
        received = {}

        def take(uid, chunk):
            received.setdefault(uid, sha256()).update(chunk)

        anyio.run(retrieve, self.node.peer, {"StudyInstanceUID": study}, CT, take)
        return {uid: digest.hexdigest() for uid, digest in received.items()}

    def delete(self, study):
        condition = SingleValue(tag_of("StudyInstanceUID"), study)
        archive = self.node.node.opened.node.archive
        query = Query(Level.STUDY, (condition,))
        return self.node.call(archive.delete_all, query, Origin("test"))


def make(study, number, comment=""):
    uid = f"{study}.1.{number}"
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "PatientID": "P1",
        "Modality": "CT",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
        "InstanceNumber": str(number),
        "ImageComments": comment or "x",
    }
    return uid, encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder, web = tmp_path_factory.mktemp("cloud-reports"), find_free_port()
    (folder / "key").write_text("testing")
    key = {"file": str(folder / "key")}
    with run_s3() as url:
        tables = {
            "archive": {"store": "main", "duplicates": "replace", "space": {"reserve": 0}},
            "plugin": {"web": {"port": web}},
            "stores": {
                "main": {
                    "type": "s3", "bucket": BUCKET, "endpoint": url, "allow_http": True,
                    "access_key_id": key, "secret_access_key": key, "deadline": 10.0,
                },
            },
        }  # fmt: skip
        with node_thread(folder, tables, plugins=PLUGINS) as node:
            yield Site(folder, node, web, url)


def test_of_contents_that_replace_each_other_at_once_one_is_there(site):
    """dcm4chee-arc-light issue 4754: two in succession, and both objects were gone."""
    study, comments = "1.2.826.0.1.3680043.10.5.1", [f"content {n}" for n in range(12)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda comment: site.store(study, [1], comment), comments))
    uid = make(study, 1)[0]
    wanted = {sha256(make(study, 1, each)[1]).hexdigest() for each in comments}
    assert site.read(study)[uid] in wanted
    assert len(site.names(study)) == 1


def test_a_study_whose_objects_are_gone_is_deleted_all_the_same(site):
    """orthanc-setup-samples pull request 17: what is broken is not in the way of a deletion."""
    study = "1.2.826.0.1.3680043.10.5.2"
    site.store(study, range(1, 4))
    for name in site.names(study)[:2]:
        site.bucket.delete_object(Bucket=BUCKET, Key=name)
    site.delete(study)
    assert site.names(study) == []
    assert site.read(study) == {}


def test_a_study_that_two_delete_at_once_is_deleted(site):
    """dcm4chee-arc-light issue 4444."""
    study = "1.2.826.0.1.3680043.10.5.3"
    site.store(study, range(1, 6))
    failures = []

    def delete():
        try:
            site.delete(study)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=delete) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    assert site.names(study) == []


def test_metadata_of_a_study_ask_the_bucket_for_nothing(site):
    """orthanc-s3-storage issue 13: for each of 900 instances an object was fetched."""
    study = "1.2.826.0.1.3680043.10.5.4"
    site.store(study, range(1, 21))

    def are_prepared():
        kept = "SELECT count(*) FROM metadata JOIN instance ON instance.id = metadata.instance "
        with closing(sqlite3.connect(site.folder / "index.sqlite")) as index:
            wanted = "WHERE content IS NOT NULL AND SOPInstanceUID LIKE ?"
            return index.execute(kept + wanted, (f"{study}.%",)).fetchone() == (20,)

    until(are_prepared)
    for name in site.names(study):
        site.bucket.delete_object(Bucket=BUCKET, Key=name)
    accept = {"Accept": "application/dicom+json"}
    found = httpx.get(f"{site.web}/studies/{study}/metadata", headers=accept)
    assert len(found.json()) == 20
