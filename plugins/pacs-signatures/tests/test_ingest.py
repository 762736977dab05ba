"""Signatures of what arrives, judged before it is stored, over the wire."""

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.api.commands import main
from pacs_core.testing.node import node_thread
from pacs_core.testing.transfers import retrieve, store_dataset
from pacs_core.testing.waiting import until

CT = Path(get_testdata_file("CT_small.dcm"))
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
PLUGINS = (
    "store-filesystem", "index-sqlite", "audit-json", "sop-storage", "sop-query-retrieve",
    "codec-imagecodecs", "signatures",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(keys, tmp_path_factory):
    """Files by what is the matter with them, each an instance of its own."""
    folder = tmp_path_factory.mktemp("files")
    names = {"valid": "signer", "untrusted": "stranger", "tampered": "signer", "unsigned": ""}
    for number, (name, key) in enumerate(names.items()):
        file = dcmread(CT)
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        file.save_as(folder / f"{name}.dcm")
        if key:
            arguments = [folder / f"{name}.dcm", *keys.sign_with(key), "--in-place"]
            assert main(["sign", *map(str, arguments)]) == 0
    tampered = dcmread(folder / "tampered.dcm")
    tampered.PatientWeight = "1"
    tampered.save_as(folder / "tampered.dcm")
    return folder


def store(node, path):
    file = dcmread(path)
    data = path.read_bytes()[read_offset(path) :]
    response = node.call(store_dataset, node.peer, CT_CLASS, str(file.SOPInstanceUID), data)
    return response.status


def read_offset(path):
    from pacs_core.dataset import read_file_meta

    return read_file_meta(path.read_bytes()).dataset_offset


def fetch(node, file):
    found: list[bytes] = []
    keys = {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": str(file.StudyInstanceUID),
            "SeriesInstanceUID": str(file.SeriesInstanceUID),
            "SOPInstanceUID": str(file.SOPInstanceUID)}  # fmt: skip
    node.call(retrieve, node.peer, keys, CT_CLASS, lambda _, piece: found.append(bytes(piece)))
    return b"".join(found)


@pytest.mark.parametrize("policy", ["warn", "reject", "set-aside"])
def test_what_arrives_is_judged(keys, files, tmp_path, policy):
    table = {"on_ingest": policy, "trusted": str(keys.certificate("authority"))}
    with node_thread(tmp_path, {"plugin": {"signatures": table}}, plugins=PLUGINS) as node:
        for name, status in (
            ("valid", "valid"), ("untrusted", "untrusted"), ("tampered", "invalid"),
            ("unsigned", ""),
        ):  # fmt: skip
            check_policy(node, policy, files / f"{name}.dcm", status)


def check_policy(node, policy, path, status):
    is_refused = status in {"untrusted", "invalid"} and policy != "warn"
    assert store(node, path) == (0x0124 if is_refused else 0)
    content = path.read_bytes()[read_offset(path) :]
    assert fetch(node, dcmread(path)) == (b"" if is_refused else content)
    aside = [each.read_bytes() for each in node.data_directory.glob("signatures/aside/*")]
    assert (content in [each[-len(content) :] for each in aside]) == (
        is_refused and policy == "set-aside"
    )
    assert not list(node.data_directory.glob("signatures/arriving/*"))
    uid = str(dcmread(path).SOPInstanceUID)
    if not status:
        assert not [event for event in read_audit(node) if event["details"]["instance"] == uid]
        return

    def find():
        return [each for each in read_audit(node) if each["details"]["instance"] == uid]

    until(find)
    (event,) = find()
    bad = "warning" if policy == "warn" else "failure"
    assert event["details"]["statuses"] == [status]
    assert event["outcome"] == ("success" if status == "valid" else bad)


def read_audit(node):
    (path,) = node.data_directory.rglob("audit*.jsonl")
    lines = map(json.loads, path.read_text().splitlines())
    return [event for event in lines if event["event"] == "signatures.verified"]


def test_an_unsigned_instance_is_refused_where_a_profile_is_required(keys, files, tmp_path):
    table = {"on_ingest": "reject", "require": "creator"}
    with node_thread(tmp_path / "data", {"plugin": {"signatures": table}}, plugins=PLUGINS) as node:
        assert store(node, files / "unsigned.dcm") == 0x0124
        assert store(node, files / "untrusted.dcm") == 0


def test_what_the_archive_does_to_signatures(keys, files, tmp_path, run):
    """What is compressed to be kept comes back as it was; a correction breaks what signs it."""
    tables = {"plugin": {"sop-storage": {"compress": "JPEG-LS Lossless"}}}
    path, came, trusted = files / "valid.dcm", tmp_path / "came.dcm", keys.certificate("authority")
    with node_thread(tmp_path / "data", tables, plugins=PLUGINS) as node:
        assert store(node, path) == 0
        came.write_bytes(fetch(node, dcmread(path)))
        assert run("verify", "--ca", trusted, came)[0] == 0
        config = ["--config", tmp_path / "data" / "pacs.toml"]
        study = ["--study", dcmread(path).StudyInstanceUID]
        code, _, err = run("correct", "update", *config, *study, "--set", "PatientID=X", "--yes")
        assert (code, err) == (0, "")
        came.write_bytes(fetch(node, dcmread(path)))
        code, out, err = run("verify", "--ca", trusted, came)
        assert (code, ": invalid" in out) == (1, True)


def test_certificates_that_cannot_be_read_are_named_before_a_port_is_bound(run, tmp_path):
    config = tmp_path / "pacs.toml"
    config.write_text('[plugin.signatures]\non_ingest = "warn"\ntrusted = "no.pem"\n')
    code, _, err = run("config", "check", "--config", config)
    assert (code, "no.pem" in err) == (2, True)
