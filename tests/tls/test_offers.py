"""Versions and suites that each profile takes and refuses, offered by ``openssl s_client``."""

import pytest
import trustme

from pacs_core.testing.node import node_process
from tests.tls.openssl_client import (
    CCM_OF_TLS_1_3,
    PERMITTED,
    SUITES_OF_TLS_1_3,
    check_offers,
    list_suites,
    offer,
)


@pytest.fixture(scope="session")
def certificates(authority):
    """The node's certificates: suites of TLS 1.2 are for one kind of key each."""
    kinds = trustme.KeyType
    return {
        kind.name: authority.issue("127.0.0.1", name=f"node-{kind.name}", key_type=kind)
        for kind in (kinds.RSA, kinds.ECDSA)
    }


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
@pytest.mark.parametrize("profile", PERMITTED)
def test_the_profiles(secure_node, programs, of_modality, certificates, profile, kind):
    """PS3.15 B.12, B.13: TLS 1.2 and 1.3, and nothing that the profile does not name."""
    with secure_node(profile=profile, **certificates[kind].own) as node:
        check_offers(programs, node.port, profile, kind, of_modality)
        assert "no version above TLS 1.1" in node.await_refusal("version")
        assert "no permitted cipher suite" in node.await_refusal("cipher-suite")


def test_suites_of_ones_own(secure_node, programs, of_modality, certificates):
    """Whoever chooses gets what is chosen, with the versions of the profiles."""
    chosen = "DHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-SHA384"
    own = certificates["RSA"].own
    with secure_node(profile="custom", ciphers=chosen, **own) as node:
        others = list_suites(programs, "ALL:@SECLEVEL=0") - set(chosen.split(":"))
        unwanted = ":".join((*others, "@SECLEVEL=0"))
        refused = offer(programs, node.port, "-tls1_2", "-cipher", unwanted, pem=of_modality)
        assert refused is None
        node.await_refusal("cipher-suite")
        last = ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384")
        assert offer(programs, node.port, *last, pem=of_modality)[1] == "ECDHE-RSA-AES256-SHA384"
        assert offer(programs, node.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0") is None
        node.await_refusal("version")


CONFIGURATION = """
openssl_conf = start
[start]
ssl_conf = configurations
[configurations]
system_default = chosen
[chosen]
Ciphersuites = {suites}
"""


def test_openssl_is_told_of_the_other_suites_of_tls_1_3(programs, of_node, tmp_path, monkeypatch):
    """PS3.15 B.13 has two with CCM, which only the configuration of OpenSSL can add."""
    suites = (*sorted(SUITES_OF_TLS_1_3), *CCM_OF_TLS_1_3)
    (tmp_path / "openssl.cnf").write_text(CONFIGURATION.format(suites=":".join(suites)))
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
    table = {"port": 0, "peers": "ignored", "profile": "bcp195-modified", **of_node.own}
    with node_process(tmp_path / "node", {"network": {"tls": table}}) as node:
        for suite in CCM_OF_TLS_1_3:
            chosen = offer(programs, node.tls_port, "-tls1_3", "-ciphersuites", suite)
            assert chosen == ("TLSv1.3", suite)
