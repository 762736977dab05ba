"""Where contexts come from: files, or a plugin; and who is who by certificate."""

import sys
from pathlib import Path

import anyio
import pytest
from importlib_metadata import EntryPoint

from pacs_core.app import StartError
from pacs_core.association import Proposal, connect
from pacs_core.contracts import ClientTls, PeerCertificates, Secret, ServerTls
from pacs_core.testing.tls_contexts_contract import TlsContextsContract
from pacs_core.tls import FileTlsContexts

SOURCE = Path(__file__).parents[1] / "distributions" / "pacs-certificates" / "src"
POINT = EntryPoint("certificates", "pacs_certificates", "pacs_core.plugins")
VERIFICATION = "1.2.840.10008.1.1"


class TestFiles(TlsContextsContract):
    @pytest.fixture
    def contexts(self):
        return FileTlsContexts()

    @pytest.fixture
    def server(self, of_node, authority):
        key = Secret(file=str(of_node.key))
        return ServerTls(of_node.certificate, key, None, authority.file)

    @pytest.fixture
    def client(self, of_modality, authority):
        key = Secret(file=str(of_modality.key))
        return ClientTls(authority.file, of_modality.certificate, key, check_hostname=False)


@pytest.fixture
def vault(tmp_path, authority, of_node):
    folder = tmp_path / "vault"
    folder.mkdir()
    pem = of_node.certificate.read_bytes() + of_node.key.read_bytes()
    (folder / "node.pem").write_bytes(pem)
    (folder / "ca.pem").write_bytes(authority.file.read_bytes())
    return folder


@pytest.fixture
def plugin(monkeypatch):
    monkeypatch.syspath_prepend(SOURCE)
    yield POINT
    sys.modules.pop("pacs_certificates", None)


class TestVault(TlsContextsContract):
    @pytest.fixture
    def contexts(self, plugin, vault):
        return plugin.load().VaultContexts(vault)

    @pytest.fixture
    def server(self):
        return ServerTls(Path("none"), ca=Path("none"), peers=PeerCertificates.OPTIONAL)

    @pytest.fixture
    def client(self):
        return ClientTls(check_hostname=False)


def test_a_node_does_not_start_without_a_context(secure_node, plugin, vault, tmp_path):
    (vault / "node.pem").unlink()
    nowhere = str(tmp_path / "nowhere.pem")
    table = {"certificate": nowhere, "key": {"file": nowhere}, "ca": nowhere}
    own = {"certificates": {"vault": str(vault)}}
    node = secure_node(plugins=("sop-verification", plugin), plugin=own, **table)
    with pytest.raises(StartError, match=r"\[network.tls\]: .*node.pem: cannot be read"), node:
        pass


def test_a_plugin_has_the_certificates_and_knows_principals_by_theirs(
    secure_node, plugin, vault, of_modality, authority, tmp_path
):
    """Of the files that the configuration names there is none."""
    nowhere = str(tmp_path / "nowhere.pem")
    own = {"vault": str(vault), "trusted": ["ct1"]}
    table = {"certificate": nowhere, "key": {"file": nowhere}, "ca": nowhere}
    plugins = ("sop-verification", "audit-json", plugin)
    stranger = authority.issue("ct2.hospital.example", common_name="ct2")
    with secure_node(plugins=plugins, plugin={"certificates": own}, **table) as node:
        node.echo(node.peer(of_modality))

        async def ask():
            async with connect(node.peer(stranger), [Proposal(VERIFICATION)]) as association:
                return await association.c_echo()

        assert anyio.run(ask).status == 0x0124
        (details,) = node.await_details("access-denied")
        assert details["reason"] == "ct2 is not trusted"
