"""Certificates good and bad, a node that wants them, and programs of other makers."""

import json
import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import numpy as np
import pytest
import trustme
from attrs import frozen
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pacs_core.association import Proposal, connect
from pacs_core.contracts import ClientTls, Peer, Secret
from pacs_core.testing.node import node_thread
from pacs_core.testing.peer_programs import PeerPrograms, find_free_port

PATIENCE = 60.0
VERIFICATION = "1.2.840.10008.1.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
SIDE = 2048

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@frozen
class Pem:
    """A certificate with its chain, and its key."""

    certificate: Path
    key: Path

    @property
    def own(self):
        """As a table of TLS has them."""
        return {"certificate": str(self.certificate), "key": {"file": str(self.key)}}


class Authority:
    """A CA with a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ca = trustme.CA(organization_name=f"CA of {folder.name}")
        self._folder = folder
        self.private_key = self._ca.private_key_pem.bytes()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, name: str = "", **options: object) -> Pem:
        """Issue a certificate for names and addresses; `name` is that of the files."""
        issued = self._ca.issue_cert(*names, **options)
        base = self._folder / (name or names[0].replace("*", "_"))
        pem = Pem(base.with_suffix(".crt"), base.with_suffix(".key"))
        pem.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(pem.key)
        return pem

    def issue_expired(self, *names: str) -> Pem:
        """Issue one that was valid until yesterday."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        return self.issue(*names, name="expired", not_before=LONG_AGO, not_after=yesterday)

    def issue_future(self, *names: str) -> Pem:
        """Issue one that is valid from tomorrow."""
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        after = tomorrow + timedelta(days=100)
        return self.issue(*names, name="future", not_before=tomorrow, not_after=after)

    def issue_brief(self, *names: str, days: int, name: str = "brief") -> Pem:
        """Issue one that is valid for some days, and an hour."""
        until = datetime.now(UTC) + timedelta(days=days, hours=1)
        return self.issue(*names, name=name, not_before=LONG_AGO, not_after=until)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A CA that all trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory):
    """A CA that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="session")
def of_node(authority):
    """The certificate of the node."""
    return authority.issue("127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def of_modality(authority):
    """The certificate of a modality."""
    return authority.issue("ct1.hospital.example", common_name="ct1")


@frozen
class SecureNode:
    """A node that listens for secured associations, and what it has written."""

    node: object
    caplog: pytest.LogCaptureFixture
    authority: Authority

    @property
    def port(self):
        return self.node.tls_port

    def peer(self, pem=None, *, port=None, **tls):
        """Return the node as a peer that is secured by a certificate of this side."""
        own = {} if pem is None else {"certificate": pem.certificate, "key": secret(pem.key)}
        settings = ClientTls(**{"ca": self.authority.file, **own, **tls})
        return Peer("PACS", "127.0.0.1", port or self.port, tls=settings)

    def echo(self, peer):
        """Verify; return what is known of the association."""
        return anyio.run(_echo, peer)

    def events(self, kind):
        files = sorted((self.node.data_directory / "audit").glob("*.jsonl"))
        found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [event for event in found if event["event"] == kind]

    def await_details(self, kind, count=1):
        """Wait for audit events; return their details."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.events(kind)) < count:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        assert len(found) == count
        return [event["details"] for event in found]

    def await_refusal(self, code):
        """Wait for an audit event of a refusal; return its reason, which is logged as well."""
        deadline = time.monotonic() + PATIENCE
        while not (found := [e for e in self.refusals if e.get("tls") == code]):
            assert time.monotonic() < deadline, (self.refusals, self.caplog.text)
            time.sleep(0.05)
        reason = found[-1]["reason"]
        assert reason in self.caplog.text
        return reason

    @property
    def refusals(self):
        return [event["details"] for event in self.events("association-refused")]


def secret(path):
    return Secret(file=str(path))


async def _echo(peer):
    async with connect(peer, [Proposal(VERIFICATION)]) as association:
        assert (await association.c_echo()).status == 0x0000
        return association.info


def move(node, of_modality, image, destination):
    """Let the node send the image to a destination over a secured association."""

    async def move():
        async with connect(node.peer(of_modality), [Proposal(STUDY_MOVE)]) as association:
            query = Dataset()
            query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", image.StudyInstanceUID
            async for response, _ in association.c_move(STUDY_MOVE, query, destination):
                final = response
        return final.status, final.number_of_completed_suboperations

    return anyio.run(move)


@pytest.fixture
def secure_node(tmp_path, authority, of_node, of_modality, caplog):
    """Return a context manager: a node with a table [network.tls].

    It must accept a modality afterwards, unless its certificate is not one that `goes_on`.
    """

    @contextmanager
    def secure_node(*, goes_on=True, network=None, remote=None, plugins=None, plugin=None, **tls):
        table = {"port": 0, "ca": str(authority.file), **of_node.own, **tls}
        tables = {"network": {"timeouts": {"shutdown": 1.0}, "tls": table, **(network or {})}}
        tables |= {"peers": remote or {}, "plugin": plugin or {}}
        with (
            caplog.at_level(logging.INFO),
            node_thread(tmp_path / "node", tables, plugins=plugins) as node,
        ):
            given = SecureNode(node, caplog, authority)
            yield given
            if not goes_on:
                return
            info = given.echo(given.peer(of_modality))  # it goes on
            assert info.tls.version == "TLSv1.3"
            deadline = time.monotonic() + PATIENCE
            while node.node.listener.associations:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    return secure_node


@pytest.fixture
def programs(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    return PeerPrograms(folder)


@pytest.fixture
def free_port():
    return find_free_port()


@pytest.fixture(scope="session")
def image():
    """An image of 8 MiB, which does not compress and has no two equal records."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.PatientID, image.PatientName, image.Modality = "P1", "Doe^Jane", "CT"
    image.Rows = image.Columns = SIDE
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.SamplesPerPixel, image.PixelRepresentation = 15, 1, 0
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = np.random.default_rng(1).bytes(2 * SIDE * SIDE)
    return image


@pytest.fixture(scope="session")
def file(image, tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "ct.dcm"
    image.save_as(path, enforce_file_format=True)
    return path
