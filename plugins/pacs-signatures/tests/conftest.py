"""Keys, certificates of an authority, and commands as they are typed."""

import datetime
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pacs_core.api.commands import main
from pacs_core.testing.peer_programs import PROGRAM_PATH

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
YEAR = datetime.timedelta(days=365)


@frozen
class Keys:
    """A folder with keys and certificates, by name."""

    folder: Path

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def sign_with(self, name: str) -> list[str]:
        return ["--private-key", str(self.key(name)), "--certificate", str(self.certificate(name))]

    def make(self, name, key=None, issuer=None, *, ca=False, extensions=(), password=b"", days=30):
        key = key or rsa.generate_private_key(65537, 2048)
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        form = PrivateFormat.TraditionalOpenSSL if not password else PrivateFormat.PKCS8
        self.key(name).write_bytes(key.private_bytes(Encoding.PEM, form, encryption))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer_name, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder(issuer_name, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - YEAR)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        self.certificate(name).write_bytes(certificate.public_bytes(Encoding.PEM))
        return certificate, key


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    keys = Keys(tmp_path_factory.mktemp("keys"))
    authority = keys.make("authority", ca=True)
    keys.make("signer", issuer=authority)
    keys.make("curve", ec.generate_private_key(ec.SECP256R1()), issuer=authority)
    keys.make("guarded", issuer=authority, password=b"secret")
    keys.make("stranger", ca=True)
    keys.make("lapsed", issuer=authority, days=-1)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    keys.make("tsa", issuer=authority, extensions=[usage])
    return keys


@pytest.fixture
def run(capsys):
    """Run a command of ``pacs``: exit code, standard output and error."""

    def run_command(*arguments):
        code = main([str(each) for each in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.fixture(scope="session")
def dcmsign():
    """Run DCMTK's dcmsign; return whether it has succeeded, and what it has said."""
    program = shutil.which("dcmsign", path=PROGRAM_PATH)
    if program is None:
        pytest.skip("dcmsign is not installed")

    def run_program(*arguments):
        done = subprocess.run(
            [program, "-v", *map(str, arguments)], capture_output=True, text=True, check=False
        )
        return done.returncode == 0, done.stdout + done.stderr

    return run_program


@pytest.fixture(scope="session")
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
