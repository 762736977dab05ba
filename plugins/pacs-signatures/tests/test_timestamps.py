"""Certified Timestamps by an authority that openssl is (RFC 3161, PS3.15 C.1)."""

import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.testing.peer_programs import PROGRAM_PATH

CT = Path(get_testdata_file("CT_small.dcm"))
OPENSSL = shutil.which("openssl", path=PROGRAM_PATH)
CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {certificate}
certs = {issuer}
signer_key = {key}
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


@pytest.fixture(scope="module")
def authority(keys, tmp_path_factory):
    """The URL of an authority, which answers badly at /refuse, /other and /nonsense."""
    if OPENSSL is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "serial").write_text("01\n")
    texts = {"folder": folder, "key": keys.key("tsa"), "certificate": keys.certificate("tsa")}
    texts["issuer"] = keys.certificate("authority")
    (folder / "config").write_text(CONFIG.format(**texts))
    make = [OPENSSL, "ts", "-reply", "-config", "config", "-queryfile", "query", "-out", "reply"]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            query = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/refuse":
                unknown = b"\x2a" + bytes(range(1, 9))  # an algorithm that nobody has
                query = query.replace(bytes.fromhex("608648016503040203"), unknown)
            if self.path == "/other":
                at = query.index(b"\x04\x40")
                query = query[: at + 2] + bytes(64) + query[at + 66 :]
            (folder / "query").write_bytes(query)
            subprocess.run(make, cwd=folder, check=True, capture_output=True)
            reply = b"\x30\x80" if self.path == "/nonsense" else (folder / "reply").read_bytes()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stamp(run, keys, authority, tmp_path):
    def sign(path="/", key="signer"):
        trusted = keys.certificate("authority")
        more = ["--timestamp-url", authority + path, "--timestamp-ca", trusted]
        return run("sign", CT, *keys.sign_with(key), "-o", tmp_path, "--overwrite", *more)

    return sign


@pytest.mark.parametrize("key", ["signer", "curve"])
def test_timestamps_are_asked_for_and_verified(run, dcmsign, keys, stamp, tmp_path, key):
    code, _, err = stamp(key=key)
    assert code == 0, err
    made = tmp_path / CT.name
    ca = ["--ca", keys.certificate("authority")]
    code, out, err = run("verify", "--json", "--require-timestamp", *ca, made)
    found = json.loads(out)
    assert (code, err, found["status"]) == (0, "", "valid")
    assert found["timestamp"][:10].replace("-", "") in {
        found["made"][:8], str(int(found["made"][:8]) + 1), str(int(found["made"][:8]) - 1)
    }  # fmt: skip
    assert dcmsign("+cf", keys.certificate("authority"), "+tr", made)[0]
    other = ["--any-signer", "--timestamp-ca", keys.certificate("stranger")]
    code, out, err = run("verify", *other, made)
    assert (code, ": invalid" in out, "its Certified Timestamp" in err) == (1, True, True)


def test_a_timestamp_of_another_signature_is_found(run, keys, stamp, tmp_path):
    stamp()
    first = dcmread(tmp_path / CT.name)
    stamp()
    second = dcmread(tmp_path / CT.name)
    token = first[0xFFFAFFFA][0].CertifiedTimestamp
    second[0xFFFAFFFA][0].CertifiedTimestamp = token
    second.save_as(tmp_path / "swapped.dcm")
    code, out, err = run("verify", "--ca", keys.certificate("authority"), tmp_path / "swapped.dcm")
    assert (code, ": invalid" in out, "its Certified Timestamp" in err) == (1, True, True)


def test_a_signature_without_timestamp_is_named_where_one_is_required(run, keys, tmp_path):
    run("sign", CT, *keys.sign_with("signer"), "-o", tmp_path)
    more = ["--ca", keys.certificate("authority"), "--require-timestamp"]
    code, _, err = run("verify", *more, tmp_path / CT.name)
    assert (code, "has no Certified Timestamp" in err) == (1, True)


@pytest.mark.parametrize("path", ["/refuse", "/other", "/nonsense"])
def test_nothing_is_written_without_the_timestamp_that_was_asked_for(stamp, tmp_path, path):
    code, _, err = stamp(path)
    assert (code, "internal error" in err) == (1, False)
    assert not list(tmp_path.iterdir())
