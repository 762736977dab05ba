"""Signatures are judged by whichever door an instance comes: STOW-RS, and ``pacs import``."""

import json
import shutil

import httpx
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.api.commands import main
from pacs_core.testing.node import node_thread

PLUGINS = ("web", "dicomweb", "store-filesystem", "index-sqlite", "audit-json", "signatures")
FAILED = "00081197"


@pytest.fixture(scope="module")
def files(keys, tmp_path_factory):
    """A signed file and one that was changed since, and one without a signature."""
    folder = tmp_path_factory.mktemp("files")
    for number, name in enumerate(("valid", "tampered", "unsigned")):
        file = dcmread(get_testdata_file("CT_small.dcm"))
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        file.save_as(folder / f"{name}.dcm")
        if name != "unsigned":
            arguments = [folder / f"{name}.dcm", *keys.sign_with("signer"), "--in-place"]
            assert main(["sign", *map(str, arguments)]) == 0
    tampered = dcmread(folder / "tampered.dcm")
    tampered.PatientWeight = "1"
    tampered.save_as(folder / "tampered.dcm")
    return folder


def open_client(node):
    port = node.node.service_sockets["web"][0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/dicom-web"
    return httpx.Client(base_url=url, timeout=60, trust_env=False)


def instances(client):
    return {item["00080018"]["Value"][0] for item in client.get("/instances").json()}


def post(client, path):
    """Store a file by STOW-RS; return the status, and references and failures by their UIDs."""
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    headers = {
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=b',
        "Accept": "application/dicom+json",
    }
    body = head + path.read_bytes() + b"\r\n--b--\r\n"
    response = client.post("/studies", content=body, headers=headers)
    failed = response.json().get("00081198", {}).get("Value", [])
    return response.status_code, [item[FAILED]["Value"][0] for item in failed]


@pytest.mark.parametrize("policy", ["warn", "reject", "set-aside"])
def test_what_comes_by_stow(keys, files, tmp_path, policy):
    signatures = {"on_ingest": policy, "trusted": str(keys.certificate("authority"))}
    tables = {"plugin": {"web": {"port": 0}, "dicomweb": {}, "signatures": signatures}}
    with node_thread(tmp_path, tables, plugins=PLUGINS) as node, open_client(node) as client:
        assert post(client, files / "valid.dcm") == (200, [])
        assert post(client, files / "unsigned.dcm") == (200, [])
        status, failures = post(client, files / "tampered.dcm")
        uids = instances(client)
    refused = policy != "warn"
    assert (status, failures) == ((403, [0x0124]) if refused else (200, []))
    assert uids == ({"1.2.3.0", "1.2.3.2"} if refused else {"1.2.3.0", "1.2.3.1", "1.2.3.2"})
    aside = list((tmp_path / "signatures" / "aside").glob("*"))
    assert len(aside) == (1 if policy == "set-aside" else 0)


def test_what_is_imported(keys, files, tmp_path, run):
    config = tmp_path / "pacs.toml"
    certificate = json.dumps(str(keys.certificate("authority")))
    config.write_text(
        f"[node]\ndata_directory = {json.dumps(str(tmp_path / 'data'))}\n"
        f'[plugin.signatures]\non_ingest = "reject"\ntrusted = {certificate}\n'
    )
    folder = shutil.copytree(files, tmp_path / "in")
    code, _, err = run("import", "--config", config, folder)
    assert code == 1
    assert "tampered.dcm" in err
    assert "digital signature invalid" in err
    tables = {"plugin": {"web": {"port": 0}}}
    with (
        node_thread(tmp_path / "data", tables, plugins=PLUGINS) as node,
        open_client(node) as client,
    ):
        assert instances(client) == {"1.2.3.0", "1.2.3.2"}
