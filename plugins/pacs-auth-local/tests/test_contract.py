"""The contracts of authenticators and of web routes."""

from pathlib import Path

import pytest
from attrs import evolve
from pacs_auth_local import pacs_access, pacs_web_routes
from pacs_auth_local.config import AETitleRule, AuthLocalConfig
from pacs_auth_local.identities import LocalIdentities
from pacs_auth_local.passwords import hash_password
from pacs_auth_local.users import User, add_user
from pacs_web.testing import WebRoutesContract

from pacs_core.contracts import AccessDescriptor, Node, NodeSettings, Setup
from pacs_core.testing.access_contract import AuthenticatorContract, sample_requests
from pacs_core.testing.operations import memory_node
from pacs_core.upper_layer import AssociateRQ, UserIdentity, UserInformation

CONFIG = AuthLocalConfig(
    ae=(AETitleRule("CT1", ("192.0.2.0/24", "2001:db8::/32")), AETitleRule("CT2", ("10.0.0.1",)))
)
PASSWORD = "a password of alice"


def node_with_identities(folder: Path) -> Node:
    node = memory_node(NodeSettings(data_directory=folder))
    identities = LocalIdentities(folder / "auth-local", CONFIG, node.audit)
    with identities._file.transaction() as connection:
        add_user(connection, User("alice", hash_password(PASSWORD), ("physicians",)))
    identities._file.close()
    node.capabilities.provide(LocalIdentities, identities)
    return node


def request(calling: str, identity: UserIdentity | None = None) -> AssociateRQ:
    sample = evolve(next(sample_requests()), calling_ae_title=calling)
    return evolve(sample, user_information=UserInformation(user_identity=identity))


def user(kind: int, primary: bytes, secondary: bytes = b"") -> UserIdentity:
    return UserIdentity(kind, True, primary, secondary)


class TestAuthenticator(AuthenticatorContract):
    accepted = (
        (request("ANY", user(2, b"alice", PASSWORD.encode())), "alice"),
        (request("CT1", user(2, b"ALICE", PASSWORD.encode())), "alice"),
        (request("CT1"), "CT1"),
    )
    refused = (
        request("CT2"),
        request("CT2", user(2, b"alice", PASSWORD.encode())),
        request("ANY", user(1, b"alice")),
        request("ANY", user(2, b"alice", b"a password of bob")),
        request("ANY", user(2, b"alice\0", PASSWORD.encode())),
        request("ANY", user(2, b"al\xefce", PASSWORD.encode("latin-1"))),
        request("ANY", user(2, b"alice", b"x" * 65_535)),
        request("ANY", user(3, b"ticket")),
        request("ANY", user(4, b"<saml/>")),
        request("ANY", user(99, b"?")),
    )

    @pytest.fixture
    def descriptor(self) -> AccessDescriptor:
        return pacs_access(Setup(NodeSettings(), {AuthLocalConfig: CONFIG}))[0]

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        return node_with_identities(tmp_path)


class TestPages(WebRoutesContract):
    @pytest.fixture
    def descriptor(self):
        return pacs_web_routes(Setup(NodeSettings()))[0]

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        return node_with_identities(tmp_path)
