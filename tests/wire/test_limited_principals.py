"""Authenticators that demand that peers say who they are, and principals that are limited."""

import sys
from types import ModuleType

import pytest
from importlib_metadata import EntryPoint

from pacs_core.contracts import (
    AccessDescriptor,
    Authenticated,
    Authenticator,
    Principal,
    Refused,
)
from pacs_core.plugins import hookimpl
from pacs_core.testing.node import node_thread, usual_plugins
from pacs_core.upper_layer import NO_REASON_GIVEN, UserIdentity, UserIdentityType, encode

KNOWN = {
    b"reader": Principal("reader", actions=frozenset({"query"})),
    b"tester": Principal("tester", actions=frozenset({"echo"})),
}


class Demanding(Authenticator):
    """Knows nobody, and lets in nobody whom no other knows."""

    async def authenticate(self, request, origin):
        return None

    async def refuse_anonymous(self, request, origin):
        if origin.calling_ae_title == "CRASH":
            raise RuntimeError("no database")
        if origin.calling_ae_title == "RAW":  # the fixture that looks after the node
            return None
        return Refused(NO_REASON_GIVEN, "say who you are")


class Knowing(Authenticator):
    async def authenticate(self, request, origin):
        identity = request.user_information.user_identity
        principal = identity and KNOWN.get(identity.primary)
        return Authenticated(principal, b"") if principal else None


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory):
    module = ModuleType("limited_principals_plugin")

    @hookimpl
    def pacs_access(setup):
        return [
            AccessDescriptor("demanding", authenticator=lambda node: Demanding()),
            AccessDescriptor("knowing", authenticator=lambda node: Knowing()),
        ]

    module.pacs_access = pacs_access
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        point = EntryPoint("limited", module.__name__, "pacs_core.plugins")
        folder = tmp_path_factory.mktemp("node") / "data"
        with node_thread(folder, {}, usual_plugins(point)) as node:
            yield node


def request(wire, user, calling="GUARDED"):
    identity = UserIdentity(UserIdentityType.USERNAME, False, user) if user else None
    return wire.request(calling=calling, user_identity=identity)


def test_whom_another_authenticator_knows_is_let_in(wire, dial):
    dial(request(wire, b"tester")).release()


@pytest.mark.parametrize(
    ("user", "reason"),
    [(b"", "say who you are"), (b"stranger", "nothing here knows such a user identity")],
)
def test_whom_none_knows_is_refused(wire, dial, recorded, user, reason):
    peer = dial().send(encode(request(wire, user)))
    assert peer.read_pdu() == wire.reject(1, 1, 1)
    recorded(peer, "association-refused", reason)


def test_one_that_fails_refuses(wire, raw_dial):
    peer = raw_dial().send(encode(request(wire, b"", calling="CRASH")))
    assert peer.read_pdu() == wire.reject(1, 1, 1)


@pytest.mark.parametrize(("user", "status"), [(b"tester", 0x0000), (b"reader", 0x0124)])
def test_a_limited_principal_does_what_it_is_limited_to(wire, dial, user, status):
    """0124H, Refused: not authorized (PS3.7 Annex C), without any authorizer."""
    peer = dial(request(wire, user))
    assert peer.message(wire.ECHO, wire.echo()).response()[0].status == status
    peer.release()


def test_the_archive_limits_a_principal_as_well(wire, dial, recorded):
    peer = dial(request(wire, b"tester"))
    response, _ = peer.message(wire.STORE, wire.store("1.2.3"), wire.instance("1.2.3")).response()
    assert response.status == 0x0124
    port = peer.port
    peer.release()
    recorded(port, "access-denied", "beyond what this identity is limited to")
